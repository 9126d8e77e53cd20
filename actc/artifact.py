"""A finished compilation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.intact import not_compiled, read_intact, read_object, require_listed
from actc.notebook import text_html
from actc.targets.base import BuildPlan, Target
from actc.targets.named import make_target

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Artifact:
    """What `actc.compile` gives.

    Attributes:
        path: the output directory (None for a dry run).
        report: the contents of report.json, with `seconds` filled in.
        plan: the build plan.
        target: the target it was built for.
    """

    path: Path | None
    report: dict[str, Any]
    target: Target
    plan: BuildPlan | None = None

    def run(self, feeds: Array | Mapping[str, Array]) -> dict[str, Array]:
        """Execute the artefact on one batch.

        Args:
            feeds: input name -> array [batch, ...]; one array when there is one input.

        Returns:
            output name -> array.

        Raises:
            UsageError: a dry run has no artefact; a name or shape is wrong.
        """
        return self.load()(feeds)

    def _repr_html_(self) -> str:
        """The report as text, for a notebook."""
        from actc.report import render_text  # brings jinja2 and more

        where = "a dry run" if self.path is None else str(self.path / "report.html")
        return text_html(f"{render_text(self.report)}\n  see {where}")

    def load(self) -> Callable[[Array | Mapping[str, Array]], dict[str, Array]]:
        """The artefact as a function, loaded once: what to time."""
        if self.path is None:
            raise UsageError(Diagnostic("ACT0242", "a dry run has no artefact to run"))
        run = self.target.load(self.path)
        inputs = [entry["name"] for entry in self.report["model"]["inputs"]]

        def call(feeds: Array | Mapping[str, Array]) -> dict[str, Array]:
            if isinstance(feeds, Mapping):
                named = dict(feeds)
            elif len(inputs) == 1:
                named = {inputs[0]: feeds}
            else:
                wanted = ", ".join(inputs)
                raise UsageError(Diagnostic("ACT0221", f"name the inputs: {wanted}"))
            if set(named) != set(inputs):
                message = f"inputs are {', '.join(inputs)}, not {', '.join(sorted(named))}"
                raise UsageError(Diagnostic("ACT0221", message))
            return run(named)

        return call


REPORTED = frozenset(
    {"activations", "bytes", "left_float", "model", "operators", "options", "precision", "sizes"}
)
"""What commands read of report.json."""


def open_artifact(directory: str | Path) -> Artifact:
    """Open a directory that `actc compile` wrote, whose files are what its manifest says.

    Every file is compared with its SHA-256 in manifest.json, before anything is loaded or run.

    Raises:
        UsageError: ACT0204, it is no such directory; ACT0067, files are missing or were changed.
    """
    path = Path(directory)
    manifest = read_intact(path)
    try:
        report = read_object(path / "report.json")
        if not REPORTED.issubset(report):
            raise ValueError("a part of the report is missing")
        target = make_target(str(manifest["target"]), path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise not_compiled(path) from error
    require_listed(path, manifest, target.capabilities().products)
    return Artifact(path, report, target)
