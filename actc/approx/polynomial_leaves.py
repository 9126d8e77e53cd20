"""Leaves of piecewise polynomials: whether one polynomial serves an interval of gates.

Because the powers are integers and the last shift floors,

    low <= (c + sum a_k u_k) >> q <= high
        <=>   low 2**q <= c + sum a_k u_k <= (high + 1) 2**q - 1

so a leaf asks for integers between integer bounds: exactly the datapath's condition,
with every rounding. :mod:`actc.approx.polynomial_search` decides it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from actc.approx.fixed_point import Codes
from actc.approx.gates import Gates
from actc.approx.polynomial_search import GaveUp, Ints, Rows, solve

TERM_BITS = 58
"""Coefficients are searched whose terms ``a_k u_k`` have at most so many bits."""
MAX_TRIES = 2000
"""Linear programs after which a leaf is given up; tests and known functions need under 50."""
_FIRST_ROWS = 32
_NEW_ROWS = 8

Limits = tuple[tuple[int, int], ...]
"""First and last admissible a_1, a_2, ..."""


def powers(t: Codes, truncations: tuple[int, ...]) -> list[Codes]:
    """``[t, u_2, ...]`` for t >= 0, int64; ``len(truncations) + 1`` arrays like t."""
    found, power = [t], t
    for truncation in truncations:
        power = power * t
        found.append(power >> truncation)
    return found


def needed(u: list[Codes]) -> list[int]:
    """Indices of the powers that are no integer combination of 1 and of finer ones.

    The coarsest comes first. In leaves of more than four inputs only powers that are
    zero drop out; in smaller ones, every power that depends on finer ones is an integer
    combination of them, so nothing is lost without it. (Both are tested.)
    """
    finest_first = _by_size(u)
    if len(u[0]) <= 4:
        basis = [np.ones_like(u[0])]
        for k in list(finest_first):
            if np.linalg.matrix_rank(np.array([*basis, u[k]])) > len(basis):
                basis.append(u[k])
            else:
                finest_first.remove(k)
    return finest_first[::-1]


def _by_size(u: list[Codes]) -> list[int]:
    """Indices of the powers that are not zero, the finest first."""
    return sorted((k for k in range(len(u)) if u[k][-1]), key=lambda k: int(u[k][-1]))


class Leaf(NamedTuple):
    """Coefficients that serve an interval.

    Attributes:
        slopes: a_1, a_2, ...
        low, high: first and last constant that goes with them.
    """

    slopes: tuple[int, ...]
    low: int
    high: int


class LeafSearch:
    """Finds polynomials for dyadic intervals of gates.

    Args:
        gates: n gates.
        truncations, shift: as of
            :class:`~actc.approx.fixed_polynomial.IntegerPolynomial`.

    Attributes:
        undecided: number of intervals given up, taken to have no polynomial.
    """

    def __init__(self, gates: Gates, truncations: tuple[int, ...], shift: int) -> None:
        self.lower = gates.low << shift
        self.upper = ((gates.high + 1) << shift) - 1
        self.unit = float(1 << shift)
        self.truncations = truncations
        self.undecided = 0
        self._powers = functools.lru_cache(maxsize=None)(self._new_powers)

    def __len__(self) -> int:
        return len(self.lower)

    def _new_powers(self, count: int) -> list[Codes]:
        return powers(np.arange(count, dtype=np.int64), self.truncations)

    def solve(self, start: int, end: int, limits: Limits | None = None) -> Leaf | None:
        """A polynomial for the gates [start, end); None if there is none.

        Only some of the points are searched; what serves those is tried on all, and
        the points that it misses are added. No polynomial for some is none for all.

        Args:
            limits: ranges of the coefficients, within the default: terms ``a_k u_k``
                of at most 58 bits.
        """
        u = self._powers(end - start)
        lower, upper = self.lower[start:end], self.upper[start:end]
        sample = _spread(end - start)
        while True:
            slopes = self._among(u, lower, upper, sample, limits)
            if slopes is None:
                return None
            total = sum((a * power for a, power in zip(slopes, u, strict=True)), 0 * lower)
            above, below = lower - total, upper - total
            least, most = int(above.max()), int(below.min())
            if least <= most:
                return Leaf(slopes, least, most)
            # not both are in the sample, which left a constant
            contradiction = [above.argmax(), below.argmin()]
            middle = (least + most) // 2
            others = _worst(np.maximum(above - middle, middle - below))
            sample = np.union1d(sample, np.concatenate([contradiction, others]))

    def _among(
        self, u: list[Codes], lower: Codes, upper: Codes, sample: Ints, limits: Limits | None
    ) -> tuple[int, ...] | None:
        """Coefficients that serve a sample of the points."""
        last = [int(power[-1]) for power in u]
        # the coarsest first: the fewest of its values can do
        order = needed(u) if limits is None else _by_size(u)[::-1]
        phi = np.zeros((len(order) + 1, len(sample) + len(order)), np.int64)
        phi[-1, : len(sample)] = 1
        bounds = np.zeros((2, phi.shape[1]), np.int64)
        bounds[0, : len(sample)], bounds[1, : len(sample)] = lower[sample], upper[sample]
        for row, k in enumerate(order):
            phi[row, : len(sample)] = u[k][sample]
            phi[row, -1 - row] = last[k]
            reach = (1 << TERM_BITS) // last[k]
            low, high = (-reach, reach) if limits is None else limits[k]
            bounds[:, -1 - row] = max(low, -reach) * last[k], min(high, reach) * last[k]
        try:
            found = solve(Rows(phi, *bounds), iter(range(MAX_TRIES)), self.unit)
        except GaveUp:
            self.undecided += 1
            return None
        if not isinstance(found, list):
            return None
        slopes = [0] * len(u)
        for k, a in zip(order, found, strict=False):
            slopes[k] = a
        return tuple(slopes)


def _spread(count: int) -> Ints:
    """Points of an interval, denser towards its ends, where polynomials bend most."""
    angles = np.linspace(0, np.pi, min(_FIRST_ROWS, count))
    points: Ints = np.unique(np.rint((1 - np.cos(angles)) / 2 * (count - 1)).astype(np.intp))
    return points


def _worst(missed: Codes) -> Ints:
    """The point that is missed most, in each of some parts that miss any."""
    parts = np.array_split(np.arange(len(missed)), _NEW_ROWS)
    found = [int(part[missed[part].argmax()]) for part in parts if part.size]
    return np.array([point for point in found if missed[point] > 0], np.intp)
