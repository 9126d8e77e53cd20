"""The options of a fit in fixed point, and those that only such a fit has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actc.approx.candidates import DEGREES, DIGIT_FORMS, DIGITS, FIXED_FORMS, SIZED_FORMS
from actc.approx.fixed_point import FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import MAX_INPUT_BITS, Objective
from actc.cost import FAMILIES
from actc.diagnostics import Diagnostic
from actc.emission import EMITTED
from actc.errors import ActcError, Problems, UsageError
from actc.fit_options import (
    FLOAT_FORMS,
    Options,
    nearest,
    require_choice,
    require_error,
    require_segments,
)

DEFAULT_DEVICE = "ecp5"
FIXED_EMITTED = ("onnx", "verilog", "hls", "c", "numpy")
"""Kinds of files that a form in fixed point can be written as."""

_FORMATS = "such as --input s8.4 --output s8.4"


@dataclass(frozen=True, slots=True)
class FixedRequest:
    """What is wanted in fixed point.

    Attributes:
        input, output: the formats.
        form: one of `actc.approx.candidates.FIXED_FORMS`, or "auto".
        segments: the least error of at most so many pieces; or None:
        objective: the fewest pieces, or smallest tables, within it.
        digits: signed digits of slopes; None: any.
        degree: of polynomials; None: any.
        device: the family whose costs decide.
    """

    input: FixedPoint
    output: FixedPoint
    form: str
    segments: int | None
    objective: Objective
    digits: int | None
    degree: int | None
    device: str


def require_no_formats_needed(options: Options) -> None:
    """Refuse the options that only a fit in fixed point has.

    Raises:
        UsageError: ACT0360.
    """
    given = {
        "--ulp": options.ulp,
        "--digits": options.digits,
        "--degree": options.degree,
        "--device": options.device,
    }
    names = [name for name, value in given.items() if value is not None]
    if options.form in FIXED_FORMS and options.form not in FLOAT_FORMS:
        names.append(f"--form {options.form}")
    if options.emit in FIXED_EMITTED and options.emit not in EMITTED:
        names.append(f"--emit {options.emit}")
    if names:
        message = f"{_listed(names)} only {_verb(names)} with fixed-point formats"
        help_text = f"give the formats of input and output, {_FORMATS}"
        raise UsageError(Diagnostic("ACT0360", message, help=help_text))


def _listed(names: list[str]) -> str:
    """ "one, two and three"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names)


def _verb(names: list[str]) -> str:
    return "has a meaning" if len(names) == 1 else "have a meaning"


def read_fixed(
    problems: Problems, options: Options, exact: ScalarFunction | None
) -> FixedRequest | None:
    """The request that the options say; None when problems were noted.

    Args:
        exact: the function, to suggest an output format; None if it cannot be read.
    """
    source, target = read_formats(problems, options, exact)
    problems.attempt(_require_form, options.form)
    objective = problems.attempt(_read_objective, options)
    problems.attempt(_require_digits, options)
    problems.attempt(_require_degree, options)
    device = problems.attempt(read_device, options)
    if problems.found or not (source and target and objective and device):
        return None
    return FixedRequest(
        source,
        target,
        options.form,
        options.segments,
        objective,
        options.digits,
        options.degree,
        device,
    )


def read_formats(
    problems: Problems, options: Options, exact: ScalarFunction | None
) -> tuple[FixedPoint | None, FixedPoint | None]:
    """The formats of input and output; None where problems were noted.

    Args:
        exact: the function, to suggest an output format; None if it is not known.
    """
    source = target = None
    if options.input is not None:
        source = problems.attempt(_read_input, options.input)
    else:
        message = "--output is given without --input"
        problems.add(Diagnostic("ACT0360", message, help=f"give both, {_FORMATS}"))
    if options.output is not None:
        target = problems.attempt(_read_format, "--output", options.output)
    else:
        message = "--input is given without --output"
        problems.add(Diagnostic("ACT0360", message, help=_suggestion(exact, source)))
    if options.domain is not None:
        message = "--domain and fixed-point formats are both given"
        help_text = "leave --domain out: all codes of the input format are fitted"
        problems.add(Diagnostic("ACT0360", message, help=help_text))
    return source, target


def _read_format(option: str, given: FixedPoint | str) -> FixedPoint:
    if isinstance(given, FixedPoint):
        return given
    try:
        return FixedPoint.parse(given)
    except UsageError as error:
        (found,) = error.diagnostics
        message = f"{option}: {found.message}"
        raise UsageError(
            Diagnostic(found.code, message, notes=found.notes, help=found.help)
        ) from error


