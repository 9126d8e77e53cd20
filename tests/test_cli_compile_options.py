"""Every option of `actc compile` reaches `actc.compile`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

import actc
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

NOT_OPTIONS = {"model", "overrides", "progress"}
"""The argument; what actc.toml gives; what the command line provides by itself."""
GIVEN = {
    "dump_ir": "dumped",
    "dry_run": None,
    "groups": 32,
    "max_drop": 0.5,
    "tune": 4,
    "tune_seconds": 2.5,
}
"""Values that are not just any text."""


def test_every_option_arrives(
    actc_cli: CommandLine, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    names = set(inspect.signature(actc.compile).parameters) - NOT_OPTIONS

    def compile(model: Path, **given: Any) -> None:
        seen.update(given)
        raise UsageError(Diagnostic("ACT0224", "seen"))

    monkeypatch.setattr(actc, "compile", compile)
    arguments: list[str] = []
    for name in sorted(names):
        arguments.append("--" + name.replace("_", "-"))
        value = GIVEN.get(name, f"<{name}>")
        arguments += [] if value is None else [str(value)]
    assert actc_cli("compile", model, *arguments).status == 2
    for name in names:
        wanted = GIVEN.get(name, f"<{name}>")
        assert str(seen[name]) == ("True" if wanted is None else str(wanted)), name
