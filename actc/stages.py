"""What `compile` does behind the passes: the stages' models, run, compared and written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_ir as ir

from actc.checks.equivalence import check_specification
from actc.checks.stages import run_artifact, run_model
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import context_of
from actc.ir.execute import ExecutionError
from actc.measured import Measured, emulated
from actc.output import write_json
from actc.prepare import Prepared
from actc.sensitivity.record import FORMATS, record
from actc.targets.base import Progress, Target


@dataclass(slots=True)
class Stages:
    """The models along the way."""

    normalized: onnx.ModelProto | None = None
    approximated: onnx.ModelProto | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str, progress: Progress) -> Iterator[None]:
        """Time a stage and say that it runs."""
        progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def running(file: str) -> Iterator[None]:
    """Explain that a stage of the model does not run, though the model does."""
    try:
        yield
    except ExecutionError as error:
        raise ModelError(
            Diagnostic(
                "ACT0463",
                f"a stage of the model does not run: {error}",
                place=Place(file, error.node, error.op),
                help="please report this with the model; an older opset may help",
            )
        ) from error


def write_models(
    stage: Path, prepared: Prepared, model: ir.Model, stages: Stages, precision: str
) -> None:
    """Write float.onnx, approximated.onnx and, of integers, golden.onnx with its formats."""
    # The model as it came in: a pass of the user's may change what the later stages compute.
    files = {"float.onnx": prepared.source.proto, "approximated.onnx": stages.approximated}
    if precision == "int8":
        files["golden.onnx"] = golden = ir.to_proto(model)
        context = context_of(model)
        if "quantized" in context.facts:  # a pipeline of the user's may have no such pass
            quantized = context.facts["quantized"]["model"]
            write_json(stage / FORMATS, record(quantized, context, golden))
    for name, proto in files.items():
        if proto is not None:
            (stage / name).write_bytes(proto.SerializeToString(deterministic=True))


def measure(
    prepared: Prepared,
    model: ir.Model,
    machine: Target,
    stage: Path,
    stages: Stages,
    precision: str,
) -> Measured:
    """Run float, approximated, golden and artefact over the data."""
    dataset = prepared.dataset
    outputs = {"float": run_model(prepared.source.proto, dataset)}
    if stages.approximated is not None:
        outputs["approximated"] = run_model(stages.approximated, dataset)
    if precision == "int8":
        golden = ir.to_proto(model)
        check_specification(golden, dataset)
        outputs["golden"] = run_model(golden, dataset)
    reason = machine.not_run(stage)
    if not reason:
        outputs["artifact"] = run_artifact(machine, machine.load(stage), dataset)
    measured = Measured(outputs, stages.normalized, model if precision == "int8" else None)
    if reason:
        measured.not_run(machine.spec, reason, context_of(model))
    else:
        measured.require_exact(precision, stages.approximated, machine.tolerance(stage))
        how = machine.emulation(stage)
        if how:
            measured.rungs.append(emulated(how, precision, measured.samples))
    return measured


def verify(
    prepared: Prepared, machine: Target, stage: Path, measured: Measured, say: Progress
) -> None:
    """Compare the target's own stages behind golden, and see what the device holds."""
    if "golden" in measured.outputs:
        inputs, golden = prepared.dataset.inputs, measured.outputs["golden"]
        measured.rungs += machine.verify(stage, inputs, golden, say)
        measured.require_equal_rungs()
    measured.hardware = machine.hardware(stage)
    measured.footprint = machine.footprint(stage)
    measured.tuned(machine.tuning(stage), prepared.context)
