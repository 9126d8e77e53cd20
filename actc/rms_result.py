"""The result of a fit of the least weighted squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import PiecewiseLinear
from actc.emission import EMITTED, emit_lines
from actc.fit_options import PLOTS, require_choice
from actc.fit_result import FitResult, plotted_points

NOTE = (
    "exact dynamic programming over all segmentations; there is no certificate that an "
    "independent checker could verify"
)


class Errors(NamedTuple):
    """Of a form at weighted samples: root and mean of the squared error, largest error."""

    rms: float
    mse: float
    max_error: float


@dataclass(frozen=True, eq=False)
class RmsFitResult(FitResult):
    """Lines in float32 with the least weighted squared error over samples.

    Attributes:
        form: "pwl".
        max_error: the largest error over the samples, which was not what was sought.
        lower_bound: of the rms: no piecewise-linear function of as many segments, with
            any real coefficients and breakpoints, has a smaller one.
        certificate: empty; see :data:`NOTE`.
        weights: "normal", "uniform", or the name of a file.
        domain: first and last sample.
        approximation: the lines, their coefficients float32 numbers.
        errors: over the samples.
        minimax: segments and errors of the lines of least largest error; None where the
            function is not finite between the samples.
    """

    weights: str
    domain: tuple[float, float]
    approximation: PiecewiseLinear
    errors: Errors
    minimax: tuple[int, Errors] | None
    exact: ScalarFunction

    @property
    def certified(self) -> bool:
        """False: there is no certificate."""
        return False

    @property
    def bounds(self) -> str:
        """`lower_bound` is one of the rms."""
        return "rms"

    @property
    def emitted(self) -> tuple[str, ...]:
        """The kinds of files that `emit` makes."""
        return EMITTED

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate the lines in float64; the shape of `x`."""
        return self.approximation.evaluate(x)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys."""
        rows = [] if self.minimax is None else [self.minimax]
        return {
            "function": self.function,
            "domain": list(self.domain),
            "form": self.form,
            "objective": "rms",
            "weights": self.weights,
            "segments": self.segments,
            **self.errors._asdict(),
            "lower_bound": self.lower_bound,
            "bounds": self.bounds,
            "certified": self.certified,
            "note": NOTE,
            "seconds": self.seconds,
            "cost": None,
            "alternatives": [
                {"form": "pwl", "objective": "max", "segments": segments, **errors._asdict()}
                for segments, errors in rows
            ],
            "certificate": None,
            "diagnostics": [],
        }

    def emit(self, kind: str) -> bytes:
        """The lines as a file.

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
        breakpoints = self.approximation.breakpoints
        x = plotted_points(*self.domain, breakpoints)
        curve = FitCurve(
            f"{self.function}: {self.form}, {self.segments} segments, rms {self.errors.rms:.3g} "
            f"({self.weights} weights)",
            x,
            self.exact.finite(x),
            self(x),
            breakpoints,
            self.max_error,
            None,
        )
        facts = {
            "domain": f"[{self.domain[0]:g}, {self.domain[1]:g}]",
            "root of the mean squared error": f"{self.errors.rms:.9g}",
            "lower bound of it": f"{self.lower_bound:.9g}",
            "largest error": f"{self.max_error:.9g}",
            "certificate": NOTE,
        }
        return render_fit(curve, kind, facts)
