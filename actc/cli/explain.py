"""actc explain: what a diagnostic code means."""

from __future__ import annotations

import difflib
import textwrap
from typing import Annotated

import typer
from rich.text import Text

from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.codes import CODES
from actc.diagnostics import Diagnostic
from actc.errors import UsageError


def run(
    code: Annotated[str, typer.Argument(metavar="CODE", help="a code such as ACT0001")],
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Explain a diagnostic code."""
    key = code.upper()
    if key not in CODES:
        raise UsageError(_unknown(code))
    info = CODES[key]
    document = {"code": key, "title": info.title, "explanation": info.explanation}
    body = textwrap.fill(info.explanation, 88, break_on_hyphens=False)
    return Outcome(document, Text(f"{key}: {info.title}\n\n{body}"))


def _unknown(code: str) -> Diagnostic:
    near = difflib.get_close_matches(code.upper(), CODES, n=1, cutoff=0.5)
    suggestion = f"did you mean '{near[0]}'? " if near else ""
    return Diagnostic(
        "ACT0201",
        f"unknown code '{code}'",
        help=f"{suggestion}a code stands in brackets behind `error`, such as error[ACT0001]",
    )
