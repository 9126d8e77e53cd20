"""actc report: what a finished compilation did and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actc.artifact import REPORTED
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome
from actc.cli.summary import summary
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.intact import read_intact, read_object
from actc.ir.files import read_regular
from actc.report import read_timings

_REPORT, _TIMINGS = "report.json", "timings.js"


def run(directory: Directory, json: Json = False, debug: Debug = False) -> Outcome:
    """Show the report of a compiled model again."""
    report = _read(directory)
    try:
        return Outcome(report, summary(report, directory))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        # its digest is right, so it is another version's, or forged with the manifest
        raise _unreadable(directory / _REPORT, "parts are missing") from problem


def _read(directory: Path) -> dict[str, Any]:
    read_intact(directory, (_REPORT,))
    try:
        report = read_object(directory / _REPORT)
        if not REPORTED.issubset(report):
            raise ValueError("parts are missing")
    except (OSError, ValueError) as problem:
        raise _unreadable(directory / _REPORT, str(problem)) from problem
    timings = directory / _TIMINGS
    if timings.is_file():  # of one run, and so not in the manifest
        try:
            report["timings"] = read_timings(read_regular(timings).decode())
        except (OSError, ValueError, RecursionError) as problem:
            raise _unreadable(timings, str(problem)) from problem
    return report


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0204",
            f"cannot read {path.name}: {reason}",
            place=Place(str(path)),
            help="give the directory that `actc compile -o DIR` wrote",
        )
    )
