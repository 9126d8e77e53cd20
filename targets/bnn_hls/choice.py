"""The foldings of least cost at a throughput, exactly: variables are eliminated one by one.

Each layer has some ways to be built, whose words meet those of its neighbours; the cost is a sum
over layers and over pairs that are joined. A layer joined to few others is minimized over first,
which leaves a cost on these (bucket elimination, Dechter 1999); networks are nearly chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.bnn_hls.folding import (
    WIDEST,
    Folding,
    Option,
    divisors,
    option_of,
    options,
    transfer_clocks,
    transfer_luts,
)
from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import Network

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """How a network is built.

    Attributes:
        entry_word: elements per word of the entry.
        options: of each layer.
        transfers: clocks of what lies between words, for each layer and source.
        exit_clocks, entry_clocks: of what lies at the border.
    """

    entry_word: int
    options: tuple[Option, ...]
    transfers: tuple[tuple[int, ...], ...]
    entry_clocks: int
    exit_clocks: int

    @property
    def foldings(self) -> tuple[Folding, ...]:
        """Of each layer."""
        return tuple(option.folding for option in self.options)

    @property
    def interval(self) -> int:
        """Clocks from sample to sample, by the loops alone."""
        moved = (clocks for row in self.transfers for clocks in row)
        own = (option.clocks for option in self.options)
        return max(self.entry_clocks, self.exit_clocks, *own, *moved)

    @property
    def luts(self) -> int:
        """An estimate."""
        return ceil(sum(option.luts for option in self.options))

    @property
    def blocks(self) -> int:
        """Of 18 kbit; an estimate."""
        return sum(option.blocks for option in self.options)


class Problem:
    """All ways to build a network.

    Args:
        network: what is built.
        functions: of each layer.
        entry_clocks, exit_clocks: of the words at its border, whose elements have slots there.
        foldings: of each layer, where these are given.
    """

    def __init__(
        self,
        network: Network,
        functions: Sequence[Function],
        border: tuple[int, int],
        foldings: Sequence[Folding] | None = None,
    ) -> None:
        self.network, self.border = network, border
        entry, slots = network.entry, border[0]
        self.entry = [
            Option(Folding(word), 0, word, entry.size // word, 0.0, 0)
            for word in divisors(entry.channels)
            if slots % word == 0 and word * entry.code.bits <= WIDEST
        ]
        self.items: list[list[Option]] = [self.entry]
        for number, (layer, function) in enumerate(zip(network.layers, functions, strict=True)):
            if foldings is None:
                self.items.append(options(layer, function))
            else:
                self.items.append([option_of(layer, function, foldings[number])])

    @cached_property
    def intervals(self) -> list[int]:
        """Clocks per sample that some part can have."""
        found = {option.clocks for item in self.items for option in item}
        found |= {self._exit(option) for option in self.items[self._last]}
        for source, reader, place, at in self.edges:
            port = self.network.layers[place].inputs[at]
            gives = {option.gives for option in self.items[source]}
            reads = {option.reads for option in self.items[reader]}
            found |= {transfer_clocks(port, a, b) for a in gives for b in reads}
        return sorted(found)

    @cached_property
    def edges(self) -> list[tuple[int, int, int, int]]:
        """Items that give and read, and the layer and the place of its source."""
        return [
            (source + 1 if source >= 0 else 0, place + 1, place, at)
            for place, layer in enumerate(self.network.layers)
            for at, source in enumerate(layer.sources)
        ]

    def solve(self, interval: int) -> Choice | None:
        """The least cost among those of at most so many clocks per sample; None: there is none."""
        items = [[o for o in item if o.clocks <= interval] for item in self.items]
        if not all(items):
            return None
        factors: list[tuple[tuple[int, ...], Floats]] = [
            ((number,), np.array([option.cost for option in item]))
            for number, item in enumerate(items)
        ]
        for source, reader, place, at in self.edges:
            port = self.network.layers[place].inputs[at]
            table = np.array(
                [
                    [
                        transfer_luts(port, a.gives, b.reads)
                        if transfer_clocks(port, a.gives, b.reads) <= interval
                        else np.inf
                        for b in items[reader]
                    ]
                    for a in items[source]
                ]
            )
            # a layer that reads a source twice has both costs on the same pair
            factors.append(((source, reader), table))
        ends = np.array([np.inf if self._exit(o) > interval else 0.0 for o in items[self._last]])
        factors.append(((self._last,), ends))
        places = minimize([len(item) for item in items], factors)
        return None if places is None else self._choice(items, places)

    def fastest(self, luts: int, blocks: int) -> Choice | None:
        """The shortest interval whose foldings fit."""
        low, high, best = 0, len(self.intervals) - 1, None
        while low <= high:
            middle = (low + high) // 2
            found = self.solve(self.intervals[middle])
            if found is not None and found.luts <= luts and found.blocks <= blocks:
                best, high = found, middle - 1
            else:
                low = middle + 1
        return best

    @property
    def _last(self) -> int:
        return self.network.exit + 1

    def _exit(self, option: Option) -> int:
        """Clocks of the words that leave."""
        part = int(np.gcd(option.gives, self.border[1]))
        return self.network.output.size // part

    def _choice(self, items: list[list[Option]], places: Sequence[int]) -> Choice:
        chosen = [item[place] for item, place in zip(items, places, strict=True)]
        transfers: list[list[int]] = [[] for _ in self.network.layers]
        for source, reader, place, at in self.edges:
            port = self.network.layers[place].inputs[at]
            gives, reads = chosen[source].gives, chosen[reader].reads
            transfers[place].append(transfer_clocks(port, gives, reads))
        return Choice(
            chosen[0].gives,
            tuple(chosen[1:]),
            tuple(map(tuple, transfers)),
            chosen[0].clocks,
            self._exit(chosen[self._last]),
        )


def minimize(
    sizes: Sequence[int], factors: Sequence[tuple[tuple[int, ...], Floats]]
) -> list[int] | None:
    """The values of variables for which the sum of all factors is least.

    Args:
        sizes: number of values of each variable.
        factors: variables, and what each combination of their values costs.

    Returns:
        a value for each variable; None: all combinations cost infinitely much.
    """
    left = [(tuple(scope), np.asarray(table, np.float64)) for scope, table in factors]
    order: list[tuple[int, tuple[int, ...], Floats]] = []
    waiting = set(range(len(sizes)))
    while waiting:
        degrees = {v: len({u for s, _ in left if v in s for u in s}) for v in waiting}
        variable = min(waiting, key=lambda v: (degrees[v], v))
        waiting.discard(variable)
        own = [factor for factor in left if variable in factor[0]]
        left = [factor for factor in left if variable not in factor[0]]
        scope = tuple(sorted({u for s, _ in own for u in s} - {variable}))
        joined = _joined((*scope, variable), own, sizes)
        order.append((variable, scope, joined))
        left.append((scope, joined.min(axis=-1)))
    if not np.isfinite(sum(float(table) for _, table in left)):
        return None
    values = [0] * len(sizes)
    for variable, scope, joined in reversed(order):
        values[variable] = int(joined[tuple(values[u] for u in scope)].argmin())
    return values


def _joined(
    scope: tuple[int, ...], factors: Sequence[tuple[tuple[int, ...], Floats]], sizes: Sequence[int]
) -> Floats:
    """The sum of factors, with one axis for each variable of `scope`."""
    total: Any = np.zeros([sizes[variable] for variable in scope])
    for own, table in factors:
        moved = np.transpose(table, np.argsort([scope.index(v) for v in own]))
        shape = [sizes[variable] if variable in own else 1 for variable in scope]
        total = total + moved.reshape(shape)
    found: Floats = total
    return found
