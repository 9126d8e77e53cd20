"""What the target cpu leaves behind: examples, object files, other machines, sizes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from command_line import CommandLine
from golden_models import Golden, conv_net, outputs_of
from installed import needs_aarch64, needs_gcc, needs_tvm
from sealed import sealed

import actc
from actc.errors import ToolFailed, UsageError
from actc.targets.tvm import CpuTarget, emulator, runtime
from actc.targets.tvm.host import host_arch

Array = np.ndarray[Any, Any]
ARM_RUNTIME = emulator.runtime_variable("aarch64")
needs_arm_runtime = pytest.mark.skipif(
    emulator.runtime_folders("aarch64") is None,
    reason=f"{ARM_RUNTIME} names no folder with TVM's runtime for 64-bit Arm (docs/cpu.md)",
)


def several() -> ir.Model:
    """Two inputs of different types and two outputs of different types."""
    g = Golden(4)
    x, y = g.quantize(g.input("x", 6, 5, 5)), g.input('it\'s a "name"\n', 8, dtype=np.uint8)
    a = g.conv(x, 6, 8, (3, 3), pads=[1, 1, 1, 1])
    return g.model(g.dequantize(a, zero=np.uint8(120)), g.table(y))


def feeds_of(batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(batch)
    return {
        "x": (rng.normal(size=(batch, 6, 5, 5)) * 3).astype(np.float32),
        'it\'s a "name"\n': rng.integers(0, 256, (batch, 8)).astype(np.uint8),
    }


def build(option: str, directory: Path, model: ir.Model | None = None) -> CpuTarget:
    target = CpuTarget.parse(option)
    target.build(target.plan(model or several(), "int8"), directory)
    return target


def require_equal(got: dict[str, Array], feeds: dict[str, Array], model: ir.Model) -> None:
    wanted = outputs_of(model, feeds)
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """run.cpp, compiled as its comment says."""
    directory = tmp_path_factory.mktemp("cpu")
    build("", directory)
    ffi = Path(pytest.importorskip("tvm_ffi").__file__).parent
    runtimes = [str(ffi / "lib"), str(runtime.runtime_library().parent)]
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "run.cpp", "-o", "run"]
    command += [f"-isystem{ffi / 'include'}", *(f"-L{folder}" for folder in runtimes)]
    command += ["-Wl,--no-as-needed", "-ltvm_ffi", "-ltvm_runtime"]
    command += [f"-Wl,-rpath,{':'.join(runtimes)}"]
    subprocess.run(command, cwd=directory, check=True, timeout=300)
    return directory / "run"


def arguments(folder: Path, feeds: dict[str, Array]) -> list[str]:
    paths = [folder / f"in{i}.npy" for i in range(len(feeds))]
    for path, array in zip(paths, feeds.values(), strict=True):
        np.save(path, array)
    return [str(path) for path in (*paths, folder / "out0.npy", folder / "out1.npy")]


@needs_tvm
def test_the_example_in_cpp_equals_golden(program: Path, tmp_path: Path) -> None:
    for batch in (1, 3):
        feeds = feeds_of(batch)
        subprocess.run([program, *arguments(tmp_path, feeds)], check=True, timeout=60)
        outputs = [np.load(tmp_path / f"out{i}.npy") for i in range(2)]
        wanted = outputs_of(several(), feeds)
        for found, array in zip(outputs, wanted.values(), strict=True):
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


@needs_tvm
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.float64), "does not hold elements of type <f4"),
        (lambda a: np.asfortranarray(a), "is in Fortran order"),
        (lambda a: a[:, :5], "ismatch"),
        (lambda a: a[0], "expect Tensor with ndim 4"),
    ],
)
def test_the_example_in_cpp_refuses_other_arrays(
    change: Any, message: str, program: Path, tmp_path: Path
) -> None:
    feeds = feeds_of(2)
    feeds["x"] = change(feeds["x"])
    done = subprocess.run(
        [program, *arguments(tmp_path, feeds)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert message in done.stderr


@needs_tvm
def test_the_example_in_cpp_refuses_broken_files(program: Path, tmp_path: Path) -> None:
    argv = arguments(tmp_path, feeds_of(1))
    whole = Path(argv[0]).read_bytes()
    for content in (b"", b"PK\x03\x04" + whole, whole[:9], whole[:60], whole[:-1]):
        Path(argv[0]).write_bytes(content)
        done = subprocess.run([program, *argv], check=False, capture_output=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr


@needs_tvm
@needs_gcc
def test_object_files_equal_golden_without_tvm_s_runtime(tmp_path: Path) -> None:
    target = build("objects", tmp_path)
    assert target.spec.endswith(",objects")
    require_equal(target.run(tmp_path, feeds_of(5)), feeds_of(5), several())
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-c"]
    for name in ("network.c", "main.c"):
        subprocess.run(["gcc", *strict, name, "-o", "/dev/null"], cwd=tmp_path, check=True)
    needed = subprocess.run(
        ["nm", "-u", "kernels.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {n for n in needed if n != "U"} <= {
        *("TVMFFIErrorSetRaisedFromCStrParts", "memcpy", "memset", "memmove")
    }


@needs_tvm
@needs_gcc
def test_object_files_say_when_memory_is_short(tmp_path: Path) -> None:
    target = build("objects", tmp_path, conv_net())
    source = (tmp_path / "network.c").read_text("utf-8")
    start = source.index("scratch[") + len("scratch[")
    end = source.index("]", start)
    (tmp_path / "network.c").write_text(f"{source[:start]}4096{source[end:]}", "utf-8")
    with pytest.raises(ToolFailed) as caught:
        target.run(tmp_path, {"image": np.zeros((1, 3, 17, 18), np.float32)})
    assert "memory" in str(caught.value)


@needs_tvm
def test_running_takes_no_more_memory_each_time(tmp_path: Path) -> None:
    run = CpuTarget().load(tmp_path) if build("", tmp_path, conv_net()) else None
    assert run is not None
    feeds = {"image": np.zeros((1, 3, 17, 18), np.float32)}

    def after(calls: int) -> int:
        for _ in range(calls):
            run(feeds)
        return int(Path("/proc/self/statm").read_text("ascii").split()[1])

    before = after(1000)
    more = after(2000) - before
    assert more < 200, f"{more} pages: a block of scratch memory is lost in each call"


@needs_tvm
@needs_aarch64
@needs_arm_runtime
def test_a_library_for_arm_equals_golden(tmp_path: Path) -> None:
    target = build("cortex-a76", tmp_path)
    assert target.not_run(tmp_path) == ""
    require_equal(target.run(tmp_path, feeds_of(3)), feeds_of(3), several())


def digits(root: Path) -> dict[str, Any]:
    with np.load(root / "examples/digits/digits_mlp.npz") as data:
        return {name: data[name][:40] for name in data.files}


@needs_tvm
@needs_aarch64
def test_what_was_not_executed_is_not_said_to_be_equal(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ARM_RUNTIME, raising=False)
    out = tmp_path / "arm"
    model = root / "examples/digits/mlp.onnx"
    made = actc.compile(model, "cpu:cortex-a72", data=digits(root), output=out)
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["bit_exact"] is None
    assert report["samples"] == 0
    assert report["accuracy"]["artifact"] is None
    assert report["accuracy"]["golden"] is not None
    assert [(rung["name"], rung["result"]) for rung in report["rungs"]] == [("artifact", "not run")]
    (warning,) = (d for d in report["diagnostics"] if d["code"] == "ACT0479")
    assert ARM_RUNTIME in warning["message"]
    assert set(report["footprint"]) == {"library", "constants", "workspace"}
    assert report["footprint"]["library"] == (out / "model.so").stat().st_size
    checked = actc.check(out, digits(root))
    assert checked["bit_exact"] is None
    assert [d["code"] for d in checked["diagnostics"]] == ["ACT0479"]
    with pytest.raises(UsageError) as caught:
        made.run(np.zeros((1, 64), np.float32))
    assert caught.value.diagnostics[0].code == "ACT0480"


@needs_tvm
@needs_aarch64
def test_what_was_emulated_is_said_to_be(root: Path, tmp_path: Path, actc_cli: CommandLine) -> None:
    model, data = root / "examples/digits/mlp.onnx", tmp_path / "data.npz"
    np.savez(data, **digits(root))
    target = "cpu:aarch64:cortex-a72,objects"
    done = actc_cli("compile", model, "--target", target, "--data", data, "-o", "out")
    assert done.status == 0
    assert "run by qemu-aarch64 -cpu cortex-a72, not on a machine of its own" in done.stdout
    assert "equals golden bit for bit on 40 of 40 samples" in done.stdout
    assert "workspace" in done.stdout
    golden = onnx.load(actc_cli.directory / "out" / "golden.onnx")
    assert golden.graph.node
    checked = actc_cli("check", "out", "--data", data)
    assert re.search(
        r"artifact, emulated +equal +run by qemu-aarch64 -cpu cortex-a72", checked.stdout
    )


@needs_tvm
@needs_aarch64
def test_emulated_floats_are_said_to_be(root: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "out", "cpu:aarch64:cortex-a72,objects"
    model = root / "examples/digits/mlp.onnx"
    made = actc.compile(model, target, data=digits(root), precision="float32", output=out)
    (rung,) = made.report["rungs"]
    assert (rung["name"], rung["result"]) == ("artifact, emulated", "within tolerance")
    assert rung["detail"].startswith("run by qemu-aarch64 -cpu cortex-a72")
    assert actc.check(out, digits(root))["rungs"] == [rung]
    text = (out / "network.c").read_text("utf-8")
    start = text.index("constants[] = {") + len("constants[] = {\n")
    (out / "network.c").write_text(f"{text[:start]}99,99,99,99,{text[start:]}", "utf-8")
    sealed(out)
    checked = actc.check(out, digits(root))
    assert [rung["result"] for rung in checked["rungs"]] == ["differs"]
    assert "ACT0602" in [d["code"] for d in checked["diagnostics"]]


@needs_tvm
def test_a_cpu_that_has_more_than_this_machine(tmp_path: Path) -> None:
    target = build("", tmp_path)
    found = json.loads((tmp_path / "cpu.json").read_text("utf-8"))
    assert found["architecture"] == host_arch()
    found["features"].append("xop" if host_arch() == "x86_64" else "sve2p1")
    (tmp_path / "cpu.json").write_text(json.dumps(found), "utf-8")
    assert target.not_run(tmp_path).startswith("this machine's CPU lacks ")
    with pytest.raises(UsageError, match="ACT0480"):
        target.load(tmp_path)


@needs_tvm
@pytest.mark.parametrize(
    ("option", "machine", "name"),
    [
        ("cortex-m0", "ARM", "cortex-m0"),
        ("cortex-m4", "ARM", "cortex-m4"),
        ("cortex-m7", "ARM", "cortex-m7"),
        ("thumb:cortex-m55", "ARM", "cortex-m55"),
        ("riscv64:sifive-u74,objects", "RISC-V", "sifive-u74"),
        ("arm:cortex-a53,objects", "ARM", "cortex-a53"),
    ],
)
def test_objects_for_cpus_without_an_operating_system(
    option: str, machine: str, name: str, tmp_path: Path
) -> None:
    target = build(option, tmp_path)
    assert target.objects
    assert target.spec.endswith(",objects")
    header = (tmp_path / "kernels.o").read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert {40: "ARM", 243: "RISC-V"}[header[18]] == machine
    assert json.loads((tmp_path / "cpu.json").read_text("utf-8"))["cpu"] == name
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler and "cortex-m" in name:
        flags = ["-std=c99", f"-mcpu={name}", "-mthumb", "-Os", "-c", "network.c"]
        subprocess.run([compiler, *flags, "-o", "/dev/null"], cwd=tmp_path, check=True)


@needs_tvm
@pytest.mark.parametrize(
    ("option", "code", "hint"),
    [
        ("cortex-a77x", "ACT0405", "cortex-a77"),
        ("aarch46:cortex-a76", "ACT0405", "aarch64"),
        ("aarch64:haswell", "ACT0405", "architecture"),
        ("haswell,znver4", "ACT0481", "one CPU"),
        ("objects,objects", "ACT0481", "objects"),
    ],
)
def test_wrong_cpus_are_refused_with_a_hint(option: str, code: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        CpuTarget.parse(option)
    assert caught.value.diagnostics[0].code == code
    assert hint in caught.value.diagnostics[0].help


@needs_tvm
def test_names_of_cpus_find_their_architecture() -> None:
    found = {name: CpuTarget.parse(name).cpu().arch for name in ("haswell", "cortex-a76")}
    assert found == {"haswell": "x86_64", "cortex-a76": "aarch64"}
    for name in ("apple-m1", "neoverse-v1", "neoverse-n1", "cortex-a53", "cortex-a72"):
        assert CpuTarget.parse(name).cpu().arch == "aarch64"
    assert CpuTarget.parse("generic").cpu().arch == host_arch()
    assert CpuTarget.parse("cortex-m7").spec == "cpu:cortex-m7,objects"


@needs_tvm
def test_a_missing_cross_compiler_is_one_clear_sentence(
    tmp_path: Path, actc_cli: CommandLine, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.delenv("ACTC_AARCH64_LINUX_GNU_GXX", raising=False)
    done = actc_cli("compile", model, "--target", "cpu:cortex-a76", "-o", "out")
    assert done.status == 4
    assert "the tool aarch64-linux-gnu-g++ is not on PATH" in done.stderr
    assert "apt install g++-aarch64-linux-gnu" in done.stderr


@needs_tvm
def test_object_files_take_samples(tmp_path: Path) -> None:
    g = Golden()
    g.inputs.append(onnx.helper.make_tensor_value_info("x", 1, []))
    model = g.model(g.node("Relu", "x"))
    codes = [d.code for d in CpuTarget.parse("objects").validate(model, "float32")]
    assert "ACT0484" in codes
