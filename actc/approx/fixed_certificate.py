"""Certificates of fixed-point forms: what they claim, as JSON that can be verified anew.

A certificate speaks of one form, over every input code. :mod:`actc.approx.fixed_checker`
verifies it and shares no code with this module or the fitters. Real numbers are
hexadecimal floats. The keys:

``kind``, ``version``
    "fixed-point", 1.
``function``, ``input``, ``output``
    the function's name and the formats, such as "s8.4". Inputs are codes; where the
    function leaves the output format, the nearest end of the format takes its place.
``objective``
    what every output keeps to: "correctly_rounded" (nearest code, ties to even),
    "rounded_down", "faithful" (one of the two codes around the value, the value itself
    where it is a code), or an absolute error.
``close``
    [first input, last input, low, high] where a float64 value is so close to a rounding
    boundary that the last bits of a mathematical library decide: the first and last
    admissible output code of these inputs. What is not listed follows from the value;
    values at a boundary (see the slack below) count as lying on it.
``form``
    what `to_json` of the form says: complete, in integers.
``max_error``, ``max_error_ulp``
    largest distance of an output from the function, real and in units of the last
    place of the output; attained.
``lower_bound``
    no form with these formats has a smaller largest error: the rounding floor of the
    output over these inputs. With ``least``: no form of that size and kind has.
``fewest`` (optional)
    no form of this kind within the objective has fewer than ``pieces`` (levels,
    segments or leaves).
``least`` (optional)
    ``lower_bound`` holds for forms of this kind with at most ``pieces`` pieces.
``digest``
    SHA-256 of the certificate without it (JSON, sorted keys, no spaces). It shows
    damage; what it says is what the checker verifies.

``fewest`` and ``least`` also hold ``witnesses`` (:mod:`actc.approx.fixed_witness`): lists
of input codes that no single piece serves within the objective, or with an error below
the bound. For lines there are ``slopes`` ({"grid": g}: multiples of g; {"digits": k,
"top": t}: sums of at most k terms +-2**i, i <= t) and ``shift``: the claim is about all
forms ``(S x + C) >> q`` with q <= shift for which S 2**(shift - q) is in the set. (Such a
form computes the same as one of that shift.)

Claims about a function's values have a slack, because two mathematical libraries may
differ in the last bits: 2**-44 of the largest value in the output format, of an allowed
error, or of one unit in the last place, whichever is largest. So the claims hold for a
function that is nowhere farther than this from the float64 values of the one that is
named.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from actc.approx.dyadic import SegmentTree
from actc.approx.fixed_point import Codes
from actc.approx.fixed_witness import Witness, line_witnesses, step_witnesses, tree_witnesses
from actc.approx.function import Float64Array
from actc.approx.gates import FixedFit, Gates
from actc.approx.signed_digits import IntegerLines, IntegerPiecewiseLinear, slope_set, widest_shift
from actc.approx.slope_sets import Grid, SignedDigits
from actc.approx.thresholds import Thresholds

VERSION = 1
_SLACK = 2.0**-44


def certify_fixed(
    fit: FixedFit[Any],
    *,
    digits: int | None = None,
    grid: int = 1,
    shift: int | None = None,
    pieces: int | None = None,
) -> dict[str, Any]:
    """Certificate of a fixed-point form; JSON-ready, see the top of this module.

    Steps, lines and trees come with a proof of how few pieces could do. Tables and
    polynomials claim their error only.

    Args:
        fit: verified over every input.
        digits, grid: the slopes that lines or leaves were chosen from, as for
            :func:`~actc.approx.signed_digits.fit_integer_lines`.
        shift: the largest shift that the claims speak of. None: the default of the
            fitters, unless the form has more pieces than are needed with so much
            shift; then its own.
        pieces: the form has the least error of all with at most so many pieces, and
            that is to be proved, instead of that no fewer pieces do.

    Raises:
        ValueError: the gates are not those of their objective, an option is out of
            range, or there is a form of so many pieces with a smaller error.
    """
    gates, form = fit.gates, fit.form
    floor = float(np.abs(np.rint(gates.target) - gates.target).max())
    certificate = {
        "kind": "fixed-point",
        "version": VERSION,
        "function": gates.function,
        "input": str(gates.input),
        "output": str(gates.output),
        "objective": _objective(gates),
        "close": _close(gates),
        "form": form.to_json(),
        "max_error": fit.max_error.hex(),
        "max_error_ulp": fit.max_error_ulp.hex(),
        "lower_bound": (floor * gates.output.ulp).hex(),
    }
    if isinstance(form, (Thresholds, IntegerPiecewiseLinear, SegmentTree)):
        if pieces is None:
            certificate["fewest"] = _fewest(form, gates, digits, grid, shift)
        else:
            beyond = fit.max_error_ulp - _slack(gates) > floor
            proof = _least(fit, pieces, digits, grid, shift) if beyond else {}
            certificate["least"] = {"pieces": pieces, "witnesses": [], **proof}
            certificate["lower_bound"] = fit.max_error.hex()
    certificate["digest"] = digest(certificate)
    return certificate


def digest(certificate: dict[str, Any]) -> str:
    """SHA-256 of a certificate without its digest; independent of the order of keys."""
    told = {key: value for key, value in certificate.items() if key != "digest"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# --- how few pieces could do

_Pieces = Thresholds | IntegerPiecewiseLinear | SegmentTree


def _count(form: _Pieces) -> int:
    return form.levels.size if isinstance(form, Thresholds) else form.segments


def _fewest(
    form: _Pieces, gates: Gates, digits: int | None, grid: int, shift: int | None
) -> dict[str, Any]:
    """That the gates need so many pieces: one more than there are breaks."""
    claims = (_proof(form, gates, digits, grid, q, len(gates)) for q in _shifts(form, gates, shift))
    best: dict[str, Any] = {}
    for claim in claims:
        best = claim
        if claim["pieces"] == _count(form):
            break
    return best


def _least(
    fit: FixedFit[Any], pieces: int, digits: int | None, grid: int, shift: int | None
) -> dict[str, Any]:
    """That gates for smaller errors need more than so many pieces."""
    # half the checker's slack stays for the differences of mathematical libraries
    gates = _below(fit.gates, fit.max_error_ulp - _slack(fit.gates) / 2)
    for q in _shifts(fit.form, fit.gates, shift):
        proof = _proof(fit.form, gates, digits, grid, q, pieces)
        if proof["pieces"] > pieces:
            return {**proof, "pieces": pieces}
    raise ValueError(f"a smaller error is possible with {pieces} pieces")


def _shifts(form: _Pieces, gates: Gates, shift: int | None) -> list[int]:
    """Shifts to make a claim for, the strongest claim first."""
    if isinstance(form, Thresholds):
        return [0]
    if shift is not None:
        return [shift]
    usual = min(gates.input.bits + 8, widest_shift(gates))
    return sorted({form.shift, max(form.shift, usual)}, reverse=True)


def _proof(
    form: _Pieces, gates: Gates, digits: int | None, grid: int, shift: int, most: int
) -> dict[str, Any]:
    """Witnesses, and the least number of pieces that follows from them."""
    if isinstance(form, Thresholds):
        found = step_witnesses(gates.low, gates.high, most)
        return {"pieces": len(found) + 1, "witnesses": _codes(gates, found)}
    slopes = slope_set(gates, shift, digits, grid)
    lines = IntegerLines(gates, shift)
    if isinstance(form, SegmentTree):
        found = tree_witnesses(lines, slopes, most)
        pieces = 1 + len(_inner_nodes(found, gates.input.bits))
    else:
        found = line_witnesses(lines, slopes, most)
        pieces = 1 + len(found)
    return {
        "pieces": pieces,
        "slopes": _slopes(slopes),
        "shift": shift,
        "witnesses": _codes(gates, found),
    }


def _inner_nodes(found: list[Witness], bits: int) -> set[tuple[int, int]]:
    """(depth, first bits) of the smallest dyadic intervals of witnesses, and all above."""
    nodes = set()
    for witness in found:
        different = (witness[0] ^ witness[-1]).bit_length()
        for free in range(different, bits + 1):
            nodes.add((bits - free, witness[0] >> free))
    return nodes


def _codes(gates: Gates, found: list[Witness]) -> list[list[int]]:
    return [[index + gates.input.low for index in witness] for witness in found]


def _slopes(slopes: object) -> dict[str, int]:
    if isinstance(slopes, Grid):
        return {"grid": slopes.step}
    assert isinstance(slopes, SignedDigits)
    return {"digits": slopes.digits, "top": slopes.top}


# --- gates


def _objective(gates: Gates) -> str:
    """The objective as the certificate spells it."""
    if not isinstance(gates.objective, str):
        return float(gates.objective).hex()
    down = np.any(np.abs(gates.low - gates.target) > 0.5)
    if gates.objective == "correctly_rounded" and down:
        return "rounded_down"
    return gates.objective


def _allowed(gates: Gates) -> float:
    """The error that a numeric objective allows, in units of the last place."""
    if isinstance(gates.objective, str):
        return 0.0
    everything = float(gates.output.count)  # so many units admit every code
    return min(gates.objective / gates.output.ulp, everything)


def _slack(gates: Gates) -> float:
    return _SLACK * max(1.0, float(np.abs(gates.target).max()), _allowed(gates))


def _below(gates: Gates, ulps: float) -> Gates:
    """The gates of all errors below `ulps`."""
    low = np.floor(gates.target - ulps) + 1
    high = np.ceil(gates.target + ulps) - 1
    return Gates(
        gates.function,
        gates.input,
        gates.output,
        ulps * gates.output.ulp,
        gates.target,
        np.maximum(low, gates.output.low).astype(np.int64),
        np.minimum(high, gates.output.high).astype(np.int64),
    )


def _close(gates: Gates) -> list[list[int]]:
    """Runs of inputs whose gates the checker could not tell from the values alone."""
    # twice the slack: what is not listed is decided alike by a library a bit off
    low, high = _told(gates, 2 * _slack(gates))
    different = np.flatnonzero((gates.low != low) | (gates.high != high))
    runs: list[list[int]] = []
    for index in different.tolist():
        code, gate = index + gates.input.low, [int(gates.low[index]), int(gates.high[index])]
        if runs and runs[-1][1:] == [code - 1, *gate]:
            runs[-1][1] = code
        else:
            runs.append([code, code, *gate])
    return runs


def _told(gates: Gates, slack: float) -> tuple[Codes, Codes]:
    """The gates where values within the slack of a boundary count as lying on it."""
    ends = gates.output.low, gates.output.high
    below, above = (np.clip(gates.target + off, *ends) for off in (-slack, slack))
    objective = _objective(gates)
    low: Float64Array
    high: Float64Array
    if objective == "correctly_rounded":
        one, other = np.rint(below), np.rint(above)
        low = high = np.where(one % 2 == 0, one, other)
    elif objective == "rounded_down":
        low = high = np.floor(above)
    elif objective == "faithful":
        code = np.floor(above)
        on_code = below <= code
        low, high = (np.where(on_code, code, step(below)) for step in (np.floor, np.ceil))
    else:
        error = _allowed(gates)
        low = np.maximum(np.ceil(below - error), ends[0])
        high = np.minimum(np.floor(above + error), ends[1])
    return low.astype(np.int64), high.astype(np.int64)
