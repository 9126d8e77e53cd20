"""Each dialect operator: its ONNX body in onnxruntime equals its numpy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from dialect_cases import CASES, RNG, TYPES, plain, u8
from onnx import parser
from test_recurrent_dialect import GATES as RECURRENT

from actc.ir import dialect, spec
from actc.ir.spec import arithmetic


def _model(name: str, output: str, attributes: str, arrays: list[Any]) -> onnx.ModelProto:
    operator = name.split("-")[0]
    inputs = ", ".join(
        f"{TYPES[a.dtype.type]}{list(a.shape) if a.ndim else ''} i{k}" for k, a in enumerate(arrays)
    )
    names = ", ".join(f"i{k}" for k in range(len(arrays)))
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21, "actc" : 1]>\n'
        f"g ({inputs}) => ({output} y) {{ y = actc.{operator} {attributes} ({names}) }}"
    )
    model.functions.append(dialect.function_proto(operator))
    return model


@pytest.mark.parametrize("name", CASES)
def test_body_equals_reference(name: str) -> None:
    output, attributes, arrays = CASES[name]
    model = _model(name, output, attributes, arrays)
    feeds = {f"i{k}": a for k, a in enumerate(arrays)}
    expected = spec.run(model, feeds)["y"]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, feeds)[0]
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def test_every_operator_has_a_case() -> None:
    integer = {
        name
        for name in dialect.OPERATORS
        if name
        not in {
            "FakeQuantize",
            "Hypot",
            "LayerNorm",
            "MaskedSoftmax",
            "PiecewiseLinear",
            "RmsNorm",
            "QuantizedTable",
        }
        not in {
            "PiecewiseLinear",
            "QuantizedTable",
            "LayerNorm",
            "Hypot",
            "MaskedSoftmax",
            "FakeQuantize",
        }
    }
    recurrent = set(RECURRENT) | {"FixedPoint"}  # tests/test_recurrent_dialect.py
    assert integer - recurrent == {name.split("-")[0] for name in CASES}


def test_spec_raises_on_overflow() -> None:
    x = np.full((1, 2), 255, np.uint8)
    with pytest.raises(OverflowError, match="int32"):
        arithmetic.int_add(x, x, plain(2**23), plain(2**23), plain(2**30))


def test_max_pool_ceil_mode_matches_onnxruntime() -> None:
    x = u8(1, 2, 7, 6)
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (uint8[1,2,7,6] x) => (uint8[a,b,c,d] y)'
        "{ y = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1> (x) }"
    )
    got = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_array_equal(got, spec.run(model, {"x": x})["y"])


def _float_model(call: str, constants: dict[str, Any]) -> ort.InferenceSession:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21, "actc" : 1]>\n'
        f"g (float[N,6] x) => (float[a,b] y) {{ y = actc.{call} }}"
    )
    for name, array in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model.functions.append(dialect.function_proto(call.split()[0]))
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_piecewise_linear_takes_the_right_segment_at_a_breakpoint() -> None:
    constants = {
        "b": np.array([-1.0, 0.5], np.float32),
        "s": np.array([0.0, 2.0, -1.0], np.float32),
        "c": np.array([7.0, 0.0, 3.0], np.float32),
    }
    x = np.array([[-3.0, -1.0, 0.0, 0.5, 0.4999, 9.0]], np.float32)
    got = _float_model("PiecewiseLinear (x, b, s, c)", constants).run(None, {"x": x})[0]
    np.testing.assert_array_equal(got, [[7.0, -2.0, 0.0, 2.5, np.float32(0.9998), -6.0]])


def test_quantized_table_looks_up_the_code_of_its_input() -> None:
    values = RNG.standard_normal(256).astype(np.float32)
    constants = {
        "s": np.array(0.5, np.float32),
        "z": np.array(100, np.uint8),
        "v": values,
    }
    x = np.array([[-1000.0, -50.0, 0.0, 0.25, 0.75, 1000.0]], np.float32)
    got = _float_model("QuantizedTable (x, s, z, v)", constants).run(None, {"x": x})[0]
    np.testing.assert_array_equal(got[0], values[[0, 0, 100, 100, 102, 255]])


def test_layer_norm_follows_its_definition() -> None:
    gamma, beta = (RNG.standard_normal((1, 6)).astype(np.float32) for _ in range(2))
    x = RNG.standard_normal((3, 6)).astype(np.float32)
    call = "LayerNorm <axis=1, epsilon=0.01> (x, g, b)"
    got = _float_model(call, {"g": gamma, "b": beta}).run(None, {"x": x})[0]
    centred = x - x.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 0.01) * gamma + beta
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
