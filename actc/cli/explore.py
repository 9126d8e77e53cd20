"""actc explore: how fast a network can be on a board, and what of the device that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Json, Model
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report.format import visible

_KINDS = {"luts": "logic cells", "brams": "block memories", "dsps": "multipliers"}


def run(
    model: Model,
    target: Annotated[
        str,
        typer.Option(
            "--target", "-t", metavar="BOARD", help="a board or FPGA device of `actc targets`"
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATA.npz", help="samples of what the network will see"),
    ] = None,
    activations: Annotated[
        str, typer.Option(metavar="auto|BITS|mixed", help="bits of tensors, 2..16")
    ] = "auto",
    weights: Annotated[str, typer.Option(metavar="8..2|ternary", help="bits of weights")] = "8",
    end: Annotated[
        str,
        typer.Option(
            metavar="outputs|argmax|probabilities",
            help="what the network gives; argmax: the index of the largest output; "
            "probabilities: those of the last softmax as codes of 16 bits",
        ),
    ] = "outputs",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png|.svg", help="draw the front")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """List all foldings of a network on a board of which none is faster and smaller."""
    with progress() as show:
        found = actc.explore(
            model,
            target,
            data=data,
            activations=activations,
            weights=weights,
            end=end,
            plot=plot,
            progress=show,
        )
    return judged(found, _view(found, plot), ExitStatus.MODEL)


def _view(found: Mapping[str, Any], plot: Path | None) -> Group:
    points: Sequence[Mapping[str, Any]] = found["points"]
    head = (
        f"{visible(found['model'])} on {found['device']} at {found['clock_mhz']:g} MHz: "
        f"{len(points)} foldings, areas estimated"
    )
    parts: list[Table | Text] = [Text(f"{head}\n", style="bold"), _table(found, points)]
    parts.append(Text("\nfoldings (pe x simd, lanes) of the first and the last, by stage\n"))
    parts.append(_foldings(found["stages"], points[0], points[-1]))
    if plot is not None:
        parts.append(Text(f"  wrote {visible(str(plot))}"))
    return Group(*parts)


def _table(found: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("samples/s", "clocks", "latency", *_KINDS.values()):
        table.add_column(name, justify="right", header_style="bold")
    for point in points:
        table.add_row(
            f"{point['samples_per_second']:,.0f}",
            f"{point['interval']:,}",
            _time(point["latency_us"]),
            *(_amount(point[name], found["available"][name]) for name in _KINDS),
        )
    return table


def _foldings(stages: Sequence[str], *points: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "fastest", "smallest"):
        table.add_column(name, header_style="bold", overflow="fold")
    columns = [[_folding(folding) for folding in point["foldings"]] for point in points]
    for stage, *texts in zip(stages, *columns, strict=True):
        table.add_row(Text(visible(stage)), *texts)
    return table


def _folding(folding: Mapping[str, Any]) -> str:
    kinds = f"{folding['multiplier']} products, weights in {folding['weights']}"
    where = ", on the engine" if folding.get("engine") else ""
    return f"{folding['pe']} x {folding['simd']}, {folding['lanes']}: {kinds}{where}"


def _amount(used: int, available: int) -> str:
    return f"{used:,} ({100 * used / available:.0f}%)" if available else "none"


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.1f} us"
    return f"{microseconds / 1000:.2f} ms"
