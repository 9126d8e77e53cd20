"""The command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class CommandLine:
    """Runs `python -m actc` in a directory of its own, as a user would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "actc", *map(str, arguments)],
            cwd=self.directory,
            env={**os.environ, "COLUMNS": "100", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Finished(done.returncode, done.stdout, done.stderr)
