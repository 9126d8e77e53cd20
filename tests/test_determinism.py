"""The same model gives the same bytes, whatever surrounds the compilation: every target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from determinism import (
    PLAIN,
    STRANGE,
    compile_twice,
    declared,
    difference,
    first_byte,
    predictions,
)
from installed import needs_gcc, needs_gxx, needs_iverilog, needs_nvcc, needs_tvm, needs_yosys
from small_models import make_data, make_model

from actc.numerics.blas import one_thread

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SAMPLES = 40


@dataclass(frozen=True)
class Case:
    """A compilation: options of `actc compile`, and an example; "" is a small model of ours."""

    options: str
    model: str = ""
    data: str = ""

    def inputs(self, folder: Path) -> tuple[Path, Path]:
        if not self.model:
            return make_model(folder / "small.onnx"), make_data(folder / "data.npz")
        with np.load(EXAMPLES / self.data) as content:
            arrays = {name: content[name][:SAMPLES] for name in content.files}
        return EXAMPLES / self.model, make_data(folder / "data.npz", **arrays)


DIGITS = ("digits/cnn.onnx", "digits/digits.npz")
FEW_BITS = "--weights 3 --activations 4"
FAST = {
    # Weights of few bits are rounded by linear algebra in float64.
    "onnx": Case("--target onnx --weights 4 --activations mixed", *DIGITS),
    "c": Case("--target c"),
}
SLOW = {
    "qonnx": (Case("--target onnx:qonnx"), []),
    "cpu": (Case("--target cpu", *DIGITS), [needs_tvm]),
    "cpu float32": (Case("--target cpu --precision float32", *DIGITS), [needs_tvm]),
    "cuda": (Case("--target cuda:sm_80"), [needs_nvcc]),
    **{
        f"hls4ml {backend}": (Case(f"--target hls4ml:backend={backend}"), [needs_gxx])
        for backend in ("vitis", "vivado", "quartus", "oneapi", "catapult")
    },
    "bnn-hls": (
        Case("--target bnn-hls", "mnist_bnn/mnist_bnn_small.onnx", "folded/mnist_mlp.npz"),
        [needs_gxx],
    ),
    "verilog": (Case(f"--target verilog {FEW_BITS}"), [needs_yosys, needs_iverilog]),
    "ecp5": (Case(f"--target ecp5-25k {FEW_BITS}"), [needs_yosys, needs_iverilog]),
    "ice40": (Case(f"--target ice40-hx8k {FEW_BITS}"), [needs_yosys, needs_iverilog]),
}


def require_same(folder: Path, case: Case) -> None:
    inputs = folder / "inputs"
    inputs.mkdir()
    model, data = case.inputs(inputs)
    runs = folder / "runs"
    runs.mkdir()
    one, two = compile_twice(runs, model, data, case.options.split())
    allowed = declared(one)
    assert set(allowed) <= {"timings.js", "logs"}, "what may differ is one file, and logs of tools"
    assert difference(one, two, allowed) == ""
    assert difference(predictions(one), predictions(two)) == ""
    assert "timings.js" in difference(one, two, set(allowed) - {"timings.js"})


@pytest.mark.parametrize("name", [pytest.param("onnx"), pytest.param("c", marks=needs_gcc)])
def test_the_same_bytes(name: str, tmp_path: Path) -> None:
    require_same(tmp_path, FAST[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=marks, id=name) for name, (case, marks) in SLOW.items()]
)
def test_the_same_bytes_of_what_tools_make(case: Case, tmp_path: Path) -> None:
    require_same(tmp_path, case)


def test_a_fit_and_what_it_emits(tmp_path: Path) -> None:
    """Beside each other, and without a cache that one could take from the other."""
    options = ["--input", "s6.3", "--output", "s6.3", "--device", "ice40", "--emit", "verilog"]
    command = [sys.executable, "-m", "actc", "fit", "x*sigmoid(x)", *options, "-o", "unit.v"]
    running = []
    for where in (PLAIN, STRANGE):
        (tmp_path / where.folder).mkdir()
        running.append(
            subprocess.Popen(
                [*command, "--json", "--no-cache"],
                cwd=tmp_path / where.folder,
                env={**os.environ, **where.variables},
                stdout=subprocess.PIPE,
            )
        )
    one, two = (
        # how long it and each form took is printed, not written
        json.loads(
            printed, object_hook=lambda entry: {k: entry[k] for k in entry if k != "seconds"}
        )
        for printed, _ in [process.communicate(timeout=120) for process in running]
    )
    assert [process.returncode for process in running] == [0, 0]
    assert one["certificate"]
    assert json.dumps(one) == json.dumps(two)
    assert difference(tmp_path / PLAIN.folder, tmp_path / STRANGE.folder) == ""


def spoil(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (
        spoil("deep/net.bin", lambda content: content[:70] + b"\x01" + content[71:]),
        "deep/net.bin: byte 70 of 100 and 100",
    ),
    "shorter": (spoil("report.json", lambda content: content[:-1]), "report.json: byte 1 of 2"),
    "missing": (lambda folder: (folder / "report.json").unlink(), "only in one of them: report."),
    "more": (lambda folder: (folder / "deep/tmp1").touch(), "only in one of them: deep/tmp1"),
    "allowed": (spoil("timings.js", lambda content: content + b"2"), ""),
    "allowed folder": (lambda folder: (folder / "deep/logs/more.txt").touch(), ""),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_difference_is_found(name: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "deep" / "logs").mkdir(parents=True)
        (folder / "deep" / "net.bin").write_bytes(bytes(100))
        (folder / "report.json").write_text("{}")
        (folder / "timings.js").write_text("1")
    allowed = ["timings.js", "logs"]
    assert difference(one, two, allowed) == ""
    defect, expected = DEFECTS[name]
    defect(two)
    found = difference(one, two, allowed)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_the_first_byte_is_named() -> None:
    assert first_byte(b"same", b"same") == ""
    assert first_byte(b"abcd", b"abXd").startswith("byte 2 of 4 and 4")


def test_linear_algebra_keeps_to_one_thread_within_and_has_its_threads_back() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads() -> set[int]:
        return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}

    import scipy.linalg  # noqa: F401

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before


def test_files_are_listed_backwards_in_the_other_surroundings(tmp_path: Path) -> None:
    """What the comparison rests on is really different there."""
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    script = (
        "import determinism, os, pathlib; determinism._backwards();"
        "print(os.listdir('.'), [p.name for p in pathlib.Path('.').iterdir()],"
        "[e.name for e in os.scandir('.')], [p.name for p in pathlib.Path('.').glob('*')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[0] == " ".join(["['c', 'b', 'a']"] * 4), done.stderr
