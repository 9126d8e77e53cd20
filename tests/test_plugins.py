"""Plug-ins through entry points: the package of the two how-to pages, and faulty ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, CommandLine, Finished
from sealed import sealed

PLUGINS = ROOT / "tests/plugins"
MODEL = ROOT / "examples/digits/mlp.onnx"
DATA = ROOT / "examples/digits/digits_mlp.npz"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both distributions, installed in a folder of their own."""
    folder = tmp_path_factory.mktemp("site")
    packages = [str(PLUGINS / "actc-toy"), str(PLUGINS / "actc-faulty")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--target", str(folder), *packages],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, on the path of this process."""
    monkeypatch.syspath_prepend(str(site))
    return site


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a how-to page."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    ("page", "file"), [("new-pass.md", "prune.py"), ("new-target.md", "reference.py")]
)
def test_page_shows_the_file_as_it_is(page: str, file: str) -> None:
    assert (PLUGINS / "actc-toy/actc_toy" / file).read_text("utf-8") == blocks(page, "python")[0]


@pytest.mark.parametrize("page", ["new-pass.md", "new-target.md"])
def test_page_has_three_steps_and_names_the_entry_point(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert re.findall(r"^## (\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]
    project = (PLUGINS / "actc-toy/pyproject.toml").read_text("utf-8")
    assert all(block in project for block in blocks(page, "toml"))


@pytest.mark.parametrize("page", ["new-pass.md", "new-target.md"])
def test_commands_of_the_page_work(actc_cli: CommandLine, installed: Path, page: str) -> None:
    (actc_cli.directory / "examples").symlink_to(ROOT / "examples")
    text = "".join(blocks(page, "console")).replace("\\\n", " ")
    commands = [shlex.split(line[2:]) for line in text.splitlines()]
    commands = [words[1:] for words in commands if words[0] == "actc"]
    assert commands
    for words in commands:
        done = actc_cli(*words)
        assert done.status == 0, done.stderr


@pytest.mark.parametrize("page", ["new-pass.md", "new-target.md"])
def test_test_of_the_page_works(tmp_path: Path, site: Path, page: str) -> None:
    code = blocks(page, "python")[1]
    assert "def test_" in code
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "test_page.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def compile_for(actc_cli: CommandLine, target: str) -> Finished:
    return actc_cli(
        *("compile", MODEL, "--target", target, "--data", DATA, "-o", "out", "--json"),
    )


@pytest.mark.parametrize(
    ("target", "status", "code", "words"),
    [
        ("absent-tool", 4, "ACT0501", "ACTC_ACTC_TOOL_OF_NOBODY"),
        ("failing-tool", 5, "ACT0510", "it broke"),
        ("hanging-tool", 5, "ACT0511", "ended after 0.2 seconds"),
        ("broken-code", 70, "ACT0901", "ZeroDivisionError"),
        ("broken-import", 4, "ACT0503", "actc_faulty_that_is_not_there"),
    ],
)
def test_failing_target(
    actc_cli: CommandLine,
    installed: Path,
    target: str,
    status: int,
    code: str,
    words: str,
) -> None:
    done = compile_for(actc_cli, target)
    assert done.status == status, done.stderr
    assert done.document["exit_status"] == status
    assert done.codes == [code]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(actc_cli.directory.iterdir()) == []


def test_debug_shows_the_traceback(
    actc_cli: CommandLine, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("compile", MODEL, "--target", "broken-code", "--data", DATA)
    for debug in (True, False):
        monkeypatch.setenv("ACTC_DEBUG", "0" if debug else "1")
        done = actc_cli(*arguments, *(["--debug"] if debug else []))
        assert done.status == 70
        assert "Traceback" in done.stderr
        assert "a mistake in the target" in done.stderr


def test_noise_on_stdout_does_not_break_the_document(
    actc_cli: CommandLine, installed: Path
) -> None:
    done = compile_for(actc_cli, "noisy")
    assert done.status == 0, done.stderr
    assert done.document["bit_exact"] is True
    for source in ("Python", "C", "the system"):
        assert f"noise from {source}\n" in done.stderr


def test_artefact_that_differs_from_golden(actc_cli: CommandLine, installed: Path) -> None:
    """Nothing is left that could be deployed."""
    done = compile_for(actc_cli, "unfaithful")
    assert done.status == 1, done.stderr
    assert done.codes == ["ACT0602"]
    assert list(actc_cli.directory.iterdir()) == []


def test_check_notices_another_artefact(actc_cli: CommandLine, installed: Path) -> None:
    assert compile_for(actc_cli, "reference").status == 0
    output = actc_cli.directory / "out"
    (output / "model.onnx").write_bytes((output / "approximated.onnx").read_bytes())
    sealed(output)
    done = actc_cli("check", "out", "--data", DATA, "--json")
    assert done.status == 1, done.stderr
    assert done.document["bit_exact"] is False
    assert done.codes == ["ACT0602"]


def test_broken_plug_in_does_not_hide_the_others(actc_cli: CommandLine, installed: Path) -> None:
    done = actc_cli("targets")
    assert done.status == 0
    assert "No module named 'actc_faulty_that_is_not_there'" in done.stdout
    assert "golden in the reference evaluator" in done.stdout
    assert actc_cli("doctor").status == 0


def test_name_claimed_twice(
    actc_cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site/rival-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[actc.targets]\ncpu = rival:Cpu\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    done = actc_cli("targets", "--json")
    assert done.status == 2
    assert done.codes == ["ACT0210"]
    assert "rival:Cpu" in done.stderr
    assert "actc.targets.tvm" in done.stderr
