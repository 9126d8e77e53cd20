"""Running a flow: tools found, scripts run under limits, reports read."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from actc import toolchain
from actc.diagnostics import Diagnostic, Place
from actc.errors import ToolFailed, UsageError
from actc.targets.vendor.csynth import Unreadable
from actc.targets.vendor.findings import judge
from actc.targets.vendor.flow import Flow, Report, Step
from actc.targets.vendor.logs import explained
from actc.targets.vendor.reports import READERS, resolved
from actc.targets.vendor.tools import Found, find_tools, spelled

WORK = "build/vendor"
"""Where the tools work, in a copy of the flow's folder."""
LOGS = "build"
_MEMORY = 64 << 30
"""Bytes of address space of each process, of which Java reserves much."""


def build(
    flow: Flow,
    directory: Path,
    goal: str | None,
    seconds: float,
    say: Callable[[str], None],
    names: Iterable[str] | None = None,
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Run a flow.

    Args:
        directory: that was compiled.
        goal: "ip", "fit" or "bitstream"; None: as far as the flow leads.
        seconds: for all steps together.
        say: told of each step.
        names: of the files that the tools get, relative to the directory, as far as they lie in
            the folder of the flow; None: all that lies there.

    Returns:
        JSON-ready: goal; steps: rows of goal, tool, title, version, log, products; synthesis
        (see :func:`~actc.targets.vendor.csynth.read_csynth`) and implementation: slack (see
        :func:`~actc.targets.vendor.vivado.read_timing`), whole and network (see
        :func:`~actc.targets.vendor.vivado.read_utilization`), stage: "unplaced" where nothing
        was placed, or None. And what they say against the design: ACT0434, ACT0438; ACT0435, an
        untried version.

    Raises:
        UsageError: ACT0433, the flow does not lead there.
        MissingTool: tools are not installed.
        ToolFailed: ACT0435 to ACT0437, ACT0510 to ACT0513.
    """
    steps = _until(flow, goal)
    end = time.monotonic() + seconds
    found, remarks = find_tools(steps)
    work = directory / WORK
    _fresh(directory / flow.folder, work, _of_folder(flow.folder, names))
    section: dict[str, Any] = {"goal": steps[-1].goal, "steps": []}
    section |= {"synthesis": None, "implementation": None}
    for step, tool in zip(steps, found, strict=True):
        say(f"{tool.tool.title} {spelled(tool.version)}: {step.goal}")
        log = directory / LOGS / f"{step.goal}.log"
        _run(step, tool, work, log, max(end - time.monotonic(), 1e-3))
        section["steps"].append(_row(step, tool, work))
        section |= _figures(flow, step, tool.tool.title, work, log)
    return section, remarks + judge(flow, section)


def _until(flow: Flow, goal: str | None) -> Sequence[Step]:
    goals = [step.goal for step in flow.steps]
    if goal is None:
        return flow.steps
    if goal not in goals:
        raise UsageError(
            Diagnostic(
                "ACT0433",
                f"there are no scripts to a {goal} in this directory",
                help=f"give --to {' or '.join(goals)}; a bitstream needs a board in the target's "
                "options, where it has them (`actc targets`)",
            )
        )
    return flow.steps[: goals.index(goal) + 1]


def _of_folder(folder: str, names: Iterable[str] | None) -> list[PurePosixPath] | None:
    """Those of the names that lie in a folder, relative to it."""
    if names is None:
        return None
    paths = map(PurePosixPath, names)
    return [path.relative_to(folder) for path in paths if path.is_relative_to(folder)]


def _fresh(source: Path, work: Path, names: list[PurePosixPath] | None) -> None:
    """A copy of the sources, in which no report of an earlier run lies."""
    if work.is_symlink():
        work.unlink()
    elif work.exists():
        shutil.rmtree(work)
    work.parent.mkdir(exist_ok=True)
    if names is None:
        shutil.copytree(source, work)
        return
    work.mkdir()
    for name in names:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, work / name)


def _run(step: Step, found: Found, work: Path, log: Path, seconds: float) -> None:
    argv = [str(found.path), *found.tool.before, step.script]
    title, folder = found.tool.title, work / step.folder
    if not folder.is_dir():
        raise _unfinished(log, f"there is no {step.folder} for {title} to work in")
    environment = _environment(found)
    try:
        toolchain.run(
            argv, timeout=seconds, memory=_MEMORY, cwd=folder, log=log, environment=environment
        )
    except ToolFailed as problem:
        raise explained(problem, log, title) from problem
    for product in step.products:
        path = resolved(work, product)
        if not (any(path.iterdir()) if path.is_dir() else path.is_file()):
            message = f"{title} ended well, but made no {product}"
            raise explained(_unfinished(log, message), log, title)


def _environment(found: Found) -> Mapping[str, str]:
    """Where the tool finds others."""
    if not found.also:
        return {}
    return {"PATH": os.pathsep.join([*map(str, found.also), os.environ.get("PATH", "")])}


def _row(step: Step, found: Found, work: Path) -> dict[str, Any]:
    made = [resolved(work, product).relative_to(work).as_posix() for product in step.products]
    return {
        "goal": step.goal,
        "tool": found.tool.command,
        "title": found.tool.title,
        "version": spelled(found.version),
        "log": f"{LOGS}/{step.goal}.log",
        "products": [f"{WORK}/{product}" for product in made],
    }


def _figures(flow: Flow, step: Step, title: str, work: Path, log: Path) -> dict[str, Any]:
    reports = {"synthesis": step.synthesis, "implementation": step.implementation}
    try:
        return {
            section: _read(flow, report, work, log)
            for section, report in reports.items()
            if report is not None
        }
    except ToolFailed as problem:
        raise explained(problem, log, title) from problem


def _read(flow: Flow, report: Report, work: Path, log: Path) -> dict[str, Any]:
    paths = [resolved(work, path) for path in report.paths]
    try:
        return READERS[report.format](flow, *paths)
    except Unreadable as problem:
        names = " or ".join(path.name for path in paths)
        raise _unfinished(log, f"the report {names} cannot be read: {problem}") from problem


def _unfinished(log: Path, message: str) -> ToolFailed:
    help = f"look at the log, {log}; report.json is as it was"
    return ToolFailed(Diagnostic("ACT0437", message, place=Place(str(log)), help=help))
