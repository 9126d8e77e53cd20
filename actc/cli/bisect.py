"""actc bisect: which sites must stay float for the accuracy to recover."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome
from actc.cli.ranking import site_rows
from actc.report.format import visible


def run(
    directory: Directory,
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="arrays as for `actc compile`")],
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="FRACTION", help="loss allowed; default: that of the compilation"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Return sites to float, worst first, until the accuracy recovers (in a simulation)."""
    with progress() as show:
        result = actc.bisect(directory, data, max_drop=max_drop, progress=show)
    return Outcome(result, Text(_text(result)))


_MEASURES = {
    "accuracy": "accuracy lost",
    "agreement": "samples whose class changes",
    "rms": "relative RMS error of the outputs",
}


def _text(result: Mapping[str, Any]) -> str:
    what, count = _MEASURES[result["measure"]], len(result["returned"])
    lines = [
        f"{what}: {result['loss']:.4g} with all {result['sites']} sites quantized "
        f"({result['samples']} samples); allowed: {result['max_drop']:g}"
    ]
    if count == 0:
        lines.append("nothing needs to stay float")
    else:
        sites = "site" if count == 1 else "sites"
        lines.append(f"{result['loss_after']:.4g} with {count} {sites} in float:")
        lines += [visible(line) for line in site_rows(result["returned"])]
    return "\n".join(lines)
