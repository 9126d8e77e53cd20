"""The oracles of circuits: Verilog, simulated as it is written, gives the bits of golden.onnx."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from actc.targets.base import Rung
from actc.targets.fpga.assembly import RTL
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.ladder import board_rung as folded_board_rung
from actc.targets.fpga.folded.samples import compared, program_rung, samples_of
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.ladder import description_rung, units_rung, vectors_of, verilog_rung
from actc.targets.fpga.target import FpgaTarget
from actc.targets.fpga.verilog.target import VerilogTarget
from actc.targets.fpga.verilog.testbench import run_testbench
from fuzz.hardware_planned import Planned, planned, small
from fuzz.oracles import Case, Mismatch, Oracle

_FAMILIES = ("xc7", "xcup", "ecp5", "ice40", "gowin")
_PIPELINES = ("", "", "latency=2", "latency=4", "latency=9", "clock=40", "clock=350")
_WITH_MEMORIES = ("ecp5", "ice40")
_TABLES = ("", "", "tables=logic", "tables=memory")
_BOARDS = ("ecp5-85k", "ecp5-25k", "ice40-hx8k", "icebreaker", "ulx3s-45f", "tangnano20k")
_SPEEDS = ("", "throughput=1", "throughput=100000", "throughput=1000000", "latency=500")
_UNROLLED = 128
"""Elements of a sample that is unrolled."""
_NEAR, _RANDOM = 8, 8
"""Samples of the probe, and random ones over all codes."""


def _options(*chosen: str) -> str:
    return ",".join(filter(None, chosen))


@dataclass(frozen=True)
class Verilog:
    """The unrolled circuit: its description, its Verilog, its testbench and its units."""

    name: str = "verilog"
    every: int = 40
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """Small ones, where a simulator is."""
        return shutil.which("iverilog") is not None and small(case, _UNROLLED)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe, and on every input or random ones."""
        draw = random.Random(case.seed)
        effort = draw.choice(("", "", "effort=1", "effort=3"))
        family = draw.choice(_FAMILIES)
        tables = draw.choice(_TABLES if family in _WITH_MEMORIES else _TABLES[:-1])
        options = _options(f"device={family}", draw.choice(_PIPELINES), tables, effort)
        found = planned(case, f"verilog:{options}")
        return found.asked(lambda: _of_wires(found))


@dataclass(frozen=True)
class Folded:
    """The folded circuit of a board: stages, handshakes and pauses, and the board's wire."""

    name: str = "folded"
    every: int = 40
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """Small ones, where a simulator is."""
        return shutil.which("iverilog") is not None and small(case)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe and on random samples."""
        draw = random.Random(case.seed)
        speed, kind = draw.choice(_SPEEDS), draw.choice((*("stream",) * 6, "uart", "spi"))
        options = _options("architecture=folded", f"interface={kind}", speed)
        found = planned(case, f"{draw.choice(_BOARDS)}:{options}")
        pauses = draw.random() < 0.5
        return found.asked(lambda: _of_stages(found, pauses))


def _of_wires(found: Planned) -> list[Mismatch]:
    machine, path = found.machine, found.path
    assert isinstance(machine, VerilogTarget)
    assembly = machine.assembly_of(path)
    vectors = vectors_of(assembly.network, found.model, found.probe, found.golden)
    rungs: tuple[Callable[[], Rung], ...] = (
        lambda: description_rung(assembly, vectors),
        lambda: verilog_rung(assembly, path, vectors),
        lambda: run_testbench(assembly, path),
        lambda: units_rung(assembly, path),
    )
    return found.wrong(machine.load(path)) or found.fallen(rung() for rung in rungs)


def _of_stages(found: Planned, pauses: bool) -> list[Mismatch]:
    machine, path = found.machine, found.path
    assert isinstance(machine, FpgaTarget)
    assembly = machine.assembly_of(path)
    assert isinstance(assembly, FoldedAssembly)
    samples = samples_of(
        assembly.network, found.model, found.probe, found.golden, most=_NEAR, random=_RANDOM
    )
    files = {name: (path / RTL / name).read_text("ascii") for name in assembly.core_files}

    def simulated() -> Rung:
        made = simulate_folded(assembly.design, samples.words, files=files, pauses=pauses)
        return compared("Verilog with pauses" if pauses else "Verilog", made.outputs, samples, "")

    rungs: tuple[Callable[[], Rung], ...] = (
        lambda: program_rung(assembly.network, samples),
        simulated,
        lambda: folded_board_rung(assembly, path, samples),
    )
    return found.fallen(rung() for rung in rungs)


ORACLES: tuple[Oracle, ...] = (Verilog(), Folded())
