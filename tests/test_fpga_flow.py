"""All steps of the flow with tools that fail on purpose: nothing is half done.

The tools are scripts that ACTC_<TOOL> names; tests/test_fpga_flow_tools.py runs real ones.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fake_tools import YOSYS, Fake, built, names, only

from actc.diagnostics import Diagnostic
from actc.errors import BudgetMissed, ToolFailed, UsageError
from actc.targets.fpga.boards import devices, find_board
from actc.targets.fpga.flow import (
    DEEPER,
    SMALLER,
    Synthesis,
    synthesize_design,
    timing_missed,
)
from actc.targets.fpga.flow.execute import scratch
from actc.targets.fpga.flow.report import CriticalPath, Step
from actc.targets.fpga.synthesis import Resources


def test_all_steps(fake: Fake, tmp_path: Path) -> None:
    fake("yosys", YOSYS)
    fake("nextpnr-ecp5", "route(120.0)")
    fake("ecppack", "open(sys.argv[2], 'wb').write(b'bits of ' + open(sys.argv[1], 'rb').read())")
    work = tmp_path / "out"
    done = built(work, find_board("ulx3s-25f"))
    assert (work / "top.bit").read_bytes() == b"bits of configuration 1"
    assert done.tools == ("Yosys 0.70", "nextpnr-ecp5 0.9", "ecppack")
    assert done.bitstream.bytes == 23
    layers = {name: (r.luts, r.ffs) for name, r in done.synthesis.layers.items()}
    assert layers == {"": (0, 1), "core": (1, 0), "core.dense": (2, 0)}
    assert (done.synthesis.total.luts, done.synthesis.total.ffs) == (3, 1)
    assert names(work) == {
        *("netlist.json", "routed.json", "routed.config", "timing.json", "top.bit", "top.lpf"),
        *("logs/synthesis.log", "logs/route-seed1.log", "logs/pack.log"),
    }
    assert "SITE" in (work / "top.lpf").read_text()


def test_a_missed_clock_names_its_path_and_gives_no_bitstream(fake: Fake, tmp_path: Path) -> None:
    fake("yosys", YOSYS)
    fake("nextpnr-ecp5", "route(80.0)")
    fake("ecppack", "open(sys.argv[2], 'w').write('bits')")
    work = tmp_path / "out"
    with pytest.raises(BudgetMissed) as caught:
        built(work, find_board("ecp5-25k"))
    problem = only(caught.value)
    assert problem.code == "ACT0583"
    assert "80.0 MHz" in problem.message
    assert "20.0 MHz less than the 100 MHz" in problem.message
    assert "from dense to top: 2.75 ns, of it 2.00 ns of wires" in problem.notes[0]
    assert "--clock 76" in problem.help
    assert not (work / "top.bit").exists()
    assert built(work, find_board("ecp5-25k"), require_clock=False).bitstream.bytes == 4


def test_a_missed_clock_tells_the_interface_from_the_network() -> None:
    def missed(*layers: str, remedy: str = DEEPER) -> Diagnostic:
        path = CriticalPath(tuple(Step("logic", 1.0, "cell", "", layer) for layer in layers))
        synthesis = Synthesis(Path(), "net_uart", board.device, total, {}, "", 0.0)
        return only(timing_missed(synthesis, board, 56.2, 60, path, "core", remedy))

    board = find_board("icebreaker")
    total = Resources("ice40", 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, "")
    around = missed("receiver", "")
    assert "in the interface, not in the network: 2.00 ns" in around.notes[0]
    assert "--clock 53" in around.help
    assert "another interface" in around.help
    assert "--latency" not in around.help
    for layers in (("core.dense", "core.dense"), ("receiver", "core"), ("core", "sender")):
        inside = missed(*layers)
        assert "not in the network" not in inside.notes[0]
        assert "--latency" in inside.help
    folded = missed("core.dense", "core.dense", remedy=SMALLER)
    assert "--throughput" in folded.help
    assert "--latency" not in folded.help


def test_a_packer_that_fails_leaves_no_bitstream(fake: Fake, tmp_path: Path) -> None:
    fake("yosys", YOSYS)
    fake("nextpnr-ecp5", "route(120.0)")
    fake("ecppack", "open(sys.argv[2], 'w').write('half'); sys.exit(1)")
    with pytest.raises(ToolFailed) as caught:
        built(tmp_path / "out", find_board("ecp5-25k"))
    assert only(caught.value).message == "ecppack failed with status 1"
    assert not (tmp_path / "out/top.bit").exists()


def test_synthesis_that_fails_leaves_no_netlist(fake: Fake, tmp_path: Path) -> None:
    fake("yosys", "open('netlist.json', 'w').write('{'); print('ERROR: no'); sys.exit(1)")
    with pytest.raises(ToolFailed) as caught:
        built(tmp_path / "out", find_board("ecp5-25k"))
    problem = only(caught.value)
    assert problem.message == "yosys failed with status 1"
    assert problem.notes[0] == "ERROR: no"
    assert names(tmp_path / "out") == {"logs/synthesis.log"}
    # the output folder may be gone by the time that the user reads this
    log = Path(problem.notes[1].removeprefix("its log is "))
    assert not log.is_relative_to(tmp_path / "out")
    assert log.read_text() == "ERROR: no\n"


@pytest.mark.parametrize(
    ("files", "top"),
    [
        ({"top.v": ""}, "top; exec rm"),
        ({"../top.v": ""}, "top"),
        ({"top.v\nexec x": ""}, "top"),
        ({"-f.v": ""}, "top"),
        ({"sums.v": ""}, "top"),  # the name of a file that actc adds
    ],
)
def test_names_cannot_reach_the_script_of_the_synthesizer(
    files: dict[str, str], top: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        synthesize_design(files, top, devices()["ecp5-25k"], tmp_path / "out")
    assert only(caught.value).code == "ACT0531"


def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed) as caught, scratch(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert only(caught.value).code == "ACT0585"
    assert names(tmp_path / "out") == set()
    assert not list((tmp_path / "out").iterdir())


def test_other_errors_of_the_system_are_not_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), scratch(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied")
