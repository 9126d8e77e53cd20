"""actc build: the vendor's tools on a compiled directory."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report import render_build


def run(
    directory: Directory,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ip|fit|bitstream", help="how far; default: as far as the scripts lead"
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="MINUTES", help="time limit of all steps together")
    ] = 240.0,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Build the IP or the bitstream of an HLS project with the vendor's tools."""
    with progress() as show:
        found = actc.build(directory, to=to, timeout=timeout, progress=show)
    text = render_build(found)
    if not found["recorded"]:
        text += "\n  report.json is left as it was\n"
    return judged(found, Text(text.rstrip("\n")), ExitStatus.BUDGET_MISSED)
