"""The target cuda: real machine code, its kernels executed on the CPU, and what is refused."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, conv_net, outputs_of
from installed import needs_gpu, needs_nvcc

from actc.errors import MissingTool, ToolFailed, UsageError
from actc.targets.tvm.cuda import CudaTarget, host, runtime, toolkit
from actc.targets.tvm.cuda.host import emulated_kernels
from actc.targets.tvm.cuda.lower import SUPPORTED, kernel_plan
from actc.targets.tvm.cuda.network import plan_arena, sample_bytes
from actc.targets.tvm.cuda.tiling import tiling_of
from actc.targets.tvm.generic.spec import Generic
from actc.targets.tvm.kernels.spec import ConvSpec

Array = np.ndarray[Any, Any]
BOTH = CudaTarget(("sm_80", "sm_90"))


def layers() -> ir.Model:
    """Large enough for tiles: few and many channels, odd ones, padding, strides, epilogues."""
    g = Golden(3)
    x = g.quantize(g.input("x", 16, 9, 11))
    a = g.conv(x, 16, 40, (3, 3), pads=[1] * 4, stride=2)
    b = g.conv(a, 40, 72, (1, 1), finish="channel_table", zero=120)
    c = g.conv(b, 72, 20, (2, 3), pads=[1, 0, 0, 1], finish="requantize")
    odd = g.conv(c, 20, 33, (3, 3), pads=[1] * 4, dilation=2, zero=9)
    sums = g.conv(x, 16, 70, (3, 3), finish="accumulator")
    return g.model(g.dequantize(odd, zero=np.uint8(120)), sums)


def feeds_of(model: ir.Model, batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(batch)
    value = model.graph.inputs[0]
    assert value.shape is not None
    shape = [int(d) for d in value.shape[1:]]  # type: ignore[arg-type]
    return {str(value.name): (3 * rng.normal(size=(batch, *shape))).astype(np.float32)}


def assert_exact(model: ir.Model, run: runtime.Runner, batches: tuple[int, ...]) -> None:
    for batch in batches:
        feeds = feeds_of(model, batch)
        got = run(feeds)
        for name, wanted in outputs_of(model, feeds).items():
            assert np.unique(wanted).size > 2
            assert got[name].dtype == wanted.dtype
            np.testing.assert_array_equal(got[name], wanted)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[ir.Model, Path]:
    directory = tmp_path_factory.mktemp("cuda")
    model = layers()
    BOTH.build(BOTH.plan(model, "int8"), directory)
    return model, directory


def images(library: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Kind, architecture and first bytes of each part of the fat binary in a library."""
    start = library.index(struct.pack("<I", 0xBA55ED50))
    header, size = struct.unpack_from("<HQ", library, start + 6)
    at = start + header
    while at < start + header + size:
        kind, _, own, content = struct.unpack_from("<HHIQ", library, at)
        (number,) = struct.unpack_from("<I", library, at + 28)
        yield {1: "ptx", 2: "machine code"}[kind], number, library[at + own : at + own + 4]
        at += own + content


@needs_nvcc
def test_the_library_holds_machine_code_for_each_architecture(built: tuple[ir.Model, Path]) -> None:
    found = list(images((built[1] / "model.so").read_bytes()))
    code = [(number, magic) for kind, number, magic in found if kind == "machine code"]
    assert code == [(80, b"\x7fELF"), (90, b"\x7fELF")]
    assert [number for kind, number, _ in found if kind == "ptx"] == [90]


@needs_nvcc
def test_tensor_cores_equal_golden(built: tuple[ir.Model, Path]) -> None:
    model, directory = built
    assert "actc_mma_u8s8(" in (directory / "kernels.cu").read_text().split("#endif")[-1]
    # tiles end within a sample, at its end and behind it
    assert_exact(model, runtime.load(directory, emulate=True), (1, 3, 5))


@needs_nvcc
def test_what_kernels_take_is_listed(built: tuple[ir.Model, Path]) -> None:
    rows = json.loads((built[1] / "resources.json").read_text())["kernels"]
    kernels = {row["kernel"] for row in rows}
    for architecture in BOTH.architectures:
        own = {row["kernel"]: row for row in rows if row["architecture"] == architecture}
        assert own.keys() == kernels
        assert all(0 < row["registers"] <= 255 for row in own.values())
        assert max(row["shared"] for row in own.values()) > 20_000
    listed = (built[1] / "kernels.txt").read_text()
    assert all(name in listed for name in kernels)
    found = BOTH.hardware(built[1])
    assert found is not None
    assert any(note.startswith("sm_90: ") for note in found["notes"])
    memory = BOTH.footprint(built[1])
    assert memory is not None
    assert memory["library"] > memory["constants"] > 33 * 20 * 9
    assert memory["workspace"] >= 4 * 72 * 7 * 9


