"""Gates: for each input code, the output codes that a fixed-point form may give.

Every fit into fixed point starts from them (the rounding intervals of Lim and
Nagarakatte, "RLIBM", POPL 2021), and every fit is measured against them over all
input codes. Where the function leaves the output format, the nearest code of the
format takes its place: gates, errors and bounds refer to the saturated function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint, Rounding
from actc.approx.function import Float64Array, ScalarFunction
from actc.diagnostics import Diagnostic
from actc.errors import InternalError, UsageError

Objective = Literal["correctly_rounded", "faithful"] | float
"""What an output may be: the value's rounding; one of the two codes around the value
(the value itself where it is a code); or any code within that absolute error."""

MAX_INPUT_BITS = 16
"""All codes are enumerated, up to so many bits."""


class FixedForm(Protocol):
    """A fixed-point form: integers in, integers out."""

    @property
    def input(self) -> FixedPoint:
        """Format of the input codes."""

    @property
    def output(self) -> FixedPoint:
        """Format of the output codes."""

    @property
    def storage_bits(self) -> int:
        """Bits of constants that the form needs."""

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes of input codes, bit for bit as the hardware computes them."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description, complete enough to build the form anew."""


Form = TypeVar("Form", bound=FixedForm)
Form_co = TypeVar("Form_co", bound=FixedForm, covariant=True)


@dataclass(frozen=True, eq=False)
class Gates:
    """Admissible output codes for every input code.

    Attributes:
        function: its name.
        input, output: the formats.
        objective: what `low` and `high` stand for.
        target: float64 [n], the saturated function in ulps of the output, n input
            codes in increasing order.
        low, high: int64 [n], first and last admissible output code; low <= high.
    """

    function: str
    input: FixedPoint
    output: FixedPoint
    objective: Objective
    target: Float64Array
    low: Codes
    high: Codes

    def __len__(self) -> int:
        return len(self.low)

    def admit(self, outputs: Codes) -> bool:
        """Whether `outputs`, one per input code, are all admissible."""
        return bool(np.all((self.low <= outputs) & (outputs <= self.high)))


@dataclass(frozen=True, eq=False)
class FixedFit(Generic[Form_co]):
    """A fixed-point form, verified over every input code.

    Attributes:
        form: the form.
        gates: what was asked for; every output lies within.
        max_error_ulp: largest distance of an output from the saturated function, in
            ulps of the output (float64 evaluation of the function).
        max_error: the same as a real number.
    """

    form: Form_co
    gates: Gates
    max_error_ulp: float
    max_error: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description of form, formats and errors."""
        gates = self.gates
        return {
            "function": gates.function,
            "input": str(gates.input),
            "output": str(gates.output),
            "objective": gates.objective,
            "max_error": self.max_error,
            "max_error_ulp": self.max_error_ulp,
            "storage_bits": self.form.storage_bits,
            **self.form.to_json(),
        }


@dataclass(frozen=True, slots=True)
class NoForm:
    """Why there is no form of the wanted kind."""

    reason: str


def make_gates(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    objective: Objective,
    rounding: Rounding = "half_even",
) -> Gates:
    """Gates of `f` between two formats.

    Args:
        f: may be infinite (the output saturates), not NaN.
        objective: see :data:`Objective`; a number is an absolute error of real
            values, compared without rounding of its own.
        rounding: for "correctly_rounded".

    Raises:
        ModelError: ACT0303, `f` is not a number somewhere.
        UsageError: ACT0311, the input has more than 16 bits; ACT0312, at some input
            no output code is as near as asked for.
    """
    if input.bits > MAX_INPUT_BITS:
        raise UsageError(_too_many_inputs(input))
    exact = f(input.values())
    target = _in_ulps(exact, output)
    if objective == "correctly_rounded":
        low = high = output.quantize(exact, rounding)
    elif objective == "faithful":
        low, high = (step(target).astype(np.int64) for step in (np.floor, np.ceil))
    else:
        low, high = _within(target, objective / output.ulp, output)
        if np.any(low > high):
            raise UsageError(_too_precise(f.name, objective, target, output))
    return Gates(f.name, input, output, objective, target, low, high)


def _in_ulps(exact: Float64Array, output: FixedPoint) -> Float64Array:
    """Values in ulps of the output, saturated; what underflows stays beside zero, not on it."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(exact, output.fraction)
    beside = np.copysign(np.finfo(np.float64).smallest_subnormal, exact)
    return np.clip(np.where((scaled == 0) & (exact != 0), beside, scaled), output.low, output.high)


