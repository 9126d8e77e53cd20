"""A flow of vendors' tools in a folder of its own, run with programs in the tools' place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actc.diagnostics import Diagnostic
from actc.errors import ActcError, ToolFailed
from actc.targets.vendor.build import build
from actc.targets.vendor.flow import Flow


@dataclass(frozen=True)
class Bench:
    """A flow, and what its folder must hold.

    Attributes:
        flow: the flow.
        files: names in the flow's folder; empty ones do.
    """

    flow: Flow
    files: tuple[str, ...]

    def lay_out(self, folder: Path) -> Path:
        """Make the files below `folder`; `folder`."""
        written(folder, {f"{self.flow.folder}/{name}": b"" for name in self.files})
        return folder

    def run(
        self, directory: Path, goal: str | None = None, seconds: float = 60.0
    ) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Build up to a goal."""
        return build(self.flow, directory, goal, seconds, lambda line: None)

    def failure(
        self,
        directory: Path,
        kind: type[ActcError] = ToolFailed,
        goal: str | None = "ip",
        seconds: float = 60.0,
    ) -> Diagnostic:
        """The one problem that ends a build."""
        with pytest.raises(kind) as caught:
            self.run(directory, goal, seconds)
        (found,) = caught.value.diagnostics
        return found


def written(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
