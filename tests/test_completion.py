"""Completion of command lines, in a real bash, zsh and fish."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine

from actc.approx.catalogue import CATALOGUE
from actc.cli.application import COMMANDS, GROUPS
from actc.cli.completion import candidates
from actc.codes import CODES
from actc.targets import TARGETS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], sorted([*COMMANDS, *GROUPS])),
        (["comp"], ["compile", "completion"]),
        (["debug", ""], ["reduce"]),
        (["config", "s"], ["show"]),
        (["compile", "m.onnx", "--appr"], ["--approx"]),
        (["compile", "m.onnx", "--approx", ""], ["auto", "exact", "pwl", "table"]),
        (["compile", "--precision", "f"], ["float16", "float32"]),
        (["config", "show", "--target", "verilo"], ["verilog"]),
        (["debug", "reduce", "m.onnx", "--ti"], ["--timeout"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["explain", "ACT000"], sorted(code for code in CODES if code.startswith("ACT000"))),
        (["compile", ""], []),  # any file
        (["compile", "m.onnx", "--data", ""], []),
        (["nonsense", ""], []),
        ([], sorted([*COMMANDS, *GROUPS])),
    ],
    ids=" ".join,
)
def test_candidates(words: list[str], expected: list[str]) -> None:
    assert candidates(words) == expected


def test_names_of_targets_and_functions() -> None:
    assert candidates(["compile", "m.onnx", "-t", ""]) == sorted(TARGETS.references())
    assert candidates(["targets", "ecp5"]) == sorted(
        name for name in TARGETS.references() if name.startswith("ecp5")
    )
    functions = sorted(entry.name for entry in CATALOGUE if entry.name.startswith("S"))
    assert functions
    assert candidates(["fit", "--segments", "4", "S"]) == functions


def test_usage(actc_cli: CommandLine) -> None:
    assert actc_cli("completion", "tcsh", "--json").codes == ["ACT0201"]
    done = actc_cli("completion", "zsh", "--json", "--", "doc")
    assert done.document == {"candidates": ["doctor"]}
    for shell in ("bash", "zsh", "fish"):
        assert f"actc completion {shell} -- " in actc_cli("completion", shell).stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash(tmp_path: Path, actc_cli: CommandLine) -> None:
    """The function that the script defines fills COMPREPLY as readline would ask it to."""
    script = tmp_path / "completion.bash"
    script.write_text(actc_cli("completion", "bash").stdout)
    asked = """
    set -eu
    source "$1"
    complete -p actc
    COMP_WORDS=(actc fit GEL) COMP_CWORD=2
    _actc_completion
    printf '%s\\n' "${COMPREPLY[@]}"
    COMP_WORDS=(actc debug reduce m.onnx "") COMP_CWORD=4
    _actc_completion
    echo "${#COMPREPLY[@]}"
    """
    folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "--norc", "-c", asked, "bash", str(script)],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    first, *names, none = done.stdout.splitlines()
    assert "-o default -F _actc_completion actc" in first
    assert names == sorted(entry.name for entry in CATALOGUE if entry.name.startswith("GEL"))
    assert none == "0"


GELU = sorted(entry.name for entry in CATALOGUE if entry.name.startswith("GEL"))


def completed(shell: str, options: list[str], asked: str, script: str, folder: Path) -> list[str]:
    """What a shell says that has read the script from its first argument."""
    path = folder / f"completion.{shell}"
    path.write_text(script)
    (folder / "model.onnx").touch()
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [shell, *options, asked, *([shell] if shell == "zsh" else []), str(path)],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh(tmp_path: Path, actc_cli: CommandLine) -> None:
    """The function that compinit finds offers by compadd, or files where it has nothing."""
    asked = """
    autoload -Uz compinit && compinit -u -D
    compadd() { shift; print -rl -- "${(@P)1}" }
    _files() { print files }
    source "$1"
    print -r -- $_comps[actc]
    words=(actc fit GEL) CURRENT=3; _actc
    words=(actc debug reduce m.onnx "") CURRENT=5; _actc
    """
    said = completed("zsh", ["-f", "-c"], asked, actc_cli("completion", "zsh").stdout, tmp_path)
    assert said == ["_actc", *GELU, "files"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish(tmp_path: Path, actc_cli: CommandLine) -> None:
    """What fish itself offers for a line."""
    asked = """
    source $argv[1]
    complete -C 'actc fit GEL'
    echo -
    complete -C 'actc inspect mod'
    """
    said = completed("fish", ["-N", "-c"], asked, actc_cli("completion", "fish").stdout, tmp_path)
    assert said == [*GELU, "-", "model.onnx"]
