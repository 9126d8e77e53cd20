"""The target c from float models to the report; for Arm's cores, and on emulated ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from c_networks import NETWORKS
from command_line import ROOT, CommandLine
from golden_models import outputs_of
from installed import needs_arm_gcc, needs_cortex_m, needs_gcc
from instance_networks import CHANNELS, DENSE, images, network, norm

import actc
from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.c import CTarget, emulator
from actc.targets.cortex_m.board import CORTEX_M4, CORTEX_M7, HELIUM_M55, Core

Array = np.ndarray[Any, Any]
DIGITS = ROOT / "examples" / "digits"
MNIST = ROOT / "examples" / "mnist"


def written(name: str, folder: Path) -> tuple[ir.Model, dict[str, Array], Path]:
    """A network, three samples, and the files of its plan."""
    made = NETWORKS[name]()
    for file, content in CTarget().plan(made.model, "int8").files.items():
        (folder / file).write_bytes(content)
    return made.model, made.feeds(3), folder


@needs_gcc
@pytest.mark.parametrize(("name", "data"), [("cnn", "digits"), ("mlp", "digits_mlp")])
def test_digits_equal_golden(name: str, data: str, tmp_path: Path, actc_cli: CommandLine) -> None:
    out = tmp_path / "out"
    files = str(DIGITS / f"{name}.onnx"), str(DIGITS / f"{data}.npz")
    done = actc_cli("compile", files[0], "--target", "c", "--data", files[1], "-o", str(out))
    assert "equals golden bit for bit on 450 of 450 samples" in done.stdout
    for words in (
        "the arena is minimal: ",
        "greedy arena ",
        "Cortex-M4, emulated",
        "Cortex-M55, emulated",
    ):
        assert words in done.stdout
    checked = actc_cli("check", str(out), "--data", files[1])
    assert checked.status == 0


@needs_gcc
def test_thresholds_of_the_sample(tmp_path: Path) -> None:
    name = "mean of features"
    none = np.zeros(CHANNELS, bool)
    model = network(DENSE[name], norm(3, none), dense=True)
    artifact = actc.compile(
        model, "c", data={"image": images(True)}, output=tmp_path / "out", max_drop=1.0
    )
    assert artifact.report["bit_exact"] is True
    assert "instancesteps_0(" in (tmp_path / "out" / "model.c").read_text("ascii")


@needs_gcc
@pytest.mark.slow
def test_a_vision_transformer(tmp_path: Path) -> None:
    with np.load(MNIST / "mnist.npz", allow_pickle=False) as given:
        data = {"image": given["image"][:60].reshape(60, 1, 28, 28), "labels": given["labels"][:60]}
    report = actc.compile(
        MNIST / "vit.onnx", "c", data=data, output=tmp_path / "out", max_drop=1.0
    ).report
    assert report["bit_exact"] is True
    assert report["footprint"]["workspace"] < 60_000


@needs_cortex_m
@pytest.mark.parametrize("core", [CORTEX_M4, CORTEX_M7, HELIUM_M55], ids=lambda core: core.cpu)
@pytest.mark.parametrize("name", ["convolutions", "attention", "signs"])
def test_an_emulated_core_equals_golden(name: str, core: Core, tmp_path: Path) -> None:
    model, feeds, folder = written(name, tmp_path)
    golden = outputs_of(model, feeds)
    found = emulator.rung(folder, feeds, golden, core=core)
    assert (found.result, found.samples) == ("equal", 3)


@needs_cortex_m
def test_an_emulated_core_can_differ(tmp_path: Path) -> None:
    model, feeds, folder = written("convolutions", tmp_path)
    source, golden = (folder / "model.c").read_text("ascii"), outputs_of(model, feeds)
    (folder / "model.c").write_text(source.replace("__smlad(", "__smladx("), "ascii")
    assert emulator.rung(folder, feeds, golden).result == "differs"
    (folder / "model.c").write_text(source.replace("128 * weights", "127 * weights"), "ascii")
    found = emulator.rungs(folder, feeds, golden)
    assert [rung.result for rung in found] == ["equal", "differs"]
    (folder / "model.c").write_text(f"#error broken\n{source}", "ascii")
    with pytest.raises(ToolFailed):
        emulator.rung(folder, feeds, outputs_of(model, feeds))


@needs_cortex_m
def test_a_network_beyond_the_board_is_not_run(tmp_path: Path) -> None:
    model, feeds, folder = written("convolutions", tmp_path)

    board = dataclasses.replace(CORTEX_M4.board, flash_bytes=4096)
    core = dataclasses.replace(CORTEX_M4, board=board)
    found = emulator.rung(folder, feeds, outputs_of(model, feeds), core=core)
    assert (found.result, found.samples) == ("not run", 0)
    assert "does not fit" in found.detail


def test_without_the_tools_nothing_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, feeds, folder = written("convolutions", tmp_path)
    monkeypatch.setenv("ACTC_ARM_NONE_EABI_GCC", str(tmp_path / "nothing"))
    found = emulator.rung(folder, feeds, {})
    assert found.result == "not run"
    assert "ACTC_ARM_NONE_EABI_GCC" in found.detail


@needs_arm_gcc
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4", "cortex-m7", "cortex-m55"])
def test_objects_need_nothing_but_the_compiler(cpu: str, tmp_path: Path) -> None:
    _, _, folder = written("attention", tmp_path)
    core = dataclasses.replace(CORTEX_M4, cpu=cpu)
    command = emulator.object_command(core, "model.c", "model.o")
    toolchain.run(command, timeout=60, cwd=folder)
    names = toolchain.run(["arm-none-eabi-nm", "-u", "model.o"], timeout=60, cwd=folder).output
    missing = {line.split()[-1] for line in names.splitlines() if line.strip()}
    # libgcc's shifts and products of 64 bits, where a core has no instruction for them
    small = {"__aeabi_lmul", "__aeabi_llsl", "__aeabi_llsr", "__aeabi_idiv"}
    assert missing <= ({"memcpy", "memset"} | (small if cpu == "cortex-m0" else set()))
    toolchain.run([*command[:-4], "-S", "model.c", "-o", "model.s"], timeout=60, cwd=folder)
    code = (folder / "model.s").read_text("ascii")
    assert ("smlad" in code) == (cpu != "cortex-m0")
    sizes = toolchain.run(["arm-none-eabi-size", "model.o"], timeout=60, cwd=folder).output
    text, data, memory = map(int, sizes.splitlines()[-1].split()[:3])
    assert data == 0
    assert 0 < memory < 4096 < text < 40_000
