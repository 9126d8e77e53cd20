"""The forms that `actc fit` compared, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

_FIGURES = ("luts", "carries", "dsps", "brams", "depth")
_LESS_IMPORTANT = ("max error", "carries", "BRAMs", "depth", "DSPs", "bits")
"""Columns that a narrow terminal goes without, in this order; --json has them all."""
_WIDEST = 1000
_TITLES = ("LUTs", "carries", "DSPs", "BRAMs", "depth", "cost")


def float_table(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The alternatives of a fit in float32; no table when there are none."""
    table = _table("  alternative", "pieces", "max error")
    for row in rows:
        if row["segments"] is not None:
            table.add_row(f"  {row['form']}", str(row["segments"]), f"{row['max_error']:.6g}")
    return [table] if table.rows else []


def rms_table(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The alternatives of a fit of least squares; no table when there are none."""
    table = _table("  alternative", "pieces", "rms", "max error")
    for row in rows:
        errors = f"{row['rms']:.6g}", f"{row['max_error']:.6g}"
        table.add_row(f"  {row['form']}, least max error", str(row["segments"]), *errors)
    return [table] if table.rows else []


@dataclass(frozen=True)
class FittingTable:
    """A table that leaves columns out on narrow terminals.

    Attributes:
        titles: of the columns.
        rows: cells of each row.
        left: so many first columns are aligned to the left, the others to the right.
        best: whether the first row is set in bold.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int
    best: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        hidden: set[str] = set()
        for title in _LESS_IMPORTANT:
            wanted = console.measure(self._table(hidden), options=options.update_width(_WIDEST))
            if wanted.maximum <= options.max_width:
                break
            hidden.add(title)
        yield self._table(hidden)

    def _table(self, hidden: set[str]) -> Table:
        shown = [index for index, title in enumerate(self.titles) if title not in hidden]
        table = _table(*(self.titles[index] for index in shown))
        for index, column in zip(shown, table.columns, strict=True):
            column.justify = "left" if index < self.left else "right"
        for number, cells in enumerate(self.rows):
            style = "bold" if self.best and not number else None
            table.add_row(*(cells[index] for index in shown), style=style)
        return table


def fixed_table(found: Mapping[str, Any]) -> FittingTable:
    """All forms of a fit in fixed point, the chosen one first, then from cheap to costly."""
    fitted = [row for row in found["alternatives"] if row["reason"] is None]
    fitted.sort(key=lambda row: row["cost"]["total"])
    rows = [[f"  {_variant(row)}", *_figures(row)] for row in fitted]
    chosen = [f"* {_variant(found)}", *_figures(found)]
    titles = ("  form", "pieces", "max error", "ulp", "bits", *_TITLES)
    return FittingTable(titles, [chosen, *rows], left=1, best=True)


def pieces_table(pieces: Mapping[str, Mapping[str, Any]]) -> FittingTable:
    """The scalar fits of a structured function."""
    rows = []
    for role, row in pieces.items():
        fit = row["approximation"]
        formats = f"{fit['input']} to {fit['output']}"
        rows.append([f"  {role}", formats, row["variant"], str(row["segments"]), *_sizes(row)])
    return FittingTable(("  piece", "formats", "form", "pieces", "bits", *_TITLES), rows, left=3)


def reasons(found: Mapping[str, Any]) -> dict[str, str]:
    """Why other forms do not do."""
    return {_variant(row): row["reason"] for row in found["alternatives"] if row["reason"]}


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, header_style="bold", no_wrap=True)
    return table


def _variant(row: Mapping[str, Any]) -> str:
    return str(row.get("variant", row["form"]))


def _figures(row: Mapping[str, Any]) -> list[str]:
    errors = f"{row['max_error']:.4g}", f"{row['max_error_ulp']:.3f}"
    return [str(row["segments"]), *errors, *_sizes(row)]


def _sizes(row: Mapping[str, Any]) -> list[str]:
    cost = row["cost"]
    figures = [cost.get(name) for name in _FIGURES]
    return [str(row["storage_bits"]), *map(_figure, figures), _figure(cost["total"])]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
