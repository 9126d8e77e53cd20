"""Tools that crash, fail, hang, print without end, or write what is of no use.

Each ends with a code and status 5, leaves nothing, and works the next time. What tools of FPGAs
and of vendors do wrong is in test_fpga_flow*.py, test_fpga_faults.py and test_vendor_*.py too.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import ROOT
from fake_tools import YOSYS, Fake, small_synthesis
from faulty_tools import faulty
from installed import needs_gcc, needs_gxx, needs_iverilog, needs_nvcc
from killable import Server, serving
from small_models import make_data, make_model
from test_toolchain import wait_until_gone

from actc import awaiting, tool_results, toolchain
from actc.approx.fixed_point import FixedPoint
from actc.errors import ExitStatus, ToolFailed
from actc.targets.compiled import compiled
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import place_and_route, synthesize_design
from actc.targets.fpga.gates import lanes_kernel
from actc.targets.fpga.simulation import simulate_unit
from actc.targets.hls4ml.simulation import run_compiler
from actc.targets.tvm.cuda.toolkit import compile_fatbin, locate_nvcc
from actc.targets.tvm.host import host_arch
from actc.targets.tvm.linker import link

COMPILE = ("compile", "small.onnx", "--data", "data.npz", "-t", "c", "-o", "out")
CODES = {
    "crash": {"ACT0512"},
    "status": {"ACT0510"},
    "hang": {"ACT0511"},
    "memory": {"ACT0510", "ACT0512"},
    "flood": {"ACT0514"},
    "nothing": {"ACT0515"},
    "empty": {"ACT0515"},
    "garbage": {"ACT0515"},
    "truncated": {"ACT0515"},
}
EARLY = {fault: CODES[fault] for fault in ("status", "hang", "nothing", "garbage", "truncated")}
"""Of tools that take long."""
SMALL = {fault: codes for fault, codes in CODES.items() if fault != "memory"}
"""Of tools that take little."""
SIMULATED = {
    **SMALL,
    **{fault: {"ACT0510", "ACT0523"} for fault in ("nothing", "empty", "garbage", "truncated")},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Tools have a second, and may print a mebibyte."""
    execute = toolchain._execute

    def limited(argv: list[str], timeout: float, *others: Any) -> int | None:
        return execute(argv, min(timeout, 1.0), *others)

    patch.setattr(toolchain, "_execute", limited)
    patch.setattr(awaiting, "MOST_PRINTED", 1 << 20)


def located(tool: str) -> Path:
    found = locate_nvcc() if tool == "nvcc" else shutil.which(tool)
    assert found is not None
    return Path(found)


def write_c(folder: Path) -> Path:
    (folder / "part.c").write_text("int part(void) { return 1; }\n")
    return folder / "part.c"


def linked(folder: Path) -> object:
    """As the target cpu does it."""
    toolchain.run(["gcc", "-fPIC", "-c", write_c(folder).name], timeout=60, cwd=folder)
    link([folder / "part.o"], folder / "model.so", host_arch())
    return tool_results.load_library(folder / "model.so", "g++").part()


def benched(folder: Path) -> object:
    """As the targets hls4ml and bnn-hls do it."""
    (folder / "bench.cpp").write_text("int main() { return 0; }\n")
    program = folder / "build" / "bench"
    command = ("g++", "bench.cpp", "-o", str(program))
    compiled(folder, program, lambda: run_compiler(command, folder))
    toolchain.run([str(program)], timeout=60)
    return True


def interpreted(folder: Path) -> object:
    """As the simulation of netlists does it."""
    lanes_kernel._library.cache_clear()
    return bool(lanes_kernel._library(1).lanes_settle)


def simulated(folder: Path) -> object:
    """As the simulation of units does it."""
    codes = np.arange(-8, 8)
    source = "module u (input signed [3:0] x, output signed [3:0] y); assign y = ~x; endmodule"
    four = FixedPoint(True, 4, 0)
    return simulate_unit(source, "u", codes, four, four).tolist()


