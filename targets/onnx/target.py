"""The `onnx` target."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir import islands
from actc.ir.context import context_of
from actc.ir.execute import ExecutionError, Session
from actc.targets.base import BuildPlan, Capabilities, Progress, Target, Tool, quiet
from actc.targets.onnx.given import is_given
from actc.targets.onnx.qdq import placement_of, quantize_dequantize
from actc.targets.onnx.qonnx_report import differences, written_qonnx
from actc.targets.onnx.speed import slower_than_float

Array = np.ndarray[Any, Any]

GOLDEN = "golden.onnx"
FLOAT = "approximated.onnx"
QDQ = "model.qdq.onnx"
QONNX = "model.qonnx.onnx"
FULL, AS_QONNX = "full", "qonnx"
OPTIONS = (FULL, AS_QONNX)


@dataclass(frozen=True)
class OnnxTarget(Target):
    """Any ONNX runtime.

    Required tools: onnxruntime (or onnxruntime-gpu).
    Options: `full` (``onnx:full``) quantizes every tensor in model.qdq.onnx; without it
    operators run on integers only where onnxruntime is faster so. `qonnx`
    (``onnx:qonnx``) writes model.qonnx.onnx instead.
    Build products: golden.onnx (integers, exact; written by the compiler) and
    model.qdq.onnx (QuantizeLinear/DequantizeLinear around float operators, for
    runtimes that fuse them; not bit-exact), or model.qonnx.onnx (QONNX quantizers around
    float operators; the report says how many codes differ from golden's).
    """

    name: ClassVar[str] = "onnx"

    full: bool = False
    qonnx: bool = False

    @classmethod
    def parse(cls, option: str) -> OnnxTarget:
        """`onnx`, `onnx:full` or `onnx:qonnx`.

        Raises:
            UsageError: ACT0450, another option.
        """
        if option not in ("", *OPTIONS):
            near = difflib.get_close_matches(option, OPTIONS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            message = f"target 'onnx' has no option '{option}'"
            known = " or ".join(f"--target onnx:{name}" for name in OPTIONS)
            help_text = f"{hint}write --target onnx, {known}"
            raise UsageError(Diagnostic("ACT0450", message, help=help_text))
        return cls(full=option == FULL, qonnx=option == AS_QONNX)

    @property
    def spec(self) -> str:
        """ "onnx", "onnx:full" or "onnx:qonnx"."""
        option = FULL if self.full else AS_QONNX if self.qonnx else ""
        return f"{self.name}:{option}" if option else self.name

    def capabilities(self) -> Capabilities:
        """Everything that the dialect can say."""
        products = {QDQ: "QDQ variant for runtimes that fuse it (not bit-exact)"}
        if self.qonnx:
            products = {QONNX: "QONNX variant for FINN, hls4ml and other readers"}
        return Capabilities(
            precisions=("int8", "float32"),
            forms=("table", "pwl", "exact", "clamp"),
            operators=None,
            tools=(Tool("onnxruntime", "package", "onnxruntime", "pip install 'actc[cpu]'"),),
            summary="integer-exact ONNX for any runtime, and a QDQ variant",
            products=products,
            float_islands=not self.full,
            activations="8" if self.full or self.qonnx else "mixed",
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """Nothing to object: golden is what this target delivers.

        Says at which batch the QDQ variant will be slower than float in onnxruntime, and
        what a QONNX executor gives otherwise than golden.
        """
        quantized = _quantized(model)
        if self.qonnx and precision == "int8" and quantized is not None:
            return differences(quantized, model, QONNX)
        if precision != "int8" or quantized is None or is_given(quantized):
            return []
        return slower_than_float(placement_of(quantized), QDQ, self.full)

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """One file, the QDQ or QONNX variant (int8 only)."""
        quantized = _quantized(model)
        if precision != "int8" or quantized is None:
            return BuildPlan(self.spec, {})
        if self.qonnx:
            proto = written_qonnx(quantized, context_of(model)).proto
            return BuildPlan(self.spec, {QONNX: proto.SerializeToString(deterministic=True)})
        weights = context_of(model).facts.get("weights", {})
        proto = quantize_dequantize(quantized, weights, everywhere=self.full)
        return BuildPlan(self.spec, {QDQ: proto.SerializeToString(deterministic=True)})

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
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


def _quantized(model: ir.Model) -> ir.Model | None:
    """The float model with formats; None if no pass `quantize` ran."""
    found = context_of(model).facts.get("quantized", {}).get("model")
    return found if isinstance(found, ir.Model) else None


_SESSIONS: dict[int, tuple[bytes, Session]] = {}


def _session(content: bytes) -> Session:
    """The last session, kept while the file stays the same."""
    held = _SESSIONS.get(0)
    if held is None or held[0] != content:
        held = (content, islands.session(onnx.load_from_string(content), optimize=False))
        _SESSIONS[0] = held
    return held[1]
