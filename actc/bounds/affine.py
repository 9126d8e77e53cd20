"""Affine forms with shared noise symbols: zonotopes over the inputs of a network.

A form stands for a tensor of n numbers ``center + generators @ e + r``: the symbols ``e``
in [-1, 1] are shared by all forms of a :class:`Space`, ``|r| <= rest`` is a private
remainder of each number. Affine arithmetic after Comba and Stolfi (1993); zonotopes as an
abstract domain after Ghorbal, Goubault and Putot (CAV 2009) and DeepZ (Singh et al.,
NeurIPS 2018).

Every operation is sound in float64: it adds to ``rest`` :data:`SLACK` times the sum of
the magnitudes that went into each number. That covers its rounding, because a sum of n
products, in any order, with or without fused multiply-adds, is off by at most
gamma(n + 2) = (n + 2) 2^-53 / (1 - (n + 2) 2^-53) of the sum of magnitudes (Higham,
Accuracy and Stability, ch. 3), no sum here has more than 2^21 terms
(:data:`LONGEST_SUM`), and gamma(2^21 + 2) < 2^-31 = SLACK / 2; the other half covers the
rounding of the sum of magnitudes itself. :data:`TINY` covers underflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SLACK = 2.0**-30
"""Relative error allowed to every operation."""
TINY = 1e-290
"""Absolute error allowed to every operation: 2^21 products that underflow are below it."""
LONGEST_SUM = 2**21
"""Terms that a sum may have."""
_NEGLIGIBLE = 2.0**-22

Array = np.ndarray[Any, Any]
Matrix = Any
"""A numpy array or a scipy.sparse.csr_array, which has no types."""


class TooLarge(Exception):
    """A tensor times the symbols that it may depend on does not fit the memory."""

    def __init__(self, numbers: int, symbols: int) -> None:
        super().__init__(f"{numbers} numbers times {symbols} noise symbols")
        self.numbers, self.symbols = numbers, symbols


@dataclass(slots=True)
class Space:
    """The noise symbols of an analysis.

    Attributes:
        largest: most entries of one matrix of generators.
        count: symbols given out so far.
    """

    largest: int = 2**25
    count: int = 0

    def fresh(self, radius: Array) -> tuple[Array, Array]:
        """New symbols, one for each radius that is not 0.

        Returns:
            the rows (numbers) and the columns (symbols) of the new generators.
        """
        rows = np.flatnonzero(radius)
        columns = self.count + np.arange(len(rows))
        self.require(len(radius), self.count + len(rows))
        self.count += len(rows)
        return rows, columns

    def require(self, numbers: int, symbols: int) -> None:
        """Refuse a matrix before it is made.

        Raises:
            TooLarge: it has more than `largest` entries, or too many symbols.
        """
        if numbers * symbols > self.largest or max(numbers, symbols) > LONGEST_SUM // 2:
            raise TooLarge(numbers, symbols)


@dataclass(frozen=True, eq=False, slots=True)
class Form:
    """A tensor of n numbers.

    Attributes:
        center: float64 [n].
        generators: float64 [n, s]; symbols from s on have coefficient 0.
        rest: float64 [n], >= 0: radius of what no shared symbol stands for.
        limits: lower and upper bounds that are known besides, [n] each.
    """

    center: Array
    generators: Array
    rest: Array
    limits: tuple[Array, Array] | None = None

    @property
    def size(self) -> int:
        """The number of numbers."""
        return len(self.center)

    def radius(self) -> Array:
        """Largest distance from the center, rounded up; [n]."""
        spread = np.abs(self.generators).sum(axis=1)
        return np.asarray((spread + self.rest) * (1 + SLACK) + TINY)

    def magnitude(self) -> Array:
        """Sum of all magnitudes: at least the largest absolute value; [n]."""
        return np.asarray((np.abs(self.center) + self.radius()) * (1 + SLACK))

    def range(self) -> tuple[Array, Array]:
        """Lower and upper bounds, rounded outwards; [n] each."""
        radius = self.radius()
        low = np.nextafter(self.center - radius, -np.inf)
        high = np.nextafter(self.center + radius, np.inf)
        if self.limits is None:
            return low, high
        return np.maximum(low, self.limits[0]), np.minimum(high, self.limits[1])


def exact(values: Array) -> Form:
    """Known numbers."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return Form(flat, np.zeros((flat.size, 0)), np.zeros(flat.size))


def box(space: Space, low: Array, high: Array) -> Form:
    """Numbers in [low, high], with a symbol each."""
    low, high = (np.asarray(end, np.float64).reshape(-1) for end in (low, high))
    center = low / 2 + high / 2
    radius = np.maximum(high - center, center - low) * (1 + SLACK)
    return widen(space, exact(center), np.where(high > low, radius + TINY, 0.0))


def widen(space: Space, form: Form, radius: Array) -> Form:
    """`form` plus a fresh symbol of the given radius for each number."""
    rows, columns = space.fresh(radius)
    generators = padded(form.generators, space.count if len(rows) else 0)
    if generators is form.generators:
        generators = generators.copy()
    generators[rows, columns] = radius[rows]
    limits = form.limits
    if limits is not None:
        limits = _outwards(limits[0] - radius, limits[1] + radius, 0.0)
    return Form(form.center, generators, form.rest, limits)


