"""Generic kernels element by element: integers, all float types, special numbers, casts, logic."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from generic_kernels import check, model, planned, run
from installed import needs_tvm

Array = np.ndarray[Any, Any]

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


def integers(dtype: str, count: int = 64) -> tuple[Array, Array]:
    """Pairs that overflow, divide by -1 and so on; no divisor is 0."""
    info, rng = np.iinfo(dtype), np.random.default_rng(3)
    special = np.array([info.min, info.max, 1, 2, 3, info.max - 1], dtype)
    a = np.concatenate([np.repeat(special, 6), rng.integers(info.min, info.max, count, dtype)])
    b = np.concatenate([np.tile(special, 6), rng.integers(1, 100, count, dtype)])
    if info.min:
        b[::7] = -1
    return a, np.where(b == 0, np.array(1, dtype), b)


def truncated(a: Array, b: Array) -> Array:
    """Quotients rounded towards zero; what does not fit wraps around."""
    low, width = int(np.iinfo(a.dtype).min), 1 << (8 * a.dtype.itemsize)
    exact = [abs(int(x)) // abs(int(y)) * (-1 if (x < 0) != (y < 0) else 1)
             for x, y in zip(a, b, strict=True)]  # fmt: skip
    return np.array([(q - low) % width + low for q in exact], a.dtype)


@needs_tvm
@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
def test_integers_wrap_around_and_divide_towards_zero(dtype: str) -> None:
    a, b = integers(dtype)
    small = (np.arange(a.size) % 6).astype(dtype)
    n = a.size
    kinds = f"{dtype}[{n}] a, {dtype}[{n}] b, {dtype}[{n}] c"
    names = ["add", "subtract", "multiply", "divide", "least", "most", "python", "whole", "power"]
    proto = model(
        f"""g ({kinds}) => ({", ".join(f"{dtype}[{n}] {name}" for name in names)}) {{
          add = Add(a, b)  subtract = Sub(a, b)  multiply = Mul(a, b)  divide = Div(a, b)
          least = Min(a, b)  most = Max(a, b)
          python = Mod(a, b)  whole = Mod<fmod = 1>(a, b)  power = Pow(a, c)
        }}"""
    )
    with np.errstate(all="ignore"):
        wanted = {
            "add": a + b,
            "subtract": a - b,
            "multiply": a * b,
            "divide": truncated(a, b),
            "least": np.minimum(a, b),
            "most": np.maximum(a, b),
            "python": np.mod(a, b),
            "whole": np.fmod(a, b),
            "power": np.power(a, small),
        }
    check(proto, {"a": a, "b": b, "c": small}, wanted)


@needs_tvm
def test_division_by_zero_gives_a_number() -> None:
    proto = model("g (int32[3] a, int32[3] b) => (int32[3] q, int32[3] r) { q = Div(a, b) "
                  "r = Mod(a, b) }")  # fmt: skip
    a, b = np.array([1, -(2**31), 7], np.int32), np.array([0, -1, 0], np.int32)
    got = run(planned(proto), {"a": a, "b": b})
    assert got["q"].tolist() == [0, -(2**31), 0]
    assert got["r"].tolist() == [0, 0, 0]


@needs_tvm
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_functions_of_all_float_types(dtype: str) -> None:
    kind = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    names = [
        "Abs", "Ceil", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu",
        "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin",
        "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Gelu",
    ]  # fmt: skip
    outputs = ", ".join(f"{kind}[2, 0x20] y{i}" for i in range(len(names))).replace("0x20", "32")
    nodes = " ".join(f"y{i} = {name}(x)" for i, name in enumerate(names))
    x = (3 * np.random.default_rng(0).normal(size=(2, 32))).astype(dtype)
    tolerance = {"float32": 3e-6, "float64": 1e-7}.get(dtype, 4e-3)
    check(model(f"g ({kind}[2, 32] x) => ({outputs}) {{ {nodes} }}"), {"x": x}, tolerance=tolerance)


SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-40, -1e-39, 1.2e-38, 3e38, -3e38, 1e30,
     -1e30, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1, -1, 3, 10, -10, 20, -20, 88, -88, 90, -90, 1e-5,
     -1e-5, 0.3, -0.3],
    np.float32,
)  # fmt: skip
ONE = [
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "IsNaN",
    "IsInf",
]  # fmt: skip
TWO = [
    "Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
    "Min", "Mul", "PRelu", "Pow", "Sub", "Sum",
]  # fmt: skip
TRUTH = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf"}


def special_model(count: int) -> onnx.ModelProto:
    """All float operators on rows of numbers; truth values leave as numbers."""
    calls = [(op, "a") for op in ONE] + [(op, "a, b") for op in TWO]
    calls += [("Clip", "a, low, high"), ("Clip", "a, low"), ("Clip", "a,, high")]
    calls += [("Max", "a, b, c"), ("Min", "a, b, c")]
    lines = []
    for i, (op, operands) in enumerate(calls):
        if op in TRUTH:
            lines.append(f"t{i} = {op}({operands})  y{i} = Cast<to = 1>(t{i})")
        else:
            lines.append(f"y{i} = {op}({operands})")
    outputs = ", ".join(f"float[1, {count}] y{i}" for i in range(len(calls)))
    constants = {
        "low": np.array(-2, np.float32),
        "high": np.array(3, np.float32),
        "c": np.array([[0.25]], np.float32),
    }
    text = f"g (float[1, {count}] a, float[1, {count}] b) => ({outputs}) {{ {' '.join(lines)} }}"
    return model(text, constants)


def spelled(proto: onnx.ModelProto, name: str) -> str:
    """The node that gives an output, for messages."""
    made = {node.output[0]: node for node in proto.graph.node}
    node = made.get(f"t{name[1:]}", made[name])
    return f"{node.op_type} of {list(node.input)}"


@needs_tvm
@pytest.mark.parametrize("scheduled", [True, False], ids=["scheduled", "generic"])
def test_infinities_nan_and_denormals_as_in_onnxruntime(scheduled: bool) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    a, b = (np.ascontiguousarray(v.reshape(1, -1)) for v in np.meshgrid(SPECIAL, SPECIAL))
    proto = special_model(a.size)
    got = run(planned(proto, scheduled), {"a": a, "b": b})
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in proto.graph.output]
    for name, wanted in zip(names, session.run(names, {"a": a, "b": b}), strict=True):
        what = spelled(proto, name)
        np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(wanted), what)
        infinite = np.isinf(wanted)
        np.testing.assert_array_equal(got[name][infinite], wanted[infinite], what)
        finite = np.isfinite(wanted)
        # onnxruntime's own sigmoid and exponential units are off by 1e-7 near 0
        np.testing.assert_allclose(got[name][finite], wanted[finite], 1e-5, 4e-7, err_msg=what)
    zeros = a[0] == 0
    for op in ("Sin", "Tanh", "Asin", "Sinh", "Neg", "Round", "Sqrt"):
        value = got[f"y{ONE.index(op)}"][0][zeros]
        negative = np.signbit(a[0][zeros]) ^ (op == "Neg")
        np.testing.assert_array_equal(np.signbit(value), negative, op)


@needs_tvm
def test_casts_between_all_types() -> None:
    kinds = {
        "bool": 9, "int8": 3, "int16": 5, "int32": 6, "int64": 7, "uint8": 2, "uint16": 4,
        "uint32": 12, "uint64": 13, "float16": 10, "float": 1, "double": 11,
    }  # fmt: skip
    dtypes = {"float": "float32", "double": "float64"}
    nodes, outputs, feeds, wanted = [], [], {}, {}
    for source in kinds:
        x = np.array([0, 1, 2, 100, 7], dtypes.get(source, source))
        if source.startswith(("float", "double")):
            x = x + x.dtype.type(0.75)
        elif source.startswith("int"):
            x = x - x.dtype.type(50)
        feeds[source] = x
        for target, number in list(kinds.items())[len(feeds) % 3 :: 3]:
            if x.dtype.kind == "f" and target.startswith("u"):
                x = np.abs(x)
            name = f"{source}_{target}"
            nodes.append(f"{name} = Cast<to = {number}>({source}_)")
            outputs.append(f"{target}[5] {name}")
            wanted[name] = x.astype(dtypes.get(target, target))
    inputs = ", ".join(f"{kind}[5] {kind}_" for kind in kinds)
    proto = model(f"g ({inputs}) => ({', '.join(outputs)}) {{ {' '.join(nodes)} }}")
    check(proto, {f"{kind}_": array for kind, array in feeds.items()}, wanted)


@needs_tvm
def test_casts_of_what_does_not_fit_are_defined() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 1e20], np.float32)
    proto = model("g (float[6] x) => (int32[6] i, int64[6] l) { i = Cast<to = 6>(x) "
                  "l = Cast<to = 7>(x) }")  # fmt: skip
    got = run(planned(proto), {"x": x})
    lowest, wide = -(2**31), -(2**63)
    assert got["i"].tolist() == [lowest] * 6
    assert got["l"].tolist() == [wide, wide, wide, 3000000000, -3000000000, wide]


@needs_tvm
def test_logic_and_bits() -> None:
    rng = np.random.default_rng(1)
    proto = model(
        """g (bool[2, 1] p, bool[3] q, int8[4] i, uint64[4] u, uint64[4] s) => (bool[2, 3] a,
            bool[2, 3] o, bool[2, 3] x, bool[2, 1] n, bool[2, 3] e, bool[2, 3] w, int8[4] b,
            int8[4] c, uint64[4] l, uint64[4] r) {
          a = And(p, q)  o = Or(p, q)  x = Xor(p, q)  n = Not(p)  e = Equal(p, q)
          w = Where(p, q, n)  b = BitwiseNot(i)  c = BitwiseXor(i, b)
          l = BitShift<direction = "LEFT">(u, s)  r = BitShift<direction = "RIGHT">(u, s)
        }"""
    )
    feeds: dict[str, Array] = {
        "p": np.array([[True], [False]]),
        "q": np.array([True, False, True]),
        "i": np.array([-128, 5, 127, -1], np.int8),
        "u": rng.integers(0, 2**64, 4, np.uint64),
        "s": np.array([0, 1, 63, 5], np.uint64),
    }
    check(proto, feeds)
