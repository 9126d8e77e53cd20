"""Fixed-point formats, gates, and thresholds."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from fixed_point_units import fewest_windows, random_gates, unit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction
from actc.approx.catalogue import find
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import FixedFit, Gates, least_error, make_gates, verified
from actc.approx.thresholds import Thresholds, fit_thresholds
from actc.errors import InternalError, ModelError, UsageError

S8_4, U4_0 = FixedPoint(True, 8, 4), FixedPoint(False, 4, 0)


@pytest.mark.parametrize("text", ["s8.4", "u8.8", "u1.0", "s16.-2", "s4.12", "u32.0"])
def test_spelling_round_trip(text: str) -> None:
    assert str(FixedPoint.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "8.4", "s8", "s8.4x", "S8.4", "s0.0", "u33.0", "s8.65", "s8.x"]
)
def test_wrong_spelling(text: str) -> None:
    with pytest.raises(UsageError, match=r"ACT0310.*\n.*1 to 32 bits(.|\n)*write s8\.4"):
        FixedPoint.parse(text)


def test_codes_and_values() -> None:
    assert S8_4.codes().tolist() == list(range(-128, 128))
    assert S8_4.values()[[0, -1]].tolist() == [-8.0, 7.9375]
    assert FixedPoint.parse("u8.8").values()[-1] == 255 / 256
    assert FixedPoint.parse("s3.-2").values().tolist() == [-16, -12, -8, -4, 0, 4, 8, 12]


def test_rounding_and_saturation() -> None:
    x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.25, 0.49999999999999994]
    form = FixedPoint(True, 8, 0)
    assert form.quantize(x).tolist() == [-2, -2, 0, 0, 2, 2, 2, 0]
    assert form.quantize(x, "half_away").tolist() == [-3, -2, -1, 1, 2, 3, 2, 0]
    assert form.quantize(x, "floor").tolist() == [-3, -2, -1, 0, 1, 2, 2, 0]
    assert form.quantize([-math.inf, -128.6, 127.4, 127.6, 1e308]).tolist() == [
        -128, -128, 127, 127, 127,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="NaN"):
        form.quantize(math.nan)


def test_codes_from_outside_are_checked() -> None:
    assert U4_0.check([0, 15]).dtype == np.int64
    for wrong in ([16], [-1], [0.5]):
        with pytest.raises(ValueError, match="codes"):
            U4_0.check(wrong)


@given(
    st.lists(st.floats(-20, 20), min_size=8, max_size=8),
    st.floats(0.5, 40),
    st.sampled_from(["s4.0", "u4.1", "s6.3", "u3.-1"]),
)
@example(values=[0.0] * 6 + [5e-324, -5e-324], ulps=1.0, spelling="u3.-1")
@settings(max_examples=100, deadline=None)
def test_gates_are_all_codes_within(values: list[float], ulps: float, spelling: str) -> None:
    output = FixedPoint.parse(spelling)
    f = ScalarFunction("listed", lambda x: np.array(values)[x.astype(int)], (0, 7))
    error = ulps * output.ulp
    gates = make_gates(f, U4_0, output, error)
    faithful = make_gates(f, U4_0, output, "faithful")
    rounded = make_gates(f, U4_0, output, "correctly_rounded")
    codes = output.codes().tolist()
    for index, value in enumerate(values):
        ends = (
            Fraction(output.low) * Fraction(output.ulp),
            Fraction(output.high) * Fraction(output.ulp),
        )
        exact = min(max(Fraction(value), ends[0]), ends[1])
        off = {code: abs(Fraction(output.ulp) * code - exact) for code in codes}
        within = [code for code in codes if off[code] <= Fraction(error)]
        assert within == list(range(gates.low[index], gates.high[index] + 1))
        around = [code for code in codes if off[code] < Fraction(output.ulp)]
        assert around == list(range(faithful.low[index], faithful.high[index] + 1))
        assert rounded.low[index] == rounded.high[index]
        assert off[int(rounded.low[index])] == min(off.values())


def test_gates_refuse_what_cannot_be() -> None:
    gelu = find("GELU").function()
    with pytest.raises(UsageError, match="ACT0312"):
        make_gates(gelu, S8_4, S8_4, 0.03)
    with pytest.raises(UsageError, match="ACT0311"):
        make_gates(gelu, FixedPoint(True, 17, 4), S8_4, "faithful")
    with pytest.raises(ModelError, match="ACT0303"):
        make_gates(ScalarFunction("log", np.log), S8_4, S8_4, "faithful")


def test_infinite_functions_saturate() -> None:
    gates = make_gates(ScalarFunction("1/x", lambda x: 1 / x), U4_0, U4_0, "faithful")
    assert (gates.low[0], gates.high[0]) == (15, 15)


def test_verified_refuses_a_wrong_form() -> None:
    form = Thresholds(S8_4, S8_4, np.array([], np.int64), np.array([0]))
    with pytest.raises(InternalError, match="Thresholds of GELU misses"):
        verified(form, unit("GELU", 8, "faithful"))


# change points, total variation, falling part: from an independent computation
EXACT = {
    ("GELU", 8): (130, 133, 3),
    ("GELU", 12): (2091, 2135, 44),
    ("GELU", 16): (33463, 34159, 696),
    ("SiLU", 8): (131, 135, 4),
    ("SiLU", 12): (2117, 2187, 70),
    ("Mish", 8): (135, 137, 5),
    ("Mish", 12): (2168, 2204, 78),
    ("Tanh", 8): (70, 256, 0),
    ("Tanh", 12): (1134, 4096, 0),
    ("Sigmoid", 8): (94, 128, 0),
    ("Sigmoid", 12): (1500, 2046, 0),
    ("GoLU", 8): (126, 131, 2),
    ("GoLU", 12): (2017, 2096, 25),
    ("Softplus", 8): (127, 127, 0),
    ("Softplus", 12): (2047, 2047, 0),
}


@pytest.mark.parametrize(("name", "bits"), EXACT)
def test_exact_steps_of_known_functions(name: str, bits: int) -> None:
    gates = unit(name, bits, "correctly_rounded")
    fit = fit_thresholds(gates)
    heights = fit.form.heights
    falling = -int(heights[heights < 0].sum())
    assert (len(heights), fit.form.unit_steps, falling) == EXACT[name, bits]
    assert np.array_equal(fit.form.evaluate(gates.input.codes()), gates.low)
    assert fit.max_error_ulp <= 0.5
    assert fit.max_error == fit.max_error_ulp * gates.output.ulp


@given(random_gates())
@settings(max_examples=300, deadline=None)
def test_fewest_steps(gates: Gates) -> None:
    count = len(gates)
    serves = [
        [bool(gates.low[a:b].max() <= gates.high[a:b].min()) if a < b else False
         for b in range(1, count + 1)]
        for a in range(count)
    ]  # fmt: skip
    fit = fit_thresholds(gates)
    assert fit.form.levels.size == fewest_windows(count, serves)
    assert gates.admit(fit.form.evaluate(gates.input.codes()))


@given(st.lists(st.integers(0, 64), min_size=8, max_size=8), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_least_error_of_few_steps(values: list[int], levels: int) -> None:
    source, output = FixedPoint(False, 3, 0), FixedPoint(False, 5, 0)
    eighths = np.array(values) / 8
    f = ScalarFunction("listed", lambda x: eighths[x.astype(int)])

    def fit(gates: Gates) -> FixedFit[Thresholds] | None:
        found = fit_thresholds(gates)
        return found if found.form.levels.size <= levels else None

    def error(start: int, end: int) -> float:
        return float(min(np.abs(eighths[start:end] - code).max() for code in range(32)))

    best = {0: 0.0}
    for _ in range(levels):
        reach = dict(best)
        for start, so_far in best.items():
            for end in range(start + 1, 9):
                reach[end] = min(reach.get(end, math.inf), max(so_far, error(start, end)))
        best = reach
    assert least_error(f, source, output, fit).max_error == best[8]


def test_description() -> None:
    fit = fit_thresholds(unit("GELU", 8, "faithful"))
    described = json.loads(json.dumps(fit.to_json()))
    assert described["input"] == described["output"] == "s8.4"
    form = Thresholds(
        FixedPoint.parse(described["input"]),
        FixedPoint.parse(described["output"]),
        np.array(described["thresholds"]),
        np.array(described["levels"]),
    )
    codes = S8_4.codes()
    assert np.array_equal(form.evaluate(codes), fit.form.evaluate(codes))
    assert described["storage_bits"] == 8 * (len(form.thresholds) + len(form.levels))
    assert form.evaluate(codes.reshape(16, 16)).shape == (16, 16)


@pytest.mark.parametrize(
    ("thresholds", "levels"), [([3, 3], [0, 1, 2]), ([-128], [0, 1]), ([1], [0]), ([1], [2, 2])]
)
def test_thresholds_refuse_nonsense(thresholds: list[int], levels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"threshold|level"):
        Thresholds(S8_4, S8_4, np.array(thresholds), np.array(levels))
