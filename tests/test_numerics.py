"""Integer numerics against exact arithmetic and against onnxruntime."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.errors import ModelError
from actc.numerics import (
    QuantizationParameters,
    Requantization,
    accumulator_bound,
    choose_multiplier,
    requantize,
)

SCALES = (1.0, 0.5, 0.1, 0.0235, 3.0, 1e-30, 1.2e-38, 1e30, 7.0 / 255)


def _onnx_session(op: str, scale: float, zero_point: int) -> ort.InferenceSession:
    data_in, data_out = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    if op == "DequantizeLinear":
        data_in, data_out = data_out, data_in
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, ["x", "scale", "zero"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", data_in, ["n"])],
        [onnx.helper.make_tensor_value_info("y", data_out, ["n"])],
        [
            onnx.numpy_helper.from_array(np.array(scale, np.float32), "scale"),
            onnx.numpy_helper.from_array(np.array(zero_point, np.uint8), "zero"),
        ],
    )
    model = onnx.helper.make_model(
        graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 21)]
    )
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _reals(scale: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Ties, neighbours of ties, extremes, infinities and random values."""
    with np.errstate(over="ignore", under="ignore"):
        ties = (np.arange(-1200, 1200) / 2).astype(np.float32) * np.float32(scale)
        near = np.concatenate([np.nextafter(ties, np.float32(s * np.inf)) for s in (-1, 1)])
        noise = (rng.normal(0, 100, 20000) * scale).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45], np.float32)
    return np.concatenate([ties, near, noise, special])


@pytest.mark.parametrize("scale", SCALES)
def test_quantize_equals_onnxruntime(scale: float) -> None:
    rng = np.random.default_rng(0)
    for zero_point in (0, 1, 117, 128, 255):
        x = _reals(scale, rng)
        parameters = QuantizationParameters(scale, zero_point)
        (expected,) = _onnx_session("QuantizeLinear", scale, zero_point).run(None, {"x": x})
        np.testing.assert_array_equal(parameters.quantize(x), expected)


@pytest.mark.parametrize("scale", SCALES)
def test_dequantize_equals_onnxruntime(scale: float) -> None:
    for zero_point in (0, 3, 255):
        parameters = QuantizationParameters(scale, zero_point)
        session = _onnx_session("DequantizeLinear", scale, zero_point)
        (expected,) = session.run(None, {"x": parameters.codes()})
        np.testing.assert_array_equal(parameters.dequantize(parameters.codes()), expected)
        np.testing.assert_array_equal(parameters.values().astype(np.float32), expected)


def test_quantize_rounds_half_to_even_and_saturates() -> None:
    parameters = QuantizationParameters(2.0, 10, low=8, high=14)
    x = np.array([-99.0, -3.0, -1.0, 1.0, 3.0, 5.0, 99.0, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(parameters.quantize(x), [8, 8, 10, 10, 12, 12, 14, 14, 8])


@given(
    lo=st.floats(-1e30, 1e30, allow_nan=False),
    width=st.floats(0, 1e30, allow_nan=False),
    low=st.integers(0, 100),
)
def test_from_range_holds_zero_and_covers(lo: float, width: float, low: int) -> None:
    parameters = QuantizationParameters.from_range(lo, lo + width, low=low)
    assert low <= parameters.zero_point <= 255
    assert parameters.values()[parameters.zero_point] == 0.0
    assert parameters.quantize(0.0) == parameters.zero_point
    # at each end at most half a step and the rounding of the scale is out of reach
    slack = 0.501 * parameters.scale
    assert parameters.values()[low] <= min(lo, 0.0) + slack
    assert parameters.values()[255] >= max(lo + width, 0.0) - slack


def test_from_range_of_degenerate_ranges() -> None:
    assert QuantizationParameters.from_range(0.0, 0.0) == QuantizationParameters(1.0, 0)
    assert QuantizationParameters.from_range(3.0, 3.0).zero_point == 0
    assert QuantizationParameters.from_range(-3.0, -3.0).zero_point == 255
    tiny = QuantizationParameters.from_range(0.0, 1e-300)
    assert tiny.scale > 0
    assert np.isfinite(1 / np.float32(tiny.scale))


@pytest.mark.parametrize(("lo", "hi"), [(0.0, np.inf), (np.nan, 1.0), (1.0, -1.0), (-1e308, 1e308)])
def test_from_range_refuses_what_it_cannot_cover(lo: float, hi: float) -> None:
    with pytest.raises(ModelError, match="ACT0302"):
        QuantizationParameters.from_range(lo, hi)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-60, 1e60])
def test_scale_must_be_a_positive_float32(scale: float) -> None:
    with pytest.raises(ModelError, match="ACT0302"):
        QuantizationParameters(scale, 0)


