"""Every fixed-point form of one function, fitted one after the other.

Which form is cheapest depends on the device, so all are fitted and their costs are
compared afterwards (`actc.cost`). A form is asked for in one of two ways: the fewest
pieces within gates (:func:`candidates`), or the least error of so many pieces
(:func:`candidates_of_size`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.compressed_table import CompressedTable, fit_compressed_table
from actc.approx.dyadic import SegmentTree, fit_leaves, fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import (
    IntegerPolynomial,
    fine_truncations,
    fit_polynomial,
    fit_polynomial_leaves,
    widest_polynomial_shift,
)
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, FixedForm, Gates, NoForm, least_error, make_gates
from actc.approx.own_gates import with_own_gates
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines, fit_segments
from actc.approx.thresholds import Thresholds, fit_thresholds

Found = FixedFit[Any] | NoForm

FIXED_FORMS = ("table", "compressed", "bipartite", "thresholds", "pwl", "tree", "polynomial")
"""Names of the forms, as options spell them."""
SIZED_FORMS = ("thresholds", "pwl", "tree", "polynomial")
"""Forms that can be asked for with at most so many pieces."""
DIGIT_FORMS = ("pwl", "tree")
"""Forms whose slopes can be sums of few powers of two."""
DIGITS = (1, 2, 3)
DEGREES = (2, 3)
"""Of polynomials."""

_WIDE_INPUT = 13
_INPUTS_PER_SEGMENT = 32
"""From so many input bits on, signed digits are not tried where even multipliers serve
fewer inputs than this with a segment: a table holds them better, and it would take long."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A form with its parameters.

    Attributes:
        form: one of :data:`FIXED_FORMS`.
        digits: most signed digits of a slope; None: any slope, for a multiplier.
        degree: of polynomials; None for the other forms.
    """

    form: str
    digits: int | None = None
    degree: int | None = None

    def __str__(self) -> str:
        if self.degree is not None:
            return f"{self.form}, degree {self.degree}"
        if self.form not in DIGIT_FORMS:
            return self.form
        if self.digits is None:
            return f"{self.form}, multiplier"
        return f"{self.form}, {self.digits} digit{'s' if self.digits > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A form that was tried.

    Attributes:
        variant: the form and its parameters.
        found: the fit, or why there is none.
        seconds: how long it took.
    """

    variant: Variant
    found: Found
    seconds: float


def variants(digits: int | None = None, degree: int | None = None) -> tuple[Variant, ...]:
    """All forms with all their parameters, quick ones first.

    Args:
        digits: 1..3, of the slopes of lines and trees; None: multipliers, and each
            number of digits.
        degree: 2 or 3, of polynomials; None: both.
    """
    counts: tuple[int | None, ...] = (None, *DIGITS) if digits is None else (digits,)
    found = []
    for form in FIXED_FORMS:
        if form in DIGIT_FORMS:
            found += [Variant(form, count) for count in counts]
        elif form == "polynomial":
            found += [Variant(form, None, d) for d in DEGREES if degree in (None, d)]
        else:
            found.append(Variant(form))
    return tuple(found)


def candidates(
    gates: Gates, wanted: Sequence[Variant], *, thorough: bool = False
) -> Iterator[Candidate]:
    """Fit each variant with the fewest pieces within the gates, when asked for the next.

    Tables hold the nearest admissible codes. Steps, lines and leaves are as few as
    their kind allows; bipartite tables are the smallest of those searched.

    Args:
        thorough: search the truncations and the shift of polynomials, which can take a
            minute for 16 bits; otherwise ``t**k`` keeps twice the input's bits.
    """
    segments: dict[str, int] = {}

    def fit(variant: Variant) -> Found:
        reason = _senseless(gates.input, segments.get(variant.form, 0))
        if variant.digits is not None and reason:
            return NoForm(reason)
        if variant.degree is not None:
            return _polynomial(gates, variant.degree, thorough)
        found = _FITTERS[variant.form](gates, variant)
        if variant.digits is None and isinstance(found, FixedFit):
            segments[variant.form] = pieces(found.form)
        return found

    yield from (_timed(variant, fit) for variant in wanted)


