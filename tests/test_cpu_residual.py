"""Sums computed by the convolution in front of them, on random residual networks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from golden_models import Golden, outputs_of
from installed import needs_tvm
from onnx import helper, numpy_helper

from actc.targets.tvm import CpuTarget
from actc.targets.tvm.arena import buffer_bytes, lay_out
from actc.targets.tvm.host import lacking, named_cpu
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.lower import examine, kernel_plan
from actc.targets.tvm.plan import KernelPlan

Array = np.ndarray[Any, Any]
CHANNELS = (3, 5, 8, 12, 16, 17, 24, 33, 64)


class Blocks(Golden):
    """Random residual blocks on codes."""

    def sum(self, a: str, b: str) -> str:
        """IntAdd as golden models have it (multiplier 1), or with another; perhaps a table."""
        if self.rng.random() < 0.3:
            out = self.add(a, b)
        else:
            shift = int(self.rng.integers(14, 20))
            own, other = (int(v) for v in self.rng.integers(2 ** (shift - 2), 2**shift, 2))
            sign = -1 if self.rng.random() < 0.3 else 1
            bias = -118 * (own + sign * other)
            terms = (np.int32(own), np.int32(sign * other), np.int32(bias))
            total = self.actc("IntAdd", a, b, *map(self.const, terms))
            rest = (np.int32(1), np.int32(shift), np.uint8(self.rng.integers(90, 150)))
            bounds = (np.uint8(0), np.uint8(255)) if shift % 2 else (np.uint8(7), np.uint8(230))
            out = self.actc("Requantize", total, *map(self.const, (*rest, *bounds)))
        return self.table(out) if self.rng.random() < 0.4 else out

    def either(self, a: str, b: str) -> str:
        """The sum, in one of the two orders."""
        return self.sum(a, b) if self.rng.random() < 0.5 else self.sum(b, a)

    def layer(self, x: str, c_in: int, c_out: int, stride: int = 1) -> str:
        """A convolution of 1 x 1 or 3 x 3, perhaps depthwise, that keeps or halves the map."""
        size = int(self.rng.choice([1, 3]))
        pads = [size // 2] * 4
        alone = c_in == c_out and self.rng.random() < 0.25
        finish = str(self.rng.choice(["requantize", "requantize", "table", "channel_table"]))
        return self.conv(
            x, c_in, c_out, (size, size), stride=stride, pads=pads,
            group=c_in if alone else 1, finish=finish,
        )  # fmt: skip

    def network(self, blocks: int, side: int) -> ir.Model:
        channels = int(self.rng.choice(CHANNELS))
        x = self.conv(self.quantize(self.input("x", 3, side, side)), 3, channels, (1, 1))
        results = []
        for kind in self.rng.permutation(np.arange(blocks) % 7):
            wide = int(self.rng.choice(CHANNELS))
            inner = self.layer(x, channels, wide)
            if kind == 0:  # the way around is a convolution with a stride
                stride = int(self.rng.integers(1, 3))
                around = self.layer(x, channels, wide, stride)
                x, channels = self.either(self.layer(inner, wide, wide, stride), around), wide
            elif kind == 1:  # a convolution that two sums read
                last = self.layer(inner, wide, channels)
                results.append(self.either(last, x))
                x = self.either(last, x)
            elif kind == 2:  # twice the same
                last = self.layer(inner, wide, channels)
                x = self.sum(last, last)
            elif kind == 3:  # one number per channel
                axes = self.const(np.array([2, 3]))
                total = self.actc("IntReduceSum", x, self.const(np.uint8(118)), axes, keepdims=1)
                gate = self.requantize(total, 4000.0)
                last = self.layer(inner, wide, channels)
                x = self.either(last, gate)
            elif kind == 4:  # two sums in a row
                last = self.layer(inner, wide, channels)
                x = self.either(self.either(last, x), self.layer(x, channels, channels))
            elif kind == 5:  # the convolution is a result too
                last = self.layer(inner, wide, channels)
                results.append(last)
                x = self.either(last, x)
            else:
                x = self.either(self.layer(inner, wide, channels), x)
        return self.model(x, *results)


def arena_is_right(plan: KernelPlan) -> None:
    """No two buffers that some call needs at once share a byte."""
    places = lay_out(plan).places
    last = {name: at for at, call in enumerate(plan.calls) for name in (*call.inputs, call.output)}
    live: set[str] = set()
    for at, call in enumerate(plan.calls):
        assert all(n in live for n in call.inputs if n in plan.buffers and n not in plan.inputs)
        live.add(call.output)
        spans = sorted(
            (places[n].per_sample, places[n].per_sample + buffer_bytes(plan.buffers[n]))
            for n in live
            if n in places and plan.buffers[n].batch is None
        )
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        live = {name for name in live if last[name] > at}


def compare(model: ir.Model, cpu: str, folder: Path, side: int) -> None:
    target = CpuTarget(cpu)
    target.build(target.plan(model, "int8"), folder)
    for batch in (1, 3):
        rng = np.random.default_rng(batch)
        feeds = {"x": (rng.normal(size=(batch, 3, side, side)) * 3).astype(np.float32)}
        got = target.run(folder, feeds)
        for name, wanted in outputs_of(model, feeds).items():
            assert np.unique(wanted).size > 2
            np.testing.assert_array_equal(got[name], wanted)


CPUS = ("", "cascadelake", "skylake-avx512", "haswell", "x86-64")


@needs_tvm
@pytest.mark.parametrize(
    "seed", [2, *(pytest.param(s, marks=pytest.mark.slow) for s in (0, 1, 3, 4))]
)
def test_random_networks_of_codes_equal_golden(seed: int, tmp_path: Path) -> None:
    cpu, side = CPUS[seed], (7, 10, 6, 9, 5)[seed]
    if cpu and lacking(named_cpu(cpu).features):
        pytest.skip(f"this CPU lacks something of {cpu}")
    model = Blocks(seed).network(7, side)
    plan = kernel_plan(model, "int8")
    fused = [c for c in plan.calls if isinstance(c.kernel, ConvSpec) and c.kernel.residual]
    assert len(fused) >= 3
    arena_is_right(plan)
    compare(model, cpu, tmp_path, side)


def codes_plan(*results: str) -> KernelPlan:
    """The plan of a block whose results are named: "xa" adds the codes x and a, "a" is a alone."""
    g = Blocks()
    x = g.conv(g.quantize(g.input("x", 3, 8, 8)), 3, 16, (1, 1), finish="requantize")
    a = g.conv(x, 16, 16, (3, 3), pads=[1] * 4, finish="requantize")
    b = g.conv(x, 16, 16, (1, 1), finish="requantize")
    values = {"x": x, "a": a, "b": b}
    made = [g.add(values[r[0]], values[r[1]]) if len(r) == 2 else values[r] for r in results]
    model = g.model(*(g.dequantize(value) for value in made))
    unfused = examine(model, "int8")[0]
    assert not any(fused(unfused))
    plan = kernel_plan(model, "int8")
    assert len(unfused.calls) - len(plan.calls) == sum(fused(plan))
    assert set(plan.buffers) == {*plan.inputs, *(call.output for call in plan.calls)}
    arena_is_right(plan)
    return plan


def fused(plan: KernelPlan) -> list[bool]:
    """For each convolution, whether it computes a sum too."""
    kernels = (call.kernel for call in plan.calls)
    return [kernel.residual is not None for kernel in kernels if isinstance(kernel, ConvSpec)]


@pytest.mark.parametrize(
    ("results", "wanted"),
    [
        (["xa"], [False, False, True]),  # b is computed for nobody, before
        (["ax"], [False, False, True]),
        (["ab"], [False, False, True]),  # the later one takes it
        (["ba"], [False, False, True]),
        (["xa", "xb"], [False, True, True]),
        (["xa", "a"], [False, False, False]),
        (["xa", "ax"], [False, False, False]),
        (["xa", "ab"], [False, False, True]),  # b's only reader
        (["aa"], [False, False, False]),
    ],
)
def test_what_is_fused(results: list[str], wanted: list[bool]) -> None:
    assert fused(codes_plan(*results)) == wanted


class FloatBlocks:
    """Random residual blocks of floats: sums in both orders, activations, gates, constants."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.channels = int(self.rng.choice(CHANNELS))
        self.results: list[str] = []

    def node(self, op: str, *inputs: str, **given: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [f"v{len(self.nodes)}"], **given))
        return str(self.nodes[-1].output[0])

    def constant(self, *shape: int, scale: float = 1) -> str:
        array = (scale * self.rng.normal(size=shape)).astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, f"k{len(self.constants)}"))
        return str(self.constants[-1].name)

    def conv(self, x: str, c_in: int, c_out: int, stride: int = 1) -> str:
        size = int(self.rng.choice([1, 3]))
        group = c_in if c_in == c_out and self.rng.random() < 0.25 else 1
        shape = (c_out, c_in // group, size, size)
        weight = self.constant(*shape, scale=1 / np.sqrt(np.prod(shape[1:])))
        given = {"pads": [size // 2] * 4, "strides": [stride] * 2, "group": group}
        return self.node("Conv", x, weight, self.constant(c_out), **given)

    def activated(self, x: str) -> str:
        op = str(self.rng.choice(["Relu", "Sigmoid", "Tanh", "Identity", "LeakyRelu"]))
        return x if op == "Identity" else self.node(op, x)

    def either(self, op: str, a: str, b: str) -> str:
        return self.activated(self.node(op, *((a, b) if self.rng.random() < 0.5 else (b, a))))

    def block(self, kind: int, x: str) -> str:
        channels, wide = self.channels, int(self.rng.choice(CHANNELS))
        inner = self.activated(self.conv(x, channels, wide))
        if kind == 0:
            self.channels, stride = wide, int(self.rng.integers(1, 3))
            around = self.conv(x, channels, wide, stride)
            return self.either("Add", self.conv(inner, wide, wide, stride), around)
        last = self.conv(inner, wide, channels)
        if kind == 1:
            self.results.append(self.either("Add", last, x))
        elif kind == 2:
            return self.activated(self.node("Add", last, last))
        elif kind == 3:
            gate = self.node("Sigmoid", self.node("GlobalAveragePool", x))
            last = self.either("Mul", last, gate)
        elif kind == 4:
            x, last = self.conv(x, channels, channels), self.either("Add", last, x)
        elif kind == 5:
            self.results.append(last)
        elif kind == 6:
            scaled = self.either("Mul", self.activated(last), x)
            return self.either("Sub", scaled, self.constant(1, channels, 1, 1))
        elif kind == 7:
            last = self.node("Mul", last, self.node("Sigmoid", last))
        return self.either("Add", last, x)

    def network(self, blocks: int, side: int) -> onnx.ModelProto:
        x = self.conv("x", 3, self.channels)
        for kind in self.rng.permutation(np.arange(blocks) % 8):
            x = self.block(int(kind), x)
        values = [helper.make_tensor_value_info("x", 1, ["n", 3, side, side])]
        found = [helper.make_tensor_value_info(name, 1, None) for name in (x, *self.results)]
        graph = helper.make_graph(self.nodes, "residual", values, found, self.constants)
        opset = [helper.make_opsetid("", 21), helper.make_opsetid("actc", 1)]
        made = helper.make_model(graph, opset_imports=opset, ir_version=10)
        return onnx.shape_inference.infer_shapes(made)


@needs_tvm
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_random_networks_of_floats_are_near_onnxruntime(seed: int, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    cpu, side = ("", "haswell", "skylake-avx512")[seed], (9, 6, 7)[seed]
    proto = FloatBlocks(seed).network(8, side)
    model = ir.serde.deserialize_model(proto)
    plan = kernel_plan(model, "float32")
    kernels = [call.kernel for call in plan.calls if isinstance(call.kernel, FloatConv)]
    assert sum(kernel.residuals > 0 for kernel in kernels) >= 3
    arena_is_right(plan)
    target = CpuTarget(cpu)
    target.build(target.plan(model, "float32"), tmp_path)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 3, side, side)).astype(np.float32)
        got = target.run(tmp_path, {"x": x})
        for name, wanted in zip(names, session.run(names, {"x": x}), strict=True):
            error = np.abs(got[name] - wanted).max() / np.abs(wanted).max()
            assert error < 1e-5, name


@needs_tvm
def test_rows_of_a_matrix_product(tmp_path: Path) -> None:
    """Residuals of products: codes, and floats whose other operand is the model's input."""
    g = Blocks(3)
    x = g.quantize(g.input("x", 5, 12))
    first = g.requantize(g.matmul(x, 12, 20), 19000.0)
    second = g.requantize(g.matmul(first, 20, 12), 25000.0)
    y = g.sum(x, second)
    last = g.sum(g.requantize(g.matmul(y, 12, 12), 19000.0), y)
    model = g.model(last)
    assert fused(kernel_plan(model, "int8")) == [False, True, True]
    target = CpuTarget()
    target.build(target.plan(model, "int8"), tmp_path)
    feeds = {"x": (np.random.default_rng(0).normal(size=(3, 5, 12)) * 3).astype(np.float32)}
    wanted = outputs_of(model, feeds)
    for name, array in target.run(tmp_path, feeds).items():
        np.testing.assert_array_equal(array, wanted[name])


def test_an_input_of_the_model_is_not_read_as_a_residual() -> None:
    """It need not be aligned."""
    text = """<ir_version: 10, opset_import: ["" : 21]>
net (float[n, 16] x) => (float[n, 16] y) {
  a = MatMul (x, w)
  y = Add (a, x)
}"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(numpy_helper.from_array(np.eye(16, dtype=np.float32), "w"))
    plan = kernel_plan(ir.serde.deserialize_model(proto), "float32")
    assert [k.residuals for k in (c.kernel for c in plan.calls) if isinstance(k, FloatConv)] == [0]
