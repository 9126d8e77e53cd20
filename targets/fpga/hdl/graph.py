"""Graphs of wires: built by operators, each computation held once.

    g = Graph()
    x = g.input("x", Range(-128, 127))
    y = ((3 * x + 8) >> 4).named("y")      # y.range is -24..24: 6 bits, signed

Wires are immutable and a graph only grows, in an order in which every wire follows
what it reads. Building the same computation again gives the same wire, so whatever is
shared is shared in hardware too; a wire that can hold one value only is that constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.ranges import Range


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Wire:
    """The result of one operator.

    Attributes:
        graph: where it lives; wires of different graphs do not mix.
        index: its place in the graph, after all its operands.
        operator: what it computes.
        operands: what from.
        range: every value that it can have.
    """

    graph: Graph
    index: int
    operator: op.Operator
    operands: tuple[Wire, ...]
    range: Range

    def __repr__(self) -> str:
        return f"Wire({self.index}: {self.operator.noun}, {self.range})"

    @property
    def width(self) -> int:
        """Bits, with the sign."""
        return self.range.width

    @property
    def signed(self) -> bool:
        """Whether it can be negative."""
        return self.range.signed

    @property
    def value(self) -> int | None:
        """The value of a constant."""
        return self.operator.value if isinstance(self.operator, op.Constant) else None

    def named(self, hint: str) -> Wire:
        """This wire, with a name to write it by; a wire's first name stays."""
        self.graph.hints.setdefault(self.index, hint)
        return self

    def bits(self, low: int, count: int, *, signed: bool = False) -> Wire:
        """Bits low .. low + count - 1 of the two's complement.

        Args:
            signed: whether they are read as two's complement, or as an unsigned integer.

        Raises:
            ValueError: no bits, or from below bit 0.
        """
        if low < 0 or count < 1:
            raise ValueError(f"there are no bits {low}..{low + count - 1}")
        if low == 0 and self.range.bits(0, count, signed) == self.range:
            return self
        return self.graph.make(op.Bits(low, count, signed), self)

    def equals(self, other: Wire | int) -> Wire:
        """1 where both are equal, 0 elsewhere."""
        return self.graph.make(op.Compare("=="), self, self.graph.wire(other))

    def differs(self, other: Wire | int) -> Wire:
        """0 where both are equal, 1 elsewhere."""
        return self.graph.make(op.Compare("!="), self, self.graph.wire(other))

    def reaches(self, bound: int) -> Wire:
        """1 where this unsigned wire is at least `bound`, 0 elsewhere; cheap for constants.

        Raises:
            ValueError: the wire can be negative.
        """
        if bound <= 0 and not self.signed:
            return self.graph.constant(1)
        return self.graph.make(op.Reaches(bound), self)

    def narrow(self, range: Range, reason: str) -> Wire:
        """This wire, claimed to stay in `range`; wrong claims end an evaluation.

        Raises:
            ValueError: the wire has no value in `range` at all.
        """
        if range.holds(self.range):
            return self
        return self.graph.make(op.Narrow(range, reason), self)

    def saturate(self, range: Range) -> Wire:
        """The member of `range` nearest to this wire."""
        if range.holds(self.range):
            return self
        return self.graph.make(op.Saturate(range), self)

    def register(self, initial: int | None = None, *, free: bool = False) -> Wire:
        """This wire one clock later.

        Args:
            initial: value before the first clock; by default the one nearest to 0.
            free: whether hardware may begin with any other value.
        """
        first = self.range.clamp(0) if initial is None else initial
        return self.graph.make(op.Register(first, free), self)

    def __add__(self, other: Wire | int) -> Wire:
        second = self.graph.wire(other)
        if second.value == 0:
            return self
        if self.value == 0:
            return second
        return self.graph.make(op.Add(), self, second)

    def __sub__(self, other: Wire | int) -> Wire:
        second = self.graph.wire(other)
        if second.value == 0:
            return self
        if self.value == 0:
            return -second
        return self.graph.make(op.Subtract(), self, second)

    def __neg__(self) -> Wire:
        return self.graph.make(op.Negate(), self)

    def __invert__(self) -> Wire:
        return self.graph.make(op.Invert(), self)

    def __mul__(self, other: Wire | int) -> Wire:
        first, second = self, self.graph.wire(other)
        if first.value is not None:
            first, second = second, first
        factor = second.value
        if factor is None or factor == 0:
            return self.graph.make(op.Multiply(), first, second)
        if abs(factor) & (abs(factor) - 1):
            return self.graph.make(op.Multiply(), first, second)
        scaled = first << (abs(factor).bit_length() - 1)
        return scaled if factor > 0 else -scaled

    def times(self, other: Wire) -> Wire:
        """The product, for a hard multiplier."""
        if self.value is not None or other.value is not None:
            return self * other
        return self.graph.make(op.Multiply(hard=True), self, other)

    def __lshift__(self, amount: int) -> Wire:
        return self if amount == 0 else self.graph.make(op.ShiftLeft(_count(amount)), self)

    def __rshift__(self, amount: int) -> Wire:
        return self if amount == 0 else self.graph.make(op.ShiftRight(_count(amount)), self)

    def __lt__(self, other: Wire | int) -> Wire:
        return self.graph.make(op.Compare("<"), self, self.graph.wire(other))

    def __ge__(self, other: Wire | int) -> Wire:
        return self.graph.make(op.Compare(">="), self, self.graph.wire(other))

    def __gt__(self, other: Wire | int) -> Wire:
        return self.graph.make(op.Compare("<"), self.graph.wire(other), self)

    def __le__(self, other: Wire | int) -> Wire:
        return self.graph.make(op.Compare(">="), self.graph.wire(other), self)

    def __and__(self, other: Wire | int) -> Wire:
        return self._logic("&", self.graph.wire(other), idle=1)

    def __or__(self, other: Wire | int) -> Wire:
        return self._logic("|", self.graph.wire(other), idle=0)

    def __xor__(self, other: Wire | int) -> Wire:
        return self._logic("^", self.graph.wire(other), idle=0)

    def _logic(self, kind: op.Connective, other: Wire, idle: int) -> Wire:
        """Of single bits; `idle` changes nothing."""
        made = self.graph.make(op.Logic(kind), self, other)
        if other.value == idle:
            return self
        return other if self.value == idle else made

    def __bool__(self) -> bool:
        raise TypeError("a wire has no value while the hardware is built; use select")

    def __radd__(self, other: int) -> Wire:
        return self + other

    def __rsub__(self, other: int) -> Wire:
        return self.graph.wire(other) - self

    def __rmul__(self, other: int) -> Wire:
        return self * other