def verified(form: Form, gates: Gates) -> FixedFit[Form]:
    """The fit of `form`, after evaluating it at every input code.

    Raises:
        InternalError: ACT0901, an output is not admissible.
    """
    outputs = form.evaluate(gates.input.codes())
    if not gates.admit(outputs):
        raise InternalError(
            Diagnostic("ACT0901", f"a {type(form).__name__} of {gates.function} misses its bound")
        )
    error = float(np.abs(outputs - gates.target).max())
    return FixedFit(form, gates, error, error * gates.output.ulp)


def least_error(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    fit: Callable[[Gates], FixedFit[Form] | None],
) -> FixedFit[Form]:
    """The fit of least absolute error over all that `fit` can find.

    The least error is one of the finitely many distances between an output code and
    a value of the function; they are searched until none is left between the last
    success and the last failure. So it is exact, up to the float64 rounding of those
    distances, if `fit` finds a form whenever there is one.

    Args:
        fit: a form within the gates (whose objective is an absolute error), or None.
            It must find one when every output code is admissible.

    Raises:
        ModelError, UsageError: as :func:`make_gates`.
    """
    target = make_gates(f, input, output, "correctly_rounded").target

    def attempt(ulps: float) -> FixedFit[Form] | None:
        error = float(np.nextafter(ulps, math.inf))  # the distances are rounded themselves
        low, high = _within(target, error, output)
        return fit(Gates(f.name, input, output, error * output.ulp, target, low, high))

    failure = float(np.abs(np.rint(target) - target).max())
    best = attempt(failure)
    success = failure
    while best is None:
        failure, success = success, 2 * success + 1
        best = attempt(success)
    success = best.max_error_ulp
    while True:
        middle = (failure + success) / 2
        if success - failure < 1:
            distances = _distances(target, failure, success)
            if not distances.size:
                return best
            middle = float(distances[len(distances) // 2])
        found = attempt(middle)
        if found is None:
            failure = middle
        else:
            best, success = found, min(found.max_error_ulp, middle)


def _within(target: Float64Array, ulps: float, output: FixedPoint) -> tuple[Codes, Codes]:
    """First and last code within `ulps` of each target, without rounding errors."""
    # beyond the format's width every code is within, and int64 would overflow
    ulps = min(ulps, 2.0**33)
    below, below_rest = _exact_sum(target, -ulps)
    above, above_rest = _exact_sum(target, ulps)
    low = np.ceil(below) + ((below == np.ceil(below)) & (below_rest > 0))
    high = np.floor(above) - ((above == np.floor(above)) & (above_rest < 0))
    return (
        np.maximum(low, output.low).astype(np.int64),
        np.minimum(high, output.high).astype(np.int64),
    )


def _exact_sum(a: Float64Array, b: float) -> tuple[Float64Array, Float64Array]:
    """``a + b`` as rounded sum and exact rest (Knuth's TwoSum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _distances(target: Float64Array, above: float, below: float) -> Float64Array:
    """Distances between targets and integers in (above, below), a range of < 1."""
    found = []
    for sign in (1.0, -1.0):
        first = np.floor(sign * target + above)
        for step in range(3):
            found.append(first + step - sign * target)
    distances = np.unique(np.concatenate(found))
    return distances[(above < distances) & (distances < below)]


def _too_many_inputs(input: FixedPoint) -> Diagnostic:
    return Diagnostic(
        "ACT0311",
        f"the input format {input} has too many codes to verify every one",
        notes=(f"at most {MAX_INPUT_BITS} bits",),
        help="use fewer input bits, or a float form",
    )


def _too_precise(name: str, error: float, target: Float64Array, output: FixedPoint) -> Diagnostic:
    floor = float(np.abs(np.rint(target) - target).max()) * output.ulp
    return Diagnostic(
        "ACT0312",
        f"{output} cannot hold {name} within {error:g}",
        notes=(f"the rounding of the output alone costs {floor:g}",),
        help="use more fraction bits in the output format, or allow a larger error",
    )
