"""What `actc.fit` returns: the part that all its results share, and that of float fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import PiecewiseLinear
from actc.approx.step_table import StepTable
from actc.diagnostics import Diagnostic
from actc.emission import EMITTED, Form, emit_lines, write_files
from actc.errors import ActcError, UsageError
from actc.fit_options import PLOTS, domain_ends, file_problems, require_choice
from actc.notebook import facts_html, image_html


@dataclass(frozen=True, eq=False)
class FitResult(ABC):
    """A function in one form, beside the other forms at the same budget.

    Attributes:
        function: canonical name or expression.
        form: name of the form, as `--form` spells it.
        segments: pieces of the form; entries of a table.
        max_error: largest error that was found; of what, the subclasses say.
        lower_bound: no smaller error is possible; for which forms, `bounds` says.
        bounds: "pieces": forms of this kind with as many pieces; "leaves": as "pieces",
            of trees, but not in the certificate; "codes": tables over the same codes of
            the input; "formats": any form between these formats;
            "rms": as "pieces", but of the root of the mean squared error; "": none.
        certificate: JSON-ready; `actc.verify` checks it again.
        problems: what the independent checker found wrong; empty: certified.
        seconds: how long this form took to fit.
    """

    function: str
    form: str
    segments: int
    max_error: float
    lower_bound: float
    certificate: dict[str, Any]
    problems: tuple[str, ...]
    seconds: float

    @property
    def certified(self) -> bool:
        """Whether the independent checker accepted the certificate."""
        return not self.problems

    @property
    @abstractmethod
    def bounds(self) -> str:
        """Which forms `lower_bound` speaks of."""

    @property
    @abstractmethod
    def emitted(self) -> tuple[str, ...]:
        """The kinds of files that `emit` makes."""

    @abstractmethod
    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate the approximation at real numbers; float64, the shape of `x`."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys."""

    @abstractmethod
    def emit(self, kind: str) -> bytes:
        """The form as a file.

        Raises:
            UsageError: ACT0334, another kind.
        """

    @abstractmethod
    def plot(self, kind: str) -> bytes:
        """Function, approximation and error, drawn.

        Args:
            kind: "png", "svg" or "html".

        Raises:
            UsageError: ACT0334, another kind.
        """

    def save(
        self,
        *,
        plot: str | Path | None = None,
        emit: str | None = None,
        output: str | Path | None = None,
    ) -> list[Path]:
        """Write a plot, the form, or both: all of it or nothing.

        Args:
            plot: a file whose ending (.png, .svg, .html) says what to draw.
            emit: as for `emit`, to be written to `output`.
            output: a file.

        Returns:
            the files written.

        Raises:
            UsageError: ACT0334, wrong or contradicting options; ACT0337, a place
                cannot be written.
        """
        problems = file_problems(self.emitted, plot=plot, emit=emit, file=output)
        if problems:
            raise UsageError(problems)
        contents: dict[Path, bytes] = {}
        if emit is not None and output is not None:
            contents[Path(output)] = self.emit(emit)
        if plot is not None:
            contents[Path(plot)] = self.plot(Path(plot).suffix.lower().removeprefix("."))
        write_files(contents)
        return list(contents)

    def _repr_html_(self) -> str:
        """The plot and the main facts, for a notebook."""
        facts = {
            "function": self.function,
            "form": f"{self.form}, {self.segments} pieces",
            "largest error": f"{self.max_error:.6g}",
            "lower bound": f"{self.lower_bound:.6g}",
            "certificate": "accepted" if self.certified else "REJECTED",
        }
        try:
            picture = image_html(self.plot("svg"), f"{self.function} and its approximation")
        except ActcError:  # matplotlib is not installed
            picture = ""
        return picture + facts_html(facts)

    def certificate_diagnostics(self) -> list[Diagnostic]:
        """One ACT0340 for each problem of the certificate."""
        return [
            Diagnostic("ACT0340", f"the certificate does not hold: {problem}", help=_REPORT)
            for problem in self.problems
        ]


_REPORT = "please report it with the command line"