@needs_nvcc
def test_plain_kernels_and_dot_products_equal_golden(tmp_path: Path) -> None:
    for name, model in (("few", conv_net()), ("many", layers())):
        target = CudaTarget(("sm_75",), "dp4a")
        target.build(target.plan(model, "int8"), tmp_path / name)
        text = (tmp_path / name / "kernels.cu").read_text().split("#endif")[-1]
        assert "actc_mma" not in text
        assert_exact(model, runtime.load(tmp_path / name, emulate=True), (1, 4))
    assert "actc_dp4a(" in text


def changed(directory: Path, to: Path, old: str, new: str) -> runtime.Runner:
    """The network with a defect in the kernels that are emulated."""
    to.mkdir()
    for name in ("model.so", "signature.json"):
        (to / name).write_bytes((directory / name).read_bytes())
    head, marker, text = (directory / "kernels.cu").read_text().rpartition("#endif\n")
    assert old in text
    (to / "kernels.cu").write_text(head + marker + text.replace(old, new))
    return runtime.load(to, emulate=True)


@needs_nvcc
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("__syncthreads();", ""),
        pytest.param("2021654528", "2038431744", marks=pytest.mark.slow),
        pytest.param(" >= 0) && (", " >= 1) && (", marks=pytest.mark.slow),
    ],
    ids=["no barriers", "another zero point", "one row less"],
)
def test_a_defect_is_seen(built: tuple[ir.Model, Path], tmp_path: Path, old: str, new: str) -> None:
    model, directory = built
    feeds = feeds_of(model, 2)
    wanted = outputs_of(model, feeds)
    got = changed(directory, tmp_path / "changed", old, new)(feeds)
    assert any(not np.array_equal(got[name], wanted[name]) for name in wanted)


@needs_nvcc
def test_a_barrier_that_some_threads_never_reach_is_an_error(
    built: tuple[ir.Model, Path], tmp_path: Path
) -> None:
    model, directory = built
    half = "if (threadIdx.x < 100 || threadIdx.x > 130) __syncthreads();"
    run = changed(directory, tmp_path / "changed", "__syncthreads();", half)
    with pytest.raises(ToolFailed, match=r"ACT0467.*a barrier that not all threads reach"):
        run(feeds_of(model, 1))


@needs_nvcc
@pytest.mark.parametrize("order", [pytest.param("forwards", marks=pytest.mark.slow), "backwards"])
def test_accesses_are_aligned_and_in_bounds_and_no_thread_races(
    built: tuple[ir.Model, Path], tmp_path: Path, order: str
) -> None:
    """Vectors must be aligned on a GPU; registers, shared memory and shifts have bounds."""
    model, directory = built
    feeds = feeds_of(model, 3)
    np.savez(tmp_path / "in.npz", **feeds)  # type: ignore[arg-type]
    sources = runtime.emulation(directory).parent
    checks = "-fsanitize=alignment,bounds,shift,signed-integer-overflow"
    flags = (*host.EMULATION_FLAGS, checks, "-fsanitize-undefined-trap-on-error")
    driver = tmp_path / "driver.so"
    compiler = ["g++", *flags, "-o", str(driver), "emulator.cpp"]
    subprocess.run(compiler, cwd=sources, check=True, timeout=120)
    environment = {**os.environ, "ACTC_CUDA_DRIVER": str(driver)}
    if order == "backwards":
        environment["ACTC_CUDA_ORDER"] = "backwards"
    command = [sys.executable, str(directory / "run.py"), "in.npz", "out.npz"]
    subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=True)
    got = np.load(tmp_path / "out.npz")
    for name, wanted in outputs_of(model, feeds).items():
        np.testing.assert_array_equal(got[name], wanted)


