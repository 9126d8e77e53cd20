"""What the README and the contributor's page promise."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine
from site_pages import GENERATED

from actc.errors import ExitStatus


def section(root: Path, title: str) -> str:
    text = (root / "README.md").read_text("utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_commands_work_in_the_order_shown(actc_cli: CommandLine, root: Path) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    (actc_cli.directory / "examples").symlink_to(root / "examples")
    (block, *_) = re.findall(r"```console\n(.*?)```", section(root, "Use"), re.DOTALL)
    commands = [shlex.split(line[2:]) for line in block.splitlines()]
    assert [words[1] for words in commands] == [
        *("inspect", "compile", "check", "report", "targets", "verify", "fit", "functions"),
        "explain",
    ]
    for words in commands:
        done = actc_cli(*words[1:])
        assert done.status == 0, done.stderr


def test_every_written_file_is_listed(actc_cli: CommandLine, root: Path, model: Path) -> None:
    listed = set(re.findall(r"`([\w.]+\.\w+)`", section(root, "Use").split("| file |")[1]))
    assert actc_cli("compile", model, "--target", "onnx", "-o", "out").status == 0
    products = actc_cli("targets", "onnx", "--json").document["products"]
    written = {path.name for path in (actc_cli.directory / "out").iterdir()}
    assert written - set(products) <= listed


def test_exit_statuses_are_all_explained(root: Path) -> None:
    rows = re.findall(r"^\| (\d+) \|", section(root, "Use"), re.MULTILINE)
    assert [int(row) for row in rows] == [int(status) for status in ExitStatus]


def test_make_targets_exist(root: Path) -> None:
    help_text = subprocess.run(
        ["make", "--no-print-directory", "-C", str(root), "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    offered = set(re.findall(r"^  make (\S+)", help_text, re.MULTILINE))
    pages = [(root / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    named = {
        target
        for page in pages
        for line in re.findall(r"(?:\$|`|^   ) ?make ([a-z\- ]+)", page, re.MULTILINE)
        for target in re.split(r"\s{2,}", line.strip())[0].split()
    }
    assert {"demo", "test", "test-all", "lint", "types", "help"} <= named
    assert named <= offered


def test_links_lead_somewhere(root: Path) -> None:
    for page in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if "://" not in target and target not in GENERATED:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