def _read_input(given: FixedPoint | str) -> FixedPoint:
    source = _read_format("--input", given)
    if source.bits > MAX_INPUT_BITS:
        raise UsageError(
            Diagnostic(
                "ACT0311",
                f"--input {source} has too many codes to verify every one",
                notes=(f"at most {MAX_INPUT_BITS} bits",),
                help="use fewer input bits, or a float fit: leave --input and --output out",
            )
        )
    return source


def _suggestion(exact: ScalarFunction | None, source: FixedPoint | None) -> str:
    """A format of as many bits that holds all values of the function."""
    if exact is None or source is None:
        return f"give both, {_FORMATS}"
    try:
        values = exact.finite(source.values())
    except ActcError:  # the function has its own complaint, once the format is given
        return f"give both, {_FORMATS}"
    low, high = float(values.min()), float(values.max())
    for fraction in range(source.fraction + source.bits, source.fraction - source.bits, -1):
        target = FixedPoint(low < 0, source.bits, fraction)
        ends = target.to_real(np.array([target.low, target.high]))
        if ends[0] <= low and high <= ends[1] + target.ulp / 2:
            return f"{exact.name} takes values from {low:.6g} to {high:.6g}: --output {target}"
    return f"give both, {_FORMATS}"


def _require_form(form: str) -> None:
    if form == "pwl-continuous":
        message = "--form pwl-continuous has no fixed-point form"
        help_text = "lines on integers are rounded at every input and need not meet: --form pwl"
        raise UsageError(Diagnostic("ACT0334", message, help=help_text))
    require_choice("--form", form, ("auto", *FIXED_FORMS))


def _read_objective(options: Options) -> Objective:
    segments, max_error, ulp = options.segments, options.max_error, options.ulp
    given = {"--segments": segments, "--max-error": max_error, "--ulp": ulp}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise _wrong(f"{_listed(names)} are given together", "give one of them")
    require_segments(segments)
    require_error(max_error)
    form = options.form
    if segments is not None and form in FIXED_FORMS and form not in SIZED_FORMS:
        message = f"--segments does not apply to --form {form}, whose size follows from the formats"
        raise _wrong(message, f"leave it out, or choose one of: {', '.join(SIZED_FORMS)}")
    if max_error is not None:
        return max_error
    return _objective_of(1.0 if ulp is None else ulp)


def _objective_of(ulp: float) -> Objective:
    if ulp == 0.5:
        return "correctly_rounded"
    if ulp == 1:
        return "faithful"
    help_text = "0.5 is correctly rounded, 1 is faithful; for other errors give --max-error"
    raise _wrong(f"--ulp {ulp:g} is neither 0.5 nor 1", help_text)


def _require_digits(options: Options) -> None:
    form, digits = options.form, options.digits
    if digits is None:
        return
    if digits not in DIGITS:
        raise _wrong(f"--digits {digits} is not in {DIGITS[0]}..{DIGITS[-1]}", "2 is a good start")
    if form in FIXED_FORMS and form not in DIGIT_FORMS:
        message = f"--digits does not apply to --form {form}, which has no slopes"
        raise _wrong(message, f"leave it out, or choose one of: {', '.join(DIGIT_FORMS)}")


def _require_degree(options: Options) -> None:
    form, degree = options.form, options.degree
    if degree is None:
        return
    if degree not in DEGREES:
        raise _wrong(f"--degree {degree} is not 2 or 3", "lines, of degree 1, are --form pwl")
    if form in FIXED_FORMS and form != "polynomial":
        message = f"--degree does not apply to --form {form}"
        raise _wrong(message, "leave it out, or choose --form polynomial")


def read_device(options: Options) -> str:
    """The family of devices whose costs decide.

    Raises:
        UsageError: ACT0361, there is no cost model of it.
    """
    device = DEFAULT_DEVICE if options.device is None else options.device
    known = tuple(FAMILIES)
    if device not in known:
        help_text = f"{nearest(device, known)}choose one of: {', '.join(known)}"
        raise _wrong(f"there is no cost model of the device '{device}'", help_text)
    return device


def _wrong(message: str, help_text: str) -> UsageError:
    return UsageError(Diagnostic("ACT0361", message, help=help_text))