@given(
    factors=st.lists(st.floats(0, 2.0**20 - 1), min_size=1, max_size=8),
    bound=st.integers(0, 2**31),
    bits=st.integers(22, 31),
)
def test_multiplier_keeps_its_promises(factors: list[float], bound: int, bits: int) -> None:
    multiplier, shift = choose_multiplier(factors, max_accumulator=bound, bits=bits)
    assert multiplier.dtype == np.int32
    assert 1 <= shift <= 43
    assert multiplier.min() >= 0
    assert int(multiplier.max()) < 2**bits
    assert bound * int(multiplier.max()) + 2 ** (shift - 1) < 2**52
    largest = max(factors)
    if largest > 2.0**-20:
        approximate = int(multiplier[factors.index(largest)]) / 2**shift
        assert abs(approximate / largest - 1) <= 2.0**-20
    # one step finer either breaks a bound or is the same number
    finer = round(Fraction(largest) * 2 ** (shift + 1))
    exact = all(
        Fraction(int(m), 2**shift) == Fraction(f) for m, f in zip(multiplier, factors, strict=True)
    )
    assert (
        exact
        or shift == 43
        or finer >= 2**bits
        or bound * finer + 2**shift >= 2**52
        or not np.any(np.rint(np.ldexp(factors, shift + 1)) % 2)
    )


@pytest.mark.parametrize("factor", [-0.1, np.nan, np.inf, 2.0**31])
def test_multiplier_refuses_impossible_factors(factor: float) -> None:
    with pytest.raises(ModelError, match="ACT0301"):
        choose_multiplier([0.5, factor], max_accumulator=1000)


def test_multiplier_of_a_power_of_two_is_one() -> None:
    multiplier, shift = choose_multiplier(0.25, max_accumulator=10**6)
    assert (multiplier.shape, int(multiplier), shift) == ((), 1, 2)


@settings(max_examples=300)
@given(
    accumulator=st.integers(-(2**31), 2**31 - 1),
    multiplier=st.integers(0, 2**31 - 1),
    shift=st.integers(1, 43),
    zero=st.integers(0, 255),
    low=st.integers(0, 255),
)
def test_requantize_is_the_formula(
    accumulator: int, multiplier: int, shift: int, zero: int, low: int
) -> None:
    exact = floor(Fraction(accumulator * multiplier, 2**shift) + Fraction(1, 2)) + zero
    result = requantize(np.array(accumulator), multiplier, shift, zero, low, 255)
    assert int(result) == min(max(exact, low), 255)


def test_requantize_ties_go_up_and_channels_broadcast() -> None:
    accumulator = np.array([[-3, -1, 1, 3], [-2, 0, 2, 4]], np.int32)
    unit = Requantization(np.array([[1], [2]]), 1)
    np.testing.assert_array_equal(unit.real_factor(), [[0.5], [1.0]])
    np.testing.assert_array_equal(
        unit.apply(accumulator, zero=100), [[99, 100, 101, 102], [98, 100, 102, 104]]
    )


@given(seed=st.integers(0, 2**32 - 1), bound=st.sampled_from([255, 2**20, 2**31]))
def test_float64_evaluates_the_requantization_exactly(seed: int, bound: int) -> None:
    rng = np.random.default_rng(seed)
    factor = float(rng.lognormal(-5, 3))
    multiplier, shift = choose_multiplier(factor, max_accumulator=bound)
    accumulator = rng.integers(-bound, min(bound, 2**31 - 1) + 1, 100)
    product = accumulator.astype(np.float64) * float(multiplier) + 2.0 ** (shift - 1)
    double = np.clip(np.floor(product / 2.0**shift) + 3, 0, 255)
    np.testing.assert_array_equal(requantize(accumulator, multiplier, shift, 3), double)


@given(seed=st.integers(0, 2**32 - 1))
def test_accumulator_bound_is_attained_and_never_exceeded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (3, 2, 2)).astype(np.int8)
    bias = rng.integers(-1000, 1000, 3)
    low, zero, high = sorted(int(v) for v in rng.integers(0, 256, 3))
    bound = accumulator_bound(weights, low, high, zero, bias)
    flat = weights.reshape(3, -1).astype(np.int64)
    corners = np.stack([np.where(flat > 0, high, low), np.where(flat > 0, low, high)])
    sums = ((corners - zero) * flat).sum(axis=-1)
    assert bound == max(np.abs(sums).max(), np.abs(sums + bias).max())
    x = rng.integers(low, high + 1, (500, 1, 4))
    assert np.abs(((x - zero) * flat).cumsum(axis=-1)).max() <= bound


def test_accumulator_bound_of_int32_overflow_is_exact() -> None:
    weights = np.full((1, 100_000), -128, np.int8)
    assert accumulator_bound(weights, 0, 255, 0) == 100_000 * 128 * 255
