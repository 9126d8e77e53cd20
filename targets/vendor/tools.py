"""The vendors' tools: how they are called, found, and asked for their version."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ActcError, MissingTool, ToolFailed
from actc.targets.vendor.flow import Step, VendorTool, Version

_VITIS: tuple[Version, Version] = ((2022, 2), (2025, 1))
VITIS_RUN = VendorTool(
    "vitis-run", "Vitis HLS", ("--mode", "hls", "--tcl"), ("--version",), *_VITIS
)
VITIS_HLS = VendorTool("vitis_hls", "Vitis HLS", ("-f",), ("-version",), *_VITIS)
VIVADO_HLS = VendorTool(
    "vivado_hls", "Vivado HLS", ("-f",), ("-version",), (2018, 2), (2020, 1)
)  # the last one: Vitis HLS took its place
VIVADO = VendorTool(
    "vivado", "Vivado", ("-mode", "batch", "-source"), ("-version",), (2020, 1), (2025, 1)
)
VITIS = (VITIS_RUN, VITIS_HLS)
"""Newer versions have `vitis-run` alone."""

ICPX = VendorTool(
    "icpx", "Intel oneAPI", (), ("--version",), (2024, 0), (2025, 0),
    saying=r"\bCompiler (20[0-9]{2})\.([0-9])(?![0-9])",
)  # fmt: skip
"""Up to 2025.0: later ones compile no FPGA code."""
IPP = VendorTool(
    "i++", "Intel HLS Compiler", (), ("--version",), (20, 1), (21, 4),
    saying=r"\bVersion ([0-9]{2})\.([0-9])(?![0-9])",
)  # fmt: skip
"""What hls4ml's Quartus backend is tested with."""
QUARTUS = VendorTool(
    "quartus_sh", "Quartus Prime", ("--flow", "compile"), ("--version",), (17, 1), (24, 1),
    saying=r"\bVersion ([0-9]{2})\.([0-9])(?![0-9])",
)  # fmt: skip
CATAPULT = VendorTool(
    "catapult", "Catapult", ("-product", "ultra", "-shell", "-f"), ("-version",),
    (2024, 1), (2024, 2),
    # "Catapult Ultra Synthesis 2024.2/1130128 (Production Release)", before that "10.5c/896140"
    saying=r"\bCatapult\b[^\n]{0,40}?\b([0-9]{2,4})\.([0-9])(?![0-9])",
)  # fmt: skip
"""What hls4ml's Catapult backend is tested with."""

_ASKING_SECONDS = 120.0
_LINES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A tool on this machine.

    Attributes:
        tool: which.
        path: of the executable.
        version: that it says it is.
        also: folders of tools that it starts itself.
    """

    tool: VendorTool
    path: Path
    version: Version
    also: tuple[Path, ...] = ()


def spelled(version: Version) -> str:
    """As the vendor writes it: "2024.1"."""
    return f"{version[0]}.{version[1]}"


def find_tools(steps: Sequence[Step]) -> tuple[list[Found], list[Diagnostic]]:
    """The tool of each step, and remarks about versions.

    Raises:
        MissingTool: ACT0501, ACT0502, tools are not installed, all of them at once.
        ToolFailed: ACT0435, a version is too old, or none can be read.
    """
    places = _places(steps)
    versions: dict[Path, Version] = {}
    problems: list[Diagnostic] = []
    remarks: list[Diagnostic] = []
    for path, tool in {path: tool for place in places for tool, path in place}.items():
        version, problem = _asked(tool, path)
        if problem is not None:
            (problems if problem.severity == "error" else remarks).append(problem)
        if version is not None:
            versions[path] = version
    if problems:
        raise ToolFailed(problems)
    return [
        Found(tool, path.resolve(), versions[path], tuple(other.parent for _, other in also))
        for (tool, path), *also in places
    ], remarks


def _places(steps: Sequence[Step]) -> list[list[tuple[VendorTool, Path]]]:
    """Of each step: the tool that runs, and those that it starts itself."""
    places: list[list[tuple[VendorTool, Path]]] = []
    problems: dict[tuple[str, ...], Sequence[Diagnostic]] = {}
    for step in steps:
        found = []
        for tools in (step.tools, *((tool,) for tool in step.also)):
            names = tuple(tool.command for tool in tools)
            try:
                place = _place(tools)
            except ActcError as problem:
                problems.setdefault(names, problem.diagnostics)
                continue
            if place is None:
                problems.setdefault(names, [_missing(tools, step.goal)])
            else:
                found.append(place)
        places.append(found)
    if problems:
        raise MissingTool([item for found in problems.values() for item in found])
    return places


def _place(tools: Sequence[VendorTool]) -> tuple[VendorTool, Path] | None:
    for tool in tools:
        path = toolchain.locate(tool.command)
        if path is not None:
            return tool, path.absolute()
    return None


def _missing(tools: Sequence[VendorTool], goal: str) -> Diagnostic:
    first = tools[0]
    names = " or ".join(tool.command for tool in tools)
    return Diagnostic(
        "ACT0501",
        f"{first.title}, which makes the {goal}, is not here: no {names} on PATH",
        help=f"load the settings of {first.title} {_range(first)}, or set "
        f"{toolchain.variable(first.command)} to its path; the scripts can be taken to a machine "
        "that has it (README.md in the directory), and `actc check` needs no vendor's tool",
    )


def _asked(tool: VendorTool, path: Path) -> tuple[Version | None, Diagnostic | None]:
    """Its version, and what is to be said about it."""
    with tempfile.TemporaryDirectory(prefix="actc-vendor-") as work:
        argv = [str(path.resolve()), *tool.asking]
        output = toolchain.run(argv, timeout=_ASKING_SECONDS, cwd=Path(work)).output
    match = re.search(tool.saying, output, re.IGNORECASE)
    if match is None:
        lines = tuple(line.strip()[:200] for line in output.splitlines() if line.strip())
        return None, Diagnostic(
            "ACT0435",
            f"{path} does not say which version of {tool.title} it is",
            notes=lines[:_LINES],
            help=f"the scripts are written for {tool.title} {_range(tool)}",
        )
    version = (int(match[1]), int(match[2]))
    if tool.first <= version <= tool.last:
        return version, None
    old = version < tool.first
    return version, Diagnostic(
        "ACT0435",
        f"{tool.title} is version {spelled(version)}; the scripts are written for {_range(tool)}",
        severity="error" if old else "warning",
        help=f"use {tool.title} {_range(tool)}" if old else "look at the log if it fails",
    )


def _range(tool: VendorTool) -> str:
    return f"{spelled(tool.first)} to {spelled(tool.last)}"
