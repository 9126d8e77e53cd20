"""The target `bnn-hls`: HLS C++ of binary and few-bit networks, compiled and run with g++."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.device.document import require_files
from actc.diagnostics import Diagnostic
from actc.ir.context import context_of
from actc.targets.base import BuildPlan, Capabilities, ConfiguredTarget, Progress, Rung, Tool, quiet
from actc.targets.bnn_hls.assembly import HLS, HOST, HlsAssembly, as_json, assemble, check
from actc.targets.bnn_hls.hardware import describe
from actc.targets.bnn_hls.options import DESCRIBED, Options, parse
from actc.targets.bnn_hls.simulation import (
    COMPILER_HELP,
    compile_command,
    compile_testbench,
    run_testbench,
)
from actc.targets.bnn_hls.tcl import axi_design
from actc.targets.bnn_hls.verify import MOST, RANDOM, climb
from actc.targets.compiled import compiled
from actc.targets.components import BNN_HLS, Component
from actc.targets.fpga.folded.samples import samples_of
from actc.targets.fpga.hardware import HARDWARE, read_hardware
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.scripts import steps_of

GOLDEN = "golden.onnx"
BUILD = "build"
PROGRAM = "testbench"


@dataclass(frozen=True)
class BnnHlsTarget(ConfiguredTarget):
    """A network as HLS C++ for Vitis HLS or Vivado HLS, binary layers as XNOR and population count.

    Tools: g++, which compiles and runs the C++ with headers of this package; the tools of AMD are
    not needed, nor run. Options: see :class:`~actc.targets.bnn_hls.options.Options`. Products:
    hls/, host/, README.md, hardware.json, build/.

    Attributes:
        settings: how the network is built.
    """

    settings: Options = field(default_factory=Options)
    name: ClassVar[str] = "bnn-hls"
    components: ClassVar[tuple[Component, ...]] = BNN_HLS
    batch: ClassVar[int] = 1 << 14
    any_batch: ClassVar[bool] = True
    options: ClassVar[Mapping[str, str]] = DESCRIBED

    @classmethod
    def parse(cls, option: str) -> BnnHlsTarget:
        """The target behind ``bnn-hls`` or ``bnn-hls:vivado,board=zcu104``.

        Raises:
            UsageError: ACT0420, options are wrong.
        """
        return cls(parse(option))

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=None,
            tools=(Tool("C++ compiler", "command", "g++", COMPILER_HELP),),
            summary="HLS C++ for Vitis and Vivado, binary layers as XNOR and popcount",
            products={
                f"{HLS}/": "the C++ with its library and testbench, Tcl for the IP and the board",
                f"{HOST}/": "what the host does, and a driver for PYNQ",
                "README.md": "what to run",
                HARDWARE: "foldings, clocks and memories; estimates of what it takes",
                f"{BUILD}/": "the compiled testbench",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be built."""
        return check(model)

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build: all files, and the compilation.

        Raises:
            ModelError: see :func:`~actc.targets.bnn_hls.assembly.assemble`.
        """
        golden = ir.to_proto(model).SerializeToString(deterministic=True)
        name = Path(context_of(model).file or "network").stem
        assembly = _assembled(golden, name, self.settings)
        hardware = as_json(describe(assembly)).encode()
        files = {GOLDEN: golden, **assembly.documents(), HARDWARE: hardware}
        files[f"{HLS}/{NAME_FILE}"] = name.encode()
        return BuildPlan(self.spec, files, (compile_command(assembly.name, PROGRAM),))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the files, and compile the C++.

        Raises:
            MissingTool, ToolFailed: of g++.
        """
        plan.write(directory)
        say("g++: the network and its testbench")
        _program(directory, self.assembly_of(directory).name)

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The C++ as a function; compiled again where it was changed."""
        assembly = self.assembly_of(directory)
        program = _program(directory, assembly.name)

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            words = assembly.network.prologue(feeds)[0]
            with tempfile.TemporaryDirectory(prefix="actc-hls-") as work:
                found = run_testbench(assembly.design, program, words, Path(work))
            return assembly.network.epilogue([found])

        return run

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare the program, the C++, its testbench and its queues with golden."""
        assembly = self.assembly_of(directory)
        model = ir.load(directory / GOLDEN)
        samples = samples_of(assembly.network, model, feeds, golden, most=MOST, random=RANDOM)
        program = _program(directory, assembly.name)
        return climb(assembly, directory, program, samples, say)

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What hardware.json says."""
        return read_hardware(directory)

    def vendor_flow(self, directory: Path) -> Flow | None:
        """To the IP, and with a board to its bitstream."""
        design = axi_design(self.assembly_of(directory).name, self.settings)
        steps = steps_of(design, self.settings.on_board)
        return Flow(HLS, design.name, 1e3 / design.clock, steps, "a smaller --throughput")

    def assembly_of(self, directory: Path) -> HlsAssembly:
        """What `directory` was written from.

        Raises:
            UsageError: ACT0590, files are missing.
        """
        require_files(directory, [GOLDEN, f"{HLS}/{NAME_FILE}"])
        name = (directory / HLS / NAME_FILE).read_text("utf-8")
        return _assembled((directory / GOLDEN).read_bytes(), name, self.settings)


NAME_FILE = "name.txt"
"""Of the model that the C++ was made from."""


@lru_cache(maxsize=2)
def _assembled(golden: bytes, name: str, options: Options) -> HlsAssembly:
    """Assembling takes seconds, and planning, building and running all need it."""
    return assemble(ir.from_proto(onnx.load_from_string(golden)), name, options)


def _program(directory: Path, name: str) -> Path:
    """The compiled testbench of the C++ that lies in a directory."""
    folder, program = directory / HLS, directory / BUILD / PROGRAM
    return compiled(folder, program, partial(compile_testbench, folder, name, program))
