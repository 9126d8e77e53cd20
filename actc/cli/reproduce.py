"""actc reproduce: compile again what a manifest records, and compare every file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report.format import visible


def run(
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="manifest.json of an artefact, or its directory"),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.onnx",
            help="what was compiled; default: the recorded name beside the manifest, above it, "
            "or in the current directory",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATA.npz", help="what it was compiled with; default: likewise"),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="keep the new artefact there")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Compile again from the recorded inputs, and compare every file."""
    with progress() as show:
        found = actc.reproduce(manifest, model=model, data=data, keep=keep, progress=show)
    return judged(found, _view(found), ExitStatus.BUDGET_MISSED)


def _view(found: Mapping[str, Any]) -> Text:
    lines = []
    for row in found["versions"]:
        recorded, here = row["recorded"] or "none", row["here"] or "none"
        lines.append(f"version of {row['name']}: recorded {recorded}, here {here}")
    rows = [row for row in found["files"] if row["result"] != "equal"]
    for row in rows:
        where = "" if row["offset"] is None else f", first at byte {row['offset']}"
        lines.append(f"{row['file']}: {row['result']}{where}")
    lines += [f"manifest.json: the entry '{name}' differs" for name in found["entries"]]
    lines += [f"{name}: changed since it was written" for name in found["changed"]]
    total = len(found["files"])
    lines.append(f"{total - len(rows)} of {total} files are equal, byte for byte")
    lines += [] if found["kept"] is None else [f"the new artefact: {found['kept']}"]
    return Text("\n".join(visible(line) for line in lines))
