"""What a target is: capabilities, validate, plan, build, run.

A target is a frozen dataclass made from a specification such as ``cpu`` or
``cpu:znver4``. `plan` is a pure value (files and commands, with a digest) and
needs no tool; `build` carries the plan out in a directory; `run` executes the
artefact, which must equal golden.onnx bit for bit.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.components import Component
from actc.targets.vendor.flow import Flow

Progress = Callable[[str], None]
"""Takes a line about what begins now."""


def quiet(line: str) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of verification between golden and the artefact.

    Attributes:
        name: what was compared with golden: "routed netlist".
        result: "within tolerance" is of floats; "not run" is no failure, but it is shown.
        detail: how it was compared, on how much, or why it was not.
        samples: samples compared; 0 where the rung is no comparison of samples.
    """

    name: str
    result: Literal["equal", "within tolerance", "differs", "not run"]
    detail: str
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """An external tool or Python package that a target needs.

    Attributes:
        name: what the user knows it as.
        kind: "package" (import name in `probe`) or "command" (argv[0] in `probe`).
        probe: import name or command.
        how: the command that installs it.
        alternatives: commands any of which does as well, such as a native build of what the
            package brings.
    """

    name: str
    kind: str
    probe: str
    how: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can take.

    Attributes:
        precisions: accepted values of --precision, the default first.
        forms: activation forms, the default first.
        operators: "domain::Op" names that it lowers in int8; None: any.
        tools: what must be installed to build and run.
        summary: one line for `actc targets`.
        products: file name -> what it is.
        activations: bits of tensors that `--activations auto` stands for.
        widest: most bits of a tensor that it takes.
        float_islands: whether it runs operators in float where they have no integer form.
    """

    precisions: tuple[str, ...]
    forms: tuple[str, ...]
    operators: frozenset[str] | None
    tools: tuple[Tool, ...]
    summary: str
    products: Mapping[str, str] = field(default_factory=dict)
    activations: str = "8"
    widest: int = 16
    float_islands: bool = False


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Files and commands of a build, as a value.

    Attributes:
        target: the target's specification.
        files: relative path -> content, written before the commands run.
        commands: argument vectors, run in order in the build directory; shown
            by --dry-run.
    """

    target: str
    files: Mapping[str, bytes]
    commands: tuple[tuple[str, ...], ...] = ()

    def write(self, directory: Path) -> None:
        """Write the files into a directory, which need not be there yet."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def digest(self) -> str:
        """SHA-256 over target, files and commands; equal plans, equal digests."""
        state = hashlib.sha256(self.target.encode())
        for name in sorted(self.files):
            state.update(f"\0{name}\0{len(self.files[name])}\0".encode())
            state.update(self.files[name])
        for command in self.commands:
            state.update(("\0" + "\0".join(command)).encode())
        return state.hexdigest()


class Target(ABC):
    """Base class of targets; concrete ones are frozen dataclasses.

    The class docstring of a concrete target lists its required tools,
    options and build products.
    """

    name: ClassVar[str]
    batch: ClassVar[int] = 64
    """Samples of one call of `run`, while the artefact is compared with golden."""
    any_batch: ClassVar[bool] = False
    """Whether `run` takes any number of samples, also where the model has a fixed batch."""
    components: ClassVar[tuple[Component, ...]] = ()
    """What of actc and of others can be in the artefact, or is needed when it runs."""
    options: ClassVar[Mapping[str, str]] = {}
    """What may stand as ``name=value`` behind the colon: name -> its values, in words. The command
    line has these too."""

    @classmethod
    @abstractmethod
    def parse(cls, option: str) -> Target:
        """Make the target from the text behind ``name:`` ("" when there is none).

        Raises:
            UsageError: the option is not known (with a did-you-mean).
        """

    @property
    @abstractmethod
    def spec(self) -> str:
        """The resolved specification, e.g. ``cpu:znver4``."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this target takes; must not import its tools."""

    @abstractmethod
    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be lowered; empty when it can.

        Args:
            model: golden (int8) or approximated (float32, float16) model.
            precision: "int8", "float32" or "float16".
        """

    @abstractmethod
    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build; pure, needs no tool."""

    @abstractmethod
    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files and the products into `directory`.

        Args:
            say: told of each step that takes long.

        Raises:
            MissingTool, ToolFailed
        """

    @abstractmethod
    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Execute the artefact in `directory` on one batch.

        Args:
            feeds: model input name -> array, first axis = batch.

        Returns:
            model output name -> array.
        """

    @property
    def float_tolerance(self) -> float:
        """How far 99 percent of a float artefact's outputs may be from the approximated model's,
        in units of their RMS."""
        return 1e-4

    def tolerance(self, directory: Path) -> float:
        """`float_tolerance` of the artefact in `directory`."""
        return self.float_tolerance

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The artefact as a function, made ready once; `run` with a different batch each time."""
        return lambda feeds: self.run(directory, feeds)

    def not_run(self, directory: Path) -> str:
        """Why the artefact in `directory` cannot be executed on this machine; "" where it can.

        Where it cannot, nothing is compared with golden, and the report says so.
        """
        return ""

    def emulation(self, directory: Path) -> str:
        """How the artefact in `directory` is emulated here; "" where it runs on the machine."""
        return ""

    def tuned(self, candidates: int, seconds: float) -> Target:
        """This target with kernels whose schedules are chosen by timing them while it builds.

        Args:
            candidates: schedules of each distinct kernel that are timed.
            seconds: after which no more are timed.

        Raises:
            UsageError: ACT0490, it has no such kernels; or others, why it cannot be done here.
        """
        raise UsageError(
            Diagnostic(
                "ACT0490",
                f"--tune has no meaning for target '{self.name}'",
                help="leave it out, or compile for `--target cpu`",
            )
        )

    def tuning(self, directory: Path) -> dict[str, Any] | None:
        """What was chosen so for the artefact, for the report; None where nothing was.

        "kernels", "candidates", "seconds", "untimed" (kernels that there was no time for) and
        "problems" (with what was kept from earlier builds).
        """
        return None

    def footprint(self, directory: Path) -> dict[str, int] | None:
        """Bytes that the artefact takes where it runs, for the report; None where not known.

        Keys: "library" (the file), "constants" (weights and tables in it) and "workspace"
        (memory for what lies between inputs and outputs, planned for one sample).
        """
        return None

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare what lies between golden and the artefact in `directory`, step by step.

        `run` has been compared already; targets with stages of their own behind it, such as
        a netlist and a bitstream, add these here.

        Args:
            feeds: input name -> all samples, first axis = samples.
            golden: output name -> golden's outputs for them.
            say: told of each step that takes long.
        """
        return []

    def recheck(self, directory: Path) -> list[Rung]:
        """Compare what `directory` holds with golden again, where that takes no data."""
        return []

    def vendor_flow(self, directory: Path) -> Flow | None:
        """What vendors' tools can make of `directory`; None: nothing."""
        return None

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What the artefact takes of a device, for the report; None where it is software."""
        return None


class ConfiguredTarget(Target):
    """A target with settings behind the colon, whose artefact is made ready before it runs.

    Attributes:
        settings: their text, without defaults, is what `parse` reads.
    """

    settings: Any

    @property
    def spec(self) -> str:
        """The name and the options that are no defaults."""
        text = str(self.settings)
        return f"{self.name}:{text}" if text else self.name

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Execute the artefact in `directory` on one batch.

        Raises:
            UsageError, MissingTool, ToolFailed: as `load`, or of the program.
        """
        return self.load(directory)(feeds)

    @abstractmethod
    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The artefact as a function; made again where what it is made of was changed."""
