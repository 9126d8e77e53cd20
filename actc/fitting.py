"""fit(): a scalar function in the best form, certified: in float32 or in fixed point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, overload

from actc.approx.candidates import FIXED_FORMS
from actc.approx.fixed_point import FixedPoint
from actc.approx.function import ScalarFunction
from actc.emission import EMITTED
from actc.errors import Problems
from actc.fit_options import (
    DEFAULT_DOMAIN,
    FLOAT_FORMS,
    FloatRequest,
    Options,
    file_problems,
    read_budget,
    read_domain,
    require_choice,
)
from actc.fit_result import FitResult, FloatFitResult
from actc.fixed_fitting import fit_fixed
from actc.fixed_options import FIXED_EMITTED, FixedRequest, read_fixed, require_no_formats_needed
from actc.fixed_result import FixedFitResult
from actc.float_fitting import fit_float
from actc.function_names import FunctionLike, resolve
from actc.numerics.blas import one_thread
from actc.rms_fitting import RmsRequest, fit_rms, read_rms, require_objective
from actc.rms_result import RmsFitResult
from actc.structured_fitting import fit_structured, names_structured, read_structured

if TYPE_CHECKING:
    from typing_extensions import Unpack

Domain = tuple[float, float] | str
Format = FixedPoint | str


class FitOptions(TypedDict, total=False):
    """The options of :func:`fit` that every kind of fit may have."""

    form: str
    segments: int | None
    max_error: float | None
    ulp: float | None
    digits: int | None
    degree: int | None
    device: str | None
    plot: str | Path | None
    emit: str | None
    file: str | Path | None
    progress: Callable[[str], None] | None


@overload
def fit(
    function: FunctionLike,
    domain: Domain | None = None,
    *,
    objective: Literal["rms"],
    weights: str | Path | None = None,
    **options: Unpack[FitOptions],
) -> RmsFitResult: ...


@overload
def fit(
    function: FunctionLike,
    domain: Domain | None = None,
    *,
    input: None = None,
    output: None = None,
    objective: Literal["max"] | None = None,
    **options: Unpack[FitOptions],
) -> FloatFitResult: ...


@overload
def fit(
    function: FunctionLike,
    *,
    input: Format,
    output: Format,
    objective: Literal["max"] | None = None,
    **options: Unpack[FitOptions],
) -> FixedFitResult: ...


@overload
def fit(
    function: FunctionLike,
    domain: Domain | None = None,
    *,
    input: Format | None = None,
    output: Format | None = None,
    objective: str | None = None,
    weights: str | Path | None = None,
    **options: Unpack[FitOptions],
) -> FitResult: ...


@one_thread()
def fit(
    function: FunctionLike,
    domain: Domain | None = None,
    *,
    input: Format | None = None,
    output: Format | None = None,
    form: str = "auto",
    segments: int | None = None,
    max_error: float | None = None,
    ulp: float | None = None,
    digits: int | None = None,
    degree: int | None = None,
    device: str | None = None,
    objective: str | None = None,
    weights: str | Path | None = None,
    plot: str | Path | None = None,
    emit: str | None = None,
    file: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> FitResult:
    """Approximate a scalar function in the best form, with a proof of how good it is.

    With formats of input and output the fit is in fixed point: every form is fitted
    and verified over every input code, and the cheapest on `device` is taken. Without
    them it is in float32 on a domain.

    Args:
        function: a name ("GELU", "ELU(0.5)"), an expression ("x*tanh(x)"), a site of
            a model ("model.onnx:a1"), or a callable from float64 [n] to float64 [n].
        domain: (low, high), or text such as "-2*pi,2*pi" or "-inf,inf" (default -8,8).
            Beyond it, the end pieces go on. Only without formats.
        input, output: fixed-point formats such as "s8.4"; the input has at most 16 bits.
        form: without formats "pwl", "pwl-continuous", "tree" or "table"; with formats "table",
            "compressed", "bipartite", "thresholds", "pwl", "tree" or "polynomial". "auto": without
            formats the form with the fewest pieces within `max_error`, or the least
            error within `segments`; with formats the cheapest on `device` that keeps
            to the error, or the one of least error within `segments`.
        segments: at most so many pieces, 1..4096 (without formats 16 by default).
        max_error: the error to stay within; instead of `segments`.
        ulp: 0.5, correctly rounded, or 1, faithful (the default with formats); instead
            of the two before.
        digits: slopes of "pwl" and "tree" are sums of so many signed powers of two,
            1..3, which need no multiplier. By default all are tried, and multipliers.
        degree: 2 or 3, of "polynomial"; by default both are tried.
        device: family of FPGAs whose costs decide (default "ecp5").
        objective: "max" (the default), the largest error; or "rms", the root of the mean
            squared error of lines over weighted samples, without formats.
        weights: of "rms": "normal" (the default), the density of the standard normal
            distribution, or "uniform", both on `domain`; or an .npz file with arrays x
            [n], increasing, and weight [n], such as a histogram, n <= 4096.
        plot, emit, file: files to write, as for :meth:`FitResult.save`.
        progress: told what is being done, if it takes long.

    Returns:
        the form with its error, bound, certificate and the alternatives.

    Raises:
        UsageError: all that is wrong with the options, found before anything is fitted;
            ACT0303 and ACT0304 the function is undefined or infinite where it is
            fitted, ACT0305, ACT0312 and ACT0363 the error cannot be reached, ACT0335
            values beyond float32, ACT0337 a file cannot be written, ACT0350..0352 an
            infinite end is impossible, ACT0365 weights cannot be used.
        ModelError: the model is broken.
    """
    options = Options(
        domain=domain,
        input=input,
        output=output,
        form=form,
        segments=segments,
        max_error=max_error,
        ulp=ulp,
        digits=digits,
        degree=degree,
        device=device,
        objective=objective,
        weights=weights,
        plot=plot,
        emit=emit,
        file=file,
    )
    if names_structured(function):
        return _fit_structured(str(function), options)
    problems = Problems()
    exact = problems.attempt(resolve, function)
    request = _read(problems, options, exact)
    problems.add(*file_problems(_kinds(options), plot=plot, emit=emit, file=file))
    problems.require_none()
    assert exact is not None
    assert request is not None
    found: FitResult
    if isinstance(request, FixedRequest):
        found = fit_fixed(exact, request, progress)
    elif isinstance(request, RmsRequest):
        found = fit_rms(exact, request)
    else:
        found = fit_float(exact, request)
    found.save(plot=plot, emit=emit, output=file)
    return found


def _fit_structured(function: str, options: Options) -> FitResult:
    problems = Problems()
    request = read_structured(problems, options, function)
    problems.require_none()
    assert request is not None
    return fit_structured(request)


def _read(
    problems: Problems, options: Options, exact: ScalarFunction | None
) -> FixedRequest | FloatRequest | RmsRequest | None:
    """The request that the options say; None when problems were noted."""
    problems.attempt(require_objective, options)
    if options.fixed:
        return read_fixed(problems, options, exact)
    problems.attempt(require_no_formats_needed, options)
    if options.objective == "rms":
        return read_rms(problems, options)
    return _read_float(problems, options)


def _read_float(problems: Problems, options: Options) -> FloatRequest | None:
    if options.form not in FIXED_FORMS:
        problems.attempt(require_choice, "--form", options.form, ("auto", *FLOAT_FORMS))
    budget = problems.attempt(read_budget, options.form, options.segments, options.max_error)
    domain = problems.attempt(
        read_domain, DEFAULT_DOMAIN if options.domain is None else options.domain
    )
    if domain is None or budget is None:
        return None
    return FloatRequest(domain, options.form, budget)


def _kinds(options: Options) -> tuple[str, ...]:
    """What can be emitted; without formats, what needs them is complained of elsewhere."""
    if options.fixed or options.emit in FIXED_EMITTED:
        return FIXED_EMITTED
    return EMITTED
