"""actc verify: check certificates again, independently of what made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

import actc
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report.format import figure, visible


def run(
    certificates: Annotated[
        Path,
        typer.Argument(
            metavar="CERTIFICATES",
            help="directory of `actc compile`, its certificates.json, or a fit as JSON",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="FLOAT.onnx", help="whose functions; default: float.onnx beside them"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Verify certificates in exact rational arithmetic."""
    found = actc.verify(certificates, model)
    return judged(found, _view(found), ExitStatus.BUDGET_MISSED)


def _view(found: Mapping[str, Any]) -> Group:
    rows = found["certificates"]
    holding = sum(row["holds"] for row in rows)
    table = Table(box=None, pad_edge=False)
    for name in ("id", "function", "form", "max error", "lower bound", "holds"):
        table.add_column(name, overflow="fold", header_style="bold")
    for row in rows:
        cells = (row["id"] or "-", row["function"], row["form"])
        numbers = (figure(row["max_error"]), figure(row["lower_bound"]))
        verdict = "yes" if row["holds"] else "NO"
        table.add_row(*(Text(visible(cell)) for cell in (*cells, *numbers, verdict)))
    return Group(table, Text(f"{holding} of {len(rows)} certificates hold"))
