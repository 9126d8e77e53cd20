"""What certificates claim, found by trying every input: no code of the checker is used.

Speaks of certificates that the checker accepts, so that their fields have the right types.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Evaluate = Callable[[Any], Any]
_CLOSE = 1e-8
"""The checker allows 1e-9 of an error, and 2**-44 of the function's largest value."""


def false_claims(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """Claims that do not hold, of a certificate of the function `evaluate`.

    Args:
        certificate: one that the checker accepts, of at most 2**16 inputs.
        evaluate: float64 [n] -> float64 [n].
    """
    with np.errstate(all="ignore"):
        match certificate["kind"]:
            case "fixed-point":
                return _fixed(certificate, evaluate)
            case "table":
                return _table(certificate, evaluate)
            case "piecewise-linear":
                return _lines(certificate, evaluate)
    return []


def _compared(what: str, claimed: float, found: float, size: float) -> list[str]:
    if abs(claimed - found) <= _CLOSE * max(abs(found), abs(claimed)) + 1e-12 * size:
        return []
    return [f"{what} is {found!r}, claimed is {claimed!r}"]


def _lines(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """The error of lines at their samples, one sample after the other."""
    low, high = (float.fromhex(certificate[key]) for key in ("lo", "hi"))
    dtype = np.dtype(certificate["precision"])
    x = np.linspace(low, high, certificate["points"]).astype(dtype).astype(np.float64)
    y = np.broadcast_to(evaluate(x), x.shape)
    edges, slopes, intercepts = (
        [float.fromhex(text) for text in certificate[key]]
        for key in ("breakpoints", "slopes", "intercepts")
    )
    worst = 0.0
    for point, value in zip(x.tolist(), y.tolist(), strict=True):
        piece = sum(edge <= point for edge in edges)
        worst = max(worst, abs(slopes[piece] * point + intercepts[piece] - value))
    beyond = _tails(low, high, certificate.get("tails", (0, 0)), dtype)
    beyond = beyond[(beyond < x.min()) | (beyond > x.max())]
    values = np.broadcast_to(evaluate(beyond), beyond.shape)
    which = (beyond[:, None] >= np.array(edges)).sum(axis=1)
    wide = np.longdouble  # far from zero, a product has few digits behind the point
    lines = np.array(slopes, wide)[which] * beyond + np.array(intercepts, wide)[which]
    part = 2.0**-23 if dtype == np.float32 else 2.0**-44  # of a value, it does not count
    off = np.abs(lines - values) - part * np.abs(values).astype(wide)
    worst = max(worst, float(off.max(initial=0.0)))
    claimed, bound = (float.fromhex(certificate[key]) for key in ("max_error", "lower_bound"))
    size = float(np.abs(y).max(initial=0.0)) + max(map(abs, intercepts))
    problems = _compared("the error", claimed, worst, size)
    if len(slopes) <= certificate["segments"] and bound > worst * (1 + _CLOSE) + 1e-12 * size:
        problems.append(f"{len(slopes)} segments have the error {worst!r}, below {bound!r}")
    return problems


def _tails(low: float, high: float, octaves: Sequence[int], dtype: np.dtype[Any]) -> Any:
    """Points beyond both ends, float64 [n]: each octave has 256."""
    ends = ((low, octaves[0]), (high, octaves[1]))
    found = [
        end * 2.0**octave * (1 + step / 256)
        for end, count in ends
        for octave in range(count)
        for step in range(1, 257)
    ]
    return np.array(found).astype(dtype).astype(np.float64)


def _table(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """The error of a table at its codes."""
    given, made = certificate["input"], certificate["output"]
    values = bytes.fromhex(certificate["values"])
    low, high = given["low"], given["high"]
    scale = float.fromhex(given["scale"])
    x = np.array([(code - given["zero_point"]) * scale for code in range(low, high + 1)])
    y = np.broadcast_to(evaluate(x), x.shape)
    if made is None:
        entries = np.frombuffer(values, "<f4").astype(np.float64)
    else:
        wide = 1 if made.get("bits", 8) <= 8 else 2
        codes = np.frombuffer(values, f"<u{wide}").astype(np.float64)
        entries = (codes - made["zero_point"]) * float.fromhex(made["scale"])
    error = max(
        abs(entries[code] - value) for code, value in zip(range(low, high + 1), y, strict=True)
    )
    claimed, bound = (float.fromhex(certificate[key]) for key in ("max_error", "lower_bound"))
    size = float(np.abs(y).max(initial=0.0))
    problems = _compared("the error", claimed, error, size)
    if bound > error * (1 + _CLOSE) + 1e-12 * size:
        problems.append(f"this table has the error {error!r}, below {bound!r}")
    return problems


# --- integers


def _fixed(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """The error of a form, at every input code, in Python's integers."""
    low, high, unit = _format(certificate["input"])
    least, most, made = _format(certificate["output"])
    form = certificate["form"]
    codes = range(low, high + 1)
    y = np.broadcast_to(evaluate(np.array([math.ldexp(c, -unit) for c in codes])), len(codes))
    worst = 0.0
    problems = []
    for code, value in zip(codes, y.tolist(), strict=True):
        found = _EVALUATED[form["form"]](form, code, low, high)
        if not least <= found <= most:
            problems.append(f"at {code}, the form gives {found}, not in {least}..{most}")
        wanted = min(max(value * 2.0**made, least), most)
        worst = max(worst, abs(found - wanted))
    claimed = float.fromhex(certificate["max_error_ulp"])
    size = float(np.abs(np.clip(y * 2.0**made, least, most)).max())
    problems += _compared("the error in units", claimed, worst, size)
    bound = float.fromhex(certificate["lower_bound"]) * 2.0**made
    if bound > worst * (1 + _CLOSE) + 1e-12 * size:
        problems.append(f"this form has the error {worst!r}, below {bound!r}")
    return problems[:3]


def _format(text: str) -> tuple[int, int, int]:
    """Smallest and largest code, and the bits behind the point."""
    bits, fraction = text[1:].split(".", 1)
    count = 2 ** int(bits)
    low = -count // 2 if text[0] == "s" else 0
    return low, low + count - 1, int(fraction)


def _leaf(depths: Sequence[int], position: int, count: int) -> tuple[int, int]:
    """The leaf of an input, and the input's place in it."""
    start = 0
    for leaf, depth in enumerate(depths):
        size = count >> depth
        if position < start + size:
            return leaf, position - start
        start += size
    raise ValueError("the leaves do not cover every input")


def _of_compressed(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    at = code - low
    coarse = form["coarse"][at >> form["split"]] << form["drop"]
    return int(coarse + form["differences"][at] + form["base"])


def _of_bipartite(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    _, b, c = form["parts"]
    at = code - low
    first, middle, last = at >> (b + c), (at >> c) & ((1 << b) - 1), at & ((1 << c) - 1)
    total = form["initial"][first << b | middle] + form["offset"][first << c | last]
    return int((total + form["base"]) >> form["guard"])


def _of_steps(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    return int(form["levels"][sum(edge <= code for edge in form["thresholds"])])


def _of_lines(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    piece = sum(edge <= code for edge in form["breakpoints"])
    return int((form["slopes"][piece] * code + form["constants"][piece]) >> form["shift"])


def _of_tree(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    leaf, rest = _leaf(form["depths"], code - low, high - low + 1)
    return int((form["slopes"][leaf] * rest + form["constants"][leaf]) >> form["shift"])


def _of_polynomial(form: Mapping[str, Any], code: int, low: int, high: int) -> int:
    leaf, rest = _leaf(form["depths"], code - low, high - low + 1)
    constant, slope, *higher = form["coefficients"][leaf]
    total = constant + slope * rest
    for power, (factor, cut) in enumerate(zip(higher, form["truncations"], strict=True), 2):
        total += factor * (rest**power >> cut)
    return int(total >> form["shift"])


_EVALUATED: dict[str, Callable[[Mapping[str, Any], int, int, int], int]] = {
    "fixed_table": lambda form, code, low, high: int(form["values"][code - low]),
    "compressed_table": _of_compressed,
    "bipartite_table": _of_bipartite,
    "thresholds": _of_steps,
    "integer_piecewise_linear": _of_lines,
    "segment_tree": _of_tree,
    "integer_piecewise_polynomial": _of_polynomial,
}