@needs_nvcc
def test_a_fresh_process_runs_the_example(built: tuple[ir.Model, Path], tmp_path: Path) -> None:
    model, directory = built
    feeds = feeds_of(model, 2)
    np.savez(tmp_path / "in.npz", **feeds)  # type: ignore[arg-type]
    driver = runtime.emulation(directory)
    environment = {**os.environ, "ACTC_CUDA_DRIVER": str(driver)}
    command = [sys.executable, str(directory / "run.py"), "in.npz", "out.npz"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    got = np.load(tmp_path / "out.npz")
    for name, wanted in outputs_of(model, feeds).items():
        np.testing.assert_array_equal(got[name], wanted)
    without = {**environment, "ACTC_CUDA_DRIVER": str(tmp_path / "none.so")}
    failed = subprocess.run(
        command, cwd=tmp_path, env=without, capture_output=True, text=True, timeout=60, check=False
    )
    assert failed.returncode == 1
    assert "no NVIDIA driver" in failed.stderr


@pytest.mark.slow
@needs_nvcc
def test_two_builds_are_equal_byte_by_byte(built: tuple[ir.Model, Path], tmp_path: Path) -> None:
    BOTH.build(BOTH.plan(layers(), "int8"), tmp_path)
    for path in sorted(built[1].iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@needs_nvcc
def test_a_fixed_batch_and_wrong_feeds(tmp_path: Path) -> None:
    g = Golden()
    q = g.quantize(g.input("x", 6, batch=3))
    model = g.model(g.dequantize(g.table(q), zero=np.uint8(120)))
    target = CudaTarget(("sm_80",))
    target.build(target.plan(model, "int8"), tmp_path)
    run = runtime.load(tmp_path, emulate=True)
    assert_exact(model, run, (3,))
    with pytest.raises(UsageError, match="ACT0408"):
        run({"x": np.zeros((2, 6), np.float32)})
    with pytest.raises(UsageError, match="ACT0408"):
        run({"x": np.zeros((3, 6), np.float64)})


@needs_nvcc
def test_the_report_says_how_golden_was_compared() -> None:
    rungs = BOTH.verify(Path(), {"x": np.zeros((5, 1), np.float32)}, {})
    if runtime.gpu_count():
        assert [rung.result for rung in rungs] == ["equal"]
    else:
        assert [rung.result for rung in rungs] == ["equal", "not run"]
        assert "emulated on the CPU" in rungs[0].name
        assert [rung.name for rung in BOTH.recheck(Path())] == ["machine code on a GPU"]


@needs_gpu
@needs_nvcc
def test_machine_code_on_the_gpu_equals_golden(built: tuple[ir.Model, Path]) -> None:
    model, directory = built
    assert_exact(model, runtime.load(directory, emulate=False), (1, 3, 64))


def test_every_supported_kernel_has_a_builder() -> None:
    source = pytest.importorskip("actc.targets.tvm.cuda.source")
    assert source.BUILDERS.keys() | {Generic} == SUPPORTED


def test_architectures_are_checked() -> None:
    assert CudaTarget.parse("").spec == "cuda:sm_80,sm_90"
    assert CudaTarget.parse("sm_90, sm_86,dp4a").spec == "cuda:sm_86,sm_90,dp4a"
    assert CudaTarget.parse("fp16").products == "fp16"
    with pytest.raises(UsageError, match=r"ACT0465.*sm_81") as caught:
        CudaTarget.parse("sm_81")
    assert "did you mean" in str(caught.value)


def test_all_that_is_wrong_behind_the_colon_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        CudaTarget.parse("sm_80,foo,fp16,sm_12,dp4a,foo")
    messages = [d.message for d in caught.value.diagnostics]
    assert [d.code for d in caught.value.diagnostics] == ["ACT0465"] * 3
    assert "'foo'" in messages[0]
    assert "'sm_12'" in messages[1]
    assert "dp4a and fp16" in messages[2]
    assert all(d.help for d in caught.value.diagnostics)


def test_nvcc_is_told_to_round_as_golden_does() -> None:
    command = toolkit.nvcc_command(("sm_80", "sm_90"))
    assert "--fmad=false" in command
    assert not any("fast" in argument for argument in command)
    assert "arch=compute_80,code=[sm_80]" in command
    assert "arch=compute_90,code=[sm_90,compute_90]" in command


def test_a_missing_nvcc_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ACTC_NVCC", "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingTool, match="ACT0466") as caught:
        toolkit.find_nvcc()
    assert "pip install 'actc[cuda]'" in str(caught.value)
    home = tmp_path / "cuda" / "bin"
    home.mkdir(parents=True)
    (home / "nvcc").touch()
    monkeypatch.setenv("CUDA_HOME", str(home.parent))
    assert toolkit.find_nvcc() == home / "nvcc"


@needs_nvcc
def test_generic_kernels_run_with_any_batch(tmp_path: Path) -> None:
    """A scan along an axis, beside a kernel of the GPU's own."""
    from test_target_cpu_float import make

    text = """net (float[n, 4, 5] x) => (float[n, 4, 5] y, float[n, 4, 5] z) {
  y = CumSum (x, axis)
  z = Erf (x)
}"""
    model = make(text, {"axis": np.asarray(2, np.int64)})
    assert CudaTarget().validate(model, "float32") == []
    target = CudaTarget(("sm_80",))
    target.build(target.plan(model, "float32"), tmp_path)
    run = runtime.load(tmp_path, emulate=True)
    for batch in (1, 3, 40):
        x = np.random.default_rng(batch).normal(size=(batch, 4, 5)).astype(np.float32)
        got = run({"x": x})
        np.testing.assert_allclose(got["y"], np.cumsum(x, axis=2), rtol=1e-6, atol=1e-6)
        erf = [math.erf(value) for value in x.ravel().tolist()]
        np.testing.assert_allclose(got["z"].ravel(), erf, rtol=1e-6)
    source = (tmp_path / "kernels.cu").read_text()
    assert "cumsum_" in source


def test_buffers_that_live_together_lie_apart() -> None:
    plan = kernel_plan(conv_net(), "int8")
    arena = plan_arena(plan)
    total, at = arena.sample, arena.at
    assert arena.fixed == 0
    first = {call.output: step for step, call in enumerate(plan.calls)}
    last = dict(first)
    for step, call in enumerate(plan.calls):
        last.update({name: step for name in call.inputs if name in plan.buffers})
    last.update(dict.fromkeys(plan.outputs.values(), len(plan.calls)))
    names = sorted(at)
    for name in names:
        size = sample_bytes(plan.buffers[name])
        assert at[name] % 256 == 0
        assert at[name] + size <= total
        for other in names:
            apart = first.get(name, -1) > last[other] or first.get(other, -1) > last[name]
            if other != name and not apart:
                end = at[other] + sample_bytes(plan.buffers[other])
                assert at[name] + size <= at[other] or end <= at[name]
    assert total < sum(sample_bytes(buffer) for buffer in plan.buffers.values())


def test_small_products_keep_the_plain_kernel() -> None:
    def spec(channels: int, outputs: int, group: int = 1) -> ConvSpec:
        from actc.targets.tvm.kernels.spec import Epilogue

        epilogue = Epilogue("accumulator")
        return ConvSpec(
            None, 8, 8, channels, outputs, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), group, 3, epilogue
        )

    assert tiling_of(spec(12, 64), "dp4a") is None
    assert tiling_of(spec(64, 64, 64), "dp4a") is None
    tiling = tiling_of(spec(100, 100), "mma.u8s8")
    assert tiling is not None
    assert (tiling.words, tiling.columns, tiling.steps) == (25, 2, 2)
    assert (tiling.pixels, tiling.channels) == (128, 64)
    assert not tiling.wide


