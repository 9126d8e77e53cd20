"""actc report: what a finished compilation did and what it cost."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Any

from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome
from actc.cli.summary import summary
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.report import read_timings


def run(directory: Directory, json: Json = False, debug: Debug = False) -> Outcome:
    """Show the report of a compiled model again."""
    report = _read(directory)
    timings = directory / "timings.js"
    if timings.is_file():
        report["timings"] = read_timings(timings.read_text("utf-8"))
    return Outcome(report, summary(report, directory))


def _read(directory: Path) -> dict[str, Any]:
    path = directory / "report.json"
    try:
        report = json_format.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(
            Diagnostic(
                "ACT0204",
                f"cannot read the report: {problem}",
                place=Place(str(path)),
                help="give the directory that `actc compile -o DIR` wrote",
            )
        ) from problem
    if not isinstance(report, dict):
        raise UsageError(Diagnostic("ACT0204", "not a report of actc", place=Place(str(path))))
    return report
