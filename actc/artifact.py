"""A finished compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError
from actc.intact import not_compiled, read_intact, read_object, require_listed
from actc.ir.execute import ExecutionError
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
        directory = self.path
        with runnable(self.path):
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
            with runnable(directory):
                return run(named)

        return call


@contextmanager
def runnable(directory: Path) -> Iterator[None]:
    """Explain that a model in a directory, which may come from anywhere, does not run.

    Raises:
        ModelError: ACT0065.
    """
    try:
        yield
    except ExecutionError as error:
        raise ModelError(
            Diagnostic(
                "ACT0065",
                f"a model in this directory does not run: {error}",
                place=Place(str(directory), error.node, error.op),
                help="compile the model again",
            )
        ) from error


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