def candidates_of_size(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    most: int,
    wanted: Sequence[Variant],
) -> Iterator[Candidate]:
    """Fit each variant with the least error of at most `most` pieces, when asked for it.

    Polynomials keep twice the input's bits of ``t**k``.

    Raises:
        ModelError, UsageError: as :func:`~actc.approx.gates.make_gates`.
        ValueError: `most` is not positive.
    """

    def fit(variant: Variant) -> Found:
        if variant.form not in SIZED_FORMS:
            return NoForm("its size follows from the formats, not from a number of pieces")
        return _SIZED_FITTERS[variant.form](f, input, output, most, variant)

    yield from (_timed(variant, fit) for variant in wanted)


def pieces(form: FixedForm) -> int:
    """Segments, leaves, steps or entries: what :func:`piece_name` says."""
    if isinstance(form, FixedTable):
        return form.values.size
    if isinstance(form, CompressedTable):
        return form.coarse.size + form.differences.size
    if isinstance(form, BipartiteTable):
        return form.initial.size + form.offset.size
    if isinstance(form, Thresholds):
        return form.levels.size
    if isinstance(form, (IntegerPiecewiseLinear, SegmentTree, IntegerPolynomial)):
        return form.segments
    raise TypeError(f"a {type(form).__name__} has no pieces")


def piece_name(form: str) -> str:
    """What :func:`pieces` counts in a form of this name."""
    names = {"thresholds": "levels", "pwl": "segments", "tree": "leaves", "polynomial": "leaves"}
    return names.get(form, "entries")


def _timed(variant: Variant, fit: Callable[[Variant], Found]) -> Candidate:
    start = time.perf_counter()
    found = fit(variant)
    return Candidate(variant, found, time.perf_counter() - start)


def _senseless(input: FixedPoint, segments: int) -> str:
    """Why signed digits are not tried, when multipliers need so many segments; or ""."""
    if input.bits < _WIDE_INPUT or segments * _INPUTS_PER_SEGMENT <= input.count:
        return ""
    return f"not tried: with multipliers it needs {segments} segments, and no fewer without"


def _steps_of_size(
    f: ScalarFunction, input: FixedPoint, output: FixedPoint, most: int, variant: Variant
) -> FixedFit[Thresholds]:
    if most < 1:
        raise ValueError(f"there is at least one level, not {most}")

    def fit(gates: Gates) -> FixedFit[Thresholds] | None:
        found = fit_thresholds(gates)
        return found if found.form.levels.size <= most else None

    return with_own_gates(f, least_error(f, input, output, fit))


def _lines_of_size(
    f: ScalarFunction, input: FixedPoint, output: FixedPoint, most: int, variant: Variant
) -> Found:
    least = fit_segments(f, input, output, most, digits=variant.digits)
    return fit_integer_lines(least.gates, digits=variant.digits)


def _leaves_of_size(
    f: ScalarFunction, input: FixedPoint, output: FixedPoint, most: int, variant: Variant
) -> Found:
    least = fit_leaves(f, input, output, most, digits=variant.digits)
    return fit_segment_tree(least.gates, digits=variant.digits)


def _polynomial(gates: Gates, degree: int, thorough: bool) -> Found:
    if thorough:
        return fit_polynomial(gates, degree)
    shift = min(2 * gates.input.bits, widest_polynomial_shift(gates))
    cuts = fine_truncations(gates, degree, shift)
    return fit_polynomial(gates, degree, truncations=cuts, shift=shift)


def _polynomials_of_size(
    f: ScalarFunction, input: FixedPoint, output: FixedPoint, most: int, variant: Variant
) -> Found:
    assert variant.degree is not None
    gates = make_gates(f, input, output, "faithful")
    shift = min(2 * input.bits, widest_polynomial_shift(gates))
    cuts = fine_truncations(gates, variant.degree, shift)
    return fit_polynomial_leaves(
        f, input, output, most, variant.degree, truncations=cuts, shift=shift
    )


_FITTERS: dict[str, Callable[[Gates, Variant], Found]] = {
    "table": lambda gates, variant: fit_fixed_table(gates),
    "compressed": lambda gates, variant: fit_compressed_table(gates),
    "bipartite": lambda gates, variant: fit_bipartite(gates),
    "thresholds": lambda gates, variant: fit_thresholds(gates),
    "pwl": lambda gates, variant: fit_integer_lines(gates, digits=variant.digits),
    "tree": lambda gates, variant: fit_segment_tree(gates, digits=variant.digits),
}
_SIZED_FITTERS: dict[
    str, Callable[[ScalarFunction, FixedPoint, FixedPoint, int, Variant], Found]
] = {
    "thresholds": _steps_of_size,
    "pwl": _lines_of_size,
    "tree": _leaves_of_size,
    "polynomial": _polynomials_of_size,
}
