"""Numbers that are linear in sums of powers of a layer's results, in exact rational arithmetic.

What lies between a layer and a sign with a threshold of the sample's own is evaluated as a
polynomial, whatever operators spell it: an element x of the layer's result, the sums of x, x^2
and x^3 over its channel's positions, and one such statistic over all channels. Float constants
count as the rational numbers that they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MOST = 3
"""The largest power."""


class NotLinear(Exception):
    """Something that is no polynomial of this kind."""


@dataclass(frozen=True, eq=False)
class Joint:
    """A statistic that all channels share: constant + sum of weight * S_power, over channels too.

    Attributes:
        weights: power -> Fractions [C].
        constant: beside the sums; it has their denominators.
    """

    weights: dict[int, Array]
    constant: Fraction

    def same(self, other: Joint) -> bool:
        """Whether both are one number."""
        alike = (self.constant, self.weights.keys()) == (other.constant, other.weights.keys())
        return alike and all(
            bool(np.all(row == other.weights[power])) for power, row in self.weights.items()
        )


@dataclass(frozen=True, eq=False)
class Form:
    """own[0] + own[1] x + own[2] x^2 + own[3] x^3 + sum of sums[k] S_k + factor * joint.

    All coefficients are Fractions [C], one per channel.
    """

    own: dict[int, Array]
    sums: dict[int, Array] = field(default_factory=dict)
    joint: Joint | None = None
    factor: Array | None = None

    @property
    def plain(self) -> bool:
        """Whether it is free of statistics."""
        return not self.sums and self.joint is None

    @property
    def number(self) -> bool:
        """Whether it is the same for every sample and position."""
        return self.plain and not any(self.own.keys() - {0})

    def scaled(self, by: Array) -> Form:
        """Times a number per channel."""
        return Form(
            {k: row * by for k, row in self.own.items()},
            {k: row * by for k, row in self.sums.items()},
            self.joint,
            None if self.factor is None else self.factor * by,
        )

    def plus(self, other: Form) -> Form:
        """The sum.

        Raises:
            NotLinear: each has a statistic over all channels, and not the same.
        """
        joint, factor = self.joint or other.joint, self.factor
        if other.joint is not None and other.factor is not None:
            if self.joint is not None and not self.joint.same(other.joint):
                raise NotLinear("it has two statistics over all channels")
            factor = other.factor if factor is None else factor + other.factor
        return Form(_added(self.own, other.own), _added(self.sums, other.sums), joint, factor)

    def times(self, other: Form) -> Form:
        """The product.

        Raises:
            NotLinear: it is no polynomial of degree 3, or has products of statistics.
        """
        if other.number:
            return self.scaled(other.own[0])
        if self.number:
            return other.scaled(self.own[0])
        if not (self.plain and other.plain):
            raise NotLinear("a statistic is multiplied by what varies")
        found: dict[int, Array] = {}
        for i, a in self.own.items():
            for j, b in other.own.items():
                found = _added(found, {i + j: a * b})
        if max(found) > MOST:
            raise NotLinear(f"it has a power above {MOST}")
        return Form(found)

    def summed(self, positions: int) -> Form:
        """The sum over the positions of a channel."""
        own = {0: self.own[0] * positions} if 0 in self.own else {}
        rest = {k: row for k, row in self.own.items() if k}
        spread = {k: row * positions for k, row in self.sums.items()}
        factor = None if self.factor is None else self.factor * positions
        return Form(own, _added(spread, rest), self.joint, factor)

    def joined(self) -> Form:
        """The sum over the channels, of something that no longer varies with the position.

        Raises:
            NotLinear: it varies, or is such a sum already.
        """
        if any(self.own.keys() - {0}) or self.joint is not None:
            raise NotLinear("a statistic is taken of a statistic over all channels")
        channels = len(next(iter([*self.own.values(), *self.sums.values()])))
        ones = constants(1, channels)
        total = self.own[0].sum() if 0 in self.own else Fraction(0)
        if not self.sums:
            return Form({0: ones * total})
        return Form({0: ones * 0}, {}, Joint(dict(self.sums), total), ones)

    def equals(self, other: Form) -> bool:
        """Whether both are the same, coefficient by coefficient."""
        try:
            left = self.plus(other.scaled(constants(-1, len(next(iter(other.own.values()))))))
        except NotLinear:
            return False
        rows = [*left.own.values(), *left.sums.values()]
        rows += [] if left.factor is None else [left.factor]
        return all(bool(np.all(row == 0)) for row in rows)


def constants(number: float | int | Fraction, channels: int) -> Array:
    """A number, once per channel: Fractions [C]."""
    return np.array([Fraction(number)] * channels, object)


def fractions(numbers: Array, channels: int) -> Array:
    """Floats [C], or one for all: Fractions [C].

    Raises:
        NotLinear: one is not finite.
    """
    if not np.all(np.isfinite(numbers)):
        raise NotLinear("a constant is not finite")
    flat = [Fraction(number) for number in numbers.reshape(-1).tolist()]
    return np.array(flat * (channels if len(flat) == 1 else 1), object)


def _added(a: dict[int, Array], b: dict[int, Array]) -> dict[int, Array]:
    found = dict(a)
    for power, row in b.items():
        found[power] = found[power] + row if power in found else row
    return found
