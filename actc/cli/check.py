"""actc check: measure an artefact again, on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import actc
from actc.cli.bound import bound_text
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
    bound: Annotated[
        bool,
        typer.Option("--bound", help="prove how far the outputs can be from the float model's"),
    ] = False,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="format|data",
            help="inputs that --bound holds for: all that their format represents (default), or "
            "the box of the data; implies --bound",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Check a compiled artefact on data: each stage, and bit for bit against golden."""
    wanted = region if region is not None or not bound else "format"
    with progress() as show:
        result = actc.check(directory, data, sites=sites, bound=wanted, progress=show)
    view = summary(result, directory)
    if sites:
        view.append("\n\n").append(ranking_text(result["ranking"]))
    if wanted is not None:
        view.append("\n\n").append(bound_text(result["bound"]))
    return judged(result, view, ExitStatus.BUDGET_MISSED)
