"""The oracles of circuits: Verilog, simulated as it is written, gives the bits of golden.onnx."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass

from actc.targets.fpga.assembly import RTL
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.ladder import board_rung as folded_board_rung
from actc.targets.fpga.folded.samples import compared, program_rung, samples_of
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.ladder import description_rung, units_rung, vectors_of, verilog_rung
from actc.targets.fpga.target import FpgaTarget
from actc.targets.fpga.verilog.target import VerilogTarget
from actc.targets.fpga.verilog.testbench import run_testbench
from fuzz.hardware_planned import Planned, planned
from fuzz.oracles import Case, Mismatch, Oracle

_FAMILIES = ("xc7", "xcup", "ecp5", "ice40", "gowin")
_PIPELINES = ("", "", "latency=1", "latency=3", "latency=9", "clock=40", "clock=350")
_TABLES = ("", "", "tables=logic", "tables=memory")
_BOARDS = ("ecp5-85k", "ecp5-25k", "ice40-hx8k", "icebreaker", "ulx3s-45f", "tangnano20k")
_SPEEDS = ("", "throughput=1", "throughput=100000", "throughput=1000000", "latency=500")
_RANDOM = 24
"""Random samples over all codes, beside the probe."""


def _options(*chosen: str) -> str:
    return ",".join(filter(None, chosen))


@dataclass(frozen=True)
class Verilog:
    """The unrolled circuit: its description, its Verilog, its testbench and its units."""

    name: str = "verilog"
    every: int = 40
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """All where a simulator is."""
        return shutil.which("iverilog") is not None

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe, and on every input or random ones."""
        draw = random.Random(case.seed)
        effort = draw.choice(("", "", "effort=1", "effort=3"))
        chosen = (draw.choice(_PIPELINES), draw.choice(_TABLES), effort)
        found = planned(case, f"verilog:{_options(f'device={draw.choice(_FAMILIES)}', *chosen)}")
        machine = found.machine
        assert isinstance(machine, VerilogTarget)
        assembly = machine.assembly_of(found.path)
        vectors = vectors_of(assembly.network, found.model, found.probe, found.golden)
        rungs = (
            rung()
            for rung in (
                lambda: description_rung(assembly, vectors),
                lambda: verilog_rung(assembly, found.path, vectors),
                lambda: run_testbench(assembly, found.path),
                lambda: units_rung(assembly, found.path),
            )
        )
        return found.wrong(machine.load(found.path)) or found.fallen(rungs)


@dataclass(frozen=True)
class Folded:
    """The folded circuit of a board: stages, handshakes and pauses, and the board's wire."""

    name: str = "folded"
    every: int = 40
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """All where a simulator is."""
        return shutil.which("iverilog") is not None

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe and on random samples."""
        draw = random.Random(case.seed)
        speed, kind = draw.choice(_SPEEDS), draw.choice(("stream", "stream", "uart", "spi"))
        options = _options("architecture=folded", f"interface={kind}", speed)
        found = planned(case, f"{draw.choice(_BOARDS)}:{options}")
        machine = found.machine
        assert isinstance(machine, FpgaTarget)
        assembly = machine.assembly_of(found.path)
        assert isinstance(assembly, FoldedAssembly)
        return _of_stages(found, assembly, pauses=draw.random() < 0.5)


def _of_stages(found: Planned, assembly: FoldedAssembly, pauses: bool) -> list[Mismatch]:
    samples = samples_of(
        assembly.network, found.model, found.probe, found.golden, most=64, random=_RANDOM
    )
    files = {n: (found.path / RTL / n).read_text("ascii") for n in assembly.core_files}

    def simulated() -> list[Mismatch]:
        made = simulate_folded(assembly.design, samples.words, files=files, pauses=pauses).outputs
        return found.fallen([compared("Verilog", made, samples, "")])

    return (
        found.fallen([program_rung(assembly.network, samples)])
        or simulated()
        or found.fallen([folded_board_rung(assembly, found.path, samples)])
    )


ORACLES: tuple[Oracle, ...] = (Verilog(), Folded())