class Graph:
    """Wires in the order in which they were built.

    Attributes:
        wires: every wire stands behind its operands.
        hints: index of a wire -> the name that it was given.
        scopes: index of a wire -> the scope in which it was built first, "" outside of any.
    """

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.hints: dict[int, str] = {}
        self.scopes: dict[int, str] = {}
        self._scope = ""
        self._known: dict[tuple[op.Operator, tuple[int, ...]], Wire] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Wires built inside belong to `name`, such as a layer; inner scopes win."""
        outer, self._scope = self._scope, name
        try:
            yield
        finally:
            self._scope = outer

    def make(self, operator: op.Operator, *operands: Wire) -> Wire:
        """The wire of an operator on operands; the old one if there is one.

        Raises:
            ValueError: operands of another graph, or out of the operator's domain.
        """
        if any(wire.graph is not self for wire in operands):
            raise ValueError("the wires belong to different graphs")
        range = operator.result(tuple(wire.range for wire in operands))
        if range.single and not isinstance(operator, (op.Input, op.Narrow, op.Constant)):
            operator, operands = op.Constant(range.low), ()
        key = (operator, tuple(wire.index for wire in operands))
        if key not in self._known:
            wire = Wire(self, len(self.wires), operator, operands, range)
            self.wires.append(wire)
            self.scopes[wire.index] = self._scope
            self._known[key] = wire
        return self._known[key]

    def input(self, name: str, range: Range) -> Wire:
        """A port of the module."""
        return self.make(op.Input(name, range)).named(name)

    def constant(self, value: int) -> Wire:
        """An integer."""
        return self.make(op.Constant(value))

    def wire(self, value: Wire | int) -> Wire:
        """`value` itself, or the constant."""
        return value if isinstance(value, Wire) else self.constant(value)

    def concatenate(self, *parts: tuple[Wire, int]) -> Wire:
        """Unsigned wires side by side, each with its width, the most significant first.

        Raises:
            ValueError: a wire does not fit its width.
        """
        kept = [(wire, width) for wire, width in parts if width > 0]
        if len(kept) == 1 and kept[0][1] >= kept[0][0].width and not kept[0][0].signed:
            return kept[0][0]
        widths = tuple(width for _, width in kept)
        return self.make(op.Concatenate(widths), *(wire for wire, _ in kept))

    def select(self, index: Wire, options: Sequence[Wire | int]) -> Wire:
        """The option that `index` counts to, from 0.

        Raises:
            ValueError: `index` can count beyond the options.
        """
        wires = [self.wire(option) for option in options]
        if index.value is not None and 0 <= index.value < len(wires):
            return wires[index.value]
        reached = wires[max(index.range.low, 0) : index.range.high + 1]
        if len(wires) > index.range.high and all(wire is reached[0] for wire in reached):
            return reached[0]
        if index.range == Range(0, 1) and [wire.value for wire in wires] in ([0, 1], [1, 0]):
            return index ^ (wires[0].value or 0)
        return self.make(op.Select(), index, *wires)

    def lookup(self, address: Wire, values: Sequence[int], *, memory: bool = False) -> Wire:
        """``values[address]``; with `memory`, for block RAM if a register follows.

        Raises:
            ValueError: `address` can lie outside the table.
        """
        return self.make(op.Lookup(tuple(int(value) for value in values), memory), address)


def _count(amount: int) -> int:
    if amount < 0:
        raise ValueError(f"a shift by {amount} places")
    return amount
