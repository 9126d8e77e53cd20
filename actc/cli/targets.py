"""actc targets: what can be compiled for, and which tools that needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from actc import doctor
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.targets import TARGETS


def run(
    target: Annotated[str | None, typer.Argument(metavar="T", help="show this one in full")] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """List the targets, or describe one."""
    if target is not None:
        described = doctor.describe_target(target)
        return Outcome(described, _details(described))
    found = [doctor.describe_target(name) for name in TARGETS.references()]
    return Outcome({"targets": found}, _list(found))


def _list(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("target", "ready", "summary"):
        table.add_column(name, overflow="fold", header_style="bold")
    for target in found:
        summary = target.get("broken") or target["summary"]
        table.add_row(target["name"], "yes" if target["ready"] else "no", Text(summary))
    return table


def _details(target: Mapping[str, Any]) -> Text:
    lines = [f"{target['name']}: {target.get('broken') or target['summary']}"]
    if "broken" not in target:
        lines.append(f"  precision   {', '.join(target['precisions'])}")
        lines.append(f"  forms       {', '.join(target['forms'])}")
    for option, values in target.get("options", {}).items():
        lines.append(f"  option      {target['name']}:{option}=... {values}")
    for path, what in target.get("products", {}).items():
        lines.append(f"  writes      {path}: {what}")
    return Text("\n".join(lines + tool_lines(target)))


def tool_lines(target: Mapping[str, Any]) -> list[str]:
    """One line per tool of a target: found, or how to get it."""
    lines = []
    for tool in target["tools"]:
        state = "found" if tool["found"] else f"MISSING: {tool['how']}"
        if not tool["found"] and tool["override"]:
            state += f", or set {tool['override']}"
        lines.append(f"  needs       {tool['name']}: {state}")
    return lines
