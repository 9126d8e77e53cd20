"""What a compilation measured: outputs of its stages, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import BudgetMissed
from actc.ir.context import Context
from actc.ir.limits import all_nodes
from actc.numerics.compare import Outputs, errors, identical
from actc.targets.base import Rung

_FLOAT_TOLERANCE = 1e-4
"""Difference of a float32 artefact from approximated.onnx, in units of its RMS, that 99
percent of the values keep; the rest may be 500 times larger, for a table turns a
rounding difference at the edge of a step into the height of that step."""

_WITH_POLES = frozenset({"Div", "Reciprocal", "Pow"})
"""Operators that give infinities for zeros, of the zero's sign."""


@dataclass(slots=True)
class Measured:
    """Outputs of the stages over the data.

    Attributes:
        outputs: stage -> output name -> array [samples, ...].
        normalized: the float model with the sites' names.
        golden: the integer model, None in float32.
        rungs: comparisons of the target's own stages with golden.
        hardware: what the artefact takes of a device, None where it is software.
        footprint: bytes of its library, constants and workspace, None where not known.
        tuning: schedules that were chosen by timing, None where none were.
    """

    outputs: dict[str, Outputs] = field(default_factory=dict)
    normalized: onnx.ModelProto | None = None
    golden: ir.Model | None = None
    rungs: list[Rung] = field(default_factory=list)
    hardware: dict[str, Any] | None = None
    footprint: dict[str, int] | None = None
    tuning: dict[str, Any] | None = None

    def not_run(self, target: str, reason: str, context: Context) -> None:
        """Record that the artefact was not executed, so that nobody takes it for compared."""
        self.rungs.append(Rung("artifact", "not run", reason))
        context.sink.add(not_executed(target, reason, context.file))

    def tuned(self, found: dict[str, Any] | None, context: Context) -> None:
        """Record what tuning found, and what it could not do."""
        self.tuning = found
        if found is None:
            return
        if found["untimed"]:
            context.sink.add(
                Diagnostic(
                    "ACT0492",
                    f"{found['untimed']} of {len(found['kernels'])} kernels were not timed within "
                    f"{found['seconds']:g} s; their schedules are the modelled ones",
                    severity="warning",
                    place=Place(context.file),
                    help="give --tune-seconds, or compile again: what was timed is kept",
                )
            )
        for problem in found["problems"]:
            place = Place(context.file)
            context.sink.add(Diagnostic("ACT0493", problem, severity="warning", place=place))

    def require_equal_rungs(self) -> None:
        """Every stage behind golden that was compared must equal it.

        Raises:
            BudgetMissed: one does not; all that differ are named.
        """
        problems = [
            Diagnostic(
                "ACT0603",
                f"the {rung.name} differs from golden.onnx: {rung.detail}",
                help="please report this with the model",
            )
            for rung in self.rungs
            if rung.result == "differs"
        ]
        if problems:
            raise BudgetMissed(problems)

    def require_exact(
        self,
        precision: str,
        approximated: onnx.ModelProto | None,
        tolerance: float = _FLOAT_TOLERANCE,
    ) -> None:
        """The artefact must equal golden on every bit (float32: the approximated model closely).

        Args:
            precision: "int8", "float32" or "float16".
            approximated: approximated.onnx; only None where `precision` is "int8".
            tolerance: of floats, in units of an output's RMS.

        Raises:
            BudgetMissed: it does not.
        """
        reference = self.outputs["golden" if precision == "int8" else "approximated"]
        artifact = self.outputs["artifact"]
        if precision == "int8":
            same, count = identical(reference, artifact)
            problem = "" if same else f"the artefact differs from golden.onnx on {count} samples"
        else:
            assert approximated is not None
            problem = too_far(reference, artifact, tolerance, approximated)
        if problem:
            raise BudgetMissed(
                Diagnostic("ACT0602", problem, help="please report this with the model")
            )

    @property
    def samples(self) -> int:
        """Samples that went through the artefact; where it was not executed, none."""
        first = next(iter(self.outputs.get("artifact", {}).values()), None)
        return 0 if first is None else len(first)


def emulated(how: str, precision: str, samples: int, *, same: bool = True) -> Rung:
    """What to say of an artefact that an emulator ran.

    Args:
        how: which, and as what.
        precision: "int8", "float32" or "float16".
        samples: that were compared.
        same: whether it gave what it must.
    """
    if precision == "int8":
        return Rung("artifact, emulated", "equal" if same else "differs", how, samples)
    result: Literal["within tolerance", "differs"] = "within tolerance" if same else "differs"
    detail = f"{how}; compared with approximated.onnx"
    return Rung("artifact, emulated", result, detail, samples)


def _tolerance(dtype: np.dtype[Any], least: float) -> float:
    """The tolerance of a type: of float32, or a few roundings of a type that has fewer bits."""
    if dtype.kind != "f" and "float" not in dtype.name:
        return least
    return max(least, 4 * float(ml_dtypes.finfo(dtype).eps))  # type: ignore[no-untyped-call]


def too_far(reference: Outputs, artifact: Outputs, tolerance: float, model: onnx.ModelProto) -> str:
    """What is wrong with a float artefact's outputs; "" where they are near enough.

    Args:
        reference: of approximated.onnx.
        artifact: of the artefact.
        tolerance: in units of an output's RMS.
        model: approximated.onnx. Where it divides, infinities of either sign are the same:
            ONNX leaves open which zero Relu or Max gives, and onnxruntime's has either sign.
    """
    bodies = (model.graph, *model.functions)
    divides = any(n.op_type in _WITH_POLES for body in bodies for n in all_nodes(body.node))
    for name, array in reference.items():
        other = artifact[name]
        if divides and array.dtype.kind == "f":
            other = np.where(np.isinf(array) & np.isinf(other), array, other)
        found = errors(array, other)
        unit = _tolerance(array.dtype, tolerance) * max(found["reference_rms"], 1e-6)
        if not (found["p99"] <= unit and found["max"] <= 500 * unit):
            return f"output '{name}' of the artefact is off by {found['max']:.3g}"
    return ""


def not_executed(target: str, reason: str, file: str) -> Diagnostic:
    """The warning that an artefact was not compared with golden."""
    return Diagnostic(
        "ACT0479",
        f"the artefact for {target} was not executed here, nor compared with golden: {reason}",
        place=Place(file),
        help="`actc check DIR --data DATA.npz` compares it, on a machine that runs it",
        severity="warning",
    )
