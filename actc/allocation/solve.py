"""Multiple-choice knapsack, solved to proven optimality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, sparse

from actc.diagnostics import Diagnostic
from actc.errors import InternalError

_OPTIMAL, _INFEASIBLE = 0, 2
_SHRINK = 1e-6
"""What HiGHS takes a constraint to hold by; a choice that uses it is sought again within."""
_TRIES = 4


def cheapest(
    costs: Sequence[Sequence[float]], errors: Sequence[Sequence[float]], limit: float
) -> list[int] | None:
    """One option per item, so that the errors add up to at most `limit`, at the least cost.

    minimize sum c[i][o] x[i][o]  subject to  sum e[i][o] x[i][o] <= limit,
    sum_o x[i][o] = 1, x binary. Solved by branch and bound (HiGHS, through
    scipy.optimize.milp) with no gap left.

    Args:
        costs, errors: per item, one non-negative number per option.
        limit: > 0.

    Returns:
        the option of each item; None when no choice keeps to the limit.

    Raises:
        InternalError: the solver gave up.
    """
    if not costs:
        return []
    bound = 1.0
    for _ in range(_TRIES):
        chosen = _solve(costs, errors, limit, bound)
        if chosen is None or sum(e[o] for e, o in zip(errors, chosen, strict=True)) <= limit:
            return chosen
        bound -= 2 * _SHRINK
    return None


def _solve(
    costs: Sequence[Sequence[float]],
    errors: Sequence[Sequence[float]],
    limit: float,
    bound: float,
) -> list[int] | None:
    sizes = [len(options) for options in costs]
    flat_costs = np.concatenate([np.asarray(options, np.float64) for options in costs])
    flat_errors = np.concatenate([np.asarray(options, np.float64) for options in errors])
    item = np.repeat(np.arange(len(sizes)), sizes)
    # In units of the limit, so that the solver's tolerances are relative; an option
    # beyond the limit is excluded, and its size kept from spoiling them.
    relative = flat_errors / limit
    possible = relative <= 1
    one_each = sparse.csr_array(
        (np.ones(item.size), (item, np.arange(item.size))), shape=(len(sizes), item.size)
    )
    unit = max(float(flat_costs.max()), 1e-300)
    result = optimize.milp(
        flat_costs / unit * 1e3,
        integrality=np.ones(item.size),
        bounds=optimize.Bounds(0, possible.astype(np.float64)),
        constraints=[
            optimize.LinearConstraint(one_each, 1, 1),
            optimize.LinearConstraint(np.minimum(relative, 2.0)[None, :], -np.inf, bound),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if result.status == _INFEASIBLE:
        return None
    if result.status != _OPTIMAL:
        raise InternalError(Diagnostic("ACT0901", f"the solver gave up: {result.message}"))
    starts = np.cumsum([0, *sizes[:-1]])
    return [
        int(np.argmax(result.x[start : start + size]))
        for start, size in zip(starts, sizes, strict=True)
    ]