def machine_code(folder: Path) -> object:
    """As the target cuda does it."""
    (folder / "kernels.cu").write_text("__global__ void f(float* x) { x[0] = 1; }\n")
    compile_fatbin(folder, ("sm_80",))
    return (folder / "kernels.fatbin").read_bytes()[:4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "run", "codes"),
    [
        pytest.param("g++", linked, SMALL, marks=[needs_gcc, needs_gxx], id="link"),
        pytest.param("g++", benched, CODES, marks=needs_gxx, id="bench"),
        pytest.param("g++", interpreted, EARLY, marks=needs_gxx, id="lanes"),
        pytest.param("iverilog", simulated, SIMULATED, marks=needs_iverilog, id="iverilog"),
        pytest.param("vvp", simulated, SIMULATED, marks=needs_iverilog, id="vvp"),
        pytest.param("nvcc", machine_code, EARLY, marks=needs_nvcc, id="nvcc"),
    ],
)
def test_a_tool(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    run: Callable[[Path], object],
    codes: dict[str, set[str]],
) -> None:
    """Each fault has its code, also for who called actc from Python, and the next run works."""
    for fault in codes:
        folder = tmp_path / fault
        folder.mkdir()
        with monkeypatch.context() as patch:
            for name, value in faulty(tmp_path, tool, located(tool), fault).items():
                patch.setenv(name, value)
            if fault in ("hang", "flood"):
                shorten(patch)
            with pytest.raises(ToolFailed) as caught:
                run(folder)
        (found,) = caught.value.diagnostics
        assert found.code in codes[fault], (fault, found)
        assert found.help
        assert caught.value.status == ExitStatus.TOOL_FAILED
        last = folder
    assert run(last)


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("fault", ["truncated", "memory", "flood"])
def test_a_compilation(server: Server, tmp_path: Path, fault: str) -> None:
    """Of a whole command: exit status, text, what it leaves, and a retry."""
    place, temporary = tmp_path / "place", tmp_path / "temporary"
    place.mkdir()
    temporary.mkdir()
    make_model(place / "small.onnx")
    make_data(place / "data.npz")
    where = {**faulty(tmp_path, "gcc", located("gcc"), fault), "TMPDIR": str(temporary)}
    found = server.run(place, "out", *COMPILE, environment=where)
    assert found.status == 5, found.said
    codes = set(re.findall(r"error\[(ACT\d+)\]", found.said))
    assert codes
    assert codes <= CODES[fault]
    assert sorted(path.name for path in place.iterdir()) == ["data.npz", "small.onnx"]
    assert not list(temporary.glob("actc-*"))
    assert server.run(place, "out", *COMPILE, environment={"TMPDIR": str(temporary)}).status == 0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"modules": {}, "creator": "Yosys"}', "[" * 9999]
)
def test_a_netlist_that_cannot_be_read(fake: Fake, tmp_path: Path, text: str) -> None:
    fake("yosys", f"open('netlist.json', 'w').write({text!r})")
    files = {"top.v": "module top; endmodule\n"}
    with pytest.raises(ToolFailed) as caught:
        synthesize_design(files, "top", find_board("ecp5-25k").device, tmp_path / "work")
    (found,) = caught.value.diagnostics
    said = "cannot be read" if text else "wrote no netlist.json"
    assert (found.code, said in found.message) == ("ACT0510", True)
    assert not (tmp_path / "work" / "netlist.json").exists()
    fake("yosys", YOSYS)
    assert synthesize_design(files, "top", find_board("ecp5-25k").device, tmp_path / "work")


@pytest.mark.parametrize(
    ("option", "text"),
    [("--write", "{"), ("--write", "[]"), ("--report", "[]"), ("--report", '{"fmax": 3}'),
     ("--report", '{"utilization": 1}'), ("--report", '{"critical_paths": [{}]}')],
)  # fmt: skip
def test_a_placement_that_cannot_be_read(
    fake: Fake, tmp_path: Path, option: str, text: str
) -> None:
    fake("nextpnr-ecp5", f"route(50); say({option!r}, {text!r})")
    work, board = tmp_path / "work", find_board("ecp5-25k")
    synthesis = small_synthesis(tmp_path)
    with pytest.raises(ToolFailed) as caught:
        place_and_route(synthesis, board, work, clock_mhz=25)
    (found,) = caught.value.diagnostics
    assert (found.code, "cannot be read" in found.message) == ("ACT0510", True)
    assert not (work / "routed.json").exists()
    fake("nextpnr-ecp5", "route(50)")
    assert place_and_route(synthesis, board, work, clock_mhz=25).met


def test_a_tool_that_leaves_a_child(tmp_path: Path) -> None:
    """It works, and the child ends with it."""
    script = tmp_path / "tool"
    script.write_text('#!/bin/sh\nsleep 600 & echo $! > "$0.child"\n')
    script.chmod(0o755)
    toolchain.run([str(script)], timeout=60)
    assert wait_until_gone(int((tmp_path / "tool.child").read_text()))


def test_a_tool_that_prints_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log is short, also where it is kept."""
    monkeypatch.setattr(awaiting, "MOST_PRINTED", 3 << 20)
    monkeypatch.setattr(toolchain, "MOST_PRINTED", 3 << 20)
    log = tmp_path / "log"
    with pytest.raises(ToolFailed, match="printed more than 3 MiB, and was ended") as caught:
        toolchain.run(["yes", "again"], timeout=60, log=log)
    assert caught.value.diagnostics[0].code == "ACT0514"
    assert caught.value.diagnostics[0].notes[-2] == "again"
    assert log.stat().st_size == 1 << 20


def test_limits_that_only_administrators_raise() -> None:
    """A machine may give its users less memory than a tool of actc's would get."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31));"
        "from actc import toolchain;"
        "print(toolchain.run(['sh', '-c', 'ulimit -v; ulimit -v 9999; true'], timeout=60,"
        " memory=8 << 30).output)"
    )
    done = toolchain.run([sys.executable, "-c", script], timeout=60)
    assert done.output.split() == [str(2 << 20)]


def test_every_tool_is_known() -> None:
    """Of those that actc starts; who adds one sees to its faults."""
    text = "".join(path.read_text("utf-8") for path in _sources())
    started = set(re.findall(r"\b(?:find|locate)\(\"([^\"]+)\"", text))
    known = {"g++", "gcc", "icebox_vlog", "iverilog", "nvcc", "verilator", "vvp", "yosys"}
    assert known | {":", "./AreaEstimates/Resources"} == started


def _sources() -> list[Path]:
    return [path for part in ("actc", "targets") for path in sorted((ROOT / part).rglob("*.py"))]
