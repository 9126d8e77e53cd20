"""What all FPGA targets share: plan, simulation, and the check that a directory is of this version.

A target says how it assembles a golden model, what it writes beside the Verilog, and what it
builds.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import onnx_ir as ir

from actc import toolchain
from actc.device.document import read_interface, require_files
from actc.device.interface import Interface
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.context import Context, context_of
from actc.targets.base import BuildPlan, ConfiguredTarget, Progress, Tool, quiet
from actc.targets.fpga.assembly import RTL
from actc.targets.fpga.hardware import read_hardware
from actc.targets.fpga.network import NetworkOptions, check_network
from actc.targets.fpga.options import DesignOptions

GOLDEN = "golden.onnx"
BUILD = "build"
"""Folder of what the tools made: netlists, configuration, logs."""


class Assembled(Protocol):
    """Hardware of a network that is ready to be written."""

    @property
    def interface(self) -> Interface:
        """What the host has to know."""

    @property
    def core_files(self) -> tuple[str, ...]:
        """Names of the network's own Verilog files."""

    def documents(self) -> dict[str, bytes]:
        """Relative path -> content of all that is written before any tool runs."""

    def simulate(
        self, files: Mapping[str, str], feeds: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The model's outputs, by a simulation of the network's files."""


AnyAssembly = TypeVar("AnyAssembly", bound=Assembled)


class HardwareTarget(ConfiguredTarget, Generic[AnyAssembly]):
    """A network as hardware."""

    settings: DesignOptions
    batch: ClassVar[int] = 1 << 14
    any_batch: ClassVar[bool] = True

    @abstractmethod
    def network_options(self) -> NetworkOptions:
        """How networks are unrolled."""

    @abstractmethod
    def assemble(self, golden: bytes, name: str) -> AnyAssembly:
        """The hardware of a serialized golden model; remembers the last ones.

        Raises:
            ModelError: the model has no such hardware.
            UsageError: the clock, the latency or the interface cannot be had.
        """

    @abstractmethod
    def documents(self, assembly: AnyAssembly, context: Context) -> dict[str, bytes]:
        """What is written beside the Verilog before any tool runs."""

    @abstractmethod
    def commands(self, assembly: AnyAssembly) -> tuple[tuple[str, ...], ...]:
        """What is run, in short; the flow adds paths and limits."""

    @abstractmethod
    def build_assembly(self, assembly: AnyAssembly, directory: Path, say: Progress) -> None:
        """Run the tools; the plan's files are there."""

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be unrolled."""
        return check_network(model, self.network_options())

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build: all Verilog, and the commands that follow.

        Raises:
            ModelError, UsageError: see :meth:`assemble`.
        """
        golden = ir.to_proto(model).SerializeToString(deterministic=True)
        context = context_of(model)
        assembly = self.assemble(golden, Path(context.file or "network").stem)
        more = self.documents(assembly, context)
        files = {GOLDEN: golden, **assembly.documents(), **more}
        return BuildPlan(self.spec, files, self.commands(assembly))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files, and what the tools make of them.

        Raises:
            MissingTool, ToolFailed, ModelError, BudgetMissed: as the tools of the target.
        """
        plan.write(directory)
        self.build_assembly(self.assembly_of(directory), directory, say)

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The simulation as a function."""
        assembly = self.assembly_of(directory)
        require_files(directory, [f"{RTL}/{name}" for name in assembly.core_files])
        files = {name: (directory / RTL / name).read_text("ascii") for name in assembly.core_files}

        return lambda feeds: assembly.simulate(files, feeds)

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What hardware.json says."""
        return read_hardware(directory)

    def assembly_of(self, directory: Path) -> AnyAssembly:
        """What `directory` was written from.

        Raises:
            UsageError: ACT0536, this version builds something else; ACT0590, ACT0599, files are
                missing.
        """
        interface = read_interface(directory)
        require_files(directory, [GOLDEN])
        assembly = self.assemble((directory / GOLDEN).read_bytes(), interface.name)
        if assembly.interface.build != interface.build:
            raise UsageError(_other_version(directory))
        return assembly


def yosys_tool(how: str) -> Tool:
    """What synthesizes: pyosys, or the native yosys that ACTC_YOSYS names.

    One on PATH, of any version, is not taken unasked.
    """
    native = ("yosys",) if toolchain.variable("yosys") in os.environ else ()
    return Tool("yosys", "package", "pyosys", how, native)


def _other_version(directory: Path) -> Diagnostic:
    return Diagnostic(
        "ACT0536",
        "this version of actc builds other hardware from golden.onnx than what is here",
        place=Place(str(directory)),
        help="compile again, or use the version that wrote the directory (see manifest.json)",
    )
