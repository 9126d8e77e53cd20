"""Targets that fail, each in its own way."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from actc_toy.reference import ReferenceTarget

from actc import toolchain
from actc.targets.base import BuildPlan, Progress, quiet


@dataclass(frozen=True, slots=True)
class AbsentTool(ReferenceTarget):
    """Needs a command that nobody has."""

    name: ClassVar[str] = "absent-tool"

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        toolchain.find("actc-tool-of-nobody", "apt install actc-tool-of-nobody")


@dataclass(frozen=True, slots=True)
class FailingTool(ReferenceTarget):
    """Runs a command that fails after some output and a file."""

    name: ClassVar[str] = "failing-tool"

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        script = "echo half > product; echo it broke; exit 7"
        toolchain.run(["sh", "-c", script], timeout=30, cwd=directory)


@dataclass(frozen=True, slots=True)
class HangingTool(ReferenceTarget):
    """Runs a command that never ends."""

    name: ClassVar[str] = "hanging-tool"

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        toolchain.run(["sleep", "600"], timeout=0.2, cwd=directory)


@dataclass(frozen=True, slots=True)
class BrokenCode(ReferenceTarget):
    """Has a mistake."""

    name: ClassVar[str] = "broken-code"

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        raise ZeroDivisionError("a mistake in the target")


@dataclass(frozen=True, slots=True)
class Noisy(ReferenceTarget):
    """Prints on stdout from Python, from C and directly."""

    name: ClassVar[str] = "noisy"

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        print("noise from Python")
        ctypes.CDLL(None).puts(b"noise from C")
        os.write(1, b"noise from the system\n")
        super(Noisy, self).build(plan, directory, say)


@dataclass(frozen=True, slots=True)
class Unfaithful(ReferenceTarget):
    """Computes something else than golden."""

    name: ClassVar[str] = "unfaithful"

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = super(Unfaithful, self).run(directory, feeds)
        return {name: array + np.float32(1) for name, array in found.items()}
