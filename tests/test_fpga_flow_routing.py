"""Placement and routing with placers that fail on purpose: what users are told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_tools import Fake, names, only, small_synthesis

from actc.diagnostics import Diagnostic
from actc.errors import ActcError, ModelError, ToolFailed
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.flow import (
    Limits,
    Synthesis,
    pack,
    place_and_route,
)


@pytest.fixture
def board() -> Board:
    return find_board("ecp5-25k")


@pytest.fixture
def synthesis(tmp_path: Path) -> Synthesis:
    return small_synthesis(tmp_path)


def fails(synthesis: Synthesis, board: Board, work: Path, kind: type[ActcError]) -> Diagnostic:
    """What routing says; only its log may be left."""
    with pytest.raises(kind) as caught:
        place_and_route(synthesis, board, work, clock_mhz=50, limits=Limits(20, 8 << 30))
    assert names(work) <= {"logs/route-seed1.log"}
    return only(caught.value)


def test_a_routed_design(synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path) -> None:
    fake("nextpnr-ecp5", "route(80.0)")
    work = tmp_path / "out"
    routed = place_and_route(synthesis, board, work, constraints="# pins\n", clock_mhz=50)
    assert names(work) == {"routed.json", "routed.config", "timing.json", "logs/route-seed1.log"}
    assert (routed.fmax_mhz, routed.met, routed.seed) == (80.0, True, 1)
    assert routed.tool == "nextpnr-ecp5 0.9"
    assert routed.utilization["TRELLIS_COMB"].available == 24288
    path = routed.critical_path
    assert path is not None
    assert (path.delay_ns, path.routing_ns, path.logic_levels) == (2.75, 2.0, 1)
    assert path.layers == ("core.dense", "core", "")


def test_what_the_placer_is_told(synthesis: Synthesis, fake: Fake, tmp_path: Path) -> None:
    board = find_board("orangecrab-25f")
    fake("nextpnr-ecp5", "print(sys.argv[1:]); print(open('pins.lpf').read()); route(80.0)")
    place_and_route(
        synthesis, board, tmp_path / "out", constraints="PINS", clock_mhz=12.5, seeds=[7]
    )
    log = (tmp_path / "out/logs/route-seed7.log").read_text()
    arguments = log.splitlines()[0]
    for words in (
        "'--25k'",
        "'--package', 'CSFBGA285'",
        "'--speed', '8'",
        "'--freq', '12.500000'",
        "'--seed', '7'",
        "'--top', 'top'",
    ):
        assert words in arguments
    assert "PINS" in log


def test_a_netlist_larger_than_the_device_is_not_placed(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "raise SystemExit('it ran')")
    total = replace(synthesis.total, logic_cells=30000)
    layers = {
        "core.dense": replace(total, logic_cells=29000),
        "core": replace(total, logic_cells=1000),
    }
    problem = fails(
        replace(synthesis, total=total, layers=layers), board, tmp_path / "out", ModelError
    )
    assert problem.code == "ACT0581"
    assert problem.notes == (
        "it takes 30000 of 24288 look-up tables (124 percent)",
        "largest layers by look-up tables: dense 29000, core 1000",
    )
    assert "take ecp5-45k, which has 43848 look-up tables (board ulx3s-45f)" in problem.help
    assert not (tmp_path / "out").exists()


def test_a_design_larger_than_every_device(
    synthesis: Synthesis, fake: Fake, tmp_path: Path
) -> None:
    total = replace(synthesis.total, logic_cells=10**6)
    problem = fails(
        replace(synthesis, total=total), find_board("ecp5-85k"), tmp_path / "out", ModelError
    )
    assert "or take" not in problem.help


def test_a_design_that_placement_finds_too_large(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake(
        "nextpnr-ecp5",
        'print("Info: \\t        TRELLIS_COMB:   26000/  24288   107%")\n'
        'print("Info: \\t              DP16KD:       0/     56     0%")\n'
        "print(\"ERROR: Unable to place cell 'x', no BELs remaining\")\n"
        "sys.exit(1)",
    )
    problem = fails(synthesis, board, tmp_path / "out", ModelError)
    assert problem.code == "ACT0581"
    assert problem.notes[0] == "it takes 26000 of 24288 look-up tables (107 percent)"
    assert "dense 2, core 1" in problem.notes[1]
    assert "route-seed1.log" in problem.notes[-1]


def test_carries_of_gowin_take_sites_of_look_up_tables(
    synthesis: Synthesis, fake: Fake, tmp_path: Path
) -> None:
    board = find_board("tangnano9k")
    total = replace(synthesis.total, carries=7000, logic_cells=8000)
    problem = fails(replace(synthesis, total=total), board, tmp_path / "many", ModelError)
    assert problem.notes[0] == "it takes 7000 of 6480 carry cells (108 percent)"
    fake(
        "nextpnr-himbaechel-gowin",
        'print("Info: \\t   LUT4:   6000/   8640    69%")\n'
        'print("Info: \\t    ALU:   3000/   6480    46%")\n'
        "print('ERROR: Unable to place'); sys.exit(1)",
    )
    problem = fails(synthesis, board, tmp_path / "both", ModelError)
    assert problem.code == "ACT0581"
    assert problem.notes[0] == "it takes 9000 of 8640 look-up tables (104 percent)"
    assert "gowin-gw2a18" in problem.help


def test_too_many_pins_are_a_matter_of_the_interface(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", 'print("Info: \\tTRELLIS_IO: 300/ 197 152%"); sys.exit(1)')
    problem = fails(synthesis, board, tmp_path / "out", ModelError)
    assert "300 of 197 pins" in problem.notes[0]
    assert "uart" in problem.help


def test_a_design_without_a_route(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake(
        "nextpnr-ecp5",
        'print("Info: \\tTRELLIS_COMB: 24000/ 24288 98%")\n'
        "print(\"ERROR: Failed to route arc 3 of net 'core.dense.y'\"); sys.exit(1)",
    )
    problem = fails(synthesis, board, tmp_path / "out", ToolFailed)
    assert problem.code == "ACT0582"
    assert "core.dense.y" in problem.notes[0]
    assert "24000 of 24288" in problem.notes[1]
    assert "ecp5-45k" in problem.help


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ACT0512", "killed by SIGKILL"),
        ("print('terminate called: std::bad_alloc'); os.abort()", "ACT0584", "memory"),
        ("x = bytearray(1 << 40)", "ACT0584", "memory"),
        ("print('write: No space left on device'); sys.exit(1)", "ACT0585", "no space"),
        ("print('ERROR: what is this'); sys.exit(3)", "ACT0510", "failed with status 3"),
        ("pass", "ACT0510", "wrote no routed.json"),
        ("route(1.0); say('--write', '')", "ACT0510", "wrote no routed.json"),
    ],
)
def test_a_placer_that_fails(
    synthesis: Synthesis,
    board: Board,
    fake: Fake,
    tmp_path: Path,
    body: str,
    code: str,
    words: str,
) -> None:
    fake("nextpnr-ecp5", body)
    problem = fails(synthesis, board, tmp_path / "out", ToolFailed)
    assert problem.code == code
    assert problem.message.startswith("nextpnr-ecp5 ")
    assert words in problem.message
    assert any("route-seed1.log" in note for note in problem.notes)


def test_a_placer_that_never_ends(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "time.sleep(60)")
    with pytest.raises(ToolFailed) as caught:
        place_and_route(
            synthesis, board, tmp_path / "out", clock_mhz=50, limits=Limits(0.5, 8 << 30)
        )
    assert only(caught.value).code == "ACT0511"
    assert only(caught.value).message == "nextpnr-ecp5 was ended after 0.5 seconds"


def test_a_disk_that_became_full_without_the_tool_noticing(
    synthesis: Synthesis,
    board: Board,
    fake: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake("nextpnr-ecp5", "route(80.0)")
    usage = SimpleNamespace(total=1 << 30, used=1 << 30, free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    problem = fails(synthesis, board, tmp_path / "out", ToolFailed)
    assert problem.code == "ACT0585"
    assert "cut short" in problem.message


def test_packing_alone(synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path) -> None:
    fake("nextpnr-ecp5", "route(80.0)")
    fake("ecppack", "open(sys.argv[2], 'w').write('bits')")
    routed = place_and_route(synthesis, board, tmp_path / "a", clock_mhz=50)
    packed = pack(routed, tmp_path / "b", "net")
    assert packed.path == tmp_path / "b/net.bit"
    assert packed.path.read_text() == "bits"
