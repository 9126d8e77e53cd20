"""Formats of tensors and weights: who shares one, what range it holds, what is cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import network, normal, proto_of, random_data, run, transformed
from scipy import special

from actc.calibrate.histogram import choose_range
from actc.ir.context import context_of
from actc.ir.formats import parameters_of
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import quantize_weights
from actc.passes.approximate import Approximate
from actc.passes.calibrate import Calibrate
from actc.passes.normalize import Normalize
from actc.passes.quantize import Quantize
from actc.passes.ranges import clip_tails, is_clamp
from actc.passes.recognize import Recognize

Array = np.ndarray[Any, Any]
Formats = dict[str, QuantizationParameters]

FRONT = "h = Conv <pads = [1,1,1,1]> (x, w)\n"
WEIGHTS = {"w": normal(6, 3, 3, 3, scale=0.3), "v": normal(4, 6, 1, 1)}
IMAGE = "float[N,3,8,8] x => float[N,a,b,c] y"


def quantized(
    model: onnx.ModelProto, data: Mapping[str, Array] | None = None, method: str = "minmax"
) -> tuple[ir.Model, Formats]:
    """The model with formats, and the formats by value name."""
    steps = [Normalize(), Recognize(), Calibrate(), Approximate(method=method)]
    feeds = random_data(model, 32) if data is None else data
    result = transformed(model, *steps, Quantize(method=method), data=feeds)
    values = [*result.graph.inputs, *(v for node in result.graph for v in node.outputs)]
    found = {str(value.name): parameters_of(value) for value in values}
    return result, {name: p for name, p in found.items() if p is not None}


def grid(parameters: QuantizationParameters) -> tuple[float, int]:
    return parameters.scale, parameters.zero_point


def test_every_float_value_has_a_format_and_no_other() -> None:
    body = "r = Gather (t, i)\n h = Tanh (r)\n y = MatMul (h, w)"
    model = network("int64[N,4] i => float[N,4,2] y", body, {"t": normal(9, 5), "w": normal(5, 2)})
    result, formats = quantized(model)
    floats = [v for node in result.graph for v in node.outputs if v.dtype == ir.DataType.FLOAT]
    assert set(formats) == {v.name for v in floats}
    assert "i" not in formats


def test_a_format_holds_what_was_seen_and_zero() -> None:
    model = network(IMAGE, FRONT + "s = Mul (h, h)\n y = Conv (s, v)", WEIGHTS)
    result, formats = quantized(model)
    seen = context_of(result).ranges
    for name in ("x", "s", "y"):
        p = formats[name]
        low, high = p.dequantize(np.array([p.low, p.high], np.uint8))
        step = p.scale
        assert low <= min(0.0, seen[name].low) + step
        assert high >= max(0.0, seen[name].high) - step
        assert p.dequantize(np.array([p.zero_point], np.uint8))[0] == 0
        assert high - low <= max(0.0, seen[name].high) - min(0.0, seen[name].low) + 2 * step


@pytest.mark.parametrize(
    ("body", "sharing"),
    [
        ("y = Transpose <perm = [0,2,3,1]> (h)", ["h", "y"]),
        ("y = MaxPool <kernel_shape = [2,2]> (h)", ["h", "y"]),
        ("t = Transpose <perm = [0,1,3,2]> (h)\n y = Concat <axis = 1> (t, h)", ["h", "t", "y"]),
        ("g = Neg (x)\n k = Conv (g, u)\n y = Concat <axis = 1> (h, k)", ["h", "k", "y"]),
    ],
)
def test_operators_that_move_codes_share_a_format(body: str, sharing: list[str]) -> None:
    weights = {"w": WEIGHTS["w"]}
    if "u)" in body:
        weights["u"] = normal(2, 3, 1, 1, scale=5)
    result, formats = quantized(network(IMAGE, FRONT + body, weights))
    assert len({grid(formats[name]) for name in sharing}) == 1
    seen = context_of(result).ranges
    shared = formats["y"]
    width = max(seen[n].high for n in sharing) - min(seen[n].low for n in sharing)
    assert shared.scale == pytest.approx(width / 255, rel=0.02)


@pytest.mark.parametrize(
    ("clamp", "low", "high"),
    [("Relu (h)", 0.0, np.inf), ("Clip (h, a, b)", -0.25, 1.5), ("Clip (h, , b)", -np.inf, 1.5)],
)
def test_a_clamp_is_the_saturation_of_what_it_clamps(clamp: str, low: float, high: float) -> None:
    ends = {"a": np.array(-0.25, np.float32), "b": np.array(1.5, np.float32)}
    weights = {
        **WEIGHTS,
        **{n: e for n, e in ends.items() if f" {n}," in clamp or f" {n})" in clamp},
    }
    model = network(IMAGE, FRONT + f"r = {clamp}\n y = Conv (r, v)", weights)
    result, formats = quantized(model)
    (site,) = context_of(result).sites.values()
    assert site.form == "clamp"
    before = formats["h"]
    assert grid(before) == grid(formats["r"])
    ends_held = before.dequantize(np.array([before.low, before.high], np.uint8))
    seen = context_of(result).ranges["r"]
    assert ends_held[0] == pytest.approx(max(low, seen.low), abs=before.scale)
    assert ends_held[1] == pytest.approx(min(high, seen.high), abs=before.scale)


def test_a_clamp_of_a_value_with_other_users_is_a_table() -> None:
    body = FRONT + "r = Relu (h)\n a = Conv (r, v)\n b = Conv (h, v)\n y = Add (a, b)"
    result, formats = quantized(network(IMAGE, body, WEIGHTS))
    (site,) = context_of(result).sites.values()
    assert site.form == "table"
    assert formats["h"].low == 0
    assert formats["h"].zero_point > 50


def test_flat_tails_of_an_activation_cost_no_codes() -> None:
    """Sigmoid on [-40, 40]: the codes of its input lie where it bends."""
    data = {"x": normal(32, 3, 8, 8) * 20}
    model = network(IMAGE, FRONT + "s = Sigmoid (h)\n y = Conv (s, v)", WEIGHTS)
    result, formats = quantized(model, data)
    seen = context_of(result).ranges["h"]
    assert seen.high - seen.low > 60
    assert formats["h"].scale * 255 < 20
    error = np.abs(special.expit(formats["h"].values()) - special.expit(np.clip(
        formats["h"].values(), seen.low, seen.high)))  # fmt: skip
    assert error.max() < 1e-9


def test_a_shared_input_of_an_activation_is_not_cut() -> None:
    """What the sigmoid does not need, the convolution beside it does."""
    data = {"x": normal(32, 3, 8, 8) * 20}
    body = FRONT + "s = Sigmoid (h)\n a = Conv (s, v)\n b = Conv (h, v)\n y = Add (a, b)"
    result, formats = quantized(network(IMAGE, body, WEIGHTS), data)
    seen = context_of(result).ranges["h"]
    assert formats["h"].scale * 255 == pytest.approx(seen.high - seen.low, rel=0.02)


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_the_method_chooses_the_range(method: str) -> None:
    data = {"x": normal(64, 3, 8, 8)}
    data["x"][0, 0, 0, 0] = 60
    model = network(IMAGE, FRONT + "s = Tanh (h)\n y = Conv (s, v)", WEIGHTS)
    result, formats = quantized(model, data, method)
    low, high = choose_range(context_of(result).ranges["x"], method)
    expected = QuantizationParameters.from_range(low, high)
    assert grid(formats["x"]) == grid(expected)


def test_a_tensor_that_is_always_zero() -> None:
    model = network(IMAGE, FRONT + "s = Tanh (h)\n y = Conv (s, v)", WEIGHTS)
    _, formats = quantized(model, {"x": np.zeros((2, 3, 8, 8), np.float32)})
    assert grid(formats["x"]) == (1.0, 0)


def test_formats_survive_the_file() -> None:
    """They are text in the model; nothing is lost on the way."""
    result, formats = quantized(network(IMAGE, FRONT + "y = Tanh (h)", {"w": WEIGHTS["w"]}))
    again = ir.from_proto(ir.to_proto(result))
    read = {str(v.name): parameters_of(v) for node in again.graph for v in node.outputs}
    assert {n: read[n] for n in ("h", "y")} == {n: formats[n] for n in ("h", "y")}


# Weights


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.integers(1, 6), st.integers(1, 20), st.integers(0, 99), st.floats(1e-6, 1e3),
    st.floats(1e-5, 10),
)  # fmt: skip
def test_weights_are_off_by_half_a_step(
    channels: int, size: int, seed: int, magnitude: float, x_scale: float
) -> None:
    weights = normal(channels, size, seed=seed, scale=magnitude)
    bias = normal(channels, seed=seed + 1, scale=magnitude)
    codes, bias_codes, scales = quantize_weights(weights, bias, x_scale)
    assert (codes.dtype, bias_codes.dtype, scales.dtype) == (np.int8, np.int32, np.float64)
    assert np.abs(codes).max() <= 127
    assert (np.abs(codes * scales[:, None] - weights) <= scales[:, None] * 0.5000001).all()
    assert (np.abs(bias_codes * scales * x_scale - bias) <= scales * x_scale * 0.5000001).all()


def test_each_channel_has_its_own_scale() -> None:
    weights = np.array([[1.0, -0.5], [100.0, 50.0], [1e-4, 1e-5]], np.float32)
    codes, _, scales = quantize_weights(weights, np.zeros(3), 1.0)
    np.testing.assert_array_equal(np.abs(codes).max(axis=1), [127, 127, 127])
    np.testing.assert_allclose(scales, np.abs(weights).max(axis=1) / 127, rtol=1e-7)


def test_zero_channels_and_large_biases() -> None:
    codes, bias, scales = quantize_weights(
        np.array([[0.0, 0.0], [1e-3, 2e-3]], np.float32), np.array([3.0, 1e6]), 1e-2
    )
    assert not codes[0].any()
    assert (scales > 0).all()
    assert np.abs(bias.astype(np.int64)).max() <= 2**28
    np.testing.assert_allclose(bias * scales * 1e-2, [3.0, 1e6], rtol=1e-6)


# Ranges


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: np.maximum(x, 0), (0.0, np.inf)),
        (lambda x: np.clip(x, -1, 2), (-1.0, 2.0)),
        (lambda x: np.minimum(x, 6), (-np.inf, 6.0)),
        (lambda x: np.maximum(x, 0.01 * x), None),
        (lambda x: np.clip(x, 0, 6) + 1, None),
        (lambda x: np.where(x > 0, x, np.nan), None),
        (np.zeros_like, None),
        (np.tanh, None),
    ],
)
def test_clamps(function: Callable[[Array], Array], expected: tuple[float, float] | None) -> None:
    assert is_clamp(function, -8.0, 8.0) == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([special.expit, np.tanh, np.sin, np.square, np.zeros_like, np.exp]),
    st.floats(-50, 0), st.floats(0.01, 50), st.floats(1e-6, 0.1),
)  # fmt: skip
def test_cut_tails_change_nothing_beyond_the_tolerance(
    function: Callable[[Array], Array], low: float, high: float, tolerance: float
) -> None:
    a, b = clip_tails(function, low, high, tolerance)
    assert low <= a <= b <= high
    x = np.linspace(low, high, 9001)
    change = np.abs(function(np.clip(x, a, b)) - function(x))
    # Between the points of the search grid the function may move a little further.
    between = np.abs(np.diff(function(np.linspace(low, high, 4097)))).max()
    assert change.max() <= tolerance + 2 * between


def test_the_range_of_the_float_model_is_not_touched() -> None:
    """Formats are notes on the model; it computes what it did."""
    model = network(IMAGE, FRONT + "s = Sigmoid (h)\n y = Conv (s, v)", WEIGHTS)
    feeds = random_data(model, 8)
    result, _ = quantized(model, feeds)
    found = run(proto_of(result), feeds)["y"]
    np.testing.assert_allclose(found, run(model, feeds)["y"], rtol=1e-4, atol=1e-5)
