"""A target that runs golden in the evaluator of the onnx package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.base import BuildPlan, Capabilities, Progress, Target, Tool, quiet


@dataclass(frozen=True, slots=True)
class ReferenceTarget(Target):
    """Golden as it is, executed by onnx's own evaluator: slow, but independent.

    Required tools: onnx. Options: none. Build products: model.onnx.
    """

    name: ClassVar[str] = "reference"

    @classmethod
    def parse(cls, option: str) -> ReferenceTarget:
        """The target has no options."""
        if option:
            raise UsageError(Diagnostic("ACT0201", f"target reference has no option '{option}'"))
        return cls()

    @property
    def spec(self) -> str:
        """Always "reference"."""
        return self.name

    def capabilities(self) -> Capabilities:
        """Any operator, as int8 only."""
        return Capabilities(
            precisions=("int8",),
            forms=("table",),
            operators=None,
            tools=(Tool("onnx", "package", "onnx", "pip install onnx"),),
            summary="golden in the reference evaluator of onnx",
            products={"model.onnx": "golden, unchanged"},
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """Nothing is refused."""
        return []

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """One file, no command."""
        content = ir.to_proto(model).SerializeToString(deterministic=True)
        return BuildPlan(self.spec, {"model.onnx": content})

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the file."""
        for path, content in plan.files.items():
            (directory / path).write_bytes(content)

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Evaluate the file."""
        session = ReferenceEvaluator(str(directory / "model.onnx"))
        return dict(zip(session.output_names, session.run(None, dict(feeds)), strict=True))
