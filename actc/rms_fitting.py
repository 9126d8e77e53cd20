"""Fits of the least weighted squared error: their options, weights and search."""

from __future__ import annotations

import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.least_squares import MAX_SAMPLES, fit_least_squares
from actc.approx.pwl import PiecewiseLinear, fit_piecewise_linear, sample_points
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, Problems, UsageError
from actc.fit_options import (
    DEFAULT_DOMAIN,
    DEFAULT_SEGMENTS,
    LARGEST,
    Options,
    read_domain,
    require_choice,
    require_segments,
    wrong,
)
from actc.ir.files import open_regular
from actc.rms_result import Errors, RmsFitResult

OBJECTIVES = ("max", "rms")
WEIGHTS = ("normal", "uniform")
"""The weights that need no file: the density of the standard normal distribution, or 1."""
_POINTS = 2048
_MEMBERS = {"x.npy": "x", "weight.npy": "weight"}
_MOST_BYTES = 1 << 20
"""Far more than the widest numbers need."""
_HELP = "an .npz file has two arrays of equal length: x and weight"


@dataclass(frozen=True, eq=False)
class RmsRequest:
    """The least weighted squared error of at most so many segments.

    Attributes:
        x: float64 [n], increasing float32 numbers.
        weights: float64 [n], >= 0, not all zero.
        named: what the weights are called: of :data:`WEIGHTS`, or the name of a file.
        segments: at most so many.
    """

    x: Float64Array
    weights: Float64Array
    named: str
    segments: int


def read_rms(problems: Problems, options: Options) -> RmsRequest | None:
    """The request that the options say; None when problems were noted."""
    problems.attempt(_require_rms_options, options)
    problems.attempt(require_segments, options.segments)
    named = "normal" if options.weights is None else str(options.weights)
    points = problems.attempt(_read_points, named, options)
    if problems.found or points is None:
        return None
    segments = DEFAULT_SEGMENTS if options.segments is None else options.segments
    name = named if named in WEIGHTS else Path(named).name
    return RmsRequest(*points, name, segments)


def require_objective(options: Options) -> None:
    """Refuse an unknown objective, and weights without one that has any.

    Raises:
        UsageError: ACT0334, or ACT0360, the objective does not go with formats.
    """
    if options.objective is not None:
        require_choice("--objective", options.objective, OBJECTIVES)
    if options.objective == "rms" and options.fixed:
        message = "--objective rms has no fixed-point fits"
        help_text = "leave --input and --output out, or --objective"
        raise UsageError(Diagnostic("ACT0360", message, help=help_text))
    if options.weights is not None and options.objective != "rms":
        raise wrong(
            "--weights has a meaning only with --objective rms",
            "add --objective rms, or leave it out",
        )


def _require_rms_options(options: Options) -> None:
    if options.form not in ("auto", "pwl"):
        raise wrong(
            f"--objective rms has no --form {options.form}", "leave it out, or take --form pwl"
        )
    if options.max_error is not None:
        raise wrong(
            "--max-error and --objective rms are both given",
            "give --segments instead, or leave --objective out",
        )


def _read_points(named: str, options: Options) -> tuple[Float64Array, Float64Array]:
    if named in WEIGHTS:
        low, high = read_domain(DEFAULT_DOMAIN if options.domain is None else options.domain)
        if not np.isfinite([low, high]).all():
            message = "--objective rms cannot be fitted to an infinite end"
            raise UsageError(Diagnostic("ACT0352", message, help="give --domain finite ends"))
        x = sample_points(low, high, _POINTS, "float32")
        return x, _density(x) if named == "normal" else np.ones_like(x)
    if options.domain is not None:
        raise wrong(
            "--domain and a file of weights are both given",
            "leave --domain out: the file says where the function is fitted",
        )
    return read_weights(Path(named))


def _density(x: Float64Array) -> Float64Array:
    """Of the standard normal distribution, relative to its largest value at `x`."""
    exponent = -(x**2) / 2
    density: Float64Array = np.exp(exponent - exponent.max())
    return density


def read_weights(path: Path) -> tuple[Float64Array, Float64Array]:
    """Sample points, rounded to float32, and their weights.

    Args:
        path: an .npz file with arrays ``x`` [n] and ``weight`` [n], n <= 4096, such as
            the middles of a histogram's bins, and its counts.

    Raises:
        UsageError: ACT0365, the file cannot be used.
    """
    arrays = _load(path)
    for name in ("x", "weight"):
        if name not in arrays:
            raise _unusable(path, f"it has no array '{name}'")
    x, weight = (_real(path, name, arrays[name]) for name in ("x", "weight"))
    if x.shape != weight.shape:
        raise _unusable(path, f"x holds {x.size} numbers, but weight holds {weight.size}")
    if not 1 <= x.size <= MAX_SAMPLES:
        raise _unusable(path, f"it holds {x.size} samples, not 1..{MAX_SAMPLES}")
    if np.abs(x).max() > LARGEST:
        raise _unusable(path, "x holds numbers beyond float32")
    rounded = x.astype(np.float32).astype(np.float64)
    if np.any(np.diff(rounded) <= 0):
        raise _unusable(path, "x does not increase, as float32 numbers")
    if weight.min() < 0 or not weight.max() > 0:
        raise _unusable(path, "weight holds a negative number, or zeros only")
    return rounded, weight


