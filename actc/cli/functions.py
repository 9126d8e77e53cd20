"""actc functions: the catalogue of published scalar functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

if TYPE_CHECKING:
    from actc.approx.catalogue import CatalogueEntry, Parameter


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="show this one in full")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """List the published functions that actc knows by name, or describe one."""
    from actc.approx.catalogue import FAMILIES, find, nearest  # brings scipy: not for --help

    if name is None:
        found = [_document(e, family) for family, entries in FAMILIES.items() for e in entries]
        return Outcome({"functions": found}, _list(FAMILIES))
    try:
        entry = find(name)
    except KeyError:
        raise UsageError(_unknown(name, nearest(name))) from None
    family = next(family for family, entries in FAMILIES.items() if entry in entries)
    document = _document(entry, family)
    return Outcome(document, _details(entry, family))


def _unknown(name: str, near: str | None) -> Diagnostic:
    suggestion = f"did you mean '{near}'? " if near else ""
    return Diagnostic(
        "ACT0306", f"unknown function '{name}'", help=f"{suggestion}`actc functions` lists all"
    )


def _document(entry: CatalogueEntry, family: str) -> dict[str, Any]:
    source = entry.source
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "family": family,
        "formula": entry.formula,
        "parameters": [_parameter_document(parameter) for parameter in entry.parameters],
        "domain": [_finite(end) for end in entry.domain],
        "source": {
            "authors": source.authors,
            "title": source.title,
            "venue": source.venue,
            "year": source.year,
        }
        if source.authors
        else None,
    }


def _parameter_document(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "default": parameter.default,
        "low": _finite(parameter.low),
        "high": _finite(parameter.high),
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity: null is an open end."""
    return value if math.isfinite(value) else None


def _list(families: dict[str, tuple[CatalogueEntry, ...]]) -> Group:
    return Group(*(_table(family, entries) for family, entries in families.items()))


def _table(family: str, entries: tuple[CatalogueEntry, ...]) -> Table:
    title = Text(f"\n{family} ({len(entries)})", style="bold")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column, ratio in (("name", None), ("formula", 4), ("parameters", 2), ("source", 3)):
        table.add_column(column, ratio=ratio, overflow="fold", header_style="bold")
    table.columns[0].no_wrap = True
    for entry in entries:
        values = ", ".join(f"{p.name}={p.default:.6g}" for p in entry.parameters)
        source = entry.source
        short = f"{source.authors}, {source.venue}, {source.year}" if source.authors else source
        table.add_row(entry.name, Text(entry.formula), Text(values), Text(str(short)))
    return table


def _details(entry: CatalogueEntry, family: str) -> Text:
    lines = [
        f"{entry.name}: {entry.formula}",
        f"  family      {family}",
        *(f"  parameter   {parameter_line(parameter)}" for parameter in entry.parameters),
        f"  domain      {interval(*entry.domain)}",
        f"  source      {entry.source}",
    ]
    if entry.aliases:
        lines.insert(1, f"  also        {', '.join(entry.aliases)}")
    return Text("\n".join(lines))


def parameter_line(parameter: Parameter) -> str:
    """One parameter: "alpha = 0.01 in [0, inf)"."""
    bounds = interval(parameter.low, parameter.high)
    return f"{parameter.name} = {parameter.default:.6g} in {bounds}"


def interval(low: float, high: float) -> str:
    """A closed interval; an infinite end is open."""
    left = f"[{low:g}" if math.isfinite(low) else "(-inf"
    right = f"{high:g}]" if math.isfinite(high) else "inf)"
    return f"{left}, {right}"
