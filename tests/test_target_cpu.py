"""The cpu target: every kernel bit for bit against onnxruntime and the numpy specification."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, conv_net, outputs_of
from installed import needs_tvm

from actc.errors import MissingTool, ToolFailed, UsageError
from actc.ir import spec
from actc.targets.tvm import CpuTarget, runtime

Array = np.ndarray[Any, Any]


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
    del env["ACTC_TVM_RUNTIME"]
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['tvm'] = None\n")
    for arguments, words in ((["in.npz", "o.npz"], "ACTC_TVM_RUNTIME"), ([], "INPUTS.npz")):
        done = subprocess.run(
            [*command[:2], *arguments], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@needs_tvm
def test_two_builds_are_equal_byte_by_byte(built: tuple[ir.Model, Path], tmp_path: Path) -> None:
    model, directory = built
    plan = CpuTarget().plan(model, "int8")
    plan_files = sorted(plan.files)
    CpuTarget().build(plan, tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["cpu.json", "golden.onnx", "kernels.txt", "model.so", *plan_files[2:]]
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
