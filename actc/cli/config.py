"""actc config show: every option of a compilation, and where its value comes from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.table import Table
from rich.text import Text

import actc
from actc.cli import compile
from actc.cli.chosen import Chosen, Option
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus, UsageError
from actc.report.format import visible

_NOT_HERE = ("dump_ir", "dry_run", "no_cache")
_Model = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL.onnx", help="actc.toml lies beside it; default: here"),
]
_PLACES = ("activations", "weights", "sites")


@functools.wraps(compile.run)
def run(context: typer.Context, model: Path | None = None, **given: Any) -> Outcome:
    """Show every option of a compilation, and where its value comes from."""
    chosen = compile.chosen_of(context, model or Path("model.onnx"), given["config"], given)
    document = _document(chosen)
    try:
        found = actc.option_problems(chosen.arguments())
    except UsageError as error:
        found = error.diagnostics
    document["diagnostics"] = [item.to_json() for item in found]
    return judged(document, _view(chosen), ExitStatus.USAGE)


def _signature() -> inspect.Signature:
    """That of `actc compile`, for which the model need not be named."""
    hints = get_type_hints(compile.run, include_extras=True)
    parameters = []
    for name, parameter in inspect.signature(compile.run).parameters.items():
        if name == "model":
            parameters.append(parameter.replace(annotation=_Model, default=None))
        elif name not in _NOT_HERE:
            parameters.append(parameter.replace(annotation=hints[name]))
    return inspect.Signature(parameters, return_annotation=Outcome)


run.__signature__ = _signature()  # type: ignore[attr-defined]
run.__annotations__ = {k: p.annotation for k, p in _signature().parameters.items()}
run.__doc__ = "Show every option of a compilation, and where its value comes from."


def _document(chosen: Chosen) -> dict[str, Any]:
    parts = {"options": chosen.options, "target": chosen.hardware, **_overrides(chosen)}
    found: dict[str, Any] = {"file": None if chosen.file is None else str(chosen.file.path)}
    for name, options in parts.items():
        found[name] = {key: option.to_json() for key, option in options.items()}
    return found


def _overrides(chosen: Chosen) -> dict[str, dict[str, Option]]:
    """What the file says of single places."""
    file = chosen.file
    if file is None:
        return {name: {} for name in _PLACES}
    return {
        table: {
            name: Option(value, str(file.path), file.lines.get((table, name)))
            for name, value in getattr(file, table).items()
        }
        for table in _PLACES
    }


def _view(chosen: Chosen) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("option", "value", "from"):
        table.add_column(heading)
    for name, option in {**chosen.options, **chosen.hardware}.items():
        table.add_row(*map(_cell, (name, _spelled(option.value), option.where)))
    for place, options in _overrides(chosen).items():
        for name, option in options.items():
            cells = (f"[{place}] {name}", _spelled(option.value), option.where)
            table.add_row(*map(_cell, cells))
    return table


def _cell(text: str) -> Text:
    # names of a model and of files: none of their characters may steer the terminal
    return Text(visible(text), overflow="fold")


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {item}" for key, item in value.items())
    return "-" if value is None else str(value)