def _load(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays x and weight of an .npz file, as far as it has them."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    try:
        with os.fdopen(open_regular(path), "rb") as stream, zipfile.ZipFile(stream) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            for name in sizes.keys() & _MEMBERS.keys():
                if sizes[name] > _MOST_BYTES:
                    raise _unusable(path, f"it holds more than {MAX_SAMPLES} samples")
                with archive.open(name) as member:
                    arrays[_MEMBERS[name]] = np.lib.format.read_array(member, allow_pickle=False)
    except UsageError:
        raise
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise _unusable(path, reason) from error
    except Exception as error:  # what the parsers of numpy and zipfile raise
        raise _unusable(path, "it is no .npz file of numbers") from error
    return arrays


def _real(path: Path, name: str, values: npt.NDArray[np.generic]) -> Float64Array:
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise _unusable(path, f"{name} is not one row of real numbers")
    found = values.astype(np.float64)
    if not np.isfinite(found).all():
        raise _unusable(path, f"{name} holds a number that is not finite")
    return found


def _unusable(path: Path, reason: str) -> UsageError:
    message = f"the weights cannot be used: {reason}"
    known = f"give {' or '.join(WEIGHTS)}, or a file"
    help_text = f"{known}: {_HELP}"
    return UsageError(Diagnostic("ACT0365", message, place=Place(str(path)), help=help_text))


def fit_rms(exact: ScalarFunction, request: RmsRequest) -> RmsFitResult:
    """The least weighted squared error, beside the lines of the least largest error.

    Raises:
        UsageError: ACT0303 and ACT0304, the function is undefined or infinite at a sample;
            ACT0335, lines beyond float32.
    """
    start = time.perf_counter()
    try:
        least = fit_least_squares(exact, request.x, request.weights, request.segments)
    except ModelError as error:
        raise UsageError([_at_samples(d) for d in error.diagnostics]) from error
    form = _in_float32(exact.name, least.form, request)
    seconds = time.perf_counter() - start
    errors = _errors(exact, form, request)
    return RmsFitResult(
        function=exact.name,
        form="pwl",
        segments=form.segments,
        max_error=errors.max_error,
        lower_bound=least.lower_bound,
        certificate={},
        problems=(),
        seconds=seconds,
        weights=request.named,
        domain=(float(request.x[0]), float(request.x[-1])),
        approximation=form,
        errors=errors,
        minimax=_minimax(exact, request),
        exact=exact,
    )


def _at_samples(diagnostic: Diagnostic) -> Diagnostic:
    """A complaint about the function, with help that fits the command."""
    return Diagnostic(
        diagnostic.code,
        diagnostic.message,
        place=diagnostic.place,
        notes=diagnostic.notes,
        help="choose a --domain, or x of --weights, on which the function is finite",
    )


def _in_float32(function: str, form: PiecewiseLinear, request: RmsRequest) -> PiecewiseLinear:
    """The lines with float32 coefficients, turned about the middle of their samples."""
    largest = np.abs([*form.slopes, *form.intercepts]).max()
    if not largest < LARGEST:
        message = f"lines of {function} reach {largest:.3g}, beyond float32"
        help_text = "choose a narrower domain, or scale the function"
        raise UsageError(Diagnostic("ACT0335", message, help=help_text))
    which, count = form.segment(request.x), form.segments
    total = np.bincount(which, request.weights, count)
    middle = np.bincount(which, request.weights * request.x, count) / total
    slopes = form.slopes.astype(np.float32).astype(np.float64)
    intercepts = form.intercepts + (form.slopes - slopes) * middle
    rounded = intercepts.astype(np.float32).astype(np.float64)
    return PiecewiseLinear(form.breakpoints, slopes, rounded)


def _errors(exact: ScalarFunction, form: PiecewiseLinear, request: RmsRequest) -> Errors:
    error = form.evaluate(request.x) - exact.finite(request.x)
    mse = float(np.average(error**2, weights=request.weights))
    return Errors(float(np.sqrt(mse)), mse, float(np.abs(error).max()))


def _minimax(exact: ScalarFunction, request: RmsRequest) -> tuple[int, Errors] | None:
    """Segments and errors of the least largest error; None if it is not finite between samples."""
    ends = float(request.x[0]), float(request.x[-1])
    try:
        found = fit_piecewise_linear(exact, *ends, segments=request.segments)
    except ModelError:
        return None
    return found.form.segments, _errors(exact, found.form, request)
