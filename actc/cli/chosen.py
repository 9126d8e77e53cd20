"""The options of a compilation and where each comes from.

Defaults are below actc.toml, which is below the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

import actc
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.named import target_class

DEFAULT, COMMAND_LINE = "default", "command line"


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        value: None where the option is not given.
        source: `DEFAULT`, `COMMAND_LINE`, or the configuration's file.
        line: of the file, None elsewhere.
    """

    value: Any
    source: str = DEFAULT
    line: int | None = None

    @property
    def where(self) -> str:
        """The source, with its line."""
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        value = str(self.value) if isinstance(self.value, Path) else self.value
        return {"value": value, "source": self.source, "line": self.line}


@dataclass(frozen=True, slots=True)
class Chosen:
    """All options of a compilation.

    Attributes:
        file: the configuration, None where there is none.
        options: of `actc.compile`, by name; the target without `hardware`.
        hardware: options of the target, by name.
    """

    file: actc.Config | None
    options: Mapping[str, Option]
    hardware: Mapping[str, Option]

    def arguments(self) -> dict[str, Any]:
        """What `actc.compile` takes.

        Raises:
            UsageError: ACT0224, the target has no such option; and all that is wrong beside it.
        """
        given = {name: option.value for name, option in self.options.items()}
        if self.file is not None:
            given["overrides"] = self.file.overrides
        hardware = {name: option.value for name, option in self.hardware.items()}
        try:
            given["target"] = _with_options(str(given["target"]), hardware)
        except UsageError as error:
            raise UsageError([*error.diagnostics, *actc.option_problems(given)]) from error
        return given


def choose(
    context: typer.Context,
    model: Path,
    config: Path | None,
    options: Mapping[str, Any],
    hardware: Mapping[str, Any],
) -> Chosen:
    """Join what the parser gave with the configuration file that is named, or beside the model.

    Args:
        context: of the command, which knows what is on the command line.
        model: its folder is looked into; it need not exist.
        config: the file, None: actc.toml beside the model, where there is one.
        options: of `actc.compile`, by name, as parsed.
        hardware: options of targets, by name, as parsed.

    Raises:
        UsageError: ACT0234, all that is wrong in the file.
    """
    path = config if config is not None else actc.find_config(model)
    file = None if path is None else actc.read_config(path)

    found = _joined(context, options, file, "compile")
    ours = file if file is not None and _is_for(file, found["target"]) else None
    return Chosen(file, found, _joined(context, hardware, ours, "target"))


def _joined(
    context: typer.Context, parsed: Mapping[str, Any], file: actc.Config | None, table: str
) -> dict[str, Option]:
    """The options of a table."""
    written = {} if file is None else file.options if table == "compile" else file.target
    found = {}
    for name, value in parsed.items():
        if _is_given(context, name):
            found[name] = Option(value, COMMAND_LINE)
        elif file is not None and name in written:
            found[name] = Option(written[name], str(file.path), file.lines.get((table, name)))
        else:
            found[name] = Option(value)
    return found


def _is_for(file: actc.Config, target: Option) -> bool:
    """Whether [target] is about the target: not if another one is on the command line."""
    written = file.options.get("target", target.value)
    return str(written).partition(":")[0] == str(target.value).partition(":")[0]


def _is_given(context: typer.Context, option: str) -> bool:
    """Whether an option is on the command line."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == COMMAND_LINE.replace(" ", "").upper()


def _with_options(target: str, hardware: Mapping[str, object]) -> str:
    """The target with what only some targets understand behind its colon.

    Raises:
        UsageError: ACT0224, this target has no such options.
    """
    items = [f"{name}={value}" for name, value in hardware.items() if value is not None]
    name, _, given = target.partition(":")
    if not items:
        return target
    try:
        known = target_class(name).options
    except UsageError:  # compile() says so, with all else that is wrong
        return target
    wrong = [key for key, value in hardware.items() if value is not None and key not in known]
    if wrong:
        raise UsageError(
            Diagnostic(
                "ACT0224",
                f"--{key} has no meaning for target '{name}'",
                help="leave it out, or take a target that has it (`actc targets T` lists them)",
            )
            for key in wrong
        )
    return ":".join(filter(None, (name, ",".join(filter(None, (given, *items))))))