class Alternative(NamedTuple):
    """Another form at the same budget.

    Attributes:
        form: its name.
        segments, max_error: None where there is no such form.
        reason: why it does not meet the budget; None if it does.
    """

    form: str
    segments: int | None
    max_error: float | None
    reason: str | None


@dataclass(frozen=True, eq=False)
class FloatFitResult(FitResult):
    """A form in float32, with the largest error over samples of a domain.

    Attributes:
        domain: the interval that was fitted; its ends may be infinite.
        core: its finite part with dense samples. Beyond it, on the way to an infinite
            end, the samples go on to 2**40, 256 per octave, and what counts as error is
            what exceeds one unit in the last place of the value in float32.
        form: "pwl", "pwl-continuous", "tree" or "table".
        approximation: a piecewise-linear function, or a table as a step function.
        between_samples: bound of the error that also holds between the samples of the
            core (see `actc.approx.pwl.bound_between_samples` for what it assumes).
        alternatives: the other forms.
    """

    domain: tuple[float, float]
    core: tuple[float, float]
    approximation: Form
    between_samples: float
    alternatives: tuple[Alternative, ...]
    exact: ScalarFunction

    @property
    def bounds(self) -> str:
        """Which forms `lower_bound` speaks of."""
        return {"table": "codes", "tree": "leaves"}.get(self.form, "pieces")

    @property
    def emitted(self) -> tuple[str, ...]:
        """The kinds of files that `emit` makes."""
        return EMITTED

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate the approximation in float64; the shape of `x`."""
        return self._lines.evaluate(x)

    @property
    def _lines(self) -> PiecewiseLinear:
        found = self.approximation
        return found.form if isinstance(found, StepTable) else found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys; ``cost`` is null without formats."""
        return {
            "function": self.function,
            "domain": domain_ends(self.domain),
            "core": list(self.core),
            "form": self.form,
            "segments": self.segments,
            "max_error": self.max_error,
            "lower_bound": self.lower_bound,
            "bounds": self.bounds,
            "between_samples": self.between_samples,
            "certified": self.certified,
            "seconds": self.seconds,
            "cost": None,
            "alternatives": [row._asdict() for row in self.alternatives],
            "certificate": self.certificate,
            "diagnostics": [d.to_json() for d in self.certificate_diagnostics()],
        }

    def emit(self, kind: str) -> bytes:
        """The form as a file.

        Args:
            kind: "onnx" (a model of one node), "numpy" (a Python module) or "c".

        Raises:
            UsageError: ACT0334, another kind.
        """
        require_choice("--emit", kind, EMITTED)
        return emit_lines(kind, self.approximation, self.function, self.domain, self.max_error)

    def plot(self, kind: str) -> bytes:
        """Function, approximation, error and breakpoints, drawn.

        Args:
            kind: "png", "svg" or "html".

        Raises:
            UsageError: ACT0334, another kind.
        """
        from actc.report.fit_plot import FitCurve, render_fit  # matplotlib is slow to load

        require_choice("the ending of --plot", kind, PLOTS)
        x = plotted_points(*self.core, self._lines.breakpoints)
        pieces = {"table": "entries", "tree": "leaves"}.get(self.form, "segments")
        curve = FitCurve(
            f"{self.function}: {self.form}, {self.segments} {pieces}, error {self.max_error:.3g}",
            x,
            self.exact.finite(x),
            self(x),
            self._lines.breakpoints,
            self.max_error,
            self.lower_bound,
        )
        facts = {
            "domain": f"[{self.domain[0]:g}, {self.domain[1]:g}]",
            "largest error": f"{self.max_error:.9g}",
            "lower bound": f"{self.lower_bound:.9g}",
            "certificate": "accepted" if self.certified else "REJECTED",
        }
        return render_fit(curve, kind, facts)


def plotted_points(low: float, high: float, breakpoints: Float64Array) -> Float64Array:
    """Even points, and both sides of each breakpoint, where the error may jump."""
    inner = breakpoints[(breakpoints > low) & (breakpoints < high)]
    sides = [inner, np.maximum(np.nextafter(inner, -np.inf), low)]
    return np.unique(np.concatenate([np.linspace(low, high, 2049), *sides]))