def promoted(space: Space, form: Form) -> Form:
    """`form` with its private remainders as symbols, so that they can cancel later.

    Remainders of the size of rounding errors stay private.
    """
    radius = np.where(form.rest > _NEGLIGIBLE * form.magnitude(), form.rest, 0.0)
    wider = widen(space, form, radius)
    return Form(wider.center, wider.generators, np.where(radius > 0, 0.0, form.rest), form.limits)


def limited(form: Form, low: Array, high: Array) -> Form:
    """`form`, known to be in [low, high] as well."""
    return Form(form.center, form.generators, form.rest, (low, high))


def loosened(form: Form, radius: Array | float) -> Form:
    """`form` with a larger private remainder."""
    rest = (form.rest + radius) * (1 + SLACK)
    limits = form.limits
    if limits is not None:
        limits = _outwards(limits[0] - radius, limits[1] + radius, 0.0)
    return Form(form.center, form.generators, np.asarray(rest), limits)


def _outwards(low: Array, high: Array, reach: Array | float) -> tuple[Array, Array]:
    """Room for the rounding of bounds that were made of numbers up to `reach`."""
    low, high = (end - sign * SLACK * (np.abs(end) + reach) for end, sign in ((low, 1), (high, -1)))
    return low - TINY, high + TINY


def scaled(form: Form, factor: Array | float, offset: Array | float = 0.0) -> Form:
    """factor * form + offset, number by number."""
    factor = np.broadcast_to(np.asarray(factor, np.float64), form.center.shape)
    offset = np.asarray(offset, np.float64)
    size = np.abs(factor)
    rest = size * form.rest + SLACK * (size * form.magnitude() + np.abs(offset)) + TINY
    center = np.asarray(factor * form.center + offset)
    limits = None
    if form.limits is not None:
        ends = [factor * end + offset for end in form.limits]
        limits = _outwards(np.minimum(*ends), np.maximum(*ends), np.abs(offset))
    return Form(center, factor[:, None] * form.generators, np.asarray(rest), limits)


def negated(form: Form) -> Form:
    """-form, exactly."""
    limits = None if form.limits is None else (-form.limits[1], -form.limits[0])
    return Form(-form.center, -form.generators, form.rest, limits)


def total(a: Form, b: Form, sign: float = 1.0) -> Form:
    """a + sign * b, sign 1 or -1."""
    width = max(a.generators.shape[1], b.generators.shape[1])
    generators = np.zeros((a.size, width))
    generators[:, : a.generators.shape[1]] = a.generators
    generators[:, : b.generators.shape[1]] += sign * b.generators
    rest = (a.rest + b.rest + SLACK * (a.magnitude() + b.magnitude())) * (1 + SLACK)
    return Form(a.center + sign * b.center, generators, rest)


def linear(space: Space, matrix: Matrix, form: Form, offset: Array | float = 0.0) -> Form:
    """matrix @ form + offset.

    Args:
        matrix: [m, n], dense or sparse.
        offset: [m] or a number.
    """
    offset = np.asarray(offset, np.float64)
    space.require(matrix.shape[0], form.generators.shape[1])
    size: Matrix = abs(matrix)
    reach = size @ form.magnitude() + np.abs(offset)
    rest = (size @ form.rest + SLACK * reach) * (1 + SLACK) + TINY
    generators = np.asarray(matrix @ form.generators)
    limits = None
    if form.limits is not None:
        low, high = form.range()
        middle, half = low / 2 + high / 2, (high / 2 - low / 2) * (1 + SLACK) + TINY
        there, away = matrix @ middle + offset, size @ half
        limits = _outwards(there - away, there + away, reach)
    return Form(np.asarray(matrix @ form.center + offset), generators, np.asarray(rest), limits)


def gathered(form: Form, index: Array) -> Form:
    """Numbers of `form` by position; -1 stands for 0."""
    flat, absent = index.reshape(-1), index.reshape(-1) < 0
    parts = [part[flat] for part in (form.center, form.generators, form.rest)]
    limits = None if form.limits is None else [end[flat] for end in form.limits]
    for part in [*parts, *(limits or [])]:
        part[absent] = 0.0
    ends = None if limits is None else (limits[0], limits[1])
    return Form(parts[0], parts[1], parts[2], ends)


def joined(forms: list[Form]) -> Form:
    """Forms one behind the other."""
    width = max(form.generators.shape[1] for form in forms)
    ends = [form.range() for form in forms]
    return Form(
        np.concatenate([form.center for form in forms]),
        np.concatenate([padded(form.generators, width) for form in forms]),
        np.concatenate([form.rest for form in forms]),
        (np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])),
    )


def product(a: Form, b: Form) -> Form:
    """a * b, number by number; what is not linear goes to the remainder."""
    first = scaled(a, b.center)
    second = scaled(b, a.center, -a.center * b.center)
    slack = SLACK * np.abs(a.center * b.center) + TINY
    quadratic = a.radius() * b.radius() * (1 + SLACK)
    return loosened(total(first, second), quadratic + slack)


def padded(generators: Array, width: int) -> Array:
    """Generators with at least `width` columns."""
    missing = width - generators.shape[1]
    return generators if missing <= 0 else np.pad(generators, ((0, 0), (0, missing)))
