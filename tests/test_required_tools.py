"""Tools that targets need: a native program stands for the package that brings it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import CommandLine

from actc import doctor
from actc.compile_options import require_tool
from actc.errors import MissingTool
from actc.targets.base import Tool
from actc.targets.named import make_target

PACKAGE = Tool("placer", "package", "no_such_package", "pip install it", ("placer-native",))


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def found(tool: Tool) -> bool:
    return bool(doctor.tool_state(tool)["found"])


def test_neither_package_nor_program() -> None:
    with pytest.raises(MissingTool) as caught:
        require_tool(PACKAGE)
    assert caught.value.diagnostics[0].help == "pip install it"
    assert not found(PACKAGE)
    assert doctor.tool_state(PACKAGE)["override"] == "ACTC_PLACER_NATIVE"


def test_a_program_on_path_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "placer-native")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    require_tool(PACKAGE)
    assert found(PACKAGE)


def test_so_is_one_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTC_PLACER_NATIVE", str(program(tmp_path, "mine")))
    require_tool(PACKAGE)
    assert found(PACKAGE)


def test_a_variable_that_names_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTC_PLACER_NATIVE", str(tmp_path / "gone"))
    with pytest.raises(MissingTool) as caught:
        require_tool(PACKAGE)
    assert caught.value.diagnostics[0].code == "ACT0502"
    assert not found(PACKAGE)


@pytest.mark.parametrize(
    ("target", "placer"),
    [
        ("icebreaker", "nextpnr-ice40"),
        ("ulx3s-25f", "nextpnr-ecp5"),
        ("tangnano9k", "nextpnr-himbaechel-gowin"),
    ],
)
def test_native_placers_are_enough(target: str, placer: str) -> None:
    tools = {tool.name: tool for tool in make_target(target).capabilities().tools}
    (nextpnr,) = (tool for name, tool in tools.items() if name.startswith("nextpnr"))
    assert nextpnr.alternatives == (placer,)
    assert nextpnr.probe == f"yowasp_{placer.replace('-', '_')}"


def test_a_native_yosys_only_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alternatives() -> tuple[str, ...]:
        return make_target("verilog").capabilities().tools[0].alternatives

    monkeypatch.delenv("ACTC_YOSYS", raising=False)
    assert alternatives() == ()
    monkeypatch.setenv("ACTC_YOSYS", str(program(tmp_path, "yosys")))
    assert alternatives() == ("yosys",)


def test_the_list_says_where_a_tool_is_missing(
    actc_cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTC_IVERILOG", str(tmp_path / "gone"))
    shown = actc_cli("targets", "verilog").stdout
    assert "Icarus Verilog: MISSING: apt-get install iverilog, or set ACTC_IVERILOG" in shown
