"""actc check: measure an artefact again, on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import actc
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome, judged
from actc.cli.summary import summary
from actc.errors import ExitStatus


def run(
    directory: Directory,
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="arrays as for `actc compile`")],
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Check a compiled artefact on data: each stage, and bit for bit against golden."""
    result = actc.check(directory, data)
    return judged(result, summary(result, directory), ExitStatus.BUDGET_MISSED)
