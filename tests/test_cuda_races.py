"""The emulation of the target cuda that looks for races: what it finds, and that kernels have none.

Kernels run with their threads and blocks forwards, backwards and shuffled: outputs are equal bit
for bit, and no two threads meet in a byte without a barrier.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import conv_net, outputs_of
from installed import needs_nvcc
from test_target_cpu_float import make
from test_target_cuda import feeds_of, layers

from actc.errors import ToolFailed
from actc.targets.tvm.cuda import CudaTarget, runtime

Array = np.ndarray[Any, Any]
ORDERS = ("forwards", "backwards", "7")

pytestmark = needs_nvcc


def generic_net() -> ir.Model:
    """Kernels of several launches, of one thread, and with memory that launches share."""
    text = """net (float[n, 4, 5] x) => (float[n, 4, 5] y, float[n, 4, 2] z, float[n, 4, 5] s) {
  y = CumSum (x, axis)
  z, i = TopK (x, count)
  s = ScatterElements <axis = 1> (x, where, what)
}"""
    constants: dict[str, Array] = {
        "axis": np.asarray(2, np.int64),
        "count": np.asarray([2], np.int64),
        "where": np.asarray([[[3, 1, 2, 0, 1]]], np.int64),
        "what": np.asarray([[[9, 8, 7, 6, 5]]], np.float32),
    }
    return make(text, constants)


def built(model: ir.Model, folder: Path, precision: str = "int8", target: str = "sm_80") -> Path:
    machine = CudaTarget.parse(target)
    machine.build(machine.plan(model, precision), folder)
    return folder


def outputs(
    directory: Path, driver: Path, feeds: dict[str, Array], order: str, patch: pytest.MonkeyPatch
) -> dict[str, Array]:
    patch.setenv("ACTC_CUDA_ORDER", order)
    return runtime.Network(directory / "model.so", str(driver))(feeds)


def planted(directory: Path, old: str, new: str, which: int = 0) -> None:
    """Put a defect into the kernels that are emulated, at one place where `old` stands."""
    path = directory / runtime.KERNELS
    head, marker, text = path.read_text().rpartition("#endif\n")
    parts = text.split(old)
    assert len(parts) > which + 1
    start, rest = old.join(parts[: which + 1]), old.join(parts[which + 1 :])
    path.write_text(f"{head}{marker}{start}{new}{rest}")


MODELS: dict[str, tuple[Callable[[], ir.Model], str, str]] = {
    "tensor cores": (layers, "int8", "sm_80"),
    "generic kernels": (generic_net, "float32", "sm_80"),
}
MORE: dict[str, tuple[Callable[[], ir.Model], str, str]] = {
    "dot products": (layers, "int8", "sm_75"),
    "small": (conv_net, "int8", "sm_80"),
}


def assert_no_races(
    made: tuple[Callable[[], ir.Model], str, str], folder: Path, patch: pytest.MonkeyPatch
) -> None:
    model, precision, target = made[0](), *made[1:]
    directory = built(model, folder / "built", precision, target)
    driver = runtime.checked_emulation(directory, folder / "checked")
    feeds = feeds_of(model, 3)
    wanted = outputs_of(model, feeds) if precision == "int8" else None
    for order in ORDERS:
        got = outputs(directory, driver, feeds, order, patch)
        wanted = got if wanted is None else wanted
        for name, array in wanted.items():
            np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("name", MODELS)
def test_any_order_gives_the_same_and_no_thread_races(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_no_races(MODELS[name], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_more_kernels_have_no_races(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_no_races(MORE[name], tmp_path, monkeypatch)


DEFECTS = {
    "a barrier is missing in front of the first tile": (
        "__syncthreads();", "", r"in shared memory: kernel conv_\d+_kernel, thread",
    ),
    "a vector begins between two": (
        "*(int4*)(_ptr + (", "*(int4*)(1 + _ptr + (", "a misaligned access in shared memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = built(layers(), tmp_path / "built")
    planted(directory, *DEFECTS[name][:2])
    driver = runtime.checked_emulation(directory, tmp_path / "checked")
    with pytest.raises(ToolFailed, match=DEFECTS[name][2]):
        outputs(directory, driver, feeds_of(layers(), 1), "forwards", monkeypatch)


@pytest.mark.slow
def test_every_missing_barrier_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = built(layers(), tmp_path / "built")
    text = (directory / runtime.KERNELS).read_text()
    feeds = feeds_of(layers(), 1)
    count = text.rpartition("#endif\n")[2].count("__syncthreads();")
    assert count
    for which in range(count):
        (directory / runtime.KERNELS).write_text(text)
        planted(directory, "__syncthreads();", "", which)
        driver = runtime.checked_emulation(directory, tmp_path / f"checked{which}")
        with pytest.raises(ToolFailed, match="in shared memory"):
            outputs(directory, driver, feeds, "forwards", monkeypatch)


GENERIC_DEFECTS = {
    "all threads write one element": ("out_ptr[", "out_ptr[0 * ", "two writes in global memory"),
    "one thread too many": (" < ((int64_t)4 * ((int64_t)n))", " < (1 + (int64_t)4 * ((int64_t)n))",
                            "an access beyond the kernel's buffers in global memory"),
}  # fmt: skip


@pytest.mark.parametrize("name", GENERIC_DEFECTS)
def test_defects_in_global_memory_are_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = generic_net()
    directory = built(model, tmp_path / "built", "float32")
    old, new, message = GENERIC_DEFECTS[name]
    planted(directory, old, new)
    driver = runtime.checked_emulation(directory, tmp_path / "checked")
    with pytest.raises(ToolFailed, match=message):
        outputs(directory, driver, feeds_of(model, 2), "forwards", monkeypatch)


def test_the_checker_compiles_without_warnings(tmp_path: Path) -> None:
    from actc.targets.tvm.cuda.host import TEMPLATES

    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-c", "checker.cpp"]
    subprocess.run([*command, "-o", str(tmp_path / "c.o")], cwd=TEMPLATES, check=True, timeout=60)


@pytest.mark.slow
def test_tiles_have_no_races(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Depthwise convolutions by strips and products of activations by tiles, watched."""
    import test_cuda_tiles as tiles

    def watched(directory: Path) -> Path:
        return runtime.checked_emulation(directory, tmp_path / f"checked-{directory.name}")

    monkeypatch.setattr(runtime, "emulation", watched)
    for name in ("strips", "products"):
        (tmp_path / name).mkdir()
    tiles.test_depthwise_convolutions_equal_golden(tmp_path / "strips")
    tiles.test_products_of_codes_equal_golden("sm_80", tmp_path / "products")
    assert list(tmp_path.glob("checked-*/driver.so"))
