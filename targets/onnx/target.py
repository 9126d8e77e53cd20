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
from actc.targets.components import ONNX, Component
from actc.targets.onnx.cuda import cuda_session, why_no_cuda
from actc.targets.onnx.given import is_given
from actc.targets.onnx.qdq import placement_of, quantize_dequantize
from actc.targets.onnx.qonnx_report import differences, written_qonnx
from actc.targets.onnx.speed import slower_than_float

Array = np.ndarray[Any, Any]

GOLDEN = "golden.onnx"
FLOAT = "approximated.onnx"
QDQ = "model.qdq.onnx"
QONNX = "model.qonnx.onnx"
FULL, AS_QONNX, ON_CUDA = "full", "qonnx", "cuda"
OPTIONS = (FULL, AS_QONNX, ON_CUDA)


@dataclass(frozen=True)
class OnnxTarget(Target):
    """Any ONNX runtime.

    Required tools: onnxruntime (or onnxruntime-gpu).
    Options: `full` (``onnx:full``) quantizes every tensor in model.qdq.onnx; without it
    operators run on integers only where onnxruntime is faster so. `qonnx`
    (``onnx:qonnx``) writes model.qonnx.onnx instead. `cuda` (``onnx:cuda``,
    ``onnx:full,cuda``) runs golden on a GPU, and refuses to fall back to the CPU.
    Build products: golden.onnx (integers, exact; written by the compiler) and
    model.qdq.onnx (QuantizeLinear/DequantizeLinear around float operators, for
    runtimes that fuse them; not bit-exact), or model.qonnx.onnx (QONNX quantizers around
    float operators; the report says how many codes differ from golden's).
    """

    name: ClassVar[str] = "onnx"
    components: ClassVar[tuple[Component, ...]] = ONNX

    full: bool = False
    qonnx: bool = False
    cuda: bool = False

    @classmethod
    def parse(cls, option: str) -> OnnxTarget:
        """`onnx`, or options behind a colon, by commas: `onnx:full,cuda`.

        Raises:
            UsageError: ACT0450, another option, or two that exclude each other.
        """
        words = [word for word in option.split(",") if word]
        wrong = [word for word in words if word not in OPTIONS]
        if wrong:
            near = difflib.get_close_matches(wrong[0], OPTIONS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            message = f"target 'onnx' has no option '{wrong[0]}'"
            known = " or ".join(f"--target onnx:{name}" for name in OPTIONS)
            help_text = f"{hint}write --target onnx, {known}"
            raise UsageError(Diagnostic("ACT0450", message, help=help_text))
        if {FULL, AS_QONNX} <= set(words):
            message = "target 'onnx' writes model.qdq.onnx or model.qonnx.onnx, not both"
            raise UsageError(Diagnostic("ACT0450", message, help="give full or qonnx"))
        return cls(full=FULL in words, qonnx=AS_QONNX in words, cuda=ON_CUDA in words)

    @property
    def spec(self) -> str:
        """ "onnx", and its options behind a colon."""
        given = (self.full, self.qonnx, self.cuda)
        words = [word for word, there in zip(OPTIONS, given, strict=True) if there]
        return f"{self.name}:{','.join(words)}" if words else self.name

    def capabilities(self) -> Capabilities:
        """Everything that the dialect can say."""
        products = {QDQ: "QDQ variant for runtimes that fuse it (not bit-exact)"}
        if self.qonnx:
            products = {QONNX: "QONNX variant for FINN, hls4ml and other readers"}
        return Capabilities(
            precisions=("int8", "float32"),
            forms=("table", "pwl", "exact", "clamp"),
            operators=None,
            tools=(_GPU_RUNTIME if self.cuda else _RUNTIME,),
            summary="integer-exact ONNX for any runtime, and a QDQ variant",
            products=products,
            float_islands=not self.full and not self.cuda,  # their bits are a CPU's
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
        plan.write(directory)

    def not_run(self, directory: Path) -> str:
        """Why golden cannot run on CUDA here; "" where it can, and on the CPU."""
        return why_no_cuda() if self.cuda else ""

    def run(self, directory: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run golden.onnx, without onnxruntime's rewriting, so that it is a second opinion.

        Raises:
            UsageError: an input has another name, type or shape than the model's.
            MissingTool: with option `cuda`, where onnxruntime would not run it on CUDA.
        """
        path = directory / GOLDEN
        if not path.exists():
            path = directory / FLOAT
        session = _session(path.read_bytes(), self.cuda)
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


_RUNTIME = Tool("onnxruntime", "package", "onnxruntime", "pip install 'actc[cpu]'")
_GPU_RUNTIME = Tool("onnxruntime-gpu", "package", "onnxruntime", "pip install 'actc[gpu]'")


def _quantized(model: ir.Model) -> ir.Model | None:
    """The float model with formats; None if no pass `quantize` ran."""
    found = context_of(model).facts.get("quantized", {}).get("model")
    return found if isinstance(found, ir.Model) else None


_SESSIONS: dict[bool, tuple[bytes, Session]] = {}


def _session(content: bytes, cuda: bool) -> Session:
    """The last session, on the CPU and on CUDA, kept while the file stays the same."""
    held = _SESSIONS.get(cuda)
    if held is None or held[0] != content:
        model = onnx.load_from_string(content)
        session = cuda_session(model) if cuda else islands.session(model, optimize=False)
        held = _SESSIONS[cuda] = (content, session)
    return held[1]
