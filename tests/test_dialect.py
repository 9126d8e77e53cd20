"""Each dialect operator: its ONNX body in onnxruntime equals its numpy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from instance_cases import random as instances
from onnx import parser
from test_recurrent_dialect import GATES as RECURRENT

from actc.ir import dialect, spec
from actc.ir.spec import arithmetic

RNG = np.random.default_rng(7)


def _u8(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def _u16(*shape: int) -> Any:
    return RNG.integers(0, 65536, shape, dtype=np.uint16)


def _i8(*shape: int) -> Any:
    return RNG.integers(-128, 128, shape, dtype=np.int8)


def _i32(*shape: int, bound: int = 1000) -> Any:
    return RNG.integers(-bound, bound, shape, dtype=np.int32)


def _u(value: int) -> Any:
    return np.array(value, np.uint8)


def _w(value: int) -> Any:
    return np.array(value, np.uint16)


def _i64(value: int) -> Any:
    return np.array(value, np.int64)


def _i(value: int) -> Any:
    return np.array(value, np.int32)


CONV = "<strides=[2,1], pads=[1,0,2,1], dilations=[1,2], group={g}, kernel_shape=[3,2]>"
ALL_CODES = np.arange(256, dtype=np.uint8)

EXPONENTIALS = np.round(2.0**22 * np.exp(-0.05 * np.arange(256))).astype(np.int32)
LOGARITHMS = [
    np.round(2.0**20 * array).astype(np.int32)
    for array in (
        0.05 * np.arange(256),
        (np.arange(31) - 22) * np.log(2),
        np.log1p(np.arange(257) / 256),
    )
]
_ENDS = [end for k in range(31) for end in (2**k, 2 ** (k + 1) - 1)]
SUMS = np.array([0, *_ENDS, *RNG.integers(1, 2**31, 193)], np.int32)
"""Both ends of every octave of a sum, and more."""
MASK = RNG.integers(0, 2, (4, 1, 1, 10), dtype=np.uint8)
MASK[1], MASK[2], MASK[2, ..., 4] = 1, 1, 0  # no entry visible, one entry visible

CASES = {
    "IntConv": (
        "int32[a,b,c,d]",
        CONV.format(g=1),
        [_u8(2, 5, 9, 8), _i8(6, 5, 3, 2), _i32(1, 6, 1, 1), _u(131)],
    ),
    "IntConv-extreme": (
        "int32[a,b,c,d]",
        CONV.format(g=1),
        [
            np.full((1, 64, 6, 6), 255, np.uint8),
            np.full((2, 64, 3, 2), -128, np.int8),
            _i32(1, 2, 1, 1),
            _u(0),
        ],
    ),
    "IntConv-depthwise": (
        "int32[a,b,c,d]",
        CONV.format(g=6),
        [_u8(2, 6, 9, 8), _i8(6, 1, 3, 2), _i32(1, 6, 1, 1), _u(3)],
    ),
    "IntConv-1d": (
        "int32[a,b,c]",
        "<strides=[1], pads=[2,0], dilations=[1], group=2, kernel_shape=[3]>",
        [_u8(2, 4, 9), _i8(6, 2, 3), _i32(1, 6, 1), _u(250)],
    ),
    "IntMatMul": ("int32[a,b,c]", "", [_u8(3, 4, 70), _i8(70, 9), _i32(9), _u(77)]),
    "Requantize": (
        "uint8[a,b]",
        "",
        [
            _i32(50, 40, bound=2**31 - 1),
            np.array(1234567, np.int32),
            _i(44),
            _u(128),
            _u(1),
            _u(250),
        ],
    ),
    "Requantize-ties": (
        "uint8[a]",
        "",
        [
            np.arange(-700, 700, dtype=np.int32),
            np.array(1, np.int32),
            _i(2),
            _u(100),
            _u(0),
            _u(255),
        ],
    ),
    "Requantize-channels": (
        "uint8[a,b,c]",
        "",
        [
            _i32(2, 5, 7, bound=2**22),
            RNG.integers(0, 2**24, (1, 5, 1), dtype=np.int32),
            _i(40),
            _u(7),
            _u(7),
            _u(255),
        ],
    ),
    "Table": ("uint8[a]", "", [ALL_CODES, _u8(256)]),
    "ChannelTable": (
        "uint8[a,b,c]",
        "",
        [_u8(2, 3, 50), _u8(768), np.array([[[0], [256], [512]]], np.int32)],
    ),
    "Steps": (
        "uint8[a,b,c]",
        "",
        [
            _i32(2, 3, 500),
            np.sort(_i32(3, 256), axis=1).reshape(-1),
            _u8(768),
            np.array([[[0], [256], [512]]], np.int32),
        ],
    ),
    "Steps-wide": (
        "uint8[a,b]",
        "",
        [
            _i32(2, 600).astype(np.int64) << 40,
            np.sort(_i32(256)).astype(np.int64) << 40,
            _u8(256),
            np.array([[0]], np.int32),
        ],
    ),
    "InstanceSteps": (
        "uint8[a,b,c,d]",
        "<shared=0>",
        instances((3, 5, 4, 6), (3,), False, 90, 1, 900),
    ),
    "InstanceSteps-all": (
        "uint8[a,b,c]",
        "<shared=0>",
        instances((5, 4, 7), (1, 2, 3), False, 300, 2, 4000),
    ),
    "InstanceSteps-features": (
        "uint8[a,b]",
        "<shared=1>",
        instances((9, 7), (1, 3), True, 120, 3, 99),
    ),
    "InstanceSteps-long": (
        "uint8[a,b]",
        "<shared=1>",
        instances((9, 7), (2, 3), True, 250, 4, 60000),
    ),
    "InstanceSteps-large": (
        "uint8[a,b,c]",
        "<shared=0>",
        instances((2, 3, 2), (1,), False, 30, 5, 2**31 - 2),
    ),
    "IntAdd": ("int32[a,b,c]", "", [_u8(2, 3, 4), _u8(3, 1), _i(1 << 21), _i(-77), _i(-12345)]),
    "IntMul": ("int32[a,b,c,d]", "", [_u8(2, 3, 4, 4), _u8(2, 3, 1, 1), _u(255), _u(9)]),
    "IntDivide": (
        "int32[a,b]",
        "",
        [_i32(40, 30, bound=2**31 - 1), _u8(40, 1), _i(0), _u(7), _i(1), _i64(1 << 21)],
    ),
    "IntDivide-codes": (
        "int32[a,b]",
        "",
        [ALL_CODES[:, None], ALL_CODES[None], _u(128), _u(3), _i(2), _i64(1 << 26)],
    ),
    "IntDivide-wide": (
        "int32[a,b]",
        "",
        [_u16(40, 30), _i32(40, 30, bound=2**31 - 1), _w(9), _i(-5), _i(1), _i64(1 << 36)],
    ),
    "IntReduceMean": (
        "int32[a,b,c,d]",
        "<keepdims=1>",
        [_u8(2, 3, 7, 9), _u(200), np.array([2, 3])],
    ),
    "IntReduceMean-wide": ("int32[a]", "<keepdims=0>", [_u16(2, 300), _w(200), np.array([1])]),
    "IntReduceSum": (
        "int32[a,b,c,d]",
        "<keepdims=1>",
        [_u8(2, 3, 24, 24), _u(200), np.array([2, 3])],
    ),
    "IntSoftmax": (
        "float[a,b]",
        "<axis=1>",
        [_u8(64, 10), np.round(2.0**22 * np.exp(-0.05 * np.arange(256))).astype(np.int32)],
    ),
    "IntProbabilities": ("uint16[a,b]", "<axis=1, bits=16>", [_u8(64, 10), EXPONENTIALS]),
    "IntProbabilities-alone": (
        "uint16[a,b]",
        "<axis=1, bits=16>",
        [np.array([[9], [0]], np.uint8), EXPONENTIALS],
    ),
    "IntProbabilities-wide": (
        "uint16[a,b,c]",
        "<axis=1, bits=9>",
        [_u16(6, 300, 2), np.repeat(EXPONENTIALS, 256)],
    ),
    "IntLogSoftmax": (
        "int32[a,b,c]",
        "<axis=1>",
        [_u8(64, 10, 3), EXPONENTIALS, *LOGARITHMS],
    ),
    "IntLogSoftmax-alone": (
        "int32[a,b]",
        "<axis=1>",
        [np.array([[9], [0]], np.uint8), EXPONENTIALS, *LOGARITHMS],
    ),
    "IntLogSoftmax-octaves": (
        "int32[a,b]",
        "<axis=1>",
        [np.stack([0 * ALL_CODES + 255, 255 - ALL_CODES], axis=1)[1:], SUMS, *LOGARITHMS],
    ),
    "IntLogSoftmax-many": (
        "int32[a,b]",
        "<axis=1>",
        [_u8(3, 200) // 64, EXPONENTIALS, *LOGARITHMS],
    ),
    "IntRmsNorm": (
        "int32[a,b,c]",
        "<axis=1>",
        [_u8(2, 512, 9), _u(120), _i32(1, 512, 1, bound=4096), np.array(0.37)],
    ),
    "IntRmsNorm-zeros": (
        "int32[a,b]",
        "<axis=1>",
        [np.full((2, 4), 9, np.uint8), _u(9), _i32(1, 4), np.array(2.0**-20)],
    ),
    "IntRmsNorm-wide": (
        "int32[a,b]",
        "<axis=1>",
        [_u16(5, 4096), _w(30_000), _i32(1, 4096, bound=4096), np.array(0.0)],
    ),
    "IntLayerNorm": (
        "int32[a,b,c]",
        "<axis=1, count=512>",
        [_u8(2, 512, 9), _i32(1, 512, 1), _i32(1, 512, 1, bound=10**6), np.array(0.37, np.float64)],
    ),
    "IntLayerNorm-flat": (
        "int32[a,b]",
        "<axis=1, count=4>",
        [np.full((2, 4), 9, np.uint8), _i32(1, 4), _i32(1, 4), np.array(0.001, np.float64)],
    ),
    "WideConv": (
        "int64[a,b,c,d]",
        CONV.format(g=1),
        [_u16(2, 5, 9, 8), _i8(6, 5, 3, 2), _i32(1, 6, 1, 1), _w(40_131)],
    ),
    "WideConv-extreme": (
        "int64[a,b,c,d]",
        CONV.format(g=2),
        [
            np.full((1, 640, 6, 6), 65535, np.uint16),
            np.full((2, 320, 3, 2), -128, np.int8),
            _i32(1, 2, 1, 1),
            _w(0),
        ],
    ),
    "WideMatMul": ("int64[a,b,c]", "", [_u16(3, 4, 700), _i8(700, 9), _i32(9), _w(7_777)]),
    "IntHypot": (
        "int32[a,b]",
        "",
        [_u16(50, 40), _u16(50, 40), _w(32_768), _w(40_000), np.array(0.3)],
    ),
    "IntHypot-zero": (
        "int32[a]",
        "",
        [_u8(300), _u8(300) // 200 + 7, _u(0), _u(7), np.array(0.0)],
    ),
    "WideMul": ("int64[a,b,c,d]", "", [_u16(2, 3, 4, 4), _u16(2, 3, 1, 1), _w(65535), _w(9)]),
    "WideMaxPool": (
        "uint16[a,b,c,d]",
        "<strides=[2,1], pads=[1,0,1,1], dilations=[1,2], ceil_mode=1, kernel_shape=[3,2]>",
        [_u16(2, 3, 10, 8)],
    ),
    "WideReduceMax": ("uint16[a,b,c]", "<keepdims=0>", [_u16(2, 3, 4, 4), np.array([2])]),
    "Requantize-wide": (
        "uint16[a,b]",
        "",
        [
            RNG.integers(-(2**38), 2**38, (50, 40)),
            np.array(8191, np.int32),
            _i(35),
            _w(32_768),
            _w(1),
            _w(65_530),
        ],
    ),
    "Requantize-narrower": (
        "uint8[a,b]",
        "",
        [
            RNG.integers(-(2**38), 2**38, (50, 40)),
            np.array(8191, np.int32),
            _i(43),
            _u(128),
            _u(0),
            _u(255),
        ],
    ),
    "Table-wide": ("uint16[a]", "", [_u16(300), _u16(65536)]),
    "Table-narrower": ("uint8[a]", "", [_u16(300) % 4096, _u8(4096)]),
    "ChannelTable-wide": (
        "uint8[a,b,c]",
        "",
        [_u16(2, 3, 50), _u8(3 * 65536), np.array([[[0], [65536], [131072]]], np.int32)],
    ),
    "IntAdd-wide": (
        "int64[a,b,c]",
        "",
        [_u16(2, 3, 4), _u8(3, 1), _i64(1 << 32), _i64(-77), _i64(-12345)],
    ),
    "IntMul-mixed": ("int32[a,b,c]", "", [_u16(2, 3, 4), _u8(3, 1), _w(65535), _u(9)]),
    "IntReduceSum-wide": ("int32[a,b]", "<keepdims=0>", [_u16(2, 3, 24), _w(200), np.array([2])]),
    "IntSoftmax-wide": (
        "float[a,b]",
        "<axis=1>",
        [_u16(64, 10), np.round(2.0**22 * np.exp(-1e-3 * np.arange(65536))).astype(np.int32)],
    ),
    "IntLayerNorm-wide": (
        "int32[a,b,c]",
        "<axis=1, count=1448>",
        [_u16(2, 1448, 3), _i32(1, 1448, 1), _i32(1, 1448, 1, bound=10**6), np.array(0.37)],
    ),
    "IntBatchMatMul": (
        "int32[a,b,c,d]",
        "",
        [_u8(2, 3, 5, 70), _u8(1, 3, 70, 9), _u(77), _u(140)],
    ),
    "IntBatchMatMul-extreme": (
        "int32[a,b,c]",
        "",
        [np.full((2, 3, 33_000), 255, np.uint8), np.full((33_000, 2), 255, np.uint8), _u(0), _u(0)],
    ),
    "WideBatchMatMul": (
        "int64[a,b,c,d]",
        "",
        [_u16(2, 3, 5, 70), _u8(3, 70, 9), _w(40_000), _u(7)],
    ),
    **{
        f"IntMaskedSoftmax-{empty}": (
            "float[a,b,c,d]",
            f"<axis=3, empty={empty}>",
            [_u8(4, 3, 5, 10), MASK, EXPONENTIALS],
        )
        for empty in (0, 1, 2)
    },
    "IntMaskedSoftmax-wide": (
        "float[a,b,c,d]",
        "<axis=2, empty=2>",
        [_u16(4, 3, 10, 5), MASK.swapaxes(2, 3), np.repeat(EXPONENTIALS, 256)],
    ),
    "IntEmbed-wide": ("uint16[a,b,c]", "", [np.array([[-1, 0, 5, 6]], np.int32), _u16(6, 3)]),
    "IntEmbed": ("uint8[a,b,c]", "", [np.array([[-1, 0, 4, 5, 6, 99]], np.int32), _u8(6, 3)]),
}
TYPES = {
    np.uint8: "uint8",
    np.uint16: "uint16",
    np.int8: "int8",
    np.int32: "int32",
    np.int64: "int64",
    np.float64: "double",
}


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
        arithmetic.int_add(x, x, _i(2**23), _i(2**23), _i(2**30))


def test_max_pool_ceil_mode_matches_onnxruntime() -> None:
    x = _u8(1, 2, 7, 6)
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
