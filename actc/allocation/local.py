"""Errors around a choice: measured with all sites on, one of them changed at a time.

Alone, in an otherwise exact network, a site causes another error than among the
roundings of all others: these change what it rounds, saturate, and undo each other.
Around a choice c the error of a choice c' near it is, to first order in the changes,

    E(c') = E(c) + sum_i (E(c with c'_i) - E(c)),

which holds whatever interacts inside c; left out are only interactions between changes.
Every term is measured. It stays a sum over the sites, so that the program with these
errors is solved exactly; solving and measuring again around the solution is successive
linearization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.allocation.candidates import Progress
from actc.allocation.options import Choice, Table
from actc.allocation.solve import Costs, Near, Pair, cheapest, most_accurate


@dataclass(frozen=True, eq=False, slots=True)
class Local:
    """Measured errors around a choice.

    Attributes:
        centre: the choice.
        error: its relative mean square error.
        changes: per item, option -> what it adds to the error; 0 for that of the centre.
    """

    centre: Choice
    error: float
    changes: Sequence[dict[int, float]]

    def covers(self, chosen: Choice) -> bool:
        """Whether all of a choice was measured."""
        return all(o in known for o, known in zip(chosen, self.changes, strict=True))

    def predict(self, chosen: Choice) -> float:
        """The relative mean square error of a choice that it covers."""
        steps = (known[o] for o, known in zip(chosen, self.changes, strict=True))
        return max(self.error + sum(steps), 0.0)

    def effective(self, chosen: Choice) -> int:
        """In how many sites a choice that it covers differs from the centre with any effect."""
        steps = zip(chosen, self.centre, self.changes, strict=True)
        return sum(o != own and known[o] != 0 for o, own, known in steps)

    def notable(self) -> Local:
        """The same without the steps that tell little.

        Of those that add to the error, and of those that take from it, the half remains that
        matters more. One without any effect would be predicted whatever the model.
        """
        steps = [change for known in self.changes for change in known.values()]
        least = {
            sign: float(np.median([abs(x) for x in steps if np.sign(x) == sign] or [0.0]))
            for sign in (-1, 1)
        }
        kept = [
            {o: x for o, x in known.items() if o == own or (x and abs(x) >= least[np.sign(x)])}
            for own, known in zip(self.centre, self.changes, strict=True)
        ]
        return Local(self.centre, self.error, kept)

    def cheapest(self, costs: Costs, limit: float, changes: tuple[int, int]) -> list[int] | None:
        """The covered choice of least cost whose predicted error is at most `limit`.

        Args:
            changes: how many sites must differ from the centre, and may.
        """
        kept, errors, offset = self._program()
        if limit <= offset:
            return None
        near = self._near(kept, changes)
        found = cheapest(restricted(costs, kept), errors, limit - offset, near)
        return None if found is None else [k[o] for k, o in zip(kept, found, strict=True)]

    def most_accurate(
        self, costs: Costs, limit: float, changes: tuple[int, int]
    ) -> list[int] | None:
        """The covered choice of least predicted error whose cost is at most `limit`."""
        kept, errors, _ = self._program()
        near = self._near(kept, changes)
        found = most_accurate(errors, restricted(costs, kept), limit, near)
        return None if found is None else [k[o] for k, o in zip(kept, found, strict=True)]

    def _near(self, kept: Sequence[Sequence[int]], changes: tuple[int, int]) -> Near:
        return [k.index(o) for k, o in zip(kept, self.centre, strict=True)], *changes

    def _program(self) -> tuple[list[list[int]], list[list[float]], float]:
        """Options, their errors from the least one of each item on, and the sum of these."""
        kept = [sorted(known) for known in self.changes]
        least = [min(known.values()) for known in self.changes]
        errors = [
            [known[o] - low for o in options]
            for known, options, low in zip(self.changes, kept, least, strict=True)
        ]
        return kept, errors, self.error + sum(least)


def linearize(table: Table, centre: Choice, say: Progress, label: str) -> Local:
    """Measure every site with one step more and one step less, all others as they are.

    Args:
        table: the sites.
        centre: the choice.
        say: called with a line per site.
        label: what these lines begin with.
    """
    near = [
        [o for o in (own - 1, own + 1) if 0 <= o < len(item.options)]
        for item, own in zip(table.items, centre, strict=True)
    ]
    return _around(table, centre, near, say, label)


def towards(table: Table, centre: Choice, other: Choice, say: Progress, label: str) -> Local:
    """Measure, around a choice, only the steps of single sites that lead to another choice.

    That one's error is then predicted from measurements without it, if more than one site
    differs.

    Args:
        table: the sites.
        centre: the choice.
        other: the other one.
        say: called with a line per site.
        label: what these lines begin with.
    """
    steps = [[o] if o != own else [] for own, o in zip(centre, other, strict=True)]
    return _around(table, centre, steps, say, label)


def _around(
    table: Table, centre: Choice, near: Sequence[Sequence[int]], say: Progress, label: str
) -> Local:
    table.prepare((i, o) for i, options in enumerate(near) for o in options)
    base = table.switches(centre)
    error = table.reference.error(base)
    changes: list[dict[int, float]] = []
    for item, (own, options) in enumerate(zip(centre, near, strict=True)):
        if options:
            say(f"{label}: site {item + 1} of {len(near)}")
        known = {own: 0.0}
        for option in options:
            known[option] = table.reference.error(table.changed(base, item, option)) - error
        changes.append(known)
    return Local(list(centre), error, changes)


def restricted(costs: Costs, kept: Sequence[Sequence[int]]) -> Costs:
    """Costs of some options of each item."""
    single = [[options[o] for o in own] for options, own in zip(costs.single, kept, strict=True)]
    pairs = [
        Pair(p.items, p.costs[np.ix_(kept[p.items[0]], kept[p.items[1]])]) for p in costs.pairs
    ]
    return Costs(single, pairs)
