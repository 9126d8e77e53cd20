"""Fits in fixed point: all forms, the cheapest that meets the request, its certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from actc.approx.candidates import (
    Candidate,
    Variant,
    candidates_of_size,
    variants,
)
from actc.approx.fixed_certificate import certify_fixed
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, make_gates
from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError
from actc.fixed_options import FixedRequest
from actc.fixed_result import FixedFitResult, Option, cheapest
from actc.kept_costs import kept_options
from actc.kept_fits import kept_candidates
from actc.verifying import certificate_problems

Progress = Callable[[str], None]
_QUIET_SECONDS = 1.0
"""Progress is told only when a fit takes longer."""


def fit_fixed(
    exact: ScalarFunction, request: FixedRequest, progress: Progress | None = None
) -> FixedFitResult:
    """The cheapest form within an error, or that of the least error; see :func:`actc.fit`.

    Args:
        progress: told what is being fitted, if it takes long.

    Raises:
        UsageError: ACT0303 the function is not a number at an input code, ACT0311 too
            many input bits, ACT0312 the output is too coarse for the error, ACT0363
            there is no form of the kind that was asked for.
    """
    tell = _later(progress)
    try:
        options = list(_options(exact, request, tell))
    except ModelError as error:
        raise UsageError([_in_format(d, request) for d in error.diagnostics]) from error
    chosen = _choose(options, request)
    found = chosen.candidate.found
    assert isinstance(found, FixedFit)
    variant = chosen.candidate.variant
    tell(f"certifying {variant}")
    certificate = certify_fixed(found, digits=variant.digits, pieces=request.segments)
    return FixedFitResult(
        function=exact.name,
        form=variant.form,
        segments=chosen.pieces,
        max_error=found.max_error,
        lower_bound=float.fromhex(certificate["lower_bound"]),
        certificate=certificate,
        problems=tuple(certificate_problems(certificate, exact)),
        seconds=chosen.candidate.seconds,
        fit=found,
        device=request.device,
        chosen=chosen,
        others=tuple(option for option in options if option is not chosen),
        exact=exact,
        outside=_outside(exact, request),
        most=request.segments,
    )


def _later(progress: Progress | None) -> Progress:
    """Progress that is told from some time on only."""
    start = time.perf_counter()

    def tell(stage: str) -> None:
        if progress is not None and time.perf_counter() - start > _QUIET_SECONDS:
            progress(stage)

    return tell


def _options(exact: ScalarFunction, request: FixedRequest, tell: Progress) -> Iterator[Option]:
    """Every candidate with its cost."""
    wanted = variants(request.digits, request.degree)
    fits = _candidates(exact, request, wanted)
    found: list[Candidate] = []
    for variant in wanted:
        tell(f"fitting {variant}")
        found.append(next(fits))
    tell("estimating costs")
    yield from kept_options(found, request.device)


def _candidates(
    exact: ScalarFunction, request: FixedRequest, wanted: Sequence[Variant]
) -> Iterator[Candidate]:
    formats = request.input, request.output
    if request.segments is not None:
        return candidates_of_size(exact, *formats, request.segments, wanted)
    gates = make_gates(exact, *formats, request.objective)
    return kept_candidates(gates, wanted, thorough=request.form == "polynomial")


def _choose(options: list[Option], request: FixedRequest) -> Option:
    """The best of the form that was asked for.

    Raises:
        UsageError: ACT0363, there is none.
    """
    asked = [o for o in options if request.form in ("auto", o.candidate.variant.form)]
    met = [o for o in asked if not o.reason]
    if not met:
        raise UsageError([_no_form(option, request) for option in asked])
    if request.segments is not None:
        return min(met, key=lambda o: (o.fit.max_error, o.cost.total))
    return cheapest(met)


def _no_form(option: Option, request: FixedRequest) -> Diagnostic:
    return Diagnostic(
        "ACT0363",
        f"there is no {option.candidate.variant} form: {option.reason}",
        notes=(f"from {request.input} to {request.output}",),
        help="allow a larger error, or choose another --form; auto shows them all",
    )


def _outside(exact: ScalarFunction, request: FixedRequest) -> int:
    """How many inputs have values that leave the output format, where it saturates."""
    output = request.output
    with np.errstate(over="ignore"):
        scaled = np.ldexp(exact(request.input.values()), output.fraction)
    return int(np.count_nonzero((scaled < output.low - 0.5) | (scaled > output.high + 0.5)))


def _in_format(diagnostic: Diagnostic, request: FixedRequest) -> Diagnostic:
    """A complaint about the function, with help that fits the command."""
    help_text = "choose an --input format of numbers for which it is one"
    if request.input.signed:
        unsigned = f"u{request.input.bits}.{request.input.fraction}"
        help_text += f", such as {unsigned}, or say what it is elsewhere: where(x > 0, ..., 0)"
    return Diagnostic(
        diagnostic.code,
        diagnostic.message,
        place=diagnostic.place,
        notes=diagnostic.notes,
        help=help_text,
    )
