"""Multiple-choice knapsacks, also with costs of pairs, solved to proven optimality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, sparse

from actc.diagnostics import Diagnostic
from actc.errors import InternalError

Array = np.ndarray[Any, Any]
Numbers = Sequence[Sequence[float]]
Near = tuple[Sequence[int], int, int]
"""A choice, and how many items must differ from it at least and may at most."""

_OPTIMAL, _INFEASIBLE = 0, 2
_SHRINK = 1e-6
"""What HiGHS takes a constraint to hold by; a choice that uses it is sought again within."""
_TRIES = 4


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """A cost that the options of two items decide together.

    Attributes:
        items: indices of two different items.
        costs: float64 [options of the first, options of the second], not negative.
    """

    items: tuple[int, int]
    costs: Array

    def of(self, chosen: Sequence[int]) -> float:
        """The cost in a choice."""
        first, second = self.items
        return float(self.costs[chosen[first], chosen[second]])


@dataclass(frozen=True, eq=False, slots=True)
class Costs:
    """What a choice costs: a sum over the items and over pairs of them.

    Attributes:
        single: per item one non-negative number per option.
        pairs: costs of pairs.
    """

    single: Numbers
    pairs: Sequence[Pair] = ()

    def of(self, chosen: Sequence[int]) -> float:
        """The cost of one option per item."""
        total = sum(costs[o] for costs, o in zip(self.single, chosen, strict=True))
        return float(total + sum(pair.of(chosen) for pair in self.pairs))


def cheapest(
    costs: Numbers | Costs, errors: Numbers, limit: float, near: Near | None = None
) -> list[int] | None:
    """One option per item, so that the errors add up to at most `limit`, at the least cost.

    minimize sum c[i][o] x[i][o]  subject to  sum e[i][o] x[i][o] <= limit,
    sum_o x[i][o] = 1, x binary. Solved by branch and bound (HiGHS, through
    scipy.optimize.milp) with no gap left. The cost of a pair takes one variable y[o][p]
    per combination, with sum_p y[o][p] = x[i][o] and sum_o y[o][p] = x[j][p] (Adams and
    Sherali, 1986): y is then the product of the two x, and nothing is approximated.

    Args:
        costs: of items, and of pairs of them.
        errors: per item, one non-negative number per option.
        limit: > 0.
        near: the choice near which this one must be; None: any.

    Returns:
        the option of each item; None when no choice keeps to the limit.

    Raises:
        InternalError: the solver gave up.
    """
    objective = costs if isinstance(costs, Costs) else Costs(costs)
    return _within(objective, Costs(errors), limit, near)


def most_accurate(
    errors: Numbers, costs: Numbers | Costs, limit: float, near: Near | None = None
) -> list[int] | None:
    """One option per item with the least sum of errors whose cost is at most `limit`.

    See `cheapest`, whose program it is with costs and errors in each other's place.
    """
    bounded = costs if isinstance(costs, Costs) else Costs(costs)
    return _within(Costs(errors), bounded, limit, near)


def least(costs: Costs) -> float:
    """The least cost of any choice."""
    sizes = [len(options) for options in costs.single]
    chosen = cheapest(costs, [[0.0] * size for size in sizes], 1.0)
    assert chosen is not None
    return costs.of(chosen)


def _within(objective: Costs, bounded: Costs, limit: float, near: Near | None) -> list[int] | None:
    if not objective.single:
        return []
    bound = 1.0
    for _ in range(_TRIES):
        chosen = _Program(objective, bounded, limit, near).solve(bound)
        if chosen is None or bounded.of(chosen) <= limit:
            return chosen
        bound -= 2 * _SHRINK
    return None


class _Program:
    """minimize objective(x)  subject to  bounded(x) <= limit."""

    def __init__(self, objective: Costs, bounded: Costs, limit: float, near: Near | None) -> None:
        self._near = near
        self._sizes = [len(options) for options in objective.single]
        self._starts = np.cumsum([0, *self._sizes])
        pairs = [(p, True) for p in objective.pairs] + [(p, False) for p in bounded.pairs]
        self._pairs = [pair for pair, _ in pairs]
        zero = [np.zeros(pair.costs.size) for pair, _ in pairs]
        goal = [p.costs.ravel() if first else z for (p, first), z in zip(pairs, zero, strict=True)]
        row = [z if first else p.costs.ravel() for (p, first), z in zip(pairs, zero, strict=True)]
        self._objective = np.concatenate([*map(_floats, objective.single), *goal])
        # In units of the limit, so that the solver's tolerances are relative; an option
        # beyond the limit is excluded, and its size kept from spoiling them.
        self._row = np.concatenate([*map(_floats, bounded.single), *row]) / limit

    def solve(self, bound: float) -> list[int] | None:
        """The optimal options, the limit scaled by `bound`; None: there are none."""
        unit = max(float(np.abs(self._objective).max()), 1e-300)
        items = int(self._starts[-1])
        integral = np.zeros(len(self._row))
        integral[:items] = 1  # those of pairs follow from them
        result = optimize.milp(
            self._objective / unit * 1e3,
            integrality=integral,
            bounds=optimize.Bounds(0, (self._row <= 1).astype(np.float64)),
            constraints=[
                *self._equations(),
                optimize.LinearConstraint(np.minimum(self._row, 2.0)[None, :], -np.inf, bound),
            ],
            options={"mip_rel_gap": 0.0},
        )
        if result.status == _INFEASIBLE:
            return None
        if result.status != _OPTIMAL:
            raise InternalError(Diagnostic("ACT0901", f"the solver gave up: {result.message}"))
        return [
            int(np.argmax(result.x[start : start + size]))
            for start, size in zip(self._starts[:-1], self._sizes, strict=True)
        ]

    def _equations(self) -> Iterator[optimize.LinearConstraint]:
        """One option per item; and what ties the variables of pairs to those of items."""
        items, width = int(self._starts[-1]), len(self._row)
        owner = np.repeat(np.arange(len(self._sizes)), self._sizes)
        entries = (np.ones(items), (owner, np.arange(items)))
        yield optimize.LinearConstraint(
            sparse.csr_array(entries, shape=(len(self._sizes), width)), 1, 1
        )
        if self._near is not None:
            centre, fewest, most = self._near
            same = np.zeros((1, width))
            same[0, self._starts[:-1] + np.asarray(centre, np.int64)] = 1
            count = len(self._sizes)
            yield optimize.LinearConstraint(same, count - most, count - fewest)
        place = items
        rows: list[int] = []
        columns: list[int] = []
        signs: list[float] = []
        count = 0
        for pair in self._pairs:
            index = place + np.arange(pair.costs.size).reshape(pair.costs.shape)
            place += pair.costs.size
            for item, table in zip(pair.items, (index, index.T), strict=True):
                for option, variables in enumerate(table):
                    columns += [int(self._starts[item]) + option, *map(int, variables)]
                    signs += [-1.0, *([1.0] * len(variables))]
                    rows += [count] * (len(variables) + 1)
                    count += 1
        if count:
            matrix = sparse.csr_array((signs, (rows, columns)), shape=(count, width))
            yield optimize.LinearConstraint(matrix, 0, 0)


def _floats(numbers: Sequence[float]) -> Array:
    return np.asarray(numbers, np.float64)
