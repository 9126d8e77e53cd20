"""Proven bounds of the outputs' error as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from actc.cli.ranking import table
from actc.report.format import visible

Row = Mapping[str, Any]


def bound_text(bound: Mapping[str, Any]) -> Text:
    """What `actc check --bound` prints below its summary."""
    lines = [
        f"proven: |float - golden| for {bound['holds_for']}",
        *(_input(row) for row in bound["inputs"]),
    ]
    for row in bound["outputs"]:
        lines += ["", *_output(row)]
    lines += ["", f"  {bound['symbols']} noise symbols, {bound['seconds']:.1f} seconds"]
    return Text("\n".join(visible(line) for line in lines))


def _input(row: Row) -> str:
    outside = f"; {row['outside']} samples of the data are outside" if row["outside"] else ""
    return f"  input {row['name']}: {row['low']:.6g} to {row['high']:.6g}{outside}"


def _output(row: Row) -> list[str]:
    index = f" at {row['index']}" if row["index"] else ""
    measured = "no sample in the region"
    if row["measured"] is not None:
        measured = f"largest difference {row['measured']:.4g}"
    layers: Sequence[Row] = row["layers"]
    cells = [
        (*(f"{100 * part[key]:.1f}%" for key in _KINDS), part["name"] or "(inputs)")
        for part in layers
    ]
    return [
        f"output {row['name']}: at most {row['bound']:.4g}{index}",
        f"  on the data: {measured}, float reaches {row['reach']:.4g}",
        *table((*_KINDS, "layer"), cells, names=1),
    ]


_KINDS = ("share", "weights", "rounding", "saturation")
