"""Object files for Cortex-M, executed on QEMU's boards, and what they need of a library."""

from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_networks import NETWORKS
from golden_models import outputs_of
from installed import needs_cortex_m, needs_gcc, needs_tvm

from actc import toolchain
from actc.targets.cortex_m.board import core_for
from actc.targets.tvm import CpuTarget
from actc.targets.tvm.files import template

Array = np.ndarray[Any, Any]
LIBGCC = ("__aeabi_", "__add", "__sub", "__mul", "__div", "__fix", "__float", "__gt", "__lt")
"""How the names of the compiler's arithmetic begin, with ``__trunc``."""
OWN = {"TVMFFIErrorSetRaisedFromCStrParts", "nearbyintf", "nearbyint", "floor", "sqrt"}
"""What network.c defines."""


def build(name: str, mcpu: str, folder: Path) -> tuple[CpuTarget, dict[str, Array]]:
    """The target, and three samples."""
    network, target = NETWORKS[name](), CpuTarget.parse(mcpu)
    target.build(target.plan(network.model, "int8"), folder)
    return target, network.feeds(3)


@needs_tvm
@needs_cortex_m
@pytest.mark.parametrize(
    ("mcpu", "name"),
    [
        ("cortex-m0", "attention"),
        ("cortex-m4", "attention"),
        ("cortex-m7", "convolutions"),
        ("cortex-m33", "signs"),
        ("cortex-m55", "gates"),
    ],
)
def test_objects_equal_golden_on_a_board(mcpu: str, name: str, tmp_path: Path) -> None:
    target, feeds = build(name, mcpu, tmp_path)
    assert target.not_run(tmp_path) == ""
    core = core_for(mcpu)
    assert core is not None
    assert f"-M {core.board.name}, a {core.title}, not" in target.emulation(tmp_path)
    got, wanted = target.run(tmp_path, feeds), outputs_of(NETWORKS[name]().model, feeds)
    for output, array in wanted.items():
        assert got[output].dtype == array.dtype
        np.testing.assert_array_equal(got[output], array)
    log = toolchain.run(["arm-none-eabi-nm", "-u", "kernels.o"], timeout=60, cwd=tmp_path).output
    needed = {word for word in log.split() if word != "U"}
    assert {n for n in needed if not n.startswith((*LIBGCC, "__trunc"))} <= {
        *OWN, "memcpy", "memset", "memmove",
    }  # fmt: skip


@needs_tvm
@needs_cortex_m
def test_a_board_can_differ(tmp_path: Path) -> None:
    target, feeds = build("convolutions", "cortex-m7", tmp_path)
    source = (tmp_path / "network.c").read_text("utf-8")
    start = source.index("constants[] = {") + len("constants[] = {\n")
    end = source.index("};", start)
    wrong = ",".join(str(int(v) ^ 64) for v in source[start:end].split(","))
    (tmp_path / "network.c").write_text(source[:start] + wrong + source[end:], "utf-8")
    got, wanted = target.run(tmp_path, feeds), outputs_of(NETWORKS["convolutions"]().model, feeds)
    assert any(not np.array_equal(got[name], array) for name, array in wanted.items())


@needs_tvm
@needs_cortex_m
def test_what_no_board_runs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = build("comparisons", "cortex-m7", tmp_path)
    facts = json.loads((tmp_path / "cpu.json").read_text("utf-8"))

    def reason(**changes: Any) -> str:
        (tmp_path / "cpu.json").write_text(json.dumps({**facts, **changes}), "utf-8")
        return target.not_run(tmp_path)

    assert reason() == ""
    assert "no board with a core that runs code for cortex-r5" in reason(cpu="cortex-r5")
    large = {**facts["bytes"], "workspace": 4 << 20}
    assert "does not fit the flash or memory of mps2-an500" in reason(bytes=large)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no qemu-system-arm, no arm-none-eabi-gcc" in reason()


@needs_tvm
def test_the_header_names_the_core(tmp_path: Path) -> None:
    build("comparisons", "cortex-m33", tmp_path)
    header = (tmp_path / "network.h").read_text("utf-8")
    assert "arm-none-eabi-gcc -std=c99 -O1 -mthumb -mcpu=cortex-m33 network.c main.c" in header


@pytest.fixture(scope="module")
def mathematics(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """network.c's functions of mathematics, for this machine."""
    folder = tmp_path_factory.mktemp("math")
    (folder / "math.c").write_text(f"#include <stdint.h>\n{template('math.c.in')}", "utf-8")
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "math.c", "-o", "math.so"], cwd=folder, check=True, timeout=60)
    return ctypes.CDLL(str(folder / "math.so"))


def numbers(dtype: type[np.floating[Any]]) -> Array:
    """Numbers of all sizes, halves, and what is none."""
    bits = np.uint32 if dtype is np.float32 else np.uint64
    rng = np.random.default_rng(0)
    any_bits = rng.integers(0, np.iinfo(bits).max, 4000, dtype=bits).view(dtype)
    sized = rng.normal(size=4000) * 10.0 ** rng.integers(-3, 18, 4000)
    least, below = np.finfo(dtype).smallest_subnormal, np.nextafter(dtype(0.5), dtype(0))
    odd = [0.0, -0.0, np.inf, -np.inf, np.nan, least, -least, below, -below, 8388607.5]
    rest = np.concatenate([sized, np.arange(-9, 9, 0.25), odd])
    return np.concatenate([any_bits, rest.astype(dtype)])


@needs_gcc
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("nearbyint", np.rint),
        ("rint", np.rint),
        ("roundeven", np.rint),
        ("round", lambda x: np.copysign(np.floor(np.abs(x).astype(np.longdouble) + 0.5), x)),
        ("floor", np.floor),
        ("ceil", np.ceil),
        ("trunc", np.trunc),
        ("sqrt", np.sqrt),
    ],
)
def test_functions_of_mathematics_are_exact(
    name: str, reference: Any, dtype: type[np.floating[Any]], mathematics: ctypes.CDLL
) -> None:
    function = getattr(mathematics, name + ("f" if dtype is np.float32 else ""))
    kind = ctypes.c_float if dtype is np.float32 else ctypes.c_double
    function.restype, function.argtypes = kind, [kind]
    x = numbers(dtype)
    got = np.array([function(value) for value in x.tolist()], dtype)
    with np.errstate(all="ignore"):
        wanted = np.asarray(reference(x)).astype(dtype)
    bits = np.uint32 if dtype is np.float32 else np.uint64
    same = (got.view(bits) == wanted.view(bits)) | (np.isnan(got) & np.isnan(wanted))
    assert same.all(), x[~same][:5]
