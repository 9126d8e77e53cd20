"""read_report(): the report of a finished compilation, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actc.artifact import REPORTED
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.intact import read_intact, read_object
from actc.ir.files import read_regular
from actc.report import read_timings

_REPORT, _TIMINGS = "report.json", "timings.js"


def read_report(directory: str | Path) -> dict[str, Any]:
    """The contents of report.json, with `timings` where these are there.

    Args:
        directory: what `actc.compile` wrote.

    Raises:
        UsageError: ACT0204, it is no such directory; ACT0067, report.json was changed.
    """
    path = Path(directory)
    read_intact(path, (_REPORT,))
    try:
        report = read_object(path / _REPORT)
        if not REPORTED.issubset(report):
            raise ValueError("parts are missing")
    except (OSError, ValueError) as problem:
        raise _unreadable(path / _REPORT, str(problem)) from problem
    timings = path / _TIMINGS
    if timings.is_file():  # of one run, and so not in the manifest
        try:
            report["timings"] = read_timings(read_regular(timings).decode())
        except (OSError, ValueError, RecursionError) as problem:
            raise _unreadable(timings, str(problem)) from problem
    return report


def _unreadable(path: Path, reason: str) -> UsageError:
    """ACT0204, of a file that a command reads."""
    return UsageError(
        Diagnostic(
            "ACT0204",
            f"cannot read {path.name}: {reason}",
            place=Place(str(path)),
            help="give the directory that `actc compile -o DIR` wrote",
        )
    )
