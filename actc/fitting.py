"""fit(): a scalar function in the cheapest known form, with its certificate."""

from __future__ import annotations

import difflib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.expression import parse_number
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import (
    MAX_SEGMENTS,
    Fit,
    PiecewiseLinear,
    fit_piecewise_linear,
    sample_points,
)
from actc.approx.step_table import StepTable, fit_step_table
from actc.diagnostics import Diagnostic
from actc.emission import EMITTED, Form, emit_numpy, emit_onnx, write_files
from actc.errors import ModelError, UsageError
from actc.function_names import FunctionLike, resolve
from actc.verifying import certificate_problems

FORMS = ("pwl", "pwl-continuous", "table")
"""In this order, the earlier one is taken when two are equally good."""
DEFAULT_DOMAIN = (-8.0, 8.0)
DEFAULT_SEGMENTS = 16
_POINTS = 65536
_LARGEST = 1e37
"""Values and slopes beyond this leave float32's range or come too near its end."""


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
    budget = _budget(form, segments, max_error)
    low, high = _checked_domain(_read_domain(domain) if isinstance(domain, str) else domain)
    exact = resolve(function)
    try:
        _require_float32(exact, low, high)
        if form == "table" and budget.max_error is None:  # what do the others need for as much?
            budget = _Budget(None, fit_step_table(exact, low, high, _POINTS).max_error)
        tried = {name: _try(name, exact, low, high, budget) for name in FORMS}
    except ModelError as error:
        raise UsageError([_in_domain(d) for d in error.diagnostics]) from error
    chosen = _choose(tried, budget) if form == "auto" else tried[form]
    if chosen.refused is not None:
        raise chosen.refused
    assert chosen.found is not None
    found = chosen.found
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


@dataclass(frozen=True)
class _Budget:
    segments: int | None
    max_error: float | None


@dataclass(frozen=True, eq=False)
class _Tried:
    """A form as fitted, or why it cannot meet the budget."""

    name: str
    found: Fit | StepTable | None
    refused: UsageError | None
    seconds: float

    @property
    def row(self) -> tuple[str, int | None, float | None]:
        if self.found is None:
            return self.name, None, None
        return self.name, self.found.form.segments, self.found.max_error


def _try(name: str, f: ScalarFunction, low: float, high: float, budget: _Budget) -> _Tried:
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


def _choose(tried: dict[str, _Tried], budget: _Budget) -> _Tried:
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


def _read_domain(text: str) -> tuple[float, float]:
    """Read "LO,HI"; each end may be a constant expression such as -2*pi."""
    ends = text.split(",")
    if len(ends) != 2:
        raise _wrong_domain(f"the domain '{text}' is not two numbers")
    try:
        low, high = map(parse_number, ends)
    except UsageError as error:
        reason = error.diagnostics[0].message
        raise _wrong_domain(f"the domain '{text}' cannot be read: {reason}") from error
    return low, high


def _checked_domain(domain: tuple[float, float]) -> tuple[float, float]:
    low, high = map(float, domain)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _wrong_domain(f"[{low}, {high}] is not a finite domain")
    if not low < high:
        raise _wrong_domain(f"the domain [{low:g}, {high:g}] is empty")
    if max(-low, high) > _LARGEST or not np.float32(low) < np.float32(high):
        raise _wrong_domain(f"[{low!r}, {high!r}] is too wide or too narrow for float32")
    return low, high


def _wrong_domain(message: str) -> UsageError:
    help_text = "write --domain LO,HI with LO < HI, such as --domain -8,8"
    return UsageError(Diagnostic("ACT0333", message, help=help_text))


def require_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `known`, with the nearest one.

    Raises:
        UsageError: ACT0334.
    """
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        suggestion = f"did you mean '{near[0]}'? " if near else ""
        message = f"{option} cannot be '{value}'"
        help_text = f"{suggestion}choose one of: {', '.join(known)}"
        raise UsageError(Diagnostic("ACT0334", message, help=help_text))


def _budget(form: str, segments: int | None, max_error: float | None) -> _Budget:
    if segments is not None and max_error is not None:
        raise _wrong_budget("--segments and --max-error are both given", "give one of the two")
    if segments is not None and not 1 <= segments <= MAX_SEGMENTS:
        message = f"--segments {segments} is not in 1..{MAX_SEGMENTS}"
        raise _wrong_budget(message, "16 is a good start")
    if max_error is not None and not 0 < max_error < math.inf:
        raise _wrong_budget(f"--max-error {max_error} is not a positive number", "such as 1e-3")
    if form == "table" and segments is not None:
        message = "--segments does not apply to a table, which has one entry per input code"
        raise _wrong_budget(message, "leave it out, or choose --form pwl")
    if segments is None and max_error is None:
        segments = DEFAULT_SEGMENTS
    return _Budget(segments, max_error)


def _wrong_budget(message: str, help_text: str) -> UsageError:
    return UsageError(Diagnostic("ACT0334", message, help=help_text))


def _require_float32(f: ScalarFunction, low: float, high: float) -> None:
    """Refuse functions whose values or slopes do not fit float32 coefficients."""
    x = sample_points(low, high, _POINTS, "float32")
    y = f.finite(x)
    with np.errstate(over="ignore"):
        steepest = float(np.abs(np.diff(y) / np.diff(x)).max(initial=0.0))
    largest = float(np.abs(y).max()) + steepest * max(abs(low), abs(high), 1.0)
    if not largest < _LARGEST:
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
