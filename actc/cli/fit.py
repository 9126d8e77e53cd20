"""actc fit: one scalar function in the form with the least error or the fewest pieces."""

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
from actc.report.format import visible


def run(
    function: Annotated[
        str,
        typer.Argument(
            metavar="NAME|EXPRESSION|MODEL.onnx:SITE",
            help="GELU, 'ELU(0.5)', 'x*sigmoid(1.702*x)', or a site that `actc inspect` lists",
        ),
    ],
    domain: Annotated[
        str, typer.Option(metavar="LO,HI", help="where to fit; beyond it the end pieces go on")
    ] = "-8,8",
    form: Annotated[
        str, typer.Option(metavar="auto|pwl|pwl-continuous|table", help="form to fit")
    ] = "auto",
    segments: Annotated[
        int | None, typer.Option(metavar="N", help="at most so many pieces (default 16)")
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(metavar="E", help="error to stay within, instead of --segments")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|.svg|.html", help="draw function, form and error"),
    ] = None,
    emit: Annotated[
        str | None, typer.Option(metavar="onnx|numpy", help="write the form as a file, with -o")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="what --emit writes")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Approximate a scalar function, with a certificate of the error."""
    found = actc.fit(function, domain, form=form, segments=segments, max_error=max_error)
    written = found.save(plot=plot, emit=emit, output=output)
    document = found.to_json()
    return judged(document, _view(document, written), ExitStatus.BUDGET_MISSED)


def _view(found: Mapping[str, Any], written: list[Path]) -> Group:
    low, high = found["domain"]
    pieces = "entries" if found["form"] == "table" else "segments"
    error, bound = found["max_error"], found["lower_bound"]
    ratio = bound / error if error else 1.0
    verdict = "accepted" if found["certified"] else "REJECTED"
    rows = (
        ("form", f"{found['form']}, {found['segments']} {pieces}"),
        (
            "max error",
            f"{error:.9g}, between the samples too at most {found['between_samples']:.6g}",
        ),
        ("lower bound", f"{bound:.9g}, {ratio:.6f} of the error"),
        ("certificate", f"{verdict} by the independent checker, in exact rational arithmetic"),
        ("took", f"{found['seconds']:.3f} seconds"),
    )
    head = Text(f"{visible(found['function'])} on [{low:g}, {high:g}]\n", style="bold")
    facts = Text("\n".join(f"  {name:13}{value}" for name, value in rows) + "\n")
    parts: list[Text | Table] = [head, facts, _alternatives(found["alternatives"])]
    parts += [Text(f"  wrote {visible(str(path))}") for path in written]
    return Group(*parts)


def _alternatives(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("  alternative", "pieces", "max error"):
        table.add_column(name, header_style="bold")
    for row in rows:
        missed = row["segments"] is None
        pieces = "-" if missed else str(row["segments"])
        error = "not within the error" if missed else f"{row['max_error']:.6g}"
        table.add_row(f"  {row['form']}", pieces, error)
    return table
