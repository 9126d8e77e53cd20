"""Every operator of golden in torch: the integers of the specification, and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from dialect_cases import CASES
from onnx import helper, numpy_helper
from test_recurrent_dialect import GATES, arguments

from actc.ir import dialect, spec

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]

BOTH = ("IntAdd", "IntMul", "WideMul", "IntDivide", "IntHypot", "IntMaskedSoftmax")
PRODUCTS = ("IntBatchMatMul", "WideBatchMatMul")


def node_of(
    op: str,
    arrays: dict[str, Array],
    variable: Sequence[str],
    outputs: dict[str, str],
    domain: str = "actc",
    **attributes: Any,
) -> tuple[onnx.ModelProto, ir.Node]:
    """A model of one node, all of whose other inputs are constants."""
    node = helper.make_node(op, list(arrays), list(outputs), name=op, domain=domain, **attributes)
    types = {"f": onnx.TensorProto.FLOAT, "u8": onnx.TensorProto.UINT8}
    types |= {"u16": onnx.TensorProto.UINT16, "i32": onnx.TensorProto.INT32}
    types |= {"i64": onnx.TensorProto.INT64}
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(arrays[name].dtype), arrays[name].shape
            )
            for name in variable
        ],
        [helper.make_tensor_value_info(name, types[kind], None) for name, kind in outputs.items()],
        [numpy_helper.from_array(a, name) for name, a in arrays.items() if name not in variable],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("actc", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if domain:
        model.functions.append(dialect.function_proto(op))
    return model, ir.from_proto(model).graph[0]


def tensors(arrays: dict[str, Array]) -> list[Any]:
    """Integers in float64, float numbers as they are."""
    return [
        torch.from_numpy(a if a.dtype == np.float32 else np.array(a, np.float64))
        for a in arrays.values()
    ]


def result(node: ir.Node, arrays: dict[str, Array], **options: Any) -> list[Array]:
    from actc.torch.gradients import Gradients
    from actc.torch.operators import make

    found = make(node, Gradients(**options))(*tensors(arrays))
    return [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]


def assert_same(found: list[Array], expected: dict[str, Array]) -> None:
    for got, wanted in zip(found, expected.values(), strict=True):
        assert got.shape == wanted.shape
        if wanted.dtype == np.float32:
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got.view(np.uint32), wanted.view(np.uint32))
        else:
            np.testing.assert_array_equal(got, wanted)


def kind_of(text: str) -> str:
    return {"float": "f", "uint8": "u8", "uint16": "u16", "int32": "i32", "int64": "i64"}[
        text.split("[")[0]
    ]


def case(name: str) -> tuple[onnx.ModelProto, ir.Node, dict[str, Array], list[str]]:
    """A case of the dialect's own test as a node with constants."""
    output, text, values = CASES[name]
    op = name.split("-")[0]
    arrays = {f"i{k}": np.asarray(a) for k, a in enumerate(values)}
    variable = ["i0", "i1"] if op in (*BOTH, *PRODUCTS) else ["i0"]
    attributes: dict[str, Any] = {}
    if text:
        parsed = onnx.parser.parse_node(f"y = actc.{op} {text} (x)")
        attributes = {a.name: helper.get_attribute_value(a) for a in parsed.attribute}
    model, node = node_of(op, arrays, variable, {"y": kind_of(output)}, **attributes)
    return model, node, arrays, variable


@pytest.mark.parametrize("name", CASES)
def test_integers_of_the_specification(name: str) -> None:
    model, node, arrays, variable = case(name)
    expected = spec.run(model, {key: arrays[key] for key in variable})
    assert_same(result(node, arrays), expected)


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("name", GATES)
def test_recurrent_integers(name: str, reverse: int) -> None:
    outputs = {"y": "i32", "h": "i32", **({"c": "i32"} if name == "IntLstm" else {})}
    for seed in range(3):
        arrays = arguments(name, (7, 3, 5), seed, smooth=seed == 0)
        variable = [key for key in ("acc", "h0", "c0", "r", "h_bias") if key in arrays]
        model, node = node_of(name, arrays, variable, outputs, directions=[reverse])
        expected = spec.run(model, {key: arrays[key] for key in variable})
        assert_same(result(node, arrays), expected)


