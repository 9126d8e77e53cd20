"""Targets that are FPGAs: from golden to a bitstream, every step compared with golden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context
from actc.targets.base import Capabilities, Progress, Rung, Tool, quiet
from actc.targets.components import FPGA, Component
from actc.targets.fpga.assembly import CORE, RTL, Assembly
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.estimate.limit import with_offers
from actc.targets.fpga.flow import (
    BITSTREAMS,
    DEEPER,
    PLACERS,
    SMALLER,
    build_bitstream,
    runs_at_a_time,
)
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.describe import describe_folded
from actc.targets.fpga.folded.ladder import climb_folded
from actc.targets.fpga.folded.on_board import assemble_folded_for_board, check_folded
from actc.targets.fpga.hardware import HARDWARE, describe, write_hardware
from actc.targets.fpga.hardware_target import BUILD, GOLDEN, HardwareTarget, yosys_tool
from actc.targets.fpga.ladder import climb
from actc.targets.fpga.network import NetworkOptions
from actc.targets.fpga.on_board import assemble_for_board, constraints, network_options, pins
from actc.targets.fpga.options import FpgaOptions, described, parse_options

_TOO_LARGE = "ACT0555"

BoardAssembly: TypeAlias = Assembly | FoldedAssembly


@dataclass(frozen=True)
class FpgaTarget(HardwareTarget[BoardAssembly]):
    """A network on an FPGA, unrolled or folded.

    Tools: pyosys, nextpnr and a packer of the family (extra `fpga`), Icarus Verilog or
    Verilator. Options: see :class:`~actc.targets.fpga.options.FpgaOptions`. Products: the
    bitstream, rtl/, the constraint file, interface.json, hardware.json, build/.

    Attributes:
        settings: how the network is built.
        board_file: path of the file that describes the board, which the artefact keeps; "" for
            those that come with actc.
    """

    board_file: ClassVar[str] = ""
    components: ClassVar[tuple[Component, ...]] = FPGA
    settings: FpgaOptions = field(default_factory=FpgaOptions)
    options: ClassVar[Mapping[str, str]] = described(FpgaOptions)

    @classmethod
    def parse(cls, option: str) -> FpgaTarget:
        """The target behind ``NAME`` or ``NAME:clock=120,seeds=4``.

        Raises:
            UsageError: ACT0535, options are wrong.
        """
        return cls(parse_options(option, FpgaOptions))

    @property
    def board(self) -> Board:
        """The board, or the device as a generic one."""
        return find_board(self.board_file or self.name)

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        family = self.board.device.family
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=None,
            tools=_tools(family),
            summary=f"{self.board.title}: unrolled or folded, to the bitstream",
            products={
                f"*{BITSTREAMS[family]}": "the bitstream",
                f"{RTL}/": "the Verilog, one module per layer",
                "interface.json": "what a host needs to talk to it: `actc run`",
                HARDWARE: "what it takes of the device",
                f"{BUILD}/": "netlists, configuration and logs of the tools",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` can be neither unrolled nor folded, as is asked for."""
        if self.folds:
            return check_folded(model)
        problems = super().validate(model, precision)
        if problems and self.settings.architecture == "auto":
            unfolded = check_folded(model)
            if not unfolded:
                return []
            why = tuple(f"nor can it be folded: {found.message}" for found in unfolded)
            problems[-1] = replace(problems[-1], notes=(*problems[-1].notes, *why))
        return with_offers(problems, model, self.board, self.network_options())

    @property
    def folds(self) -> bool:
        """Whether networks are folded in any case."""
        own = self.settings
        return own.architecture == "folded" or (
            own.architecture == "auto" and own.throughput is not None
        )

    def network_options(self) -> NetworkOptions:
        """How networks are unrolled for the board."""
        return network_options(self.board, self.settings.effort)

    def assemble(self, golden: bytes, name: str) -> BoardAssembly:
        """The hardware of a serialized golden model."""
        return _assembled(golden, name, self)

    def documents(self, assembly: BoardAssembly, context: Context) -> dict[str, bytes]:
        """The constraint file, and the user's file of the board."""
        if isinstance(assembly, FoldedAssembly):
            _tell_of_unused(self.settings, context)
        name, text = constraints(assembly.top, assembly.kind, self.board)
        own = {self.name: Path(self.board_file).read_bytes()} if self.board_file else {}
        return {name: text.encode("ascii"), **own}

    def commands(self, assembly: BoardAssembly) -> tuple[tuple[str, ...], ...]:
        """Synthesis, placements, packing."""
        device, first = self.board.device, self.settings.seed
        return (
            ("yosys", f"synth_{device.family}", "-top", assembly.top),
            *(
                (PLACERS[device.family], *device.options, "--freq", f"{assembly.clock_mhz:g}",
                 "--seed", str(seed))
                for seed in range(first, first + self.settings.seeds)
            ),
            ("pack", f"{assembly.top}{BITSTREAMS[device.family]}"),
        )  # fmt: skip

    def build_assembly(self, assembly: BoardAssembly, directory: Path, say: Progress) -> None:
        """The bitstream, and what it takes of the device.

        Raises:
            MissingTool, ToolFailed, ModelError, BudgetMissed: see
                :func:`~actc.targets.fpga.flow.build_bitstream`.
        """
        first, folded = self.settings.seed, isinstance(assembly, FoldedAssembly)
        built = build_bitstream(
            assembly.files,
            assembly.top,
            self.board,
            directory / BUILD,
            ports=pins(assembly.kind),
            kept=assembly.border,  # where the ladder cuts the network out
            drivers=assembly.drivers,
            dsp=isinstance(assembly, FoldedAssembly) and assembly.uses_multipliers,
            remedy=SMALLER if folded else DEEPER,
            core=CORE,
            clock_mhz=assembly.clock_mhz,
            seeds=range(first, first + self.settings.seeds),
            jobs=runs_at_a_time(self.settings.seeds),
            progress=say,
        )
        built.bitstream.path.replace(directory / built.bitstream.path.name)
        if isinstance(assembly, FoldedAssembly):
            write_hardware(directory, describe_folded(assembly, built))
        else:
            write_hardware(directory, describe(assembly, built, self.settings))

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare description, netlists and bitstream with golden; see docs/verification.md."""
        assembly = self.assembly_of(directory)
        model, device = ir.load(directory / GOLDEN), self.board.device
        if isinstance(assembly, FoldedAssembly):
            return climb_folded(assembly, device, model, directory, BUILD, feeds, golden, say)
        return climb(assembly, device, model, directory, BUILD, feeds, golden, say)


def _tell_of_unused(settings: FpgaOptions, context: Context) -> None:
    """Options of unrolled networks, given for one that is folded because it is too large."""
    default = FpgaOptions()
    given = [
        name for name in ("effort", "tables") if getattr(settings, name) != getattr(default, name)
    ]
    if given:
        context.sink.add(
            Diagnostic(
                "ACT0558",
                f"{' and '.join(given)} had no effect: the network is folded, since it is too "
                "large to be unrolled",
                place=Place(context.file),
                help="leave them out, or ask for architecture=unrolled",
                severity="warning",
            )
        )


@lru_cache(maxsize=2)
def _assembled(golden: bytes, name: str, target: FpgaTarget) -> BoardAssembly:
    """Assembling takes seconds, and planning, building and running all need it."""
    model = ir.from_proto(onnx.load_from_string(golden))
    board, settings = target.board, target.settings
    if target.folds or HardwareTarget.validate(target, model, "int8"):
        return assemble_folded_for_board(model, name, board, settings)
    try:
        return assemble_for_board(model, name, board, settings)
    except ModelError as problem:
        large = any(found.code == _TOO_LARGE for found in problem.diagnostics)
        if settings.architecture != "auto" or not large:
            raise
        unrolled = problem
    try:
        return assemble_folded_for_board(model, name, board, settings)
    except ModelError as problem:
        raise ModelError([*unrolled.diagnostics, *problem.diagnostics]) from problem


def _tools(family: str) -> tuple[Tool, ...]:
    extra = "fpga-gowin" if family == "gowin" else "fpga"
    how = f"pip install 'actc[{extra}]'"
    placer = PLACERS[family]
    package = f"yowasp_{placer.replace('-', '_')}"
    return (
        yosys_tool(how),
        # a native placer, which runs faster, is taken first
        Tool(f"nextpnr for {family}", "package", package, how, (placer,)),
        Tool("Icarus Verilog", "command", "iverilog", "apt-get install iverilog"),
    )
