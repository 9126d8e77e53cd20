"""Piecewise-linear forms with an integer datapath."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fixed_point_units import fewest_windows, formats, random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx.catalogue import find
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import FixedFit, Gates, least_error
from actc.approx.signed_digits import (
    IntegerPiecewiseLinear,
    fit_integer_lines,
    signed_width,
    widest_shift,
)
from actc.approx.slope_sets import SignedDigits, digit_count

# segments, correctly rounded and faithful, of the best real lines before the rounding:
# from an independent computation
REAL_LINES = {
    ("GELU", 8): (7, 3),
    ("GELU", 12): (40, 14),
    ("GELU", 16): (267, 60),
    ("SiLU", 8): (8, 5),
    ("SiLU", 12): (67, 18),
    ("Mish", 8): (8, 4),
    ("Mish", 12): (52, 16),
    ("Tanh", 8): (19, 11),
    ("Tanh", 12): (99, 45),
    ("Sigmoid", 8): (17, 9),
    ("Sigmoid", 12): (97, 33),
    ("GoLU", 8): (7, 4),
    ("GoLU", 12): (47, 16),
    ("Softplus", 8): (9, 4),
    ("Softplus", 12): (52, 17),
}


@pytest.mark.parametrize(("name", "bits"), REAL_LINES)
def test_segments_of_known_functions(name: str, bits: int) -> None:
    for objective, segments in zip(
        ("correctly_rounded", "faithful"), REAL_LINES[name, bits], strict=True
    ):
        gates = unit(name, bits, objective)
        fit = fit_integer_lines(gates, shift=bits + 8)
        assert fit.form.segments == segments
        assert fit.max_error_ulp <= (0.5 if objective == "correctly_rounded" else 1.0)


def test_two_digits_serve_an_8_bit_gelu() -> None:
    for objective, segments in (("correctly_rounded", 7), ("faithful", 3)):
        fit = fit_integer_lines(unit("GELU", 8, objective), digits=2)
        assert fit.form.segments == segments
        assert fit.form.digits <= 2


def test_digit_count_against_all_sums() -> None:
    powers = [1 << i for i in range(9)]
    terms = [0, *powers, *(-power for power in powers)]
    reached = {0}
    for digits in range(1, 4):
        reached = {a + b for a in reached for b in terms}
        members = SignedDigits(digits, 8)
        for value in range(-300, 301):
            assert (members.between(value, value) == value) == (value in reached)
            if value in reached and abs(value) <= 128:
                assert digit_count(value) <= digits
            elif abs(value) <= 128:
                assert digit_count(value) > digits


@given(st.integers(-600, 600), st.integers(0, 40), st.integers(0, 4))
def test_between_finds_a_member_if_there_is_one(low: int, size: int, digits: int) -> None:
    members = SignedDigits(digits, 12)
    found = members.between(low, low + size)
    inside = [v for v in range(low, low + size + 1) if digit_count(v) <= digits]
    assert (found in inside) if inside else (found is None)


def serving_slope(gates: Gates, window: slice, shift: int, slopes: list[int]) -> bool:
    """Whether a slope of the list serves the window, by trying all of them."""
    x = gates.input.codes()[window]
    low, high = gates.low[window] << shift, ((gates.high[window] + 1) << shift) - 1
    product = np.array(slopes)[:, None] * x
    return bool(np.any((low - product).max(axis=1) <= (high - product).min(axis=1)))


@given(random_gates(), st.integers(0, 5), st.sampled_from([(None, 1), (None, 3), (1, 1), (2, 1)]))
@settings(max_examples=300, deadline=None)
def test_fewest_segments(gates: Gates, shift: int, kind: tuple[int | None, int]) -> None:
    digits, grid = kind
    steepest = 64 << shift
    slopes = [s for s in range(-steepest, steepest + 1) if s % grid == 0]
    if digits is not None:
        slopes = [s for s in slopes if digit_count(s) <= digits]
    count = len(gates)
    serves = [[False] * count for _ in range(count)]
    for start in range(count):
        for end in range(start + 1, count + 1):
            # what does not serve a window serves no longer one
            if not serving_slope(gates, slice(start, end), shift, slopes):
                break
            serves[start][end - 1] = True
    form = fit_integer_lines(gates, digits=digits, grid=grid, shift=shift).form
    assert form.segments == fewest_windows(count, serves)
    assert all(s in slopes for s in form.slopes.tolist())


@given(random_gates(), st.integers(0, 4), st.sampled_from([None, 1, 2]))
@settings(max_examples=100, deadline=None)
def test_least_shift(gates: Gates, most: int, digits: int | None) -> None:
    counts = [
        fit_integer_lines(gates, digits=digits, shift=q).form.segments for q in range(most + 1)
    ]
    form = fit_integer_lines(gates, digits=digits, max_shift=most).form
    assert form.segments == counts[-1] == min(counts)
    assert form.shift == counts.index(counts[-1])


@pytest.mark.parametrize("digits", [None, 1, 2, 3])
def test_datapath(digits: int | None) -> None:
    gates = unit("Tanh", 8, "faithful")
    form = fit_integer_lines(gates, digits=digits).form
    described = json.loads(json.dumps(form.to_json()))
    breakpoints = described["breakpoints"]
    for x in gates.input.codes().tolist():
        which = sum(point <= x for point in breakpoints)
        y = (described["slopes"][which] * x + described["constants"][which]) // 2 ** described[
            "shift"
        ]
        assert y == form.evaluate(np.array([x]))[0]
        assert gates.low[x + 128] <= y <= gates.high[x + 128]
    assert digits is None or max(map(digit_count, described["slopes"])) <= digits
    assert described["digits"] == form.digits


def test_least_error_for_eight_segments() -> None:
    def fit(gates: Gates) -> FixedFit[IntegerPiecewiseLinear] | None:
        found = fit_integer_lines(gates, shift=12)
        return found if found.form.segments <= 8 else None

    best = least_error(find("GELU").function(), *formats("GELU", 12), fit)
    # 8 real lines leave 7.51e-3; the output rounds to 2**-8
    assert 7.4e-3 < best.max_error < 7.51e-3 + 2**-9
    assert best.form.segments == 8


@given(st.lists(st.integers(-200, 200), max_size=5))
def test_signed_width(values: list[int]) -> None:
    width = signed_width(np.array(values, np.int64))
    assert all(-(1 << width - 1) <= v < 1 << width - 1 for v in values)
    if width > 1:
        assert not all(-(1 << width - 2) <= v < 1 << width - 2 for v in values)


def test_extreme_formats_do_not_overflow() -> None:
    wide = FixedPoint(True, 32, 0)
    x = FixedPoint(False, 8, 0)
    low = np.where(x.codes() % 2 == 0, wide.low, wide.high)
    gates = Gates("zigzag", x, wide, 0.0, low.astype(np.float64), low, low)
    fit = fit_integer_lines(gates, shift=widest_shift(gates))
    assert fit.form.segments == 128
    assert fit.max_error == 0


@pytest.mark.parametrize(
    "options", [{"digits": 0}, {"digits": 5}, {"grid": 0}, {"shift": -1}, {"shift": 29}]
)
def test_wrong_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        fit_integer_lines(unit("GELU", 8, "faithful"), **options)


def test_storage() -> None:
    form = IntegerPiecewiseLinear(
        FixedPoint(True, 8, 4),
        FixedPoint(True, 8, 4),
        np.array([0]),
        np.array([-4, 3]),
        np.array([7, 0]),
        2,
    )
    assert form.storage_bits == 8 + 2 * (3 + 4)
    with pytest.raises(ValueError, match="increase"):
        IntegerPiecewiseLinear(
            form.input, form.output, np.array([-128]), form.slopes, form.constants, 2
        )
