"""The forms that `actc fit` compared, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_FIGURES = ("luts", "carries", "dsps", "brams", "depth")
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


def fixed_table(found: Mapping[str, Any]) -> Table:
    """All forms of a fit in fixed point, the chosen one first, then from cheap to costly."""
    table = _table("  form", "pieces", "max error", "ulp", "bits", *_TITLES)
    for column in table.columns[1:]:
        column.justify = "right"
    fitted = [row for row in found["alternatives"] if row["reason"] is None]
    fitted.sort(key=lambda row: row["cost"]["total"])
    table.add_row(f"* {_variant(found)}", *_figures(found), style="bold")
    for row in fitted:
        table.add_row(f"  {_variant(row)}", *_figures(row))
    return table


def pieces_table(pieces: Mapping[str, Mapping[str, Any]]) -> Table:
    """The scalar fits of a structured function."""
    table = _table("  piece", "formats", "form", "pieces", "bits", *_TITLES)
    for column in table.columns[3:]:
        column.justify = "right"
    for role, row in pieces.items():
        fit = row["approximation"]
        formats = f"{fit['input']} to {fit['output']}"
        table.add_row(f"  {role}", formats, row["variant"], str(row["segments"]), *_sizes(row))
    return table


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
