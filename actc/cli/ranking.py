"""Rankings of sites and layers as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from actc.report.format import visible

_SHOWN = 20
_METHODS = {"alone": "each site alone", "behind": "each site behind those before it"}
Row = Mapping[str, Any]


def ranking_text(ranking: Mapping[str, Any]) -> Text:
    """What `actc check --sites` prints below its summary."""
    sites: Sequence[Row] = ranking["sites"]
    lines = [
        f"errors by site ({ranking['samples']} samples; {_METHODS[ranking['method']]})",
        f"  relative RMS of the outputs: measured {ranking['measured']:.4g}, "
        f"sum of the sites {ranking['predicted']:.4g}",
        *table(("share", "rms", "bits", "kind", "site"), [_site(row) for row in sites[:_SHOWN]]),
        *_more(len(sites) - _SHOWN),
        "",
        "errors by layer (its weights, and tensors up to the next layer)",
        *table(("share", "rms", "layer"), [_layer(row) for row in ranking["layers"][:_SHOWN]]),
        *_more(len(ranking["layers"]) - _SHOWN),
        "",
    ]
    if ranking["toml"]:
        lines += ["to lower the error, in actc.toml:", "", ranking["toml"]]
    else:
        lines.append("no site with much of the error can have more bits")
    return Text("\n".join(visible(line) for text in lines for line in text.split("\n")))


def allocation_text(allocation: Mapping[str, Any]) -> Text:
    """What `actc compile --budget` prints below its summary."""
    rows: Sequence[Row] = [row for row in allocation["sites"] if row["chosen"]]
    cells = [
        (
            str(row["bits"]),
            str(row["bytes"]),
            f"{row['contribution']:.2e}",
            row["kind"],
            row["name"],
        )
        for row in rows[:_SHOWN]
    ]
    lines = [
        f"bits for {allocation['budget']}: {allocation['weights_bytes']} bytes of weights, "
        f"{allocation['tensors_bytes']} of tensors (one sample)",
        f"  relative RMS of the outputs: predicted {allocation['predicted']:.4g}, "
        f"simulated {allocation['measured']:.4g}",
        *table(("bits", "bytes", "rms", "kind", "site"), cells),
        *_more(len(rows) - _SHOWN),
    ]
    return Text("\n".join(visible(line) for line in lines))


def _logic(allocation: Mapping[str, Any]) -> list[str]:
    """What a budget of logic takes, where there is one."""
    if "cells" not in allocation:
        return []
    parts = ", ".join(f"{name} {cells}" for name, cells in allocation["cells_by_kind"].items())
    return [
        f"  logic cells of {allocation['family']}, fully unrolled, estimated before place and "
        f"route: {allocation['cells']}",
        f"  of these {parts}",
    ]


def site_rows(rows: Sequence[Row]) -> list[str]:
    """A table of sites: share of the error, bits, kind, name."""
    cells = [
        (f"{100 * row['share']:.1f}%", str(row["bits"] or "-"), row["kind"], row["name"])
        for row in rows
    ]
    return table(("share", "bits", "kind", "site"), cells)


def _site(row: Row) -> tuple[str, ...]:
    share, rms = f"{100 * row['share']:.1f}%", f"{row['rms']:.2e}"
    return share, rms, str(row["bits"] or "-"), row["kind"], row["name"]


def _choice(row: Row) -> tuple[str, ...]:
    rms = f"{row['contribution']:.2e}"
    return str(row["bits"]), str(row["bytes"]), rms, row["kind"], row["name"]


def _layer(row: Row) -> tuple[str, ...]:
    return f"{100 * row['share']:.1f}%", f"{row['rms']:.2e}", row["name"] or "(inputs)"


def _more(count: int) -> list[str]:
    return [f"  and {count} more"] if count > 0 else []


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], names: int = 2) -> list[str]:
    """Columns aligned to the right, but for the last `names`, which are aligned to the left."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if i >= len(head) - names and i != 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
