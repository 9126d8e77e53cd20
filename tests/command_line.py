"""Running the command line: in this process, which is quick, or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actc import cli

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finished:
    """How a run of the command line ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """stdout as the one JSON document that it must be."""
        return json.loads(self.stdout)

    @property
    def codes(self) -> list[str]:
        """The codes of the document's diagnostics."""
        return [item["code"] for item in self.document["diagnostics"]]


def run_process(
    directory: Path,
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Finished:
    """Run `python -m actc` in `directory`, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "actc", *map(str, arguments)],
        cwd=directory,
        env={**os.environ, "COLUMNS": "100", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class CommandLine:
    """Runs `actc` in this process, in a directory of its own; captures the file descriptors."""

    directory: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path) -> Finished:
        self.capture.readouterr()
        before = Path.cwd()
        os.chdir(self.directory)
        try:
            status = cli.main([str(argument) for argument in arguments])
        finally:
            os.chdir(before)
        captured = self.capture.readouterr()
        return Finished(status, captured.out, captured.err)
