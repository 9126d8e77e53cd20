"""The `onnx` target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.context import context_of
from actc.ir.execute import ExecutionError, Session
from actc.targets.base import BuildPlan, Capabilities, Target, Tool
from actc.targets.onnx.qdq import quantize_dequantize

Array = np.ndarray[Any, Any]

GOLDEN = "golden.onnx"
FLOAT = "approximated.onnx"
QDQ = "model.qdq.onnx"


@dataclass(frozen=True)
class OnnxTarget(Target):
    """Any ONNX runtime.

    Required tools: onnxruntime (or onnxruntime-gpu).
    Options: none.
    Build products: golden.onnx (integers, exact; written by the compiler) and
    model.qdq.onnx (QuantizeLinear/DequantizeLinear around float operators, for
    runtimes that fuse them; not bit-exact).
    """

    name: ClassVar[str] = "onnx"

    @classmethod
    def parse(cls, option: str) -> OnnxTarget:
        """`onnx` takes no option.

        Raises:
            UsageError: an option is given.
        """
        if option:
            message = f"target 'onnx' takes no option, not ':{option}'"
            raise UsageError(Diagnostic("ACT0450", message, help="write --target onnx"))
        return cls()

    @property
    def spec(self) -> str:
        """Always "onnx"."""
        return self.name

    def capabilities(self) -> Capabilities:
        """Everything that the dialect can say."""
        return Capabilities(
            precisions=("int8", "float32"),
            forms=("table", "pwl", "exact", "clamp"),
            operators=None,
            tools=(Tool("onnxruntime", "package", "onnxruntime", "pip install 'actc[cpu]'"),),
            summary="integer-exact ONNX for any runtime, and a QDQ variant",
            products={QDQ: "QDQ variant for runtimes that fuse it (not bit-exact)"},
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """Nothing to object: golden is what this target delivers."""
        return []

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """One file, the QDQ variant (int8 only)."""
        if precision != "int8":
            return BuildPlan(self.spec, {})
        quantized = context_of(model).facts["quantized"]["model"]
        proto = quantize_dequantize(quantized)
        return BuildPlan(self.spec, {QDQ: proto.SerializeToString(deterministic=True)})

    def build(self, plan: BuildPlan, directory: Path) -> None:
        """Write the plan's files."""
        for name, content in plan.files.items():
            (directory / name).write_bytes(content)

    def run(self, directory: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run golden.onnx, without onnxruntime's rewriting, so that it is a second opinion.

        Raises:
            UsageError: an input has another name, type or shape than the model's.
        """
        path = directory / GOLDEN
        if not path.exists():
            path = directory / FLOAT
        session = _session(path.read_bytes())
        try:
            return session.run(feeds)
        except ExecutionError as error:
            raise UsageError(
                Diagnostic(
                    "ACT0408",
                    f"the compiled model does not take these inputs: {error}",
                    place=Place(path.name),
                )
            ) from error


_SESSIONS: dict[int, tuple[bytes, Session]] = {}


def _session(content: bytes) -> Session:
    """The last session, kept while the file stays the same."""
    held = _SESSIONS.get(0)
    if held is None or held[0] != content:
        held = (content, Session(onnx.load_from_string(content), optimize=False))
        _SESSIONS[0] = held
    return held[1]
