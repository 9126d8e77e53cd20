"""actc inspect: the activations of a model, and what stands in the way of a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

import actc
from actc.cli.options import Debug, Json, Model
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report.format import visible

_LONGEST = 400


def run(
    model: Model,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="T", help="also say what this target cannot take"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """List the activations of a model and the operators without support."""
    found = actc.inspect(model, target)
    return judged(found, _view(found), ExitStatus.MODEL)


def _view(found: Mapping[str, Any]) -> Group:
    activations, unsupported = found["activations"], found["unsupported"]
    parts: list[Table | Text] = [Text(f"{len(activations)} activations")]
    if found["quantized"] is not None:
        parts.insert(0, Text(f"quantized already: {_bits(found['quantized'])}"))
    if activations:
        sites = [
            (site["id"], site["function"], _names(site["nodes"]), site["channels"] or 1)
            for site in activations
        ]
        parts.append(_table(("id", "function", "nodes", "channels"), sites))
    parts.append(Text(f"{len(unsupported)} operators without support"))
    if unsupported:
        reasons = [(item["node"], item["op"], item["reason"]) for item in unsupported]
        parts.append(_table(("node", "op", "reason"), reasons))
    return Group(*parts)


def _bits(quantized: Mapping[str, Mapping[str, int]]) -> str:
    """What is quantized: "activations: 5 of 8 bits; weights of layers: 3 ternary"."""
    tensors = ", ".join(f"{n} of {bits} bits" for bits, n in quantized["activations"].items())
    layers = ", ".join(
        f"{n} {bits if bits == 'ternary' else f'of {bits} bits'}"
        for bits, n in quantized["weights"].items()
    )
    return f"activations: {tensors or 'none'}; weights of layers: {layers or 'none'}"


def _names(nodes: list[str]) -> str:
    shown = ", ".join(nodes[:3])
    return shown if len(nodes) <= 3 else f"{shown} and {len(nodes) - 3} more"


def _cut(text: str) -> str:
    """A name as far as anybody reads it: a model can have one of a megabyte."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", header_style="bold")
    for row in rows:
        table.add_row(*(Text(_cut(visible(str(cell)))) for cell in row))
    return table
