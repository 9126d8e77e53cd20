"""The target `verilog`: a core for a design of the user's, synthesized to count its cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.errors import ToolFailed
from actc.ir.context import Context
from actc.targets.base import Capabilities, Progress, Rung, Tool, quiet
from actc.targets.components import VERILOG, Component
from actc.targets.fpga.assembly import RTL, Assembly
from actc.targets.fpga.flow import synthesize_design
from actc.targets.fpga.flow.synthesize import NETLIST, synthesis_command
from actc.targets.fpga.hardware import HARDWARE, read_hardware, write_hardware
from actc.targets.fpga.hardware_target import BUILD, GOLDEN, HardwareTarget, yosys_tool
from actc.targets.fpga.ladder import (
    Vectors,
    border_of,
    description_rung,
    netlist_proof_rung,
    netlist_rung,
    read_netlist,
    units_rung,
    vectors_of,
    verilog_rung,
)
from actc.targets.fpga.network import NetworkOptions
from actc.targets.fpga.options import VerilogOptions, described, parse_options
from actc.targets.fpga.rtl_simulation import ICARUS_HELP
from actc.targets.fpga.synthesis import FPGA_HELP
from actc.targets.fpga.verilog.assembly import assemble_core, clock_constraint
from actc.targets.fpga.verilog.devices import family_device, network_options
from actc.targets.fpga.verilog.hardware import NOT_COUNTED, describe_synthesis
from actc.targets.fpga.verilog.testbench import SIM, bench_name, run_testbench, write_testbench

SYNTHESIZED = "synthesized netlist"
LIMITS = ("ACT0511", "ACT0584")
"""Yosys took longer, or more memory, than it may."""
NO_MODEL = "ACT0570"
"""A netlist has cells that cannot be evaluated, as block memories of 7 series."""


@dataclass(frozen=True)
class VerilogTarget(HardwareTarget[Assembly]):
    """A network as Verilog-2005 for any tool: one result every clock, nothing placed or routed.

    Tools: pyosys (extra `fpga`), which counts the cells of a family, and Icarus Verilog. Options:
    see :class:`~actc.targets.fpga.options.VerilogOptions`. Products: rtl/, sim/, the clock's
    constraint, interface.json, hardware.json, build/.

    Attributes:
        settings: how the network is built.
    """

    settings: VerilogOptions = field(default_factory=VerilogOptions)
    name: ClassVar[str] = "verilog"
    components: ClassVar[tuple[Component, ...]] = VERILOG
    options: ClassVar[Mapping[str, str]] = described(VerilogOptions)

    @classmethod
    def parse(cls, option: str) -> VerilogTarget:
        """The target behind ``verilog`` or ``verilog:clock=250,device=xcup``.

        Raises:
            UsageError: ACT0535, options are wrong.
        """
        return cls(parse_options(option, VerilogOptions))

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=None,
            tools=(
                yosys_tool(FPGA_HELP),
                Tool("Icarus Verilog", "command", "iverilog", ICARUS_HELP),
            ),
            summary="Verilog for any FPGA tool, with a testbench; its cells are counted",
            products={
                f"{RTL}/": "the Verilog, one module per layer; ports and formats are in the top's",
                f"{SIM}/": "a testbench that checks itself, and its vectors",
                "*.xdc, *.sdc": "the clock",
                "interface.json": "what the ports hold",
                HARDWARE: "what yosys counts; clock and latency as estimated",
                f"{BUILD}/": "the synthesized netlist and the log of yosys",
            },
        )

    def network_options(self) -> NetworkOptions:
        """How networks are unrolled for the family."""
        return network_options(self.settings.device, self.settings.effort)

    def assemble(self, golden: bytes, name: str) -> Assembly:
        """The hardware of a serialized golden model."""
        return _assembled(golden, name, self.settings)

    def documents(self, assembly: Assembly, context: Context) -> dict[str, bytes]:
        """The clock's constraint and the testbench, with samples of the data."""
        name, text = clock_constraint(assembly, self.settings.device)
        data = {} if context.dataset is None else context.dataset.inputs
        files = {f"{SIM}/{key}": value for key, value in write_testbench(assembly, data).items()}
        return {key: value.encode("ascii") for key, value in {name: text, **files}.items()}

    def commands(self, assembly: Assembly) -> tuple[tuple[str, ...], ...]:
        """Synthesis and simulation."""
        command = synthesis_command(family_device(self.settings.device), pads=False)
        return (
            ("yosys", *command.split(), "-top", assembly.top),
            ("iverilog", "-g2005", "-s", bench_name(assembly)),
        )

    def build_assembly(self, assembly: Assembly, directory: Path, say: Progress) -> None:
        """Synthesize, and say what it takes.

        Where yosys reaches a limit of time or memory only its figures are missing: the Verilog,
        which is what was asked for, does not depend on them.

        Raises:
            MissingTool, ToolFailed: see :func:`~actc.targets.fpga.flow.synthesize_design`.
        """
        device = family_device(self.settings.device)
        say(f"synthesis for {device.title}")
        files, work = assembly.files, directory / BUILD
        kept = assembly.border  # where the ladder cuts the network out
        drivers = assembly.drivers
        found, reason = None, ""
        try:
            found = synthesize_design(
                files, assembly.top, device, work, pads=False, kept=kept, drivers=drivers
            )
        except ToolFailed as problem:
            if problem.diagnostics[0].code not in LIMITS:
                raise
            reason = problem.diagnostics[0].message
            say(f"warning: the cells are not counted: {reason}")
        write_hardware(directory, describe_synthesis(assembly, device, found, reason))

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare description, Verilog, testbench and netlist with golden."""
        assembly = self.assembly_of(directory)
        say("verify: description and Verilog")
        vectors = vectors_of(assembly.network, ir.load(directory / GOLDEN), feeds, golden)
        rungs = [description_rung(assembly, vectors), verilog_rung(assembly, directory, vectors)]
        say("verify: the testbench")
        rungs.append(run_testbench(assembly, directory))
        say("verify: activation units, for every input")
        rungs.append(units_rung(assembly, directory))
        return [*rungs, *self._of_netlist(assembly, directory, vectors, say)]

    def _of_netlist(
        self, assembly: Assembly, directory: Path, vectors: Vectors, say: Progress
    ) -> list[Rung]:
        """What yosys made, if it came to an end."""
        reason = read_hardware(directory).get(NOT_COUNTED)
        if reason:
            return [Rung(SYNTHESIZED, "not run", f"there is no netlist: {reason}")]
        say("verify: netlist")
        document, family = read_netlist(directory / BUILD / NETLIST), self.settings.device
        first = _netlist_rung(assembly, document, family, vectors)
        say("verify: netlist, for every input")
        border = border_of(assembly, document)
        return [first, netlist_proof_rung(assembly, directory, document, border, family)]


def _netlist_rung(
    assembly: Assembly, document: Mapping[str, Any], family: str, vectors: Vectors
) -> Rung:
    """The netlist beside golden, where all of its cells have models."""
    name, border = SYNTHESIZED, border_of(assembly, document)
    try:
        return netlist_rung(name, assembly, document, assembly.top, border, family, vectors)
    except ToolFailed as problem:
        if problem.diagnostics[0].code != NO_MODEL:
            raise
        return Rung(name, "not run", problem.diagnostics[0].message)


@lru_cache(maxsize=2)
def _assembled(golden: bytes, name: str, options: VerilogOptions) -> Assembly:
    """Assembling takes seconds, and planning, building and running all need it."""
    return assemble_core(ir.from_proto(onnx.load_from_string(golden)), name, options)
