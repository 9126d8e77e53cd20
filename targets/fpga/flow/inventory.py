"""Which programs of the flow are installed, and whether they are ready for their first run."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

from actc import toolchain
from actc.errors import ActcError
from actc.targets.fpga.flow.execute import Progress, is_prepared, prepare
from actc.targets.fpga.flow.programs import PROGRAMS, Program, find_program
from actc.targets.fpga.flow.synthesize import find_yosys

_SIMULATORS = {"iverilog": "-V", "verilator": "--version"}
"""Simulator -> the argument that makes it say its version."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One program.

    Attributes:
        name: as a native installation calls it.
        version: "" where it is not known.
        state: "ready", "compiled at its first run" or "missing".
        help: how to get what is missing; "" otherwise.
    """

    name: str
    version: str
    state: str
    help: str = ""


def inventory() -> tuple[Entry, ...]:
    """All programs of the flow, synthesis first; runs those that say their version themselves."""
    finders: dict[str, Callable[[], Entry]] = {"yosys": _yosys}
    finders |= {name: _finder(name) for name in PROGRAMS}
    finders |= {name: _simulator_finder(name) for name in _SIMULATORS}
    return tuple(_entry(name, find) for name, find in finders.items())


def prepare_all(progress: Progress | None = None) -> None:
    """Compile every program that is installed and would be compiled at its first run.

    Raises:
        ToolFailed: ACT0565, the results cannot be kept.
    """
    found = []
    for name in PROGRAMS:
        try:
            found.append(find_program(name))
        except ActcError:
            continue  # the inventory says which are missing
    prepare(found, progress)


def _entry(name: str, find: Callable[[], Entry]) -> Entry:
    try:
        return find()
    except ActcError as problem:
        return Entry(name, "", "missing", problem.diagnostics[0].help)


def _yosys() -> Entry:
    packaged = find_yosys().argv[-1] != "run.ys"
    version = importlib.metadata.version("pyosys") if packaged else ""
    return Entry("yosys", version, "ready")


def _finder(name: str) -> Callable[[], Entry]:
    return lambda: _found(find_program(name))


def _found(program: Program) -> Entry:
    ready = is_prepared(program)
    return Entry(program.name, program.version, "ready" if ready else "compiled at its first run")


def _simulator_finder(name: str) -> Callable[[], Entry]:
    def find() -> Entry:
        path = toolchain.find(name, f"apt-get install {name}")
        said = toolchain.version(path, [_SIMULATORS[name]]).split()
        version = next((word for word in said if word[:1].isdigit()), "")
        return Entry(name, version, "ready")

    return find
