"""Fits in float32: lines, continuous or not, trees and tables, over samples of a domain."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.float_tree import TreeFit, fit_tree
from actc.approx.function import ScalarFunction
from actc.approx.pwl import Fit, fit_piecewise_linear, sample_points
from actc.approx.step_table import StepTable, fit_step_table
from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError
from actc.fit_options import FLOAT_FORMS, LARGEST, Budget, FloatRequest
from actc.fit_result import Alternative, FloatFitResult
from actc.verifying import certificate_problems

Found = Fit | StepTable | TreeFit

_POINTS = 65536
_FAR = 64.0
"""Of an infinite side, what is nearer to zero than this is looked at before fitting."""


def fit_float(exact: ScalarFunction, request: FloatRequest) -> FloatFitResult:
    """The best form in float32 on a domain; see :func:`actc.fit`.

    Raises:
        UsageError: ACT0303 and ACT0304 the function is undefined or infinite in the
            domain, ACT0305 the error cannot be reached, ACT0335 values beyond float32;
            of infinite ends ACT0350 the function approaches no line there, ACT0351 one
            segment cannot follow two lines, ACT0352 this form cannot have them.
    """
    form, budget = request.form, request.budget
    low, high = request.domain
    try:
        _require_float32(exact, low, high)
        _require_finite(form, low, high)
        if form == "table" and budget.max_error is None:  # what do the others need for as much?
            budget = Budget(None, fit_step_table(exact, low, high, _POINTS).max_error)
        tried = _try_all(exact, low, high, budget, form)
    except ModelError as error:
        raise UsageError([_in_domain(d) for d in error.diagnostics]) from error
    chosen = _choose(tried, budget) if form == "auto" else tried[form]
    found = chosen.wanted()
    return FloatFitResult(
        function=exact.name,
        domain=(low, high),
        form=chosen.name,
        core=_core(request, found.certificate),
        approximation=found if isinstance(found, StepTable) else found.form,
        segments=found.form.segments,
        max_error=found.max_error,
        lower_bound=found.lower_bound,
        between_samples=found.between_samples,
        certificate=found.certificate,
        problems=tuple(certificate_problems(found.certificate, exact)),
        seconds=chosen.seconds,
        alternatives=tuple(t.row for t in tried.values() if t is not chosen),
        exact=exact,
    )


@dataclass(frozen=True, eq=False)
class _Tried:
    """A form as fitted, or why it cannot meet the budget."""

    name: str
    found: Found | None
    refused: UsageError | None
    seconds: float

    def wanted(self) -> Found:
        """The form, which was asked for.

        Raises:
            UsageError: it cannot meet the budget.
        """
        if self.refused is not None:
            raise self.refused
        assert self.found is not None
        return self.found

    @property
    def row(self) -> Alternative:
        reason = None if self.refused is None else self.refused.diagnostics[0].message
        if self.found is None:
            return Alternative(self.name, None, None, reason)
        return Alternative(self.name, self.found.form.segments, self.found.max_error, reason)


def _try_all(
    f: ScalarFunction, low: float, high: float, budget: Budget, form: str
) -> dict[str, _Tried]:
    """Every form at the budget; the one asked for first, as the rest is in vain without it.

    Raises:
        UsageError: the form asked for cannot meet the budget.
    """
    tried = {}
    for name in sorted(FLOAT_FORMS, key=lambda name: name != form):
        tried[name] = _try(name, f, low, high, budget)
        if name == form:
            tried[name].wanted()
    return {name: tried[name] for name in FLOAT_FORMS}


def _try(name: str, f: ScalarFunction, low: float, high: float, budget: Budget) -> _Tried:
    start = time.perf_counter()
    found: Found | None = None
    refused = None
    try:
        _require_finite(name, low, high)
        found = _fit(name, f, low, high, budget)
    except UsageError as error:  # the budget cannot be met, or not on this domain
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


def _fit(name: str, f: ScalarFunction, low: float, high: float, budget: Budget) -> Found:
    if name == "table":
        return fit_step_table(f, low, high, _POINTS)
    if name == "tree":
        return fit_tree(
            f, low, high, leaves=budget.segments, max_error=budget.max_error, points=_POINTS
        )
    return fit_piecewise_linear(
        f,
        low,
        high,
        segments=budget.segments,
        max_error=budget.max_error,
        continuous=name == "pwl-continuous",
        points=_POINTS,
    )


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


def _require_finite(form: str, low: float, high: float) -> None:
    """Refuse infinite ends for the forms that cannot have them."""
    if form in ("auto", "pwl") or math.isfinite(high - low):
        return
    raise UsageError(
        Diagnostic(
            "ACT0352",
            f"form '{form}' cannot be fitted to an infinite end",
            notes=(f"on [{low:g}, {high:g}]",),
            help="give --domain finite ends, or choose --form pwl",
        )
    )


def _core(request: FloatRequest, certificate: dict[str, Any]) -> tuple[float, float]:
    """The finite part of the domain, where the samples are dense."""
    low, high = request.domain
    return (
        low if math.isfinite(low) else float.fromhex(certificate["lo"]),
        high if math.isfinite(high) else float.fromhex(certificate["hi"]),
    )


def _require_float32(f: ScalarFunction, low: float, high: float) -> None:
    """Refuse functions whose values or slopes do not fit float32 coefficients."""
    low = low if math.isfinite(low) else -max(_FAR, -2 * high if math.isfinite(high) else 0.0)
    high = high if math.isfinite(high) else max(_FAR, 2 * low)
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
