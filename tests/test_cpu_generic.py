"""Generic kernels of the target cpu: all element types, ranks and axes, values known late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from generic_kernels import check, inferred, model, planned, run
from installed import needs_tvm
from onnx import parser

import actc
from actc.errors import ModelError
from actc.targets.tvm.generic import rules
from actc.targets.tvm.generic.registry import RULES
from actc.targets.tvm.lower import FLOAT32_RULES, examine

Array = np.ndarray[Any, Any]


REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


@needs_tvm
@pytest.mark.parametrize("late", [False, True], ids=["constant", "run-time"])
def test_reductions_over_any_axes(late: bool) -> None:
    """The batch axis, negative axes, all axes; as constants, or as an input of the model."""
    x = np.abs(np.random.default_rng(0).normal(size=(3, 4, 2))).astype(np.float32) + 0.1
    axes = np.array([0, -1])
    first = np.array([0])
    nodes = [f"y{i} = {op}(x, axes)" for i, op in enumerate(REDUCTIONS)]
    nodes += [f"z{i} = {op}<keepdims = 0>(x, axes)" for i, op in enumerate(REDUCTIONS)]
    nodes += [f"r{i} = {op}(x, first)" for i, op in enumerate(REDUCTIONS)]
    outputs = [f"float[1, 4, 1] y{i}" for i in range(10)] + [f"float[4] z{i}" for i in range(10)]
    outputs += [f"float[1, 4, 2] r{i}" for i in range(10)]
    more = ", int64[2] axes, int64[1] first" if late else ""
    text = f"g (float[3, 4, 2] x{more}) => ({', '.join(outputs)})"
    proto = model(f"{text} {{ {' '.join(nodes)} }}", {} if late else {"axes": axes, "first": first})
    check(proto, {"x": x, "axes": axes, "first": first} if late else {"x": x})


@needs_tvm
def test_axes_at_run_time_that_do_not_fit_fail_the_call() -> None:
    proto = model("g (float[3, 4] x, int64[1] axes) => (float[3, 1] y) { y = ReduceSum(x, axes) }")
    with pytest.raises(ValueError, match="do not give the declared shape"):
        run(planned(proto), {"x": np.ones((3, 4), np.float32), "axes": np.array([0])})


@needs_tvm
def test_reductions_to_a_number_and_of_nothing() -> None:
    proto = model(
        """g (int32[2, 3] x, float[2, 0] none, float s) => (int32 all, int32[2] place,
            float[2] sum, float[2] least, float twice, int32[2, 3] running) {
          all = ReduceSum<keepdims = 0>(x)  place64 = ArgMax<axis = 1, keepdims = 0>(x)
          place = Cast<to = 6>(place64)
          sum = ReduceSum<keepdims = 0>(none, last)  least = ReduceMin<keepdims = 0>(none, last)
          twice = Add(s, s)  running = CumSum<exclusive = 1, reverse = 1>(x, axis)
        }""",
        {"last": np.array([1]), "axis": np.array(1)},
    )
    feeds: dict[str, Array] = {
        "x": np.array([[1, 5, 5], [9, 2, 1]], np.int32),
        "none": np.zeros((2, 0), np.float32),
        "s": np.array(1.5, np.float32),
    }
    wanted = {
        "all": np.array(23, np.int32),
        "place": np.array([1, 0], np.int32),
        "sum": np.zeros(2, np.float32),
        "least": np.full(2, np.inf, np.float32),
        "twice": np.array(3, np.float32),
        "running": np.array([[10, 5, 0], [3, 1, 0]], np.int32),
    }
    check(proto, feeds, wanted)


@needs_tvm
def test_products_of_all_ranks() -> None:
    rng = np.random.default_rng(5)
    shapes = {"v": (4,), "m": (4, 5), "w": (3, 4), "b": (2, 1, 3, 4), "c": (6, 4, 5)}
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    feeds["i"] = rng.integers(-(2**31), 2**31 - 1, (3, 4), np.int32)
    feeds["h"] = feeds["m"].astype(np.float16)
    inputs = ", ".join(f"float{list(shape)} {name}" for name, shape in shapes.items())
    proto = model(
        f"""g ({inputs}, int32[3, 4] i, float16[4, 5] h) => (float vv, float[5] vm, float[3] wv,
            float[2, 6, 3, 5] bc, int32[3, 3] ii, float16[5, 5] hh, float[5, 3] gemm,
            float[3, 5] path, float diagonal, float[6, 5] dots) {{
          vv = MatMul(v, v)  vm = MatMul(v, m)  wv = MatMul(w, v)  bc = MatMul(b, c)
          it = Transpose(i)  ii = MatMul(i, it)  ht = Transpose(h)  hh = MatMul(ht, h)
          gemm = Gemm<transA = 1, transB = 1, alpha = 0.5, beta = 2.0>(m, w, wv)
          path = Einsum<equation = "ij,jk->ik">(w, m)  square = MatMul(w, wt)
          wt = Transpose(w)  diagonal = Einsum<equation = "ii->">(square)
          dots = Einsum<equation = "...jk,j->...k">(c, v)
        }}"""
    )
    nodes = list(proto.graph.node)
    order = [n for n in nodes if n.output[0] != "square"]
    place = next(i for i, n in enumerate(order) if n.output[0] == "wt") + 1
    order.insert(place, next(n for n in nodes if n.output[0] == "square"))
    del proto.graph.node[:]
    proto.graph.node.extend(order)
    for node in proto.graph.node:
        if node.op_type == "Transpose":
            assert not node.attribute
    check(proto, feeds, tolerance=2e-3)


@needs_tvm
def test_normalizations_along_the_batch_axis_too() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 4, 5)).astype(np.float32)
    row = rng.normal(size=4).astype(np.float32)
    proto = model(
        """g (float[3, 4, 5] x, float[4] row, double[3, 4, 5] d) => (float[3, 4, 5] soft,
            float[3, 4, 5] log, float[3, 4, 5] hard, float[3, 4, 5] inst, float[3, 4, 5] batch,
            float[3, 4, 5] layer, float[3, 1, 1] mean, float[3, 1, 1] inverse, float[3, 4, 5] lp,
            double[3, 4, 5] wide) {
          soft = Softmax<axis = 0>(x)  log = LogSoftmax<axis = 1>(x)  hard = Hardmax<axis = 0>(x)
          inst = InstanceNormalization(x, row, row)
          square = Mul(row, row)  batch = BatchNormalization(x, row, row, row, square)
          layer, mean, inverse = LayerNormalization<axis = 1>(x, scale)
          lp = LpNormalization<axis = 0>(x)
          wide = Softmax(d)
        }""",
        {"scale": rng.normal(size=(4, 5)).astype(np.float32)},
    )
    check(proto, {"x": x, "row": row, "d": x.astype(np.float64)})


@needs_tvm
def test_half_precision_is_rounded_once_per_operator() -> None:
    """bfloat16 comes and goes as its bits; sums are taken in more than half precision."""
    x = np.linspace(-3, 3, 24).reshape(4, 6).astype(ml_dtypes.bfloat16)
    proto = model(
        """g (bfloat16[4, 6] x) => (bfloat16[4, 6] y, bfloat16[4, 1] s, bfloat16[4, 4] m) {
          y = Exp(x)  s = ReduceSum(x, axis)  t = Transpose(x)  m = MatMul(x, t)
        }""",
        {"axis": np.array([1])},
    )
    wide = x.astype(np.float64)
    wanted = {"y": np.exp(wide), "s": wide.sum(1, keepdims=True), "m": wide @ wide.T}
    got = run(planned(proto), {"x": x})
    for name, array in wanted.items():
        assert got[name].dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(got[name], array.astype(ml_dtypes.bfloat16), name)


@needs_tvm
def test_an_open_batch_runs_at_any_size() -> None:
    """Operators that treat samples alike take the open batch; its size shows when called."""
    proto = model(
        """g (double[N, 3] x) => (double[N, 3] y, double[N] s) {
          e = Exp(x)  y = Softmax<axis = 1>(e)  s = ReduceSum<keepdims = 0>(e, axis)
        }""",
        {"axis": np.array([1])},
    )
    plan = planned(proto)
    for size in (1, 5):
        x = np.random.default_rng(size).normal(size=(size, 3))
        got = run(plan, {"x": x})
        power = np.exp(np.exp(x))
        np.testing.assert_allclose(got["y"], power / power.sum(1, keepdims=True), 1e-9)
        np.testing.assert_allclose(got["s"], np.exp(x).sum(1), 1e-9)


def test_an_open_batch_that_moves_is_refused() -> None:
    proto = model("g (double[N, 3] x) => (double[3, N] y) { y = Transpose(x) }")
    _, diagnostics = examine(inferred(proto), "float32")
    assert [d.code for d in diagnostics] == ["ACT0460"]
    assert "fix the batch" in diagnostics[0].help


def test_what_a_refused_rule_planned_is_forgotten() -> None:
    """A chain of float operators that ends in a comparison: its scheduled rule gives up late."""
    proto = model("""g (float[2, 8] x, float[2, 8] y) => (bool[2, 8] c) {
      a = Exp(x)  b = Add(a, y)  c = Less(b, y)
    }""")
    plan, diagnostics = examine(inferred(proto), "float32")
    assert not diagnostics
    assert [call.output for call in plan.calls] == ["a", "b", "c"]
    assert set(plan.buffers) == {"x", "y", "a", "b", "c"}


@needs_tvm
def test_integers_inside_of_float_code_are_integers() -> None:
    """Division between casts truncates; a chain of float32 steps would not."""
    proto = model(
        """g (float[2, 8] x) => (float[2, 8] y) {
          i = Cast<to = 6>(x)  half = Div(i, two)  y = Cast<to = 1>(half)
        }""",
        {"two": np.array(2, np.int32)},
    )
    x = np.linspace(-8, 8, 16, dtype=np.float32).reshape(2, 8)
    check(proto, {"x": x}, scheduled=True)


@needs_tvm
def test_numbers_pass_through_other_types() -> None:
    """A chain of casts: half precision rounds, int8 wraps, int32 cuts off."""
    proto = model(
        """g (float[2, 8] x) => (float[2, 8] h, float[2, 8] b, float[2, 8] i) {
          half = Cast<to = 10>(x)  h = Cast<to = 1>(half)
          byte = Cast<to = 3>(x)  b = Cast<to = 1>(byte)
          int = Cast<to = 6>(x)  i = Cast<to = 1>(int)
        }"""
    )
    x = np.linspace(-300.1, 300.1, 16, dtype=np.float32).reshape(2, 8)
    wanted = {
        "h": x.astype(np.float16).astype(np.float32),
        "b": x.astype(np.int32).astype(np.int8).astype(np.float32),
        "i": np.trunc(x),
    }
    check(proto, {"x": x}, wanted, scheduled=True, tolerance=0)


@needs_tvm
def test_functions_are_written_out() -> None:
    """ONNX's own definitions, functions of the model inside each other, an activation in half."""
    proto = model(
        """g (float[2, 4, 6] x, float16[2, 5] h) => (float[2, 4, 6] mvn, float[2, 4, 6] rms,
            float16[2, 5] twice) {
          mvn = MeanVarianceNormalization<axes = [0, 2]>(x)  rms = RMSNormalization(x, scale)
          twice = own.Outer(h)
        }""",
        {"scale": np.linspace(0.5, 1, 6, dtype=np.float32)},
    )
    proto.opset_import[0].version = 23
    proto.opset_import.append(onnx.helper.make_opsetid("own", 1))
    for text in (
        '<domain: "own", opset_import: ["" : 23, "own" : 1]> Outer (x) => (y) '
        "{ a = own.Inner(x)  y = own.Inner(a) }",
        '<domain: "own", opset_import: ["" : 23]> Inner (x) => (y) '
        "{ s = Sigmoid(x)  y = Mul(s, x) }",
    ):
        proto.functions.append(parser.parse_function(text))
    rng = np.random.default_rng(4)
    feeds: dict[str, Array] = {
        "x": rng.normal(size=(2, 4, 6)).astype(np.float32),
        "h": rng.normal(size=(2, 5)).astype(np.float16),
    }
    check(proto, feeds, tolerance=2e-3, scheduled=True)


