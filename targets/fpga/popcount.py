"""How many bits are one: trees of full adders and of carry chains.

A popcount of 2m + 1 bits is the sum of two of m bits with the last bit as its carry in, so that a
chain of k places takes 2k + 1 bits to k + 1. Its leaves are full adders of look-up tables.

Chains that lie behind each other in one addition share a place: both operands have the next chain's
carry in there, so that the sum's bit is the carry out of the chain before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actc.targets.fpga.hdl import Range, Wire

CHAIN_BITS = {"ecp5": 24}
"""By family: places of an addition that several sums share; elsewhere each has its own."""
_REASON = "a count of bits"
_LEAF = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bits, which count where they agree.

    Attributes:
        first, second: bits; a constant second one is an inverter, or nothing.
    """

    first: Wire
    second: Wire

    @property
    def agree(self) -> Wire:
        """1 where both are the same."""
        return self.parity ^ 1

    @property
    def parity(self) -> Wire:
        """1 where they differ."""
        return self.first ^ self.second


def popcount(bits: Sequence[Wire], family: str) -> Wire:
    """The number of bits that are 1.

    Args:
        bits: at least one; of range 0..1.
        family: of the FPGA.
    """
    one = bits[0].graph.constant(1)
    return agreements([Pair(bit, one) for bit in bits], family)


def agreements(pairs: Sequence[Pair], family: str) -> Wire:
    """The number of pairs that agree: of inputs and weights of -1 and 1, as bits, a product.

    With n pairs the sum of the products is twice this number, less n.

    Args:
        pairs: at least one.
        family: of the FPGA.
    """
    return all_agreements([pairs], family)[0]


def all_agreements(rows: Sequence[Sequence[Pair]], family: str) -> list[Wire]:
    """:func:`agreements` of several rows, which share additions."""
    trees = [_tree(row) for row in rows]
    levels: dict[int, list[_Sum]] = {}
    for tree in trees:
        _collect(tree, levels)
    for height in sorted(levels):
        _add(levels[height], CHAIN_BITS.get(family, 0))
    return [_wire(tree) for tree in trees]


@dataclass(eq=False, slots=True)
class _Sum:
    """Two counts and a bit.

    Attributes:
        parts: the counts.
        carry: the bit.
        most: the highest count.
        height: sums on the longest way to it.
        made: the wire, once it is there.
    """

    parts: tuple[_Sum | Wire, _Sum | Wire]
    carry: Wire
    most: int
    height: int
    made: Wire | None = None

    @property
    def operands(self) -> list[Wire]:
        """Wires of the counts, which are there before their sum."""
        return [_wire(part) for part in self.parts]

    @property
    def places(self) -> int:
        """Of an addition: those of the operands, and one for the carry."""
        return max(wire.width for wire in self.operands) + 1


def _wire(count: _Sum | Wire) -> Wire:
    if isinstance(count, Wire):
        return count
    assert count.made is not None
    return count.made


def _height(count: _Sum | Wire) -> int:
    return count.height if isinstance(count, _Sum) else 0


def _most(count: _Sum | Wire) -> int:
    return count.most if isinstance(count, _Sum) else count.range.high


def _tree(pairs: Sequence[Pair]) -> _Sum | Wire:
    if len(pairs) <= _LEAF:
        return _leaf(pairs)
    *rest, last = pairs
    middle = (len(rest) + 1) // 2
    parts = _tree(rest[:middle]), _tree(rest[middle:])
    height = 1 + max(map(_height, parts))
    return _Sum(parts, last.agree, sum(map(_most, parts)) + last.agree.range.high, height)


def _leaf(pairs: Sequence[Pair]) -> Wire:
    """Up to three pairs: a full adder, whose exclusive ors take in those of the pairs."""
    graph, first = pairs[0].first.graph, pairs[0].agree
    if len(pairs) == 1:
        return first
    differs = pairs[0].parity ^ pairs[1].parity
    if len(pairs) == 2:
        both = first & pairs[1].agree
        return graph.concatenate((both, 1), (differs, 1)).narrow(Range(0, 2), _REASON)
    third = pairs[2].agree
    most = graph.select(differs, [first, third])
    return graph.concatenate((most, 1), (differs ^ third, 1))


def _collect(count: _Sum | Wire, levels: dict[int, list[_Sum]]) -> None:
    if isinstance(count, _Sum):
        for part in count.parts:
            _collect(part, levels)
        levels.setdefault(count.height, []).append(count)


def _add(sums: Sequence[_Sum], limit: int) -> None:
    """The sums of one level, as many in an addition as it has places for."""
    taken: list[_Sum] = []
    places = 0
    for own in sums:
        if taken and places + own.places > limit:
            _join(taken)
            taken, places = [], 0
        taken.append(own)
        places += own.places
    _join(taken)


def _join(sums: Sequence[_Sum]) -> None:
    """Sums side by side in one addition."""
    graph = sums[0].carry.graph
    first: list[tuple[Wire, int]] = []
    second: list[tuple[Wire, int]] = []
    for own in sums:
        # nothing reads the sum of the first place: a constant there leaves one table in front
        first.append((own.carry if first else graph.constant(1), 1))
        second.append((own.carry, 1))
        for word, wire in zip((first, second), own.operands, strict=True):
            word.append((wire, own.places - 1))
    words = [graph.concatenate(*reversed(word)) for word in (first, second)]
    total, low = words[0] + words[1], 1
    for own in sums:
        own.made = total.bits(low, own.places).narrow(Range(0, own.most), _REASON)
        low += own.places
