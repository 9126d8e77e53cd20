"""What a case of hostile input is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MODEL = "hostile.onnx"
COMPILE = ("compile", MODEL, "--target", "onnx", "-o", "out")


@dataclass(frozen=True)
class Case:
    """One hostile input, and what a command must make of it.

    Attributes:
        name: identifier, unique.
        title: what is hostile, for docs/security.md.
        make: writes the input into an empty folder, where the command then runs.
        status: exit status.
        codes: the diagnostics' codes, each once, sorted; those of warnings are left out.
        says: part of what stderr says.
        command: arguments of `actc`.
        seconds: of processor time at most.
        mebibytes: of memory at most, beside what the program itself takes.
        environment: variables that are set.
    """

    name: str
    title: str
    make: Callable[[Path], object]
    status: int
    codes: tuple[str, ...] = ()
    says: str = ""
    command: tuple[str, ...] = COMPILE
    seconds: int = 5
    mebibytes: int = 512
    environment: tuple[tuple[str, str], ...] = ()