def test_kernels_are_called_with_their_types() -> None:
    text = (
        'extern "C" __global__ void __launch_bounds__(256) a_kernel(int* __restrict__ x, int n);\n'
        'extern "C" __global__ void __launch_bounds__(256) a_kernel(int* __restrict__ x, int n) {\n'
        "  __syncthreads();\n}\n"
        'extern "C" __global__ void __launch_bounds__(256) b_kernel(uchar* __restrict__ y) {\n}\n'
    )
    found = emulated_kernels(text)
    assert "a_kernel(*(int**)p[0], *(int*)p[1]);" in found
    assert '{"a_kernel", call_a_kernel, true, 2}' in found
    assert '{"b_kernel", call_b_kernel, false, 1}' in found


@needs_nvcc
def test_half_precision_rounds_operands_and_sums_in_float32(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from test_target_cpu_float import make, random

    text = """net (float[n, 15, 9, 11] x) => (float[n, 40, 5, 6] y) {
  y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
}"""
    weight, bias = random(40, 15, 3, 3), random(40, seed=1)
    model = make(text, {"w": weight, "b": bias})
    target = CudaTarget.parse("sm_80,fp16")
    assert target.float_tolerance > CudaTarget().float_tolerance
    target.build(target.plan(model, "float32"), tmp_path)
    assert "actc_mma_f16(" in (tmp_path / "kernels.cu").read_text().split("#endif")[-1]
    feeds = feeds_of(model, 3)
    (got,) = runtime.load(tmp_path, emulate=True)(feeds).values()
    rounded = make(text, {"w": weight.astype(np.float16).astype(np.float32), "b": bias})
    session = onnxruntime.InferenceSession(
        ir.serde.serialize_model(rounded).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (wanted,) = session.run(None, {"x": feeds["x"].astype(np.float16).astype(np.float32)})
    scale = float(np.sqrt(np.mean(np.square(wanted))))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6 * scale)