GELU_BY_NAME = """<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
g (float[4, 8] x) => (float[4, 8] y) { y = own.Gelu(x) }
<domain: "own", opset_import: ["" : 21]> Gelu (x) => (y) { s = Sigmoid(x)  y = Mul(x, s) }"""


@needs_tvm
def test_a_function_called_gelu_is_what_its_body_says(tmp_path: Path) -> None:
    x = np.linspace(-3, 3, 32, dtype=np.float32).reshape(4, 8)
    proto = parser.parse_model(GELU_BY_NAME)
    artifact = actc.compile(
        proto, "cpu", data={"x": x}, output=tmp_path / "out", precision="float32", approx="exact"
    )
    (y,) = artifact.run({"x": x}).values()
    np.testing.assert_allclose(y, x / (1 + np.exp(-x)), 1e-5, 1e-6)


def test_an_operator_of_another_domain_is_not_onnx_s() -> None:
    proto = parser.parse_model(GELU_BY_NAME)
    del proto.functions[:]
    with pytest.raises(ModelError, match="Gelu"):
        actc.compile(proto, "cpu", precision="float32", dry_run=True)
    _, diagnostics = examine(onnx_ir_of(proto), "float32")
    assert [d.code for d in diagnostics] == ["ACT0401"]


def onnx_ir_of(proto: onnx.ModelProto) -> Any:
    """The model with the type of its output, which inference cannot know."""
    import onnx_ir as ir

    return ir.from_proto(proto)


@needs_tvm
def test_every_operator_of_the_registry_has_its_kernel() -> None:
    import importlib

    modules = {rule.module for rule in RULES.values()}
    kernels = {
        module: importlib.import_module(f"actc.targets.tvm.generic.{module}").KERNELS
        for module in modules
    }
    for op, rule in RULES.items():  # other plans may consist of other operators' kernels
        assert rule.plan not in (rules.direct, rules.broadcasting) or op in kernels[rule.module]
    for module, table in kernels.items():
        assert {op for op in table if RULES.get(op) is None or RULES[op].module != module} == set()


def test_what_is_scheduled_is_generic_too_or_is_written_out() -> None:
    """So that a scheduled rule may refuse any use: domain actc has bodies in ONNX's operators."""
    for name in FLOAT32_RULES:
        domain, _, op = name.partition("::")
        schema: Any = None if domain else onnx.defs.get_schema(op)
        assert domain == "actc" or op in RULES or schema.has_function, name
