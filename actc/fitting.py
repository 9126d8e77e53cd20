"""fit(): a scalar function in the form of least error or fewest pieces, certified."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import (
    Fit,
    PiecewiseLinear,
    fit_piecewise_linear,
    sample_points,
)
from actc.approx.step_table import StepTable, fit_step_table
from actc.diagnostics import Diagnostic
from actc.emission import EMITTED, Form, emit_numpy, emit_onnx, write_files
from actc.errors import ModelError, UsageError
from actc.fit_options import LARGEST, Budget, read_budget, read_domain, require_choice
from actc.function_names import FunctionLike, resolve
from actc.verifying import certificate_problems

FORMS = ("pwl", "pwl-continuous", "table")
"""In this order, the earlier one is taken when two are equally good."""
DEFAULT_DOMAIN = (-8.0, 8.0)
_POINTS = 65536


@dataclass(frozen=True, eq=False)
class FitResult:
    """A function in one form, beside the other forms at the same budget.

    Attributes:
        function: canonical name or expression.
        domain: the interval that was fitted.
        form: "pwl", "pwl-continuous" or "table".
        approximation: a piecewise-linear function, or a table as a step function.
        segments: pieces of the form; entries in use of a table.
        max_error: largest error over the samples of the domain, certified.
        lower_bound: no form of this kind with as many pieces has a smaller error.
        between_samples: bound of the error that also holds between the samples (see
            `actc.approx.pwl.bound_between_samples` for what it assumes).
        certificate: JSON-ready; `actc.verify` checks it again.
        problems: what the independent checker found wrong; empty: certified.
        seconds: how long this form took to fit.
        alternatives: (form, segments, max_error) of the other forms; None where
            the form cannot meet the budget.
    """

    function: str
    domain: tuple[float, float]
    form: str
    approximation: Form
    segments: int
    max_error: float
    lower_bound: float
    between_samples: float
    certificate: dict[str, Any]
    problems: tuple[str, ...]
    seconds: float
    alternatives: tuple[tuple[str, int | None, float | None], ...]
    _exact: ScalarFunction

    @property
    def certified(self) -> bool:
        """Whether the independent checker accepted the certificate."""
        return not self.problems

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate the approximation in float64; the shape of `x`."""
        return self._lines.evaluate(x)

    @property
    def _lines(self) -> PiecewiseLinear:
        found = self.approximation
        return found.form if isinstance(found, StepTable) else found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys; ``cost`` is null until there is a cost model."""
        names = ("form", "segments", "max_error")
        return {
            "function": self.function,
            "domain": list(self.domain),
            "form": self.form,
            "segments": self.segments,
            "max_error": self.max_error,
            "lower_bound": self.lower_bound,
            "between_samples": self.between_samples,
            "certified": self.certified,
            "seconds": self.seconds,
            "cost": None,
            "alternatives": [dict(zip(names, row, strict=True)) for row in self.alternatives],
            "certificate": self.certificate,
            "diagnostics": [d.to_json() for d in self._diagnostics()],
        }

    def _diagnostics(self) -> list[Diagnostic]:
        return [
            Diagnostic("ACT0340", f"the certificate does not hold: {problem}", help=_REPORT)
            for problem in self.problems
        ]

    def emit(self, kind: str) -> bytes:
        """The form as a file.

        Args:
            kind: "onnx" (a model of one node) or "numpy" (a Python module).

        Raises:
            UsageError: ACT0334, another kind.
        """
        require_choice("--emit", kind, EMITTED)
        emit = {"onnx": emit_onnx, "numpy": emit_numpy}[kind]
        return emit(self.approximation, self.function, self.domain, self.max_error)

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
        contents: dict[Path, bytes] = {}
        if (emit is None) != (output is None):
            message = "--emit says what to write and -o where: give both"
            help_text = "such as --emit onnx -o gelu.onnx"
            raise UsageError(Diagnostic("ACT0334", message, help=help_text))
        if emit is not None and output is not None:
            contents[Path(output)] = self.emit(emit)
        if plot is not None:
            if Path(plot) in contents:
                message, help_text = "--plot and -o name the same file", "give two files"
                raise UsageError(Diagnostic("ACT0334", message, help=help_text))
            contents[Path(plot)] = self.plot(Path(plot).suffix.lower().removeprefix("."))
        write_files(contents)
        return list(contents)

    def plot(self, kind: str) -> bytes:
        """Function, approximation, error and breakpoints, drawn.

        Args:
            kind: "png", "svg" or "html".

        Raises:
            UsageError: ACT0334, another kind.
        """
        from actc.report.fit_plot import KINDS, FitCurve, render_fit  # matplotlib is slow to load

        require_choice("the ending of --plot", kind, KINDS)
        x = _plotted_points(*self.domain, self._lines.breakpoints)
        pieces = "entries" if self.form == "table" else "segments"
        curve = FitCurve(
            f"{self.function}: {self.form}, {self.segments} {pieces}, error {self.max_error:.3g}",
            x,
            self._exact.finite(x),
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


_REPORT = "please report it with the command line"


def fit(
    function: FunctionLike,
    domain: tuple[float, float] | str = DEFAULT_DOMAIN,
    *,
    form: str = "auto",
    segments: int | None = None,
    max_error: float | None = None,
) -> FitResult:
    """Approximate a scalar function with the least error, or with the fewest pieces.

    Args:
        function: a name ("GELU", "ELU(0.5)"), an expression ("x*tanh(x)"), a site of
            a model ("model.onnx:a1"), or a callable from float64 [n] to float64 [n].
        domain: (low, high), or text such as "-2*pi,2*pi". Beyond it, the end pieces
            go on.
        form: "pwl", "pwl-continuous", "table", or "auto": the one with the fewest
            pieces within `max_error`, or the least error within `segments`.
        segments: at most so many pieces, 1..4096 (default 16).
        max_error: the error to stay within; instead of `segments`.

    Returns:
        the form with its error, bound, certificate and the alternatives.

    Raises:
        UsageError: ACT0303 and ACT0304 the function is undefined or infinite in the
            domain, ACT0305 the error cannot be reached, ACT0330..ACT0332 and ACT0336
            the function cannot be read, ACT0333 wrong domain, ACT0334 wrong form or
            budget, ACT0335 values beyond float32.
        ModelError: the model is broken.
    """
    require_choice("--form", form, ("auto", *FORMS))
    budget = read_budget(form, segments, max_error)
    low, high = read_domain(domain)
    exact = resolve(function)
    try:
        _require_float32(exact, low, high)
        if form == "table" and budget.max_error is None:  # what do the others need for as much?
            budget = Budget(None, fit_step_table(exact, low, high, _POINTS).max_error)
        tried = _try_all(exact, low, high, budget, form)
    except ModelError as error:
        raise UsageError([_in_domain(d) for d in error.diagnostics]) from error
    chosen = _choose(tried, budget) if form == "auto" else tried[form]
    found = chosen.wanted()
    return FitResult(
        function=exact.name,
        domain=(low, high),
        form=chosen.name,
        approximation=found if isinstance(found, StepTable) else found.form,
        segments=found.form.segments,
        max_error=found.max_error,
        lower_bound=found.lower_bound,
        between_samples=found.between_samples,
        certificate=found.certificate,
        problems=tuple(certificate_problems(found.certificate, exact)),
        seconds=chosen.seconds,
        alternatives=tuple(t.row for t in tried.values() if t is not chosen),
        _exact=exact,
    )


@dataclass(frozen=True, eq=False)
class _Tried:
    """A form as fitted, or why it cannot meet the budget."""

    name: str
    found: Fit | StepTable | None
    refused: UsageError | None
    seconds: float

    def wanted(self) -> Fit | StepTable:
        """The form, which was asked for.

        Raises:
            UsageError: it cannot meet the budget.
        """
        if self.refused is not None:
            raise self.refused
        assert self.found is not None
        return self.found

    @property
    def row(self) -> tuple[str, int | None, float | None]:
        if self.found is None:
            return self.name, None, None
        return self.name, self.found.form.segments, self.found.max_error


def _try_all(
    f: ScalarFunction, low: float, high: float, budget: Budget, form: str
) -> dict[str, _Tried]:
    """Every form at the budget; the one asked for first, as the rest is in vain without it.

    Raises:
        UsageError: the form asked for cannot meet the budget.
    """
    tried = {}
    for name in sorted(FORMS, key=lambda name: name != form):
        tried[name] = _try(name, f, low, high, budget)
        if name == form:
            tried[name].wanted()
    return {name: tried[name] for name in FORMS}


def _try(name: str, f: ScalarFunction, low: float, high: float, budget: Budget) -> _Tried:
    start = time.perf_counter()
    found: Fit | StepTable | None = None
    refused = None
    try:
        if name == "table":
            found = fit_step_table(f, low, high, _POINTS)
        else:
            found = fit_piecewise_linear(
                f,
                low,
                high,
                segments=budget.segments,
                max_error=budget.max_error,
                continuous=name == "pwl-continuous",
                points=_POINTS,
            )
    except UsageError as error:  # ACT0305: the budget cannot be met
        refused = error
    seconds = time.perf_counter() - start
    limit = budget.max_error
    if isinstance(found, StepTable) and limit is not None and found.max_error > limit:
        refused = UsageError(
            Diagnostic(
                "ACT0305",
                f"the table of {f.name} has an error of {found.max_error:.3g}, over {limit:g}",
                notes=(f"{found.form.segments} entries on [{low:g}, {high:g}]",),
                help="allow a larger error, take a narrower domain, or --form pwl",
            )
        )
    return _Tried(name, found, refused, seconds)


def _choose(tried: dict[str, _Tried], budget: Budget) -> _Tried:
    """The best form that meets the budget; any refusal when none does."""
    met = [t for t in tried.values() if t.refused is None and t.found is not None]
    if budget.segments is not None:
        met = [t for t in met if t.found and t.found.form.segments <= budget.segments]
    if not met:
        return tried["pwl"]

    def pieces_first(t: _Tried) -> tuple[float, float]:
        assert t.found is not None
        key = (float(t.found.form.segments), t.found.max_error)
        return key if budget.segments is None else (key[1], key[0])

    return min(met, key=pieces_first)


def _require_float32(f: ScalarFunction, low: float, high: float) -> None:
    """Refuse functions whose values or slopes do not fit float32 coefficients."""
    x = sample_points(low, high, _POINTS, "float32")
    y = f.finite(x)
    with np.errstate(over="ignore"):
        steepest = float(np.abs(np.diff(y) / np.diff(x)).max(initial=0.0))
    largest = float(np.abs(y).max()) + steepest * max(abs(low), abs(high), 1.0)
    if not largest < LARGEST:
        raise UsageError(
            Diagnostic(
                "ACT0335",
                f"values or slopes of {f.name} reach {largest:.3g}, beyond float32",
                notes=(f"on [{low:g}, {high:g}]",),
                help="choose a narrower --domain, or scale the function",
            )
        )


def _in_domain(diagnostic: Diagnostic) -> Diagnostic:
    """A complaint about the function, with help that fits the command."""
    return Diagnostic(
        diagnostic.code,
        diagnostic.message,
        place=diagnostic.place,
        notes=diagnostic.notes,
        help="choose a --domain on which the function is finite",
    )


def _plotted_points(low: float, high: float, breakpoints: Float64Array) -> Float64Array:
    """Even points, and both sides of each breakpoint, where the error may jump."""
    inner = breakpoints[(breakpoints > low) & (breakpoints < high)]
    sides = [inner, np.maximum(np.nextafter(inner, -np.inf), low)]
    return np.unique(np.concatenate([np.linspace(low, high, 2049), *sides]))
