"""Integer points between integer bounds: the problem that one polynomial leaf poses.

Given integer basis values phi_k(i) and bounds, find integers a_k with

    lower_i <= sum_k a_k phi_k(i) <= upper_i    for all rows i,

or prove that there are none. Rows bound the coefficients as well, so there are only
finitely many. The search fixes one coefficient after the other; what is left of the
rows is the same problem with one coefficient less. Two facts keep it short:

- Over the reals, the least violation is a linear program; the exchange algorithm
  (Stiefel, 1959; it is the dual simplex method) solves it in float64. Its m + 1 last
  rows carry a proof when there is no real solution: weights with sum w phi = 0 and
  sum over w > 0 of w upper + sum over w < 0 of w lower < 0 (Farkas). The weights are
  computed again as integer determinants and the sum is checked in exact integers;
  floating point only says where to look.
- The same weights bound the coefficient that was fixed before (Kelley's cutting
  planes, 1960), so integers are tried from the real solution outwards until cuts
  leave none. Nothing is cut on a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.fixed_point import Codes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_TINY = 1e-9
"""In units of the output: what float64 can tell apart."""
_SLACK = 1e-3
"""A real solution need not be nearer to the best one than this share of its margin."""
_DEPENDENT = 1e-6
_MOST_EXCHANGES = 100
"""The exchange may cycle when rows are degenerate; then the search goes on without."""


class GaveUp(Exception):
    """The search was cut off before it was decided."""


class Refutation(NamedTuple):
    """A proof that not even real coefficients serve: integer weights of some rows."""

    rows: list[int]
    weights: list[int]


@dataclass(frozen=True, eq=False)
class Rows:
    """``lower <= a @ phi <= upper``.

    Attributes:
        phi: int64 [m, n], m >= 1; the last coefficient is the constant, ``phi[-1]`` is
            1 in the rows of data. The last m - 1 rows bound the other coefficients:
            each is a multiple of one of them, the first coefficient's comes last.
        lower, upper: int64 [n].
    """

    phi: Codes
    lower: Codes
    upper: Codes

    def fix(self, value: int) -> Rows:
        """What is left when the first coefficient has the value."""
        product = value * self.phi[0]
        left = slice(None, -1)
        return Rows(self.phi[1:, left], (self.lower - product)[left], (self.upper - product)[left])

    def refutes(self, rows: list[int]) -> Refutation | None:
        """The proof that m + 1 rows give, if they give one; exact."""
        weights = _dependency(self.phi[:, rows].T.tolist())
        for sign in (1, -1):
            signed = [sign * weight for weight in weights]
            if self._most(rows, signed) < 0:
                return Refutation(rows, signed)
        return None

    def _most(self, rows: list[int], weights: list[int]) -> int:
        """An upper bound of the weighted sum of ``a @ phi``, exact."""
        total = 0
        for row, weight in zip(rows, weights, strict=True):
            total += weight * int(self.upper[row] if weight > 0 else self.lower[row])
        return total

    def first_range(self) -> tuple[int, int]:
        """Range of the first coefficient, from its own row."""
        step = int(self.phi[0, -1])
        return -(-int(self.lower[-1]) // step), int(self.upper[-1]) // step

    def cut(self, proof: Refutation) -> tuple[int, int]:
        """What a proof against a value of the first coefficient says of the others.

        Returns:
            slope, most: ``slope * a_0 <= most``, false for that value.
        """
        column = self.phi[0, proof.rows].tolist()
        slope = sum(weight * phi for weight, phi in zip(proof.weights, column, strict=True))
        return slope, self._most(proof.rows, proof.weights)


def _dependency(rows: list[list[int]]) -> list[int]:
    """Integer weights of m + 1 rows of m integers whose weighted sum is zero."""
    return [
        (-1) ** skipped * _determinant(rows[:skipped] + rows[skipped + 1 :])
        for skipped in range(len(rows))
    ]


def _determinant(rows: list[list[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** k * row[0] * _determinant([other[1:] for other in rows[:k] + rows[k + 1 :]])
        for k, row in enumerate(rows)
        if row[0]
    )


def solve(rows: Rows, tries: Iterator[int], unit: float) -> list[int] | Refutation | None:
    """Integer coefficients that serve the rows.

    Args:
        tries: one is taken for each relaxation.
        unit: the size of a violation that matters; scales the float64 computation.

    Returns:
        the coefficients; or a proof that there are no real ones; or None, when there
        are none that are integers.

    Raises:
        GaveUp: there are no tries left.
    """
    if len(rows.phi) == 1:
        return _constant(rows)
    if next(tries, None) is None:
        raise GaveUp
    start, proof = _relax(rows, unit)
    if proof is not None:
        return proof
    low, high = rows.first_range()
    middle = round(min(max(start, low), high))
    down, up = middle, middle + 1
    while True:
        down, up = min(down, high), max(up, low)
        if up > high and down < low:
            return None
        rising = down < low or (up <= high and up - start < start - down)
        value = up if rising else down
        up, down = (up + 1, down) if rising else (up, down - 1)
        found = solve(rows.fix(value), tries, unit)
        if isinstance(found, list):
            return [value, *found]
        if found is None:
            continue
        slope, most = rows.cut(found)
        if slope == 0:  # no value is any better
            return found
        if slope > 0:
            high = min(high, most // slope)
        else:
            low = max(low, -(most // -slope))


def _constant(rows: Rows) -> list[int] | Refutation:
    """The middle of what is left for the constant, the only coefficient."""
    first, last = int(rows.lower.argmax()), int(rows.upper.argmin())
    low, high = int(rows.lower[first]), int(rows.upper[last])
    if low > high:
        return Refutation([first, last], [-1, 1])
    return [(low + high) // 2]


def _relax(rows: Rows, unit: float) -> tuple[float, Refutation | None]:
    """The first coefficient of a real solution, or a proof that there is none.

    The solution has about the least violation; it is a guess in float64.
    """
    scale = np.abs(rows.phi).max(axis=1).astype(np.float64)
    phi = rows.phi.T / scale
    lower, upper = rows.lower / unit, rows.upper / unit
    reference = _start(phi, lower, upper)
    solution = np.zeros(phi.shape[1] + 1)
    for _ in range(_MOST_EXCHANGES):
        matrix, bounds = reference.system(phi, lower, upper)
        solution = np.linalg.solve(matrix, bounds)
        level = solution[-1]
        value = phi @ solution[:-1]
        over, under = value - upper, lower - value
        high, low = int(over.argmax()), int(under.argmax())
        entering, sign = (high, 1.0) if over[high] > under[low] else (low, -1.0)
        worst = max(over[high], under[low])
        if level > _TINY or worst - level <= _TINY + _SLACK * abs(level):
            break
        reference.exchange(matrix, entering, sign, phi[entering])
    proof = rows.refutes(reference.rows) if solution[-1] > -_TINY else None
    return float(solution[0] / scale[0] * unit), proof


@dataclass
class _Reference:
    """m + 1 rows and which bound of each is meant: 1 upper, -1 lower."""

    rows: list[int]
    signs: list[float]

    def system(self, phi: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
        """Equations of the coefficients and the level that all rows have in common."""
        signs = np.array(self.signs)
        matrix = np.full((len(signs), len(signs)), -1.0)
        matrix[:, :-1] = signs[:, None] * phi[self.rows]
        return matrix, signs * np.where(signs > 0, upper[self.rows], lower[self.rows])

    def exchange(self, matrix: Floats, row: int, sign: float, phi: Floats) -> None:
        """Take a row in, and the one out with which the weights stay non-negative."""
        targets = np.zeros((len(matrix), 2))
        targets[-1] = -1.0
        targets[:-1, 1] = sign * phi
        weights, change = np.linalg.solve(matrix.T, targets).T
        ratios = np.full(len(weights), np.inf)
        np.divide(weights, change, out=ratios, where=change > _TINY)
        leaving = int(ratios.argmin())
        self.rows[leaving], self.signs[leaving] = row, sign


def _start(phi: Floats, lower: Floats, upper: Floats) -> _Reference:
    """Independent rows, far from each other, and the one that they serve worst."""
    rows = _independent(phi)
    solution = np.linalg.solve(phi[rows], (lower[rows] + upper[rows]) / 2)
    value = phi @ solution
    violation = np.maximum(value - upper, lower - value)
    violation[rows] = -np.inf
    worst = int(violation.argmax())
    shares = np.linalg.solve(phi[rows].T, phi[worst])
    sign = 1.0 if value[worst] > (lower[worst] + upper[worst]) / 2 else -1.0
    return _Reference([*rows, worst], [*np.where(shares > 0, -sign, sign).tolist(), sign])


def _independent(phi: Floats) -> list[int]:
    """m independent rows by elimination with pivots; of data as far as they go."""
    rest = phi.copy()
    data = len(phi) - phi.shape[1] + 1
    rows: list[int] = []
    for k in reversed(range(phi.shape[1])):
        size = np.abs(rest[:, k])
        row = int(size[:data].argmax())
        if size[row] < _DEPENDENT:
            row = data + int(size[data:].argmax())
        rows.append(row)
        rest[:, :k] -= np.outer(rest[:, k], rest[row, :k] / rest[row, k])
    return rows
