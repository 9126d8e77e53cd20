"""actc doctor: what is installed, which tool is missing, how to get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from actc import doctor
from actc.cli.console import progress
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.cli.targets import tool_lines
from actc.errors import ExitStatus
from actc.targets.fpga.flow.inventory import prepare_all


def run(
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="compile the FPGA tools now, not at their first run"),
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Show what is installed and what each target still needs."""
    if prepare:
        with progress() as show:
            prepare_all(show)
    found = doctor.diagnose()
    status = ExitStatus.OK if found["usable"] else ExitStatus.MISSING_TOOL
    return Outcome(found, _view(found), status)


def _view(found: Mapping[str, Any]) -> Text:
    lines = [f"actc {found['actc']}, Python {found['python']}, {found['platform']}", "", "packages"]
    for package in found["packages"]:
        lines.append(f"  {package['name']:18}{package['version'] or '-'}")
    lines += ["", "programs of the FPGA flow"]
    for program in found["programs"]:
        state = f"{program['state']}{': ' if program['help'] else ''}{program['help']}"
        lines.append(f"  {program['name']:26}{program['version'] or '-':20}{state}")
    for target in found["targets"]:
        ready = "ready" if target["ready"] else "not ready"
        lines += ["", f"target {target['name']}: {target.get('broken') or ready}"]
        lines += tool_lines(target)
    return Text("\n".join(lines))
