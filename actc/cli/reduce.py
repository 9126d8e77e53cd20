"""actc debug reduce: the smallest model for which a command still shows the fault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Json, Model
from actc.cli.outcome import Outcome


def run(
    model: Model,
    check: Annotated[
        str,
        typer.Option(
            metavar="CMD",
            help="command that ends with status 0 where the fault shows; {model} in it stands "
            "for the file; no shell runs it",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the smallest model so far; default: MODEL-reduced.onnx, here",
        ),
    ] = None,
    status: Annotated[
        int,
        typer.Option(metavar="N", help="other status that shows the fault; -N: killed by signal N"),
    ] = 0,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="what CMD prints, too, where the fault shows")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="S", help="seconds for CMD; longer: the model is not taken"),
    ] = 60.0,
    tests: Annotated[int, typer.Option(metavar="N", help="how often CMD runs at most")] = 1000,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Shrink a model as long as a command shows its fault (delta debugging)."""
    file = Path(f"{model.stem}-reduced.onnx") if output is None else output
    with progress() as show:
        result = actc.reduce(
            model,
            check,
            output=file,
            status=status,
            text=text,
            timeout=timeout,
            tests=tests,
            progress=show,
        )
    return Outcome({**result.to_json(), "model": str(file)}, Text(_text(result, file)))


def _text(result: actc.Reduction, file: Path) -> str:
    lines = [f"{name}: {before} -> {after}" for name, (before, after) in result.sizes.items()]
    end = "nothing more can be left out" if result.complete else "--tests allows no more"
    return "\n".join([*lines, f"{file}, after {result.tests} tests: {end}"])
