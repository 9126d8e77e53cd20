"""Domains with infinite ends, asymptotes and monotone pieces."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction, check_certificate, fit_piecewise_linear
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.sampling import PER_OCTAVE, REACH, tail_points
from actc.approx.shape import MonotonePiece, asymptote, monotone_pieces
from actc.errors import ModelError, UsageError

INF = math.inf
LINES = {  # slope and intercept at -inf, at inf
    "GELU": ((0, 0), (1, 0)),
    "Tanh": ((0, -1), (0, 1)),
    "Arctan": ((0, -math.pi / 2), (0, math.pi / 2)),
    "LeakyReLU": ((0.01, 0), (1, 0)),
    "Softplus": ((0, 0), (1, 0)),
    "Softsign": ((0, -1), (0, 1)),
    "SELU": ((0, -1.0507009873554805 * 1.6732632423543772), (1.0507009873554805, 0)),
    "Softshrink": ((1, 0.5), (1, -0.5)),
    "Reciprocal": ((0, 0), (0, 0)),
    "Exp": ((0, 0), None),
    "SquaredReLU": ((0, 0), None),
    "Sine": (None, None),
    "Snake": (None, None),
    "Square": (None, None),
    "Arcsinh": (None, None),
    "Floor": (None, None),
}


@pytest.mark.parametrize("name", LINES)
def test_asymptotes(name: str) -> None:
    f = find(name).function()
    for side, line in zip((-1, 1), LINES[name], strict=True):
        found = asymptote(f, side)  # type: ignore[arg-type]
        if line is None:
            assert found is None
            continue
        assert found is not None
        assert found.slope == line[0]
        assert found.intercept == pytest.approx(line[1], abs=1e-7)


def test_asymptotes_are_near_from_their_start_on() -> None:
    f, x = find("Softsign").function(), np.geomspace(1, 2**40, 4001)
    for eps in (1e-1, 1e-3, 1e-5):
        line = asymptote(f, 1, eps)
        assert line is not None
        off = np.abs(f(x) - line.slope * x - line.intercept)
        assert off[x >= line.start].max() <= eps
        assert off[x < line.start * 0.8].max() > eps
    assert asymptote(f, 1, 1e-14) is None


def test_logarithms_and_roots_approach_no_line() -> None:
    for name in ("Log", "Sqrt", "Log1p"):
        assert asymptote(find(name).function(), 1, origin=1.0) is None


def test_undefined_sides_are_refused() -> None:
    with pytest.raises(ModelError, match="ACT0303"):
        asymptote(find("Log").function(), -1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReLU", [(-8, 8, 1)]),
        ("Step", [(-8, 8, 1)]),
        ("Abs", [(-8, 0, -1), (0, 8, 1)]),
        ("Cosine", [(-8, -6.28, 1), (-6.28, -3.14, -1), (-3.14, 0, 1), (0, 3.14, -1),
                    (3.14, 6.28, 1), (6.28, 8, -1)]),
        ("GELU", [(-8, -0.75, -1), (-0.75, 8, 1)]),
        ("Tanh", [(-8, 8, 1)]),
    ],
)  # fmt: skip
def test_monotone_pieces(name: str, expected: list[tuple[float, float, int]]) -> None:
    x = np.linspace(-8, 8, 65537)
    found = monotone_pieces(find(name).function(), x)
    assert [piece.direction for piece in found] == [row[2] for row in expected]
    for piece, row in zip(found, expected, strict=True):
        assert (piece.lo, piece.hi) == pytest.approx(row[:2], abs=6e-3)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_monotone_pieces_are_fewest(values: list[int]) -> None:
    y = np.array(values, np.float64)
    f = ScalarFunction("listed", lambda x: y[x.astype(int)])
    pieces = monotone_pieces(f, np.arange(len(values), dtype=np.float64))
    assert (pieces[0].lo, pieces[-1].hi) == (0, len(values) - 1)
    for one, other in itertools.pairwise(pieces):
        assert one.hi == other.lo
        assert one.direction == -other.direction
    for piece in pieces:
        rises = np.diff(y[int(piece.lo) : int(piece.hi) + 1])
        assert np.all(rises * piece.direction >= 0)
        assert np.any(rises) == (piece.direction != 0)
    moves = np.sign(np.diff(y))
    moves = moves[moves != 0]
    assert len(pieces) == 1 + int(np.count_nonzero(np.diff(moves)))


def test_rounding_is_no_turn() -> None:
    x = np.linspace(0, 1, 1000)
    f = ScalarFunction("noisy", lambda x: x + 1e-9 * np.sin(1e5 * x))
    assert len(monotone_pieces(f, x)) > 1 or np.all(np.diff(f(x)) >= 0)
    assert monotone_pieces(f, x, noise=3e-9) == [MonotonePiece(0.0, 1.0, 1)]
    flat = ScalarFunction("flat", lambda x: 1 + 0 * x)
    assert monotone_pieces(flat, x) == [MonotonePiece(0.0, 1.0, 0)]
    with pytest.raises(ValueError, match="increasing"):
        monotone_pieces(f, x[::-1])


def last_places(y: npt.NDArray[np.float64], precision: str) -> npt.NDArray[np.float64]:
    return np.abs(y) * (2.0**-23 if precision == "float32" else 2.0**-44)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", ["GELU", "Tanh", "Softplus", "LeakyReLU", "Softsign", "SELU"])
@pytest.mark.parametrize("ends", [(-INF, 8.0), (-2.0, INF), (-INF, INF), (100.0, INF)])
def test_the_error_holds_to_the_ends(name: str, ends: tuple[float, float], precision: Any) -> None:
    f = find(name).function()
    fit = fit_piecewise_linear(f, *ends, segments=16, precision=precision)
    x = np.concatenate([np.geomspace(8, 2**40, 20_000), -np.geomspace(8, 2**40, 20_000)])
    x = x[(x >= ends[0]) & (x <= ends[1])]
    error = np.abs(fit.form.evaluate(x) - f(x)) - last_places(f(x), precision)
    # these points lie between the samples of a tail, 1/256 of an octave apart
    assert error.max() <= fit.max_error * 1.2 + 1e-12
    assert check_certificate(fit.certificate, f) == []
    assert 0 <= fit.lower_bound <= fit.max_error
    core = max(abs(float.fromhex(fit.certificate[key])) for key in ("lo", "hi"))
    rounding = core * (2.0**-23 if precision == "float32" else 2.0**-44)
    assert fit.lower_bound >= fit.max_error * 0.998 - rounding


def test_infinite_ends_cost_at_least_as_much() -> None:
    f = find("GELU").function()
    errors = [
        fit_piecewise_linear(f, *ends, segments=8, precision="float64").max_error
        for ends in ((-8.0, 8.0), (-INF, 8.0), (-INF, INF))
    ]
    assert errors == sorted(errors)
    assert errors[2] < 1.5 * errors[0]


def test_symmetric_ends_are_equally_good() -> None:
    f = find("GELU").function()
    mirrored = ScalarFunction("mirrored", lambda x: f(-x))
    one = fit_piecewise_linear(f, -INF, 8, segments=11, precision="float64")
    other = fit_piecewise_linear(mirrored, -8, INF, segments=11, precision="float64")
    assert one.max_error == pytest.approx(other.max_error, rel=2e-4)


def corners(values: list[float], left: float, right: float) -> ScalarFunction:
    """Straight between given values at -4, -3, ..., and beyond with the given slopes."""
    x = np.arange(len(values)) - 4.0

    def evaluate(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        inside = np.interp(p, x, values)
        below, above = np.minimum(p - x[0], 0.0), np.maximum(p - x[-1], 0.0)
        return inside + left * below + right * above

    return ScalarFunction("corners", evaluate)


def least_error(f: ScalarFunction, segments: int, left: float, right: float) -> float:
    """Exhaustive: over segmentations of a coarse grid, the end segments with fixed slopes."""
    x = np.linspace(-8, 8, 33)
    y = f(x)

    def best(first: int, end: int) -> float:
        slopes = []
        if first == 0:
            slopes.append(left)
        if end == len(x):
            slopes.append(right)
        if len(set(slopes)) > 1:
            return INF
        part_x, part_y = x[first:end], y[first:end]
        tried = slopes or np.unique(
            np.subtract.outer(part_y, part_y)[np.triu_indices(end - first, 1)]
            / np.subtract.outer(part_x, part_x)[np.triu_indices(end - first, 1)]
        )
        if not len(tried):
            return 0.0
        above = part_y - np.multiply.outer(tried, part_x)
        return float((above.max(axis=1) - above.min(axis=1)).min()) / 2

    count = len(x)
    costs = {(a, b): best(a, b) for a, b in itertools.combinations(range(count + 1), 2)}
    reached = [INF] + [costs[0, b] for b in range(1, count + 1)]
    for _ in range(segments - 1):
        reached = [INF] + [
            min(reached[b], *(max(reached[a], costs[a, b]) for a in range(b)))
            for b in range(1, count + 1)
        ]
    return reached[count]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(-8, 8).map(lambda v: v / 2), min_size=9, max_size=9),
    st.sampled_from([0.0, 1.0, -0.5]),
    st.sampled_from([0.0, 1.0, 0.25]),
    st.integers(2, 4),
)
def test_no_form_with_the_right_ends_is_better(
    values: list[float], left: float, right: float, segments: int
) -> None:
    f = corners(values, left, right)
    fit = fit_piecewise_linear(
        f, -INF, INF, segments=segments, points=33, precision="float64", tolerance=1e-7
    )
    assert fit.certificate["lo"] == (-8.0).hex()
    best = least_error(f, segments, left, right)
    assert fit.max_error == pytest.approx(best, rel=1e-5, abs=1e-8)
    assert fit.lower_bound == pytest.approx(best, rel=1e-4, abs=1e-8)
    assert check_certificate(fit.certificate, f) == []


def test_fewest_segments_to_the_ends() -> None:
    f = find("SiLU").function()
    fit = fit_piecewise_linear(f, -INF, INF, max_error=5e-3)
    assert fit.max_error <= 5e-3
    fewer = fit_piecewise_linear(f, -INF, INF, segments=fit.form.segments - 1)
    assert fewer.lower_bound > 5e-3
    assert check_certificate(fit.certificate, f) == []


def test_every_function_is_fitted_or_refused_by_name() -> None:
    fitted, refused = 0, []
    for entry in CATALOGUE[::5]:
        f = entry.function()
        try:
            fit = fit_piecewise_linear(f, -INF, INF, segments=12, points=4096)
        except (UsageError, ModelError) as error:
            refused.append((f.name, str(error)))
            continue
        fitted += 1
        assert check_certificate(fit.certificate, f) == [], entry.name
    assert fitted > 20
    assert all(name in message for name, message in refused)


@pytest.mark.parametrize(
    ("name", "ends", "options", "message"),
    [
        ("Exp", (-8.0, INF), {}, "ACT0350.*Exp approaches no straight line at inf"),
        ("Sine", (-INF, 8.0), {}, "ACT0350.*Sine approaches no straight line at -inf"),
        ("Log", (1.0, INF), {}, "ACT0350"),
        ("Log", (-INF, 1.0), {}, "ACT0303"),
        ("GELU", (-INF, INF), {"segments": 1}, "ACT0351.*GELU"),
        ("GELU", (-INF, 8.0), {"continuous": True}, "ACT0352"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    name: str, ends: tuple[float, float], options: dict[str, Any], message: str
) -> None:
    with pytest.raises((UsageError, ModelError), match=message):
        fit_piecewise_linear(find(name).function(), *ends, **{"segments": 4, **options})


def test_one_segment_follows_one_line() -> None:
    fit = fit_piecewise_linear(find("Tanh").function(), -INF, INF, segments=1)
    assert fit.form.slopes.tolist() == [0.0]
    assert fit.max_error == pytest.approx(1.0, rel=1e-6)
    assert fit.lower_bound == pytest.approx(1.0, rel=2e-6)  # a last place at 2**40


def test_tail_points() -> None:
    x = tail_points(8.0, 37, "float32")
    assert x[-1] == REACH
    assert len(x) == 37 * PER_OCTAVE
    assert x[0] > 8
    assert np.diff(np.log2(x)).max() < 1.5 / PER_OCTAVE


TAMPERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no tails": lambda c: c.pop("tails"),
    "one tail": lambda c: c.update(tails=[0, 37]),
    "too long": lambda c: c.update(tails=[37, 10**9]),
    "not whole": lambda c: c.update(tails=[37.0, 37]),
    "end slope": lambda c: c["slopes"].__setitem__(-1, (1.00001).hex()),
    "end intercept": lambda c: c["intercepts"].__setitem__(0, (0.1).hex()),
    "error lowered": lambda c: c.update(max_error=(float.fromhex(c["max_error"]) * 0.99).hex()),
    "bound raised": lambda c: c.update(lower_bound=(float.fromhex(c["max_error"]) * 1.001).hex()),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_tampered_certificates_are_rejected(change: str) -> None:
    f = find("GELU").function()
    fit = fit_piecewise_linear(f, -INF, INF, segments=6, points=4096)
    tampered = copy.deepcopy(json.loads(json.dumps(fit.certificate)))
    assert check_certificate(tampered, f) == []
    TAMPERED[change](tampered)
    assert check_certificate(tampered, f)
