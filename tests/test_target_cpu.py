"""The cpu target: every kernel bit for bit against onnxruntime and the numpy specification."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from actc.errors import MissingTool, ModelError, ToolFailed, UsageError
from actc.ir import dialect, spec
from actc.targets.tvm import CpuTarget, runtime
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.layout import Tensor, reshaped, transposed
from actc.targets.tvm.lower import examine, kernel_plan

Array = np.ndarray[Any, Any]
needs_tvm = pytest.mark.skipif(
    shutil.which("g++") is None or importlib.util.find_spec("tvm") is None,
    reason="apache-tvm or g++ is not installed",
)


class Golden:
    """Writes small golden models, node by node.

    Args:
        seed: of the random weights and tables.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.shapes: dict[str, tuple[int | str, ...]] = {}

    def input(
        self, name: str, *shape: int, dtype: type = np.float32, batch: str | int = "n"
    ) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
        return name

    def const(self, array: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **given: Any) -> Any:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        label = f"{op}_{len(self.nodes)}"
        made = helper.make_node(op, list(inputs), names, name=label, domain=domain, **given)
        self.nodes.append(made)
        return names[0] if outputs == 1 else names

    def actc(self, op: str, *inputs: str, **given: Any) -> str:
        return str(self.node(op, *inputs, domain="actc", **given))

    def quantize(self, x: str, scale: float = 0.05, zero: int = 117) -> str:
        scale_name, zero_name = self.const(np.float32(scale)), self.const(np.uint8(zero))
        return str(self.node("QuantizeLinear", x, scale_name, zero_name))

    def requantize(self, acc: str, spread: float, channels: Sequence[int] = ()) -> str:
        """Requantize an accumulator of about this spread to the range of uint8."""
        shift = 24
        factor = 60 / spread * 2**shift
        multiplier = self.rng.integers(int(factor / 2), int(factor) + 2, channels).astype(np.int32)
        low, high = (0, 255) if self.rng.random() < 0.5 else (9, 240)
        rest = (np.int32(shift), np.uint8(120), np.uint8(low), np.uint8(high))
        return self.actc("Requantize", acc, self.const(multiplier), *map(self.const, rest))

    def table(self, x: str) -> str:
        codes = self.rng.permutation(256).astype(np.uint8)
        return self.actc("Table", x, self.const(codes))

    def channel_table(self, x: str, channels: int, spatial: int) -> str:
        codes = self.rng.integers(0, 256, 256 * channels).astype(np.uint8)
        offset = (256 * np.arange(channels, dtype=np.int32)).reshape(1, -1, *[1] * spatial)
        return self.actc("ChannelTable", x, self.const(codes), self.const(offset))

    def conv(
        self,
        x: str,
        c_in: int,
        c_out: int,
        kernel: Sequence[int],
        *,
        stride: int = 1,
        pads: Sequence[int] | None = None,
        group: int = 1,
        dilation: int = 1,
        zero: int = 117,
        finish: str = "table",
    ) -> str:
        spatial = len(kernel)
        weight = self.rng.integers(-127, 128, (c_out, c_in // group, *kernel)).astype(np.int8)
        ones = [1] * spatial
        bias = self.rng.integers(-3000, 3000, (1, c_out, *ones)).astype(np.int32)
        acc = self.actc(
            "IntConv",
            x,
            self.const(weight),
            self.const(bias),
            self.const(np.uint8(zero)),
            strides=[stride] * spatial,
            pads=list(pads or [0] * (2 * spatial)),
            dilations=[dilation] * spatial,
            group=group,
            kernel_shape=list(kernel),
        )
        if finish == "accumulator":
            return acc
        spread = 73 * 73 * float(np.sqrt(weight[0].size))
        out = self.requantize(acc, spread, (1, c_out, *ones))
        if finish == "table":
            return self.table(out)
        return self.channel_table(out, c_out, spatial) if finish == "channel_table" else out

    def matmul(self, x: str, depth: int, width: int, zero: int = 117) -> str:
        weight = self.rng.integers(-127, 128, (depth, width)).astype(np.int8)
        bias = self.rng.integers(-3000, 3000, width).astype(np.int32)
        inputs = (weight, bias, np.uint8(zero))
        return self.actc("IntMatMul", x, *map(self.const, inputs))

    def add(self, a: str, b: str) -> str:
        terms = (np.int32(7001), np.int32(9003), np.int32(-1_870_000))
        acc = self.actc("IntAdd", a, b, *map(self.const, terms))
        return self.requantize(acc, 800_000.0)

    def mul(self, a: str, b: str) -> str:
        acc = self.actc("IntMul", a, b, self.const(np.uint8(120)), self.const(np.uint8(99)))
        return self.requantize(acc, 5000.0)

    def dequantize(self, x: str, scale: Any = 0.03, zero: Any = 120, **given: Any) -> str:
        kinds = (np.asarray(scale, np.float32), np.asarray(zero))
        return str(self.node("DequantizeLinear", x, *map(self.const, kinds), **given))

    def model(self, *outputs: str) -> ir.Model:
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(
            self.nodes, "golden", self.inputs, results, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("actc", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        model = ir.serde.deserialize_model(made)
        dialect.add_bodies(model)
        typed = onnx.shape_inference.infer_shapes(ir.serde.serialize_model(model))
        return ir.serde.deserialize_model(typed)


def outputs_of(model: ir.Model, feeds: dict[str, Array]) -> dict[str, Array]:
    """Golden's outputs in onnxruntime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    proto = ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def check(
    model: ir.Model,
    tmp_path: Path,
    shapes: dict[str, tuple[int, ...]],
    batches: Sequence[int] = (1, 3),
) -> None:
    """Build, and compare every batch with onnxruntime and with the specification."""
    target = CpuTarget()
    target.build(target.plan(model, "int8"), tmp_path)
    rng = np.random.default_rng(1)
    for batch in batches:
        feeds = {
            name: (rng.normal(size=(batch, *shape)) * 3).astype(np.float32)
            for name, shape in shapes.items()
        }
        compare(model, target.run(tmp_path, feeds), feeds)


def compare(model: ir.Model, got: dict[str, Array], feeds: dict[str, Array]) -> None:
    wanted = outputs_of(model, feeds)
    specified = spec.run(ir.serde.serialize_model(model), feeds)
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        assert np.unique(array).size > 2, "the test model saturates"
        np.testing.assert_array_equal(got[name], array)
        np.testing.assert_array_equal(got[name], specified[name])


def conv_net() -> ir.Model:
    """Convolutions of all kinds, a residual sum, pooling and a classifier."""
    g = Golden()
    x = g.quantize(g.input("image", 3, 17, 18))
    a = g.conv(x, 3, 16, (3, 3), stride=2, pads=[1, 1, 1, 1])
    b = g.conv(a, 16, 16, (3, 3), pads=[1, 1, 1, 1], group=16)
    c = g.conv(b, 16, 24, (1, 1), finish="requantize")
    d = g.conv(c, 24, 24, (3, 3), pads=[1, 1, 1, 1], zero=120)
    e = g.add(c, d)
    axes = g.const(np.array([2, 3]))
    total = g.actc("IntReduceSum", e, g.const(np.uint8(120)), axes, keepdims=1)
    flat = g.node("Flatten", g.requantize(total, 3000.0), axis=1)
    scores = g.matmul(flat, 24, 10, 120)
    y = g.dequantize(scores, np.linspace(0.001, 0.002, 10), np.zeros(10, np.int32), axis=1)
    return g.model(y)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[ir.Model, Path]:
    directory = tmp_path_factory.mktemp("cpu")
    model = conv_net()
    CpuTarget().build(CpuTarget().plan(model, "int8"), directory)
    return model, directory


def image(batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(batch)
    return {"image": (rng.normal(size=(batch, 3, 17, 18)) * 3).astype(np.float32)}


@needs_tvm
def test_a_convolutional_net_equals_golden(built: tuple[ir.Model, Path]) -> None:
    model, directory = built
    for batch in (1, 2, 5):
        compare(model, CpuTarget().run(directory, image(batch)), image(batch))


@needs_tvm
def test_nan_and_infinity_are_quantized_as_onnxruntime_does(built: tuple[ir.Model, Path]) -> None:
    model, directory = built
    feeds = image(1)
    feeds["image"][0, :, 3:6, 3] = [np.nan, np.inf, -np.inf]
    got = CpuTarget().run(directory, feeds)
    for name, array in outputs_of(model, feeds).items():
        np.testing.assert_array_equal(got[name], array)


@needs_tvm
@pytest.mark.parametrize("scale", [0.05, 0.1, 1 / 3])
def test_quantization_rounds_ties_to_even(scale: float, tmp_path: Path) -> None:
    g = Golden()
    q = g.quantize(g.input("x", 64), scale, 128)
    model = g.model(g.table(q))
    target = CpuTarget()
    target.build(target.plan(model, "int8"), tmp_path)
    steps = (np.arange(-140, 140, dtype=np.float32)[:, None] + np.linspace(0, 1, 64)) * scale
    halves = steps.astype(np.float32)
    halves[:, 0] = np.float32(scale) * (np.arange(-140, 140) + np.float32(0.5))
    compare(model, target.run(tmp_path, {"x": halves}), {"x": halves})


@needs_tvm
def test_a_fresh_process_runs_the_model_without_tvm(
    built: tuple[ir.Model, Path], tmp_path: Path
) -> None:
    model, directory = built
    feeds = image(2)
    np.savez(tmp_path / "in.npz", image=feeds["image"])
    # A finder that refuses TVM proves that only its runtime library is used.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Refuse:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tvm' or name.startswith('tvm.'):\n"
        "            raise ImportError('tvm is imported')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "ACTC_TVM_RUNTIME": str(runtime.runtime_library()),
    }
    command = [sys.executable, str(directory / "run.py"), "in.npz", "out.npz"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as outputs:
        compare(model, dict(outputs), feeds)


@needs_tvm
def test_two_builds_are_equal_byte_by_byte(built: tuple[ir.Model, Path], tmp_path: Path) -> None:
    model, directory = built
    plan = CpuTarget().plan(model, "int8")
    CpuTarget().build(plan, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["model.so", "golden.onnx", "kernels.txt", "run.py", "signature.json"]
    )
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (directory / path.name).read_bytes(), path.name
    content = (tmp_path / "model.so").read_bytes()
    assert str(tmp_path).encode() not in content
    assert str(Path.home()).encode() not in content


@needs_tvm
def test_loading_again_is_free_and_a_rebuild_is_seen(
    built: tuple[ir.Model, Path], tmp_path: Path
) -> None:
    _, directory = built
    assert runtime.load(directory) is runtime.load(directory)
    g = Golden(1)
    model = g.model(g.table(g.quantize(g.input("x", 8))))
    check(model, tmp_path, {"x": (8,)})
    g = Golden(2)
    model = g.model(g.table(g.quantize(g.input("x", 8), 0.07)))
    check(model, tmp_path, {"x": (8,)})


@needs_tvm
@pytest.mark.parametrize("features", ["x86-64", "x86-64-v3"])
def test_plain_cpus_compute_the_same(features: str, tmp_path: Path) -> None:
    model = conv_net()
    target = CpuTarget.parse(features)
    assert target.spec == f"cpu:{features}"
    target.build(target.plan(model, "int8"), tmp_path)
    compare(model, target.run(tmp_path, image(2)), image(2))


@needs_tvm
@pytest.mark.parametrize("channels", [1, 3, 5, 20])
def test_channels_are_padded_and_flattened_maps_are_not(channels: int, tmp_path: Path) -> None:
    g = Golden(channels)
    x = g.quantize(g.input("x", channels, 6, 7))
    a = g.conv(x, channels, channels, (3, 3), pads=[1, 0, 1, 2])
    b = g.node("MaxPool", a, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], ceil_mode=1)
    flat = g.node("Reshape", b, g.const(np.array([-1, channels * 4 * 7])))
    c = g.requantize(g.matmul(flat, channels * 28, 6), 73 * 73 * np.sqrt(channels * 28))
    check(g.model(g.dequantize(c, zero=np.uint8(120)), c), tmp_path, {"x": (channels, 6, 7)})


@needs_tvm
def test_one_dimensional_convolutions(tmp_path: Path) -> None:
    g = Golden()
    x = g.quantize(g.input("x", 6, 40))
    a = g.conv(x, 6, 12, (5,), stride=2, pads=[2, 1])
    b = g.conv(a, 12, 12, (3,), pads=[2, 2], dilation=2, group=4, finish="requantize")
    c = g.node("MaxPool", b, kernel_shape=[2], strides=[2])
    check(g.model(g.dequantize(c, zero=np.uint8(120))), tmp_path, {"x": (6, 40)})


@needs_tvm
def test_gates_tables_and_moves_in_channels_last(tmp_path: Path) -> None:
    g = Golden(3)
    x = g.quantize(g.input("x", 3, 9, 8))
    a = g.conv(x, 3, 10, (3, 3), pads=[1, 1, 1, 1], finish="channel_table")
    axes = g.const(np.array([2, 3]))
    total = g.actc("IntReduceSum", a, g.const(np.uint8(120)), axes, keepdims=1)
    squeezed = g.requantize(total, 3000.0)
    gate = g.conv(squeezed, 10, 10, (1, 1), finish="table")
    gated = g.mul(a, gate)
    top = g.node("ReduceMax", gated, g.const(np.array([1])), keepdims=1)
    both = g.node("Concat", gated, top, a, axis=1)
    part = g.node(
        "Slice",
        both,
        g.const(np.array([2, 7])),
        g.const(np.array([19, -9])),
        g.const(np.array([1, 3])),
        g.const(np.array([3, -2])),
    )
    table = g.channel_table(part, 6, 2)
    biased = g.add(table, g.const(g.rng.integers(0, 256, (6, 1, 1)).astype(np.uint8)))
    left, right = g.node("Split", biased, g.const(np.array([2, 4])), outputs=2, axis=1)
    model = g.model(g.dequantize(left, zero=np.uint8(120)), right, g.node("Identity", part))
    check(model, tmp_path, {"x": (3, 9, 8)})


@needs_tvm
def test_an_accumulator_with_two_readers(tmp_path: Path) -> None:
    g = Golden(4)
    x = g.quantize(g.input("x", 5))
    acc = g.matmul(x, 5, 7)
    a = g.table(g.requantize(acc, 12000.0, (7,)))
    b = g.requantize(acc, 20000.0, (1, 7))
    model = g.model(g.dequantize(acc, 0.1, np.int32(0)), g.add(a, b))
    check(model, tmp_path, {"x": (5,)}, (1, 64))


@needs_tvm
def test_a_token_mixer_with_normalization_and_softmax(tmp_path: Path) -> None:
    g = Golden(5)
    x = g.quantize(g.input("x", 3, 8, 8))
    patches = g.conv(x, 3, 12, (4, 4), stride=4, finish="requantize")
    merged = g.node("Reshape", patches, g.const(np.array([0, 12, -1])))
    tokens = g.node("Transpose", merged, perm=[0, 2, 1])
    klass = np.concatenate([g.rng.integers(0, 256, (1, 1, 12))]).astype(np.uint8)
    many = g.node("Concat", tokens, g.node("Slice", tokens, *map(g.const, ([0], [1], [1]))), axis=1)
    placed = g.add(many, g.const(np.broadcast_to(klass, (1, 5, 12)).copy()))
    gamma, beta = (g.rng.integers(-900, 900, 12).astype(np.int32) for _ in range(2))
    inputs = (gamma, beta, np.float64(0.37))
    acc = g.actc("IntLayerNorm", placed, *map(g.const, inputs), axis=-1, count=12)
    normal = g.table(g.requantize(acc, 2_000_000.0))
    hidden = g.requantize(g.matmul(normal, 12, 9), 73 * 73 * np.sqrt(12), (1, 1, 9))
    powers = np.round(np.exp(-np.arange(256) * 0.03) * 2**20).astype(np.int32)
    soft = g.quantize(g.actc("IntSoftmax", hidden, g.const(powers), axis=1), 1 / 255, 0)
    split = g.node("Transpose", soft, perm=[0, 2, 1])
    last = g.requantize(g.matmul(split, 5, 4, 3), 30_000.0)
    squeezed = g.node("Unsqueeze", last, g.const(np.array([1])))
    model = g.model(g.node("Squeeze", squeezed, g.const(np.array([1]))), soft)
    check(model, tmp_path, {"x": (3, 8, 8)})


@needs_tvm
def test_embedding_and_a_fixed_batch(tmp_path: Path) -> None:
    g = Golden(6)
    index = g.input("i", 7, dtype=np.int32, batch=2)
    rows = g.actc("IntEmbed", index, g.const(g.rng.integers(0, 256, (9, 10)).astype(np.uint8)))
    axes = g.const(np.array([1]))
    total = g.actc("IntReduceSum", rows, g.const(np.uint8(128)), axes, keepdims=0)
    model = g.model(g.table(g.requantize(total, 300.0)))
    target = CpuTarget()
    target.build(target.plan(model, "int8"), tmp_path)
    feeds = {"i": np.array([[0, 1, 2, 7, 8, 9, -1], [3, 3, 100, -(2**31), 4, 5, 6]], np.int32)}
    compare(model, target.run(tmp_path, feeds), feeds)
    with pytest.raises(UsageError, match="shape"):
        target.run(tmp_path, {"i": feeds["i"][:1]})


# ---- without TVM -------------------------------------------------------------------------


def test_a_plan_is_a_value_and_needs_no_tvm() -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'tvm': raise ModuleNotFoundError(name, name='tvm')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'tvm' else real(n, p)\n"
        "import onnx_ir as ir\n"
        "from pathlib import Path\n"
        "from actc.errors import MissingTool\n"
        "from actc.targets.tvm import CpuTarget\n"
        "target = CpuTarget.parse('')\n"
        "model = ir.load(sys.argv[1])\n"
        "assert target.spec == 'cpu' and target.capabilities().tools\n"
        "assert target.validate(model, 'int8') == []\n"
        "plan = target.plan(model, 'int8')\n"
        "assert plan.digest() == target.plan(model, 'int8').digest()\n"
        "try:\n"
        "    target.build(plan, Path('nowhere'))\n"
        "except MissingTool as error:\n"
        "    print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.onnx"
        ir.save(conv_net(), path)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not (Path(folder) / "nowhere").exists()
    assert done.returncode == 0, done.stderr
    assert "ACT0503" in done.stdout
    assert "pip install 'actc[tvm]'" in done.stdout


def test_what_follows_an_accumulator_is_fused() -> None:
    calls = kernel_plan(conv_net(), "int8").calls
    kinds = [type(call.kernel).__name__ for call in calls]
    assert kinds == [
        "Elementwise",
        *["ConvSpec"] * 4,
        "Elementwise",
        "Reduce",
        "ConvSpec",
        "Elementwise",
    ]
    assert calls[1].kernel.epilogue.kind == "requantize+table"  # type: ignore[union-attr]


def test_the_plan_names_its_files() -> None:
    plan = CpuTarget("znver4").plan(conv_net(), "int8")
    assert plan.target == "cpu:znver4"
    assert sorted(plan.files) == ["golden.onnx", "kernels.txt", "run.py", "signature.json"]
    assert plan.commands[0][0] == "g++"
    signature = json.loads(plan.files["signature.json"])
    assert signature["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": [None, 3, 17, 18]}
    ]
    assert signature["outputs"][0]["shape"] == [None, 10]


def test_all_problems_are_reported_at_once() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 4, 6, 6))
    moved = g.node("Transpose", x, perm=[1, 0, 2, 3])
    odd = g.node("Celu", g.dequantize(x, zero=np.uint8(3)))
    merged = g.node("Reshape", x, g.const(np.array([-1, 9])))
    fine = g.table(x)
    hidden = g.node("Flatten", moved)
    diagnostics = CpuTarget().validate(g.model(odd, merged, fine, hidden), "int8")
    assert [(d.code, d.place.op) for d in diagnostics] == [
        ("ACT0401", "Transpose"),
        ("ACT0401", "Celu"),
        ("ACT0401", "Reshape"),
    ]
    assert all(d.place.node and d.message for d in diagnostics)
    with pytest.raises(ModelError):
        kernel_plan(g.model(odd, merged, fine, hidden), "int8")


def test_a_symbolic_axis_other_than_the_batch_is_refused() -> None:
    g = Golden()
    g.inputs.append(helper.make_tensor_value_info("x", 1, ["n", 3, "h", 8]))
    diagnostics = CpuTarget().validate(g.model(g.quantize("x")), "int8")
    assert [d.code for d in diagnostics] == ["ACT0402"]


def test_an_accumulator_beyond_32_bits_is_refused() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 70_000))
    weight = np.full((70_000, 1), 127, np.int8)
    rest = (weight, np.zeros(1, np.int32), np.uint8(0))
    model = g.model(g.actc("IntMatMul", x, *map(g.const, rest)))
    assert [d.code for d in CpuTarget().validate(model, "int8")] == ["ACT0404"]


@needs_tvm
def test_an_unknown_cpu_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="znver4") as caught:
        CpuTarget.parse("znver44")
    assert caught.value.diagnostics[0].code == "ACT0405"


@needs_tvm
def test_a_missing_or_failing_linker_is_explained(
    built: tuple[ir.Model, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = built
    plan = CpuTarget().plan(model, "int8")
    linker = tmp_path / "linker"
    linker.write_text("#!/bin/sh\necho no room left; exit 3\n")
    linker.chmod(0o755)
    monkeypatch.setenv("ACTC_GXX", str(linker))
    with pytest.raises(ToolFailed, match="no room left"):
        CpuTarget().build(plan, tmp_path / "out")
    assert not (tmp_path / "out" / "model.so").exists()
    monkeypatch.setenv("ACTC_GXX", str(tmp_path / "nothing"))
    with pytest.raises(MissingTool):
        CpuTarget().build(plan, tmp_path / "out")


@needs_tvm
def test_wrong_feeds_are_explained(built: tuple[ir.Model, Path], tmp_path: Path) -> None:
    _, directory = built
    target = CpuTarget()
    good = image(1)["image"]
    for feeds in ({}, {"image": good[0]}, {"image": good.astype(np.float64)}):
        with pytest.raises(UsageError, match="image"):
            target.run(directory, feeds)
    good.flags.writeable = False
    assert target.run(directory, {"image": good[:, :, :, :]})
    with pytest.raises(UsageError, match=r"model\.so"):
        target.run(tmp_path, {"image": good})


def test_views_move_no_element() -> None:
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(400):
        shape = (1, *(int(e) for e in rng.choice([1, 2, 3, 4, 6], int(rng.integers(1, 4)))))
        axes = tuple(int(a) for a in rng.permutation(np.arange(1, len(shape))))
        lanes = padded(shape[axes[-1]]) if rng.random() < 0.6 else shape[axes[-1]]
        tensor = Tensor("x", "uint8", shape, axes, lanes)
        values = np.arange(np.prod(shape)).reshape(shape)
        perm = [0, *(int(a) for a in rng.permutation(np.arange(1, len(shape))))]
        turned = transposed(tensor, "y", perm)
        assert memory(turned, values.transpose(perm)) == memory(tensor, values)
        target = _regrouped(rng, shape)
        view = reshaped(tensor, "y", target)
        if view is not None:
            seen += 1
            assert sorted(view.axes) == list(range(1, len(target)))
            assert memory(view, values.reshape(target)) == memory(tensor, values)
        elif lanes == shape[axes[-1]]:
            assert axes != tuple(range(1, len(shape))), "row-major memory takes any shape"
    assert seen > 100


def _regrouped(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of as many elements: neighbours merged, ones put in."""
    target = [int(shape[1])]
    for extent in shape[2:]:
        if rng.random() < 0.3:
            target[-1] *= int(extent)
        else:
            target.append(int(extent))
    if rng.random() < 0.5:
        target.insert(int(rng.integers(0, len(target) + 1)), 1)
    return (1, *target)


def memory(tensor: Tensor, values: Array) -> list[int]:
    """What lies at each place of one sample; -1 in padding."""
    found = np.full(tensor.size, -1)
    for index in np.ndindex(values.shape):
        place = sum(i * tensor.stride(a) for a, i in enumerate(index) if a)
        found[place] = values[index]
    return [int(v) for v in found]


def test_examine_reports_nothing_on_a_good_model() -> None:
    plan, diagnostics = examine(conv_net(), "int8")
    assert diagnostics == []
    assert "ConvSpec" in plan.text()
