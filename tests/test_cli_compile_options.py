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


def test_an_option_of_other_targets_is_reported_with_all_else(
    actc_cli: CommandLine, model: Path
) -> None:
    wrong = ("--clock", "100", "--approx", "spline", "--budget", "x", "--tune", "-1")
    done = actc_cli("compile", model, "--target", "cpu:nonsense", *wrong)
    assert done.status == 2
    for text in ("--clock has no meaning", "'nonsense'", "--approx cannot be 'spline'"):
        assert done.stderr.count(text) == 1, text
    assert "budget" in done.stderr


def test_an_unknown_target_is_said_once_beside_options_of_hardware(
    actc_cli: CommandLine, model: Path
) -> None:
    done = actc_cli("compile", model, "--target", "nope", "--clock", "5", "--approx", "spline")
    assert done.status == 2
    assert done.stderr.count("error[") == 2
    assert "unknown target 'nope'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--target", "c", "--precision", "float32"), "ACT0486", "target 'c' has no --precision"),
        (("--target", "cpu", "--precision", "float16"), "ACT0486", "`--target cuda` has"),
        (("--target", "cuda:fp16"), "ACT0486", "choose one of: float32"),
        (("--target", "cuda:dp4a", "--precision", "float32"), "ACT0486", "choose one of: int8"),
        (("--target", "c", "--precision", "int4"), "ACT0224", "did you mean 'int8'?"),
        (("--tune", "-1"), "ACT0224", "0 times none"),
        (("--tune", "3", "--tune-seconds", "-3"), "ACT0224", "give seconds, 300 say"),
        (("--max-drop", "7"), "ACT0224", "help: 0.01"),
    ],
)
def test_what_to_write_instead(
    actc_cli: CommandLine, model: Path, arguments: tuple[str, ...], code: str, words: str
) -> None:
    done = actc_cli("compile", model, *arguments)
    assert done.status == 2
    assert f"error[{code}]" in done.stderr
    assert words in done.stderr
