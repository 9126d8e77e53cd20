"""The target `hls4ml`: a project of hls4ml, compiled and run with g++."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.device.document import require_files
from actc.diagnostics import Diagnostic
from actc.ir.context import context_of
from actc.targets.base import BuildPlan, Capabilities, ConfiguredTarget, Progress, Rung, Tool, quiet
from actc.targets.compiled import compiled
from actc.targets.components import HLS4ML, Component
from actc.targets.fpga.folded.samples import samples_of
from actc.targets.hls4ml.assembly import Assembly, assemble, check
from actc.targets.hls4ml.board import HOST, axi_command, axi_rung, board_files, compile_axi
from actc.targets.hls4ml.board import PROGRAM as AXI_PROGRAM
from actc.targets.hls4ml.options import DESCRIBED, Options, parse
from actc.targets.hls4ml.project import HELP, project_files
from actc.targets.hls4ml.simulation import (
    BENCH,
    COMPILER_HELP,
    bench,
    compile_bench,
    compile_command,
    run_bench,
)
from actc.targets.hls4ml.units.check import check_units
from actc.targets.hls4ml.units.constants import check_constants
from actc.targets.hls4ml.vendor import README, flow_of, readme
from actc.targets.hls4ml.verify import MOST, RANDOM, WORK, climb
from actc.targets.hls4ml.versions import remark
from actc.targets.hls4ml.worker import PROJECT, UNITS
from actc.targets.vendor.flow import Flow

GOLDEN = "golden.onnx"
NAME_FILE = "name.txt"
"""Of the model that the project was made from."""
BUILD = "build"
PROGRAM = "bench"


@dataclass(frozen=True)
class Hls4mlTarget(ConfiguredTarget):
    """A network as a project of hls4ml, all types stated, with layers of actc where it has none.

    Tools: hls4ml, and g++, which compiles and runs the C++; vendors' tools are not needed.
    Options: see :class:`~actc.targets.hls4ml.options.Options`. Products: project/, network.onnx,
    settings.json, README.md, build/.

    Attributes:
        settings: how hls4ml builds the network.
    """

    settings: Options = field(default_factory=Options)
    name: ClassVar[str] = "hls4ml"
    components: ClassVar[tuple[Component, ...]] = HLS4ML
    batch: ClassVar[int] = 1 << 12
    any_batch: ClassVar[bool] = True
    options: ClassVar[Mapping[str, str]] = DESCRIBED

    @classmethod
    def parse(cls, option: str) -> Hls4mlTarget:
        """The target behind ``hls4ml`` or ``hls4ml:vitis,io=stream``.

        Raises:
            UsageError: ACT0431, options are wrong.
        """
        return cls(parse(option))

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=None,
            tools=(
                Tool("hls4ml", "package", "hls4ml", HELP),
                Tool("C++ compiler", "command", "g++", COMPILER_HELP),
            ),
            summary="projects of hls4ml for Vitis, Vivado, Quartus, oneAPI and Catapult, exact",
            products={
                f"{PROJECT}/": "hls4ml's project, with the C++ of actc's layers",
                "network.onnx": "the network that hls4ml read",
                "settings.json": "hls4ml's configuration",
                "units.json": "how the C++ calls actc's layers",
                f"{HOST}/": "with a board: what the host does, and a driver for PYNQ",
                README: "what lies there, and what to run",
                f"{BUILD}/": "the compiled simulation",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be built, and whether hls4ml is of an untested version."""
        version = remark()
        return [*check(model, self.settings), *([] if version is None else [version])]

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build: all files, as hls4ml writes them, and the compilation.

        Raises:
            ModelError: see :func:`~actc.targets.hls4ml.assembly.assemble`.
            MissingTool, ToolFailed: of hls4ml.
        """
        golden = ir.to_proto(model).SerializeToString(deterministic=True)
        name = Path(context_of(model).file or "network").stem
        assembly = _assembled(golden, name, self.settings)
        network = assembly.network
        project = project_files(network, self.settings)
        files = {
            GOLDEN: golden,
            NAME_FILE: name.encode(),
            **project,
            f"{PROJECT}/{BENCH}": bench(network, self.settings, project[UNITS]).encode(),
            README: readme(network, self.settings).encode(),
        }
        commands = [compile_command(network, self.settings, f"../{BUILD}/{PROGRAM}")]
        if self.settings.on_board is not None:
            files |= board_files(assembly, self.settings.on_board)
            commands.append(axi_command(network, self.settings, f"../{BUILD}/{AXI_PROGRAM}"))
        return BuildPlan(self.spec, files, tuple(commands))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the files, and compile the C++.

        Raises:
            MissingTool, ToolFailed: of g++.
        """
        plan.write(directory)
        assembly = self.assembly_of(directory)
        _timed("the C simulation", partial(_program, directory, assembly), say)
        if self.settings.on_board is not None:
            _timed("the AXI wrapper", partial(_axi_program, directory, assembly), say)

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The C simulation as a function; compiled again where the C++ was changed."""
        assembly = self.assembly_of(directory)
        program = _program(directory, assembly)

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            words = assembly.folded.prologue(feeds)[0]
            with tempfile.TemporaryDirectory(prefix="actc-hls4ml-") as work:
                found = run_bench(assembly.network, directory / PROJECT, program, words, Path(work))
            stream = assembly.folded.program.stream(assembly.folded.program.exits[0])
            return assembly.folded.epilogue([found.reshape(len(found), *stream.shape)])

        return run

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare the program and the C simulation with golden."""
        assembly = self.assembly_of(directory)
        model = ir.load(directory / GOLDEN)
        samples = samples_of(
            assembly.folded, model, feeds, golden, most=MOST, random=RANDOM, work=WORK
        )
        program = _program(directory, assembly)
        rungs = climb(assembly, directory / PROJECT, program, samples, say)
        if self.settings.on_board is not None:
            wrapper = _axi_program(directory, assembly)
            rungs.append(axi_rung(assembly, directory / PROJECT, wrapper, samples, say))
        return rungs

    def recheck(self, directory: Path) -> list[Rung]:
        """All inputs of the activation units in the C++, and the constants."""
        assembly, project = self.assembly_of(directory), directory / PROJECT
        units = check_units(assembly.network, project, _program(directory, assembly))
        return [units, *check_constants(project)]

    def vendor_flow(self, directory: Path) -> Flow | None:
        """To the IP with the backend's tool, to its fit, and with a board to its bitstream."""
        return flow_of(self.assembly_of(directory).network, self.settings)

    def assembly_of(self, directory: Path) -> Assembly:
        """What `directory` was written from.

        Raises:
            UsageError: ACT0590, files are missing.
        """
        require_files(directory, [GOLDEN, NAME_FILE])
        name = (directory / NAME_FILE).read_text("utf-8")
        return _assembled((directory / GOLDEN).read_bytes(), name, self.settings)


@lru_cache(maxsize=2)
def _assembled(golden: bytes, name: str, options: Options) -> Assembly:
    """Assembling takes seconds, and planning, building and running all need it."""
    return assemble(ir.from_proto(onnx.load_from_string(golden)), name, options)


def _program(directory: Path, assembly: Assembly) -> Path:
    """The compiled simulation of the C++ that lies in a directory."""
    folder, program = directory / PROJECT, directory / BUILD / PROGRAM
    made = partial(compile_bench, assembly.network, assembly.options, folder, program)
    return compiled(folder, program, made)


def _timed(what: str, compile: Callable[[], Path], say: Progress) -> None:
    """Compile, and say how long it took: of all steps it takes longest."""
    say(f"g++: {what}")
    start = time.perf_counter()
    compile()
    say(f"g++: {what}: {time.perf_counter() - start:.1f} s")


def _axi_program(directory: Path, assembly: Assembly) -> Path:
    """The compiled testbench of the AXI wrapper that lies in a directory."""
    folder, program = directory / PROJECT, directory / BUILD / AXI_PROGRAM
    made = partial(compile_axi, assembly.network, assembly.options, folder, program)
    return compiled(folder, program, made)
