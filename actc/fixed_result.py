"""The result of a fit in fixed point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.candidates import Candidate, piece_name, pieces
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.gates import FixedFit, FixedForm, Gates, NoForm
from actc.diagnostics import Diagnostic
from actc.fit_options import PLOTS, require_choice
from actc.fit_result import FitResult
from actc.fixed_cost import Build, cheapest_build
from actc.fixed_options import FIXED_EMITTED


@dataclass(frozen=True, eq=False)
class Option:
    """A candidate with its cost.

    Attributes:
        candidate: the form as fitted, or why there is none.
        build: its cheapest unit; or why there is none.
    """

    candidate: Candidate
    build: Build | NoForm

    @classmethod
    def of(cls, candidate: Candidate, device: str) -> Option:
        """Estimate the cost of a candidate."""
        found = candidate.found
        return cls(
            candidate,
            found if isinstance(found, NoForm) else cheapest_build(found.form, device),
        )

    @property
    def fit(self) -> FixedFit[Any]:
        """The fit, of a candidate that has one."""
        assert isinstance(self.candidate.found, FixedFit)
        return self.candidate.found

    @property
    def cost(self) -> Build:
        """The cost, of a candidate that has a unit."""
        assert isinstance(self.build, Build)
        return self.build

    @property
    def pieces(self) -> int:
        """Segments, leaves, levels or entries, of a candidate that has a fit."""
        return pieces(self.fit.form)

    @property
    def reason(self) -> str:
        """Why there is no form, or no unit of it; "" if there is one."""
        return self.build.reason if isinstance(self.build, NoForm) else ""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready row; what a missing form would have is null."""
        variant, found = self.candidate.variant, self.candidate.found
        known: dict[str, Any] = dict.fromkeys(
            ("segments", "max_error", "max_error_ulp", "storage_bits", "cost")
        )
        if isinstance(found, FixedFit) and not self.reason:
            known = {
                "segments": self.pieces,
                "max_error": found.max_error,
                "max_error_ulp": found.max_error_ulp,
                "storage_bits": found.form.storage_bits,
                "cost": self.cost.to_json(),
            }
        return {
            "form": variant.form,
            "variant": str(variant),
            "digits": variant.digits,
            "degree": variant.degree,
            **known,
            "seconds": self.candidate.seconds,
            "reason": self.reason or None,
        }


def cheapest(options: Sequence[Option]) -> Option:
    """The option of least cost; the one of fewest constants among equals."""
    return min(options, key=lambda o: (o.cost.total, o.fit.form.storage_bits))


