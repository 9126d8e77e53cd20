"""Float32 kernels of the `cpu` target against numpy and the float64 evaluator."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from actc.ir.elementwise import evaluate
from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, padded

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from tvm import tirx  # noqa: E402
from tvm.tirx.script.builder import ir as T  # noqa: E402

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels import float_math as m  # noqa: E402
from actc.targets.tvm.kernels.conv_vector import load, store  # noqa: E402
from actc.targets.tvm.kernels.float_expression import RULES  # noqa: E402
from actc.targets.tvm.kernels.float_ops import (  # noqa: E402
    float_conv_prim_func,
    pack_float_weight,
    piecewise_linear,
)
from actc.targets.tvm.kernels.tir import prim_func  # noqa: E402

Array = npt.NDArray[np.float32]
HOST = host_cpu().features
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 1e-30, -1e-30, 1e-40, 3e38]


def compiled(function: Any) -> Any:
    target = tvm.target.Target(host_cpu().target())
    return tvm.compile(tvm.IRModule({"kernel": function}), target=target)["kernel"]


def mapped(function: Callable[..., Any], *arrays: Array, lanes: int = 16) -> Array:
    """`function` of TIR vectors, over arrays of equal size."""
    size = -(-arrays[0].size // lanes) * lanes

    def body() -> None:
        operands = [T.arg(f"x{k}", T.buffer((size,), "float32")) for k in range(len(arrays))]
        out = T.arg("out", T.buffer((size,), "float32"))
        with T.serial(0, size // lanes) as step:
            vectors = [m.keep(load(operand, step * lanes, lanes)) for operand in operands]
            value = function(*vectors)
            if str(value.ty.dtype).startswith("bool"):
                value = T.Select(value, m.f32(1, value), m.f32(0, value))
            store(out, step * lanes, value, lanes)

    out = tvm.runtime.tensor(np.zeros(size, np.float32))
    padded_arrays = [np.pad(a.reshape(-1), (0, size - a.size), mode="edge") for a in arrays]
    compiled(prim_func("kernel", body))(*(tvm.runtime.tensor(a) for a in padded_arrays), out)
    result: Array = out.numpy()[: arrays[0].size]
    return result


def sample(low: float, high: float, count: int = 3000) -> Array:
    """Special numbers, an even spread and every magnitude, some of them negative."""
    rng = np.random.default_rng(0)
    spread = np.linspace(low, high, count)
    powers = 10 ** rng.uniform(-37, 38, count) * rng.choice([-1, 1], count)
    inside = powers[(powers >= low) & (powers <= high)]
    return np.concatenate([SPECIAL, spread, inside]).astype(np.float32)


def assert_near(actual: Array, wanted: npt.NDArray[Any], relative: float, absolute: float) -> None:
    with np.errstate(over="ignore"):
        expected = wanted.astype(np.float32)
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute)


NODES: dict[str, tuple[dict[str, Any], tuple[float, float], float]] = {
    # operator: (attributes, range, absolute error allowed beside 1e-5 relative)
    "Abs": ({}, (-9, 9), 0),
    "Acos": ({}, (-1, 1), 1e-6),
    "Acosh": ({}, (1, 1e38), 0),
    "Asin": ({}, (-1, 1), 0),
    "Asinh": ({}, (-3e38, 3e38), 0),
    "Atan": ({}, (-3e38, 3e38), 0),
    "Atanh": ({}, (-1, 1), 0),
    "Ceil": ({}, (-9, 9), 0),
    "Celu": ({"alpha": 1.7}, (-99, 9), 2e-7),
    "Cos": ({}, (-1e6, 1e6), 1e-6),
    "Cosh": ({}, (-89, 89), 0),
    "Elu": ({"alpha": 0.7}, (-99, 9), 1e-7),
    "Erf": ({}, (-9, 9), 0),
    "Exp": ({}, (-104, 89), 2e-45),
    "Floor": ({}, (-9, 9), 0),
    "Gelu": ({}, (-9, 9), 1e-6),
    "HardSigmoid": ({"alpha": 0.3, "beta": 0.4}, (-9, 9), 1e-7),
    "HardSwish": ({}, (-9, 9), 1e-6),
    "Identity": ({}, (-9, 9), 0),
    "LeakyRelu": ({"alpha": 0.2}, (-9, 9), 0),
    "Log": ({}, (-1, 3e38), 0),
    "Mish": ({}, (-20, 20), 0),
    "Neg": ({}, (-9, 9), 0),
    "Reciprocal": ({}, (-9, 9), 0),
    "Relu": ({}, (-9, 9), 0),
    "Round": ({}, (-9.5, 9.5), 0),
    "Selu": ({}, (-99, 9), 2e-7),
    "Shrink": ({"bias": 0.25, "lambd": 1.5}, (-9, 9), 0),
    "Sigmoid": ({}, (-99, 99), 3e-39),
    "Sign": ({}, (-9, 9), 0),
    "Sin": ({}, (-1e6, 1e6), 1e-6),
    "Sinh": ({}, (-89, 89), 0),
    "Softplus": ({}, (-99, 99), 0),
    "Softsign": ({}, (-1e30, 1e30), 0),
    "Sqrt": ({}, (-1, 3e38), 0),
    "Swish": ({"alpha": 1.5}, (-50, 50), 1e-36),
    "Tan": ({}, (-1.5, 1.5), 0),
    "Tanh": ({}, (-99, 99), 0),
    "ThresholdedRelu": ({"alpha": 0.5}, (-9, 9), 0),
}
BINARY = ["Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min", "Sum", "Mean"]
COMPARISONS = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
LOGICAL = ["And", "Or", "Xor"]


def node_of(op: str, attributes: dict[str, Any], inputs: int) -> tuple[ir.Node, list[ir.Value]]:
    values = [ir.Value(name=f"x{k}") for k in range(inputs)]
    return ir.node(op, values, attributes=attributes), values


def reference(node: ir.Node, values: list[ir.Value], *arrays: Array) -> npt.NDArray[Any]:
    known = {v: a.astype(np.float64) for v, a in zip(values, arrays, strict=True)}
    return evaluate([node], known, node.outputs[0])


def test_every_rule_is_tested() -> None:
    elsewhere = {"Cast", "Clip", "IsInf", "IsNaN", "Not", "Pow", "Where"}
    tested = {*NODES, *BINARY, *COMPARISONS, *LOGICAL, *elsewhere}
    assert tested == set(RULES)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("op", NODES)
def test_operators_of_one_operand(op: str, lanes: int) -> None:
    attributes, (low, high), absolute = NODES[op]
    node, values = node_of(op, attributes, 1)
    x = sample(low, high)
    actual = mapped(lambda v: RULES[op](node, [v]), x, lanes=lanes)
    assert_near(actual, reference(node, values, x), 1e-5, absolute)


@pytest.mark.parametrize("op", [*BINARY, *COMPARISONS])
def test_operators_of_two_operands(op: str) -> None:
    node, values = node_of(op, {}, 2)
    pairs = np.array(list(itertools.product([*SPECIAL, 2.5, -3.0], repeat=2)), np.float32)
    if op == "Mean":  # the sum of two huge numbers overflows, their mean in float64 does not
        pairs = pairs[np.abs(pairs).min(axis=1) < 3e38]
    a, b = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    actual = mapped(lambda v, w: RULES[op](node, [v, w]), a, b)
    assert_near(actual, reference(node, values, a, b), 1e-6, 2e-45)


@pytest.mark.parametrize("op", LOGICAL)
def test_logical_operators(op: str) -> None:
    node, _ = node_of(op, {}, 2)
    a, b = (np.array(column, np.float32) for column in ([0, 0, 1, 1], [0, 1, 0, 1]))
    actual = mapped(lambda v, w: RULES[op](node, [v > m.f32(0, v), w > m.f32(0, w)]), a, b)
    function = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}[op]
    np.testing.assert_array_equal(actual, function(a, b))


def test_power_follows_ieee() -> None:
    numbers = [*SPECIAL, 2.0, -2.0, 3.0, -3.0, 0.25, 2.5, -2.5, 1e5, 101.0, -101.0, 37.0, 1.0001]
    pairs = np.array(list(itertools.product(numbers, repeat=2)), np.float32)
    rng = np.random.default_rng(1)
    random = np.stack([10 ** rng.uniform(-5, 5, 4000), rng.uniform(-8, 8, 4000)], 1)
    pairs = np.concatenate([pairs, random.astype(np.float32)])
    x, y = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), y.astype(np.float64))
    assert_near(mapped(m.power, x, y), wanted, 3e-7, 2e-45)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -1.0])
def test_power_with_a_constant_exponent(exponent: float) -> None:
    x = np.concatenate([SPECIAL, np.linspace(-9, 9, 999)]).astype(np.float32)
    node, _ = node_of("Pow", {}, 2)
    actual = mapped(lambda v: RULES["Pow"](node, [v, m.f32(exponent, v)]), x)
    # Not the scalar: for 0.5 numpy takes the square root, which differs from pow at -inf.
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), np.full(x.shape, exponent))
    assert_near(actual, wanted, 3e-7, 2e-45)


@pytest.mark.parametrize("bounds", [(True, True), (True, False), (False, True), (False, False)])
def test_clip_with_absent_bounds(bounds: tuple[bool, bool]) -> None:
    x = sample(-9, 9)
    given = [-2.0 if bounds[0] else None, 3.0 if bounds[1] else None]
    inputs = [ir.Value(name="x"), *(None if g is None else ir.Value(name="b") for g in given)]
    node = ir.node("Clip", inputs)
    numbers = [g for g in given if g is not None]
    actual = mapped(lambda v: RULES["Clip"](node, [v, *(m.f32(n, v) for n in numbers)]), x)
    largest = np.finfo(np.float32).max  # ONNX: the ends of the type, so that infinity goes
    low, high = (-largest if given[0] is None else -2), (largest if given[1] is None else 3)
    np.testing.assert_array_equal(actual, np.clip(x, low, high))


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, np.isinf),
        ({"detect_negative": 0}, np.isposinf),
        ({"detect_positive": 0}, np.isneginf),
        ({"detect_negative": 0, "detect_positive": 0}, np.zeros_like),
    ],
)
def test_infinity_and_nan_are_seen(attributes: dict[str, int], wanted: Any) -> None:
    x = np.array(SPECIAL, np.float32)
    node, _ = node_of("IsInf", attributes, 1)
    np.testing.assert_array_equal(mapped(lambda v: RULES["IsInf"](node, [v]), x), wanted(x))
    nan, _ = node_of("IsNaN", {}, 1)
    np.testing.assert_array_equal(mapped(lambda v: RULES["IsNaN"](nan, [v]), x), np.isnan(x))


def test_truth_values_choose_and_convert() -> None:
    x = np.linspace(-3, 3, 64).astype(np.float32)
    where, _ = node_of("Where", {}, 3)
    inverted, _ = node_of("Not", {}, 1)
    as_float, _ = node_of("Cast", {"to": ir.DataType.FLOAT}, 1)
    as_int, _ = node_of("Cast", {"to": ir.DataType.INT64}, 1)

    def function(v: Any) -> Any:
        positive = v > m.f32(0, v)
        number = RULES["Cast"](as_float, [RULES["Not"](inverted, [positive])])
        return RULES["Where"](where, [positive, RULES["Cast"](as_int, [v]), number])

    np.testing.assert_array_equal(mapped(function, x), np.where(x > 0, np.trunc(x), x <= 0))


def test_gelu_by_tanh() -> None:
    node, values = node_of("Gelu", {"approximate": "tanh"}, 1)
    x = np.linspace(-9, 9, 4096).astype(np.float32)
    assert_near(
        mapped(lambda v: RULES["Gelu"](node, [v]), x), reference(node, values, x), 1e-5, 1e-6
    )


@pytest.mark.parametrize(
    ("segments", "lanes"),
    [*itertools.product([1, 2, 4, 15, 16, 17, 32, 33], [1, 16]), (16, 4), (32, 8)],
)
def test_piecewise_linear_is_the_definition_up_to_rounding(segments: int, lanes: int) -> None:
    rng = np.random.default_rng(segments)
    breakpoints = np.sort(rng.normal(size=segments - 1)).astype(np.float32)
    slopes, intercepts = rng.normal(size=(2, segments)).astype(np.float32)
    x = np.concatenate([SPECIAL, breakpoints, np.nextafter(breakpoints, -9, dtype=np.float32)])
    x = np.concatenate([x, rng.normal(size=4000) * 2]).astype(np.float32)
    index = np.searchsorted(breakpoints, x, side="right")
    index[np.isnan(x)] = 0
    with np.errstate(all="ignore"):
        product = slopes[index].astype(np.float64) * x
        wanted = (product + intercepts[index]).astype(np.float32)
        finite = np.isfinite(wanted)
        allowed = np.spacing(np.abs(product[finite]).astype(np.float32))
        allowed = np.maximum(allowed, np.spacing(np.abs(wanted[finite])))
    for features in (HOST, frozenset[str]()):
        actual = mapped(
            lambda v, f=features: piecewise_linear(
                v, breakpoints.tolist(), slopes.tolist(), intercepts.tolist(), f
            ),
            x,
            lanes=lanes,
        )
        np.testing.assert_array_equal(actual[~finite], wanted[~finite])
        assert np.all(np.abs(actual[finite] - wanted[finite]) <= allowed)


def conv(
    shape: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int] = (1, 1),
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    group: int = 1,
    batch: int | None = 1,
) -> ConvSpec:
    return ConvSpec(
        batch, *shape, out_c, kernel, strides, pads, dilations, group, 0, Epilogue("accumulator")
    )


CONVS = {
    "one-channel": conv((8, 9, 1), 16, (3, 3), pads=(1, 1, 1, 1)),
    "odd-channels": conv((7, 8, 5), 6, (3, 2), (2, 1), (0, 1, 1, 0)),
    "merged-taps": conv((7, 9, 8), 33, (3, 3), pads=(1, 1, 1, 1)),
    "dilated": conv((9, 9, 4), 20, (3, 3), dilations=(2, 2)),
    "pointwise": conv((4, 7, 19), 40),
    "grouped": conv((5, 6, 15), 10, (3, 3), group=5),
    "depthwise": conv((6, 7, 21), 21, (3, 3), pads=(1, 1, 1, 1), group=21),
    "depthwise-strided": conv((9, 9, 16), 16, (5, 5), (2, 1), (2, 2, 2, 2), group=16),
    "matrix": conv((1, 5, 31), 50, batch=None),
    "symbolic": conv((5, 6, 3), 8, (3, 3), pads=(1, 1, 1, 1), batch=None),
}


def convolved(spec: ConvSpec, x: Array, weight: Array, bias: Array) -> npt.NDArray[np.float64]:
    """(n, out_h, out_w, out_c) in float64, from the definition."""
    top, left, bottom, right = spec.pads
    wide = np.pad(x.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    total = np.zeros((len(x), spec.out_h, spec.out_w, spec.out_c)) + bias
    per_in, per_out = spec.in_c // spec.group, spec.out_c // spec.group
    for ky, kx, g in itertools.product(*map(range, (*spec.kernel, spec.group))):
        y0, x0 = ky * spec.dilations[0], kx * spec.dilations[1]
        rows = slice(y0, y0 + (spec.out_h - 1) * spec.strides[0] + 1, spec.strides[0])
        columns = slice(x0, x0 + (spec.out_w - 1) * spec.strides[1] + 1, spec.strides[1])
        outs = slice(g * per_out, (g + 1) * per_out)
        taps = weight[outs, :, ky, kx].astype(np.float64)
        total[..., outs] += wide[:, rows, columns, g * per_in : (g + 1) * per_in] @ taps.T
    return total


@pytest.mark.parametrize("features", [HOST, frozenset(["avx"]), frozenset[str]()])
@pytest.mark.parametrize("name", CONVS)
def test_convolutions(name: str, features: frozenset[str]) -> None:
    spec = CONVS[name]
    rng = np.random.default_rng(0)
    batch = spec.batch or 3
    x = rng.normal(size=(batch, spec.in_h, spec.in_w, spec.in_c)).astype(np.float32)
    shape = (spec.out_c, spec.in_c // spec.group, *spec.kernel)
    weight = rng.normal(size=shape).astype(np.float32)
    bias = rng.normal(size=spec.out_c).astype(np.float32)
    lanes, out_lanes = padded(spec.in_c), padded(spec.out_c)
    # Padding lanes hold NaN, which must not reach any other lane.
    garbage = [(0, 0)] * 3 + [(0, lanes - spec.in_c)]
    out = tvm.runtime.tensor(np.zeros((batch, spec.out_h, spec.out_w, out_lanes), np.float32))
    arguments = [
        np.pad(x, garbage, constant_values=np.nan),
        pack_float_weight(weight, spec, features),
        np.pad(bias, (0, out_lanes - spec.out_c)),
    ]
    kernel = compiled(
        float_conv_prim_func(spec, features, "kernel", lambda v: tirx.Max(v, m.f32(0, v)))
    )
    kernel(*(tvm.runtime.tensor(argument) for argument in arguments), out)
    wanted = np.maximum(convolved(spec, x, weight, bias), 0)
    np.testing.assert_allclose(out.numpy()[..., : spec.out_c], wanted, rtol=1e-5, atol=2e-5)
