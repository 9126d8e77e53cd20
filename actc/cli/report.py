"""actc report: what a finished compilation did and what it cost."""

from __future__ import annotations

import actc
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome
from actc.cli.summary import summary
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError


def run(directory: Directory, json: Json = False, debug: Debug = False) -> Outcome:
    """Show the report of a compiled model again."""
    report = actc.read_report(directory)
    try:
        return Outcome(report, summary(report, directory))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        # its digest is right, so it is another version's, or forged with the manifest
        message = "cannot read report.json: parts are missing"
        place = Place(str(directory / "report.json"))
        raise UsageError(Diagnostic("ACT0204", message, place=place)) from problem
