"""Targets that are FPGAs: from golden to a bitstream, every step compared with golden."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.device.document import read_interface
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.context import context_of
from actc.targets.base import BuildPlan, Capabilities, Progress, Rung, Target, Tool, quiet
from actc.targets.fpga.assembly import RTL, Assembly, assemble, network_options
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.flow import BITSTREAMS, build_bitstream
from actc.targets.fpga.hardware import HARDWARE, describe, read_hardware, write_hardware
from actc.targets.fpga.ladder import climb
from actc.targets.fpga.network import check_network
from actc.targets.fpga.options import FpgaOptions, parse_options
from actc.targets.fpga.rtl_simulation import simulate_design

GOLDEN = "golden.onnx"
BUILD = "build"
"""Folder of what the tools made: netlists, configuration, logs."""


@dataclass(frozen=True)
class FpgaTarget(Target):
    """A network on an FPGA, fully parallel: one result every clock.

    Tools: pyosys, nextpnr and a packer of the family (extra `fpga`), Icarus Verilog or
    Verilator. Options: see :class:`~actc.targets.fpga.options.FpgaOptions`. Products: the
    bitstream, rtl/, the constraint file, interface.json, hardware.json, build/.

    Attributes:
        settings: how the network is built.
    """

    settings: FpgaOptions = field(default_factory=FpgaOptions)
    batch: ClassVar[int] = 1 << 14
    any_batch: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = ("clock", "latency", "interface", "seeds", "seed")

    @classmethod
    def parse(cls, option: str) -> FpgaTarget:
        """The target behind ``NAME`` or ``NAME:clock=120,seeds=4``.

        Raises:
            UsageError: ACT0535, options are wrong.
        """
        return cls(parse_options(option))

    @property
    def spec(self) -> str:
        """The name and the options that are no defaults."""
        text = str(self.settings)
        return f"{self.name}:{text}" if text else self.name

    @property
    def board(self) -> Board:
        """The board, or the device as a generic one."""
        return find_board(self.name)

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        family = self.board.device.family
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=None,
            tools=_tools(family),
            summary=f"{self.board.title}: one result every clock, to the bitstream",
            products={
                f"*{BITSTREAMS[family]}": "the bitstream",
                f"{RTL}/": "the Verilog, one module per layer",
                "interface.json": "what a host needs to talk to it: `actc run`",
                HARDWARE: "what it takes of the device",
                f"{BUILD}/": "netlists, configuration and logs of the tools",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be unrolled."""
        return check_network(model, network_options(self.board))

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build: all Verilog, and the commands that follow.

        Raises:
            ModelError, UsageError: see :func:`~actc.targets.fpga.assembly.assemble`.
        """
        golden = ir.to_proto(model).SerializeToString(deterministic=True)
        name = Path(context_of(model).file or "network").stem
        assembly = _assembled(golden, name, self.name, self.settings)
        files = {GOLDEN: golden, **assembly.documents()}
        return BuildPlan(self.spec, files, _commands(assembly, self.settings))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files, the bitstream and what it takes.

        Raises:
            MissingTool, ToolFailed, ModelError, BudgetMissed: see
                :func:`~actc.targets.fpga.flow.build_bitstream`.
        """
        for name, content in plan.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assembly = self._assembly(directory)
        assert assembly.board is not None
        assert assembly.clock_mhz is not None
        first = self.settings.seed
        built = build_bitstream(
            assembly.files,
            assembly.top,
            assembly.board,
            directory / BUILD,
            ports=assembly.pins,
            # where the ladder cuts the network out
            kept=[
                (assembly.core, port) for port in (*assembly.input_ports, *assembly.output_ports)
            ],
            clock_mhz=assembly.clock_mhz,
            seeds=range(first, first + self.settings.seeds),
            jobs=min(self.settings.seeds, os.cpu_count() or 1),
            progress=say,
        )
        built.bitstream.path.replace(directory / built.bitstream.path.name)
        write_hardware(directory, describe(assembly, built, self.settings))

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Simulate the Verilog in `directory` on one batch, one sample per clock.

        Raises:
            MissingTool, ToolFailed: see
                :func:`~actc.targets.fpga.rtl_simulation.simulate_design`.
        """
        return self.load(directory)(feeds)

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The simulation as a function."""
        assembly = self._assembly(directory)
        files = {name: (directory / RTL / name).read_text("ascii") for name in assembly.core_files}

        def simulate(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            codes = assembly.network.prologue(feeds)
            return assembly.network.epilogue(simulate_design(files, assembly.design, codes))

        return simulate

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare description, netlists and bitstream with golden; see docs/verification.md."""
        assembly = self._assembly(directory)
        return climb(assembly, ir.load(directory / GOLDEN), directory, BUILD, feeds, golden, say)

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What hardware.json says."""
        return read_hardware(directory)

    def _assembly(self, directory: Path) -> Assembly:
        """What `directory` was written from."""
        golden = (directory / GOLDEN).read_bytes()
        interface = read_interface(directory)
        assembly = _assembled(golden, interface.name, self.name, self.settings)
        if assembly.interface.build != interface.build:
            raise UsageError(_other_version(directory))
        return assembly


@lru_cache(maxsize=2)
def _assembled(golden: bytes, name: str, board: str, options: FpgaOptions) -> Assembly:
    """Assembling takes seconds, and planning, building and running all need it."""
    return assemble(ir.from_proto(onnx.load_from_string(golden)), name, find_board(board), options)


def _other_version(directory: Path) -> Diagnostic:
    return Diagnostic(
        "ACT0536",
        "this version of actc builds other hardware from golden.onnx than what is here",
        place=Place(str(directory)),
        help="compile again, or use the version that wrote the directory (see manifest.json)",
    )


def _tools(family: str) -> tuple[Tool, ...]:
    extra = "fpga-gowin" if family == "gowin" else "fpga"
    how = f"pip install 'actc[{extra}]'"
    package = "himbaechel_gowin" if family == "gowin" else family
    return (
        Tool("yosys", "package", "pyosys", how),
        Tool(f"nextpnr for {family}", "package", f"yowasp_nextpnr_{package}", how),
        Tool("Icarus Verilog", "command", "iverilog", "apt-get install iverilog"),
    )


def _commands(assembly: Assembly, options: FpgaOptions) -> tuple[tuple[str, ...], ...]:
    """What is run, in short; the flow adds paths and limits."""
    board = assembly.board
    assert board is not None
    family = board.device.family
    seeds = range(options.seed, options.seed + options.seeds)
    placer = "himbaechel" if family == "gowin" else family
    return (
        ("yosys", f"synth_{family}", "-top", assembly.top),
        *(
            (f"nextpnr-{placer}", *board.device.options, "--freq", f"{assembly.clock_mhz:g}",
             "--seed", str(seed))
            for seed in seeds
        ),
        ("pack", f"{assembly.top}{BITSTREAMS[family]}"),
    )  # fmt: skip