def test_every_operator_of_the_dialect_is_there() -> None:
    from actc.torch import operators

    tested = {name.split("-")[0] for name in CASES} | set(GATES) | {"FixedPoint"}
    assert tested == set(operators._DIALECT)


RNG = np.random.default_rng(3)
CODES = RNG.integers(0, 256, (2, 6, 5, 4), dtype=np.uint8)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 1e37, -1e37, 0.125, 0.375, -0.125, 63.7]
REALS = np.array([*SPECIAL, *RNG.normal(0, 30, 500)], np.float32)
POOL = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
STANDARD: dict[str, tuple[str, list[Any], dict[str, str], dict[str, Any]]] = {
    "QuantizeLinear": ("u8", [REALS, np.float32(0.25), np.uint8(117)], {"y": "u8"}, {}),
    "QuantizeLinear-16": ("u16", [REALS, np.float32(0.1), np.uint16(40_000)], {"y": "u16"}, {}),
    "DequantizeLinear": ("f", [CODES, np.float32(0.3), np.uint8(9)], {"y": "f"}, {}),
    "DequantizeLinear-axis": (
        "f",
        [RNG.integers(-(2**31), 2**31, (3, 7), dtype=np.int32), np.float32(RNG.random(7))],
        {"y": "f"},
        {"axis": 1},
    ),
    "MaxPool": ("u8", [CODES], {"y": "u8"}, POOL),
    "MaxPool-ceil": ("u8", [CODES], {"y": "u8"}, {**POOL, "ceil_mode": 1, "dilations": [1, 2]}),
    "ReduceMax": ("u8", [CODES, np.array([1, 3])], {"y": "u8"}, {"keepdims": 0}),
    "Reshape": ("u8", [CODES, np.array([0, -1])], {"y": "u8"}, {}),
    "Transpose": ("u8", [CODES], {"y": "u8"}, {"perm": [0, 2, 3, 1]}),
    "Transpose-reversed": ("u8", [CODES], {"y": "u8"}, {}),
    "Slice": (
        "u8",
        [CODES, np.array([-1, 0]), np.array([-99, 2**62]), np.array([1, 3]), np.array([-2, 2])],
        {"y": "u8"},
        {},
    ),
    "Split": ("u8", [CODES, np.array([1, 3, 2])], {"a": "u8", "b": "u8", "c": "u8"}, {"axis": 1}),
    "Squeeze": ("u8", [CODES[:, :1], np.array([1])], {"y": "u8"}, {}),
    "Unsqueeze": ("u8", [CODES, np.array([2])], {"y": "u8"}, {}),
    "Gather": ("u8", [CODES, np.array([[2, -1], [0, 2]])], {"y": "u8"}, {"axis": 1}),
    "Expand": ("u8", [CODES[:, :1], np.array([2, 6, 1, 4])], {"y": "u8"}, {}),
    "TopK": (
        "u8",
        [np.int32(CODES // 64), np.array([3])],
        {"y": "i32", "where": "i64"},
        {"axis": 1, "largest": 0},
    ),
    "Cast-int32": ("i32", [np.array([[2**40 + 7, -5, 2**31]])], {"y": "i32"}, {"to": 6}),
    "Cast-float": ("f", [np.array([[2**25 + 1, -5]])], {"y": "f"}, {"to": 1}),
    "ArgMax": ("i64", [CODES.astype(np.int32)], {"y": "i64"}, {"axis": 2, "keepdims": 0}),
    "Where": ("i64", [CODES > 9, np.array(3), np.array(-4)], {"y": "i64"}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", STANDARD)
def test_standard_operators(name: str) -> None:
    _, values, outputs, attributes = STANDARD[name]
    arrays = {f"i{k}": np.asarray(a) for k, a in enumerate(values)}
    op = name.split("-")[0]
    model, node = node_of(op, arrays, ["i0"], outputs, domain="", **attributes)
    assert_same(result(node, arrays), spec.run(model, {"i0": arrays["i0"]}))


def smooth_difference(name: str) -> float:
    """Largest relative difference of the gradient from that of the operator on real numbers."""
    from actc.torch.gradients import Gradients
    from actc.torch.operators import make

    _, node, arrays, variable = case(name)
    operator = make(node, Gradients())
    given = dict(zip(arrays, tensors(arrays), strict=True))
    worst = 0.0
    for key in variable:
        x = given[key].clone().requires_grad_()
        y = operator(*({**given, key: x}).values()).to(torch.float64)
        direction = torch.from_numpy(RNG.standard_normal(y.shape))
        (gradient,) = torch.autograd.grad((y * direction).sum(), x)
        moved = torch.from_numpy(RNG.standard_normal(x.shape))
        h = 1e-4
        with torch.no_grad():
            ends = [
                (REAL[name](*({**given, key: x + s * h * moved}).values()) * direction).sum()
                for s in (1, -1)
            ]
        wanted = float(ends[0] - ends[1]) / (2 * h)
        found = float((gradient * moved).sum())
        worst = max(worst, abs(found - wanted) / max(abs(wanted), 1e-9))
    return worst


def softmax(x: Any, table: Any) -> Any:
    return torch.softmax(-0.05 * (x.amax(1, keepdim=True) - x), 1)


def log_softmax(x: Any, *tables: Any) -> Any:
    return 2.0**20 * torch.log_softmax(0.05 * x, 1)


def layer_norm(x: Any, gamma: Any, beta: Any, eps: Any) -> Any:
    n = x.shape[1]
    d = n * x - x.sum(1, keepdim=True)
    v = n * (x * x).sum(1, keepdim=True) - x.sum(1, keepdim=True) ** 2
    return d * 4096 / torch.sqrt(v + eps) * gamma + beta


def rms_norm(x: Any, zero: Any, gamma: Any, eps: Any) -> Any:
    d = x - zero
    return d * 2**17 / torch.sqrt((d * d).sum(1, keepdim=True) + eps) * gamma


REAL = {
    "IntMatMul": lambda x, w, b, z: (x - z) @ w + b,
    "IntConv-1d": lambda x, w, b, z: (
        torch.nn.functional.conv1d(torch.nn.functional.pad(x - z, (2, 0)), w, groups=2) + b
    ),
    "IntAdd": lambda a, b, m, n, bias: a * m + b * n + bias,
    "IntMul": lambda a, b, y, z: (a - y) * (b - z),
    "IntReduceSum": lambda x, z, axes: (x - z).sum((2, 3), keepdim=True),
    "IntReduceMean": lambda x, z, axes: 4096 * (x - z).mean((2, 3), keepdim=True),
    "IntBatchMatMul": lambda a, b, y, z: (a - y) @ (b - z),
    "IntHypot": lambda a, b, y, z, eps: 64 * torch.sqrt((a - y) ** 2 + (b - z) ** 2 + eps),
    "IntDivide-wide": lambda a, b, y, z, low, unit: (
        (a - y) * unit / torch.maximum(b - z, low)
    ).clamp(-(2**30), 2**30),
    "IntSoftmax": softmax,
    "IntProbabilities": lambda x, table: 2.0**16 * softmax(x, table),
    "IntLogSoftmax": log_softmax,
    "IntLayerNorm": layer_norm,
    "IntRmsNorm": rms_norm,
}
"""Operators on real numbers."""


@pytest.mark.parametrize("name", REAL)
def test_gradients_are_those_of_the_real_operator(name: str) -> None:
    assert smooth_difference(name) < 2e-3


def test_a_clamp_stops_the_gradient() -> None:
    from actc.torch.gradients import Gradients, TableGradient
    from actc.torch.operators import make

    values = [np.arange(-600, 600, dtype=np.int32), np.int32(3), np.int32(2)]
    values += [np.uint8(100), np.uint8(20), np.uint8(200)]
    arrays = {f"i{k}": np.asarray(a) for k, a in enumerate(values)}
    _, node = node_of("Requantize", arrays, ["i0"], {"y": "u8"})
    found = {}
    for kind in (TableGradient.DERIVATIVE, TableGradient.HYSTERESIS):
        x, *rest = tensors(arrays)
        x.requires_grad_()
        y = make(node, Gradients(kind, window=0.25))(x, *rest)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        found[kind] = gradient.numpy()
        unclamped = np.floor((arrays["i0"] * 3.0 + 2) / 4) + 100
        margin = 0 if kind is TableGradient.DERIVATIVE else 0.25 * 181
        inside = (unclamped >= 20 - margin) & (unclamped <= 200 + margin)
        np.testing.assert_array_equal(found[kind], np.where(inside, 0.75, 0.0))
    assert found[TableGradient.HYSTERESIS].sum() > found[TableGradient.DERIVATIVE].sum() > 0


def kept_bytes(kind: str, bits: int = 2) -> tuple[int, Array]:
    """What a table of 1000 codes keeps for the way back, its constants aside; its gradient."""
    from actc.torch.gradients import Gradients
    from actc.torch.operators import make

    table = np.rint(255 / (1 + np.exp(-(np.arange(256) - 128) / 20))).astype(np.uint8)
    arrays = {"x": RNG.integers(0, 256, 1000, dtype=np.uint8), "t": table}
    _, node = node_of("Table", arrays, ["x"], {"y": "u8"})
    operator = make(node, Gradients.parse(kind, "straight-through", bits=bits))
    saved: list[Any] = []

    def keep(tensor: Any) -> Any:
        saved.append(tensor)
        return tensor

    x, entries = tensors(arrays)
    x.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = operator(x, entries)
    np.testing.assert_array_equal(y.detach().numpy(), table[arrays["x"]])
    (gradient,) = torch.autograd.grad(y.sum(), x)
    constants = {id(t) for t in operator.buffers()}
    sizes = [t.numel() * t.element_size() for t in saved if id(t) not in constants]
    return sum(sizes), gradient.numpy()


def test_few_bits_keep_few_bits() -> None:
    whole, exact = kept_bytes("derivative")
    assert whole == 1000
    errors = []
    for bits in (1, 2, 4, 8):
        size, gradient = kept_bytes("few-bit", bits)
        assert size == 125 * bits
        assert len(np.unique(gradient)) <= 2**bits
        errors.append(abs(gradient.std() - exact.std()))
    assert errors[0] > errors[-1]


def test_steps_pass_the_slope_of_their_staircase() -> None:
    from actc.torch.gradients import Gradients
    from actc.torch.operators import make

    points = np.append(40 * np.arange(255), 0).astype(np.int32)
    values = np.arange(256, dtype=np.uint8)
    x = np.linspace(500, 9500, 400).astype(np.int32)[:, None]
    arrays = {"x": x, "p": points, "v": values, "o": np.array([[0]], np.int32)}
    _, node = node_of("Steps", arrays, ["x"], {"y": "u8"})
    acc, *rest = tensors(arrays)
    acc.requires_grad_()
    (gradient,) = torch.autograd.grad(make(node, Gradients())(acc, *rest).sum(), acc)
    np.testing.assert_allclose(gradient.numpy(), 1 / 40, rtol=0.02)


def test_what_cannot_be_computed_is_refused() -> None:
    from actc.torch.gradients import Gradients
    from actc.torch.operators import NotSupported, make

    def refused(op: str, arrays: dict[str, Array], domain: str = "", **attributes: Any) -> str:
        _, node = node_of(op, arrays, list(arrays)[:1], {"y": "f"}, domain="", **attributes)
        node.domain = domain
        with pytest.raises(NotSupported) as problem:
            make(node, Gradients())
        return str(problem.value)

    x = np.zeros((2, 3), np.float32)
    assert refused("Erf", {"x": x}) == ""
    assert refused("Foo", {"x": x}, "actc") == ""
    assert refused("Foo", {"x": x}, "mine") == ""
    assert "float" in refused("Add", {"x": x, "b": x})
    assert "float" in refused("Where", {"c": x > 0, "a": x, "b": x})
    assert "auto_pad" in refused("MaxPool", {"x": CODES}, kernel_shape=[2, 2], auto_pad="VALID")
    _, node = node_of("Transpose", {"x": x}, ["x"], {"y": "f"}, domain="")
    node.metadata_props["actc.island"] = "1"
    with pytest.raises(NotSupported, match="island"):
        make(node, Gradients())