@dataclass(frozen=True, eq=False)
class FixedFitResult(FitResult):
    """A form in fixed point, bit-true and verified over every input code.

    Attributes:
        form: "table", "compressed", "bipartite", "thresholds", "pwl", "tree" or "polynomial".
        segments: segments, leaves, levels, or entries.
        max_error: largest distance of an output from the saturated function.
        lower_bound: with a number of pieces asked for, no form of this kind with as
            many has a smaller error (`bounds` is "pieces"); otherwise, and of polynomials,
            no form with these formats has ("formats").
        fit: the form with its gates.
        device: family of devices whose costs decided.
        chosen: the row of this form.
        others: the rows of all other candidates.
        exact: the function.
        outside: number of input codes at which the function leaves the output format.
        most: number of pieces that was asked for; None if an error was.
    """

    fit: FixedFit[Any]
    device: str
    chosen: Option
    others: tuple[Option, ...]
    exact: ScalarFunction
    outside: int
    most: int | None

    @property
    def bounds(self) -> str:
        """Which forms `lower_bound` speaks of."""
        return "pieces" if "least" in self.certificate else "formats"

    @property
    def emitted(self) -> tuple[str, ...]:
        """The kinds of files that `emit` makes."""
        return FIXED_EMITTED

    @property
    def approximation(self) -> FixedForm:
        """The form: integers in, integers out."""
        form: FixedForm = self.fit.form
        return form

    @property
    def max_error_ulp(self) -> float:
        """The largest error in units in the last place of the output."""
        return self.fit.max_error_ulp

    @property
    def cost(self) -> Build:
        """What the form costs on the device."""
        return self.chosen.cost

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Round real numbers to input codes (saturating) and evaluate; float64.

        Raises:
            ValueError: NaN in `x`.
        """
        gates = self.fit.gates
        return gates.output.to_real(self.fit.form.evaluate(gates.input.quantize(x)))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys; the form's integers are in the certificate."""
        gates, row = self.fit.gates, self.chosen.to_json()
        del row["reason"]
        return {
            "function": self.function,
            "input": str(gates.input),
            "output": str(gates.output),
            "objective": gates.objective if self.most is None else "least_error",
            "most_segments": self.most,
            **row,
            "lower_bound": self.lower_bound,
            "bounds": self.bounds,
            "certified": self.certified,
            "device": self.device,
            "alternatives": [option.to_json() for option in self.others],
            "certificate": self.certificate,
            "diagnostics": [d.to_json() for d in self._diagnostics()],
        }

    def _diagnostics(self) -> list[Diagnostic]:
        found = self.certificate_diagnostics()
        if self.outside:
            gates = self.fit.gates
            message = (
                f"{self.function} leaves the output format {gates.output} at {self.outside} of "
                f"{len(gates)} inputs, where the output saturates"
            )
            help_text = "errors and bounds refer to the saturated function; use a wider --output"
            found.append(Diagnostic("ACT0362", message, severity="warning", help=help_text))
        return found

    def emit(self, kind: str) -> bytes:
        """The form as a file: a unit of integers in and integers out.

        Args:
            kind: "verilog" (a module), "c", "hls", "numpy" or "onnx": see
                :func:`actc.emission_fixed.emit_fixed`.

        Raises:
            UsageError: ACT0334, another kind.
        """
        require_choice("--emit", kind, self.emitted)
        name, form = module_name(self.function), self.approximation
        if kind == "verilog":
            from actc.targets.fpga.units import unit_verilog

            # a comment of one line, whatever the name holds
            named = self.function.encode("unicode_escape").decode("ascii")
            header = f"{named}, largest error {self.max_error_ulp:.6g} ulp of the output"
            return unit_verilog(form, name, self.cost.options, header=[header]).encode("ascii")
        from actc.emission_fixed import emit_fixed

        return emit_fixed(kind, form, name, function=self.function, max_error=self.max_error)

    def plot(self, kind: str) -> bytes:
        """Function, approximation as steps, and the error with its band, drawn.

        Args:
            kind: "png", "svg" or "html".

        Raises:
            UsageError: ACT0334, another kind.
        """
        from actc.report.fit_plot import FixedCurve, render_fit  # matplotlib is slow to load

        require_choice("the ending of --plot", kind, PLOTS)
        gates = self.fit.gates
        outputs = self.fit.form.evaluate(gates.input.codes())
        x = gates.input.values()
        curve = FixedCurve(
            f"{self.function}, {gates.input} to {gates.output}: {self.chosen.candidate.variant}, "
            f"{self.segments} {piece_name(self.form)}, error {self.max_error_ulp:.3g} ulp",
            x,
            gates.target * gates.output.ulp,
            gates.output.to_real(outputs),
            outputs - gates.target,
            *_band(gates),
        )
        facts = {
            "formats": f"{gates.input} to {gates.output}",
            "largest error": f"{self.max_error:.9g}, {self.max_error_ulp:.6g} ulp",
            "lower bound": f"{self.lower_bound:.9g}",
            "certificate": "accepted" if self.certified else "REJECTED",
        }
        return render_fit(curve, kind, facts)


def _band(gates: Gates) -> tuple[Float64Array, Float64Array]:
    """The least and the largest error that each input may have, in ulps."""
    if gates.objective == "correctly_rounded":  # one code only, so any error to half an ulp
        half = np.full(len(gates), 0.5)
        return -half, half
    return gates.low - gates.target, gates.high - gates.target


def module_name(function: str) -> str:
    """A name for generated code, made of a function's name: lower case, digits and ``_``."""
    plain = re.sub(r"[^a-z0-9]+", "_", function.lower()).strip("_")[:40].strip("_")
    return f"act_{plain or 'function'}"
