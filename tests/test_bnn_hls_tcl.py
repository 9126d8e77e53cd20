"""The Tcl of bnn-hls: run in tclsh with commands that do nothing; and options of the target."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from installed import needs_tclsh

from actc.errors import UsageError
from actc.targets.bnn_hls.options import Options, parse
from actc.targets.bnn_hls.tcl import board_tcl, ip_tcl
from actc.targets.named import make_target
from actc.targets.vendor.boards import BOARDS

# every command of the tools is logged, and answers as if all went well
_TOOLS = """\
set argv {}
set log [open log.txt w]
proc unknown {args} {
  global log
  puts $log $args
  flush $log
  return [expr {[lindex $args 1] eq "PROGRESS" ? "100%" : "some/thing"}]
}
rename file _file
proc file {command args} {
  if {$command in {copy mkdir}} {return [unknown file $command {*}$args]}
  return [_file $command {*}$args]
}
proc glob {args} {return {a.hwh b.hwh}}
"""


def logged(text: str, folder: Path) -> str:
    """The commands that a script calls."""
    (folder / "script.tcl").write_text(_TOOLS + text)
    subprocess.run(["tclsh", "script.tcl"], cwd=folder, check=True, timeout=60)
    return (folder / "log.txt").read_text()


@needs_tclsh
@pytest.mark.parametrize("flow", ["vitis", "vivado"])
def test_the_ip(flow: str, tmp_path: Path) -> None:
    found = logged(ip_tcl("bnn_net", parse(f"{flow},part=xc7a35tcpg236-1,clock=125")), tmp_path)
    assert "set_part xc7a35tcpg236-1" in found
    assert "create_clock -period 8 " in found
    assert ("-flow_target vivado" in found) == (flow == "vitis")
    assert ("-std=c++0x" in found) == (flow == "vivado")
    order = ["open_project", "add_files", "csim_design", "csynth_design", "export_design"]
    places = [found.index(command) for command in order]
    assert places == sorted(places)


@needs_tclsh
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_boards(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    found = logged(board_tcl("bnn_net", Options(board=name), board), tmp_path)
    assert f"-part {board.part}" in found
    assert f"get_board_parts -quiet {board.board_part}" in found
    assert "validate_bd_design" in found
    assert "write_bitstream" in found
    assert "bnn_net.hwh" in found


def test_scripts_hold_nothing_that_is_not_filled_in() -> None:
    for board in BOARDS.values():
        assert "@" not in board_tcl("net", Options(board=board.name), board)
    assert "@" not in ip_tcl("net", Options())


@pytest.mark.parametrize(
    "text", ["", "vivado", "board=zcu104", "vivado,part=xc7a35tcpg236-1", "throughput=max,clock=50"]
)
def test_options_are_written_as_they_are_read(text: str) -> None:
    target = make_target(f"bnn-hls:{text}" if text else "bnn-hls")
    assert target.spec == ("bnn-hls:" + text if text else "bnn-hls")
    assert make_target(target.spec) == target


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse("vitos,board=pynq,clock=fast,throughput=0,throughput=5,part=;exit")
    texts = [problem.message for problem in caught.value.diagnostics]
    assert {problem.code for problem in caught.value.diagnostics} == {"ACT0420"}
    assert len(texts) == 5
    assert "vitos" in texts[0]


def test_a_board_or_a_part() -> None:
    with pytest.raises(UsageError):
        parse("board=zcu104,part=xc7z020clg400-1")
    assert parse("part=xc7z020clg400-1").on_board is None
    assert parse("").device == BOARDS["pynq-z2"].part
