"""actc check: measure an artefact again, on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome, judged
from actc.cli.ranking import ranking_text
from actc.cli.summary import summary
from actc.errors import ExitStatus


def run(
    directory: Directory,
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="arrays as for `actc compile`")],
    sites: Annotated[
        bool,
        typer.Option("--sites", help="rank what each tensor and layer costs; suggest overrides"),
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Check a compiled artefact on data: each stage, and bit for bit against golden."""
    with progress() as show:
        result = actc.check(directory, data, sites=sites, progress=show)
    view = summary(result, directory)
    if sites:
        view.append("\n\n").append(ranking_text(result["ranking"]))
    return judged(result, view, ExitStatus.BUDGET_MISSED)
