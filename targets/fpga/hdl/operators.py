"""What a wire computes. Each operator knows the exact range of its result.

An operator is a value without operands; a :class:`~actc.targets.fpga.hdl.graph.Wire`
joins it with the wires that it reads. A new operator needs its range here, its
arithmetic in evaluate.py and its text in expressions.py; nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from actc.targets.fpga.hdl.ranges import Range


@dataclass(frozen=True, slots=True)
class Operator:
    """Base of all operators.

    Attributes:
        noun: the name of a wire that has no better one.
    """

    noun: ClassVar[str] = "wire"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range of the result.

        Raises:
            ValueError: the operands are out of the operator's domain.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Input(Operator):
    """A port of the module."""

    name: str
    range: Range

    def result(self, operands: tuple[Range, ...]) -> Range:
        """As declared."""
        return self.range


@dataclass(frozen=True, slots=True)
class Constant(Operator):
    """An integer."""

    value: int

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The value alone."""
        return Range(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Add(Operator):
    """``a + b``."""

    noun: ClassVar[str] = "sum"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Sum of the ranges."""
        return operands[0] + operands[1]


@dataclass(frozen=True, slots=True)
class Subtract(Operator):
    """``a - b``."""

    noun: ClassVar[str] = "difference"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Difference of the ranges."""
        return operands[0] - operands[1]


@dataclass(frozen=True, slots=True)
class Negate(Operator):
    """``-a``."""

    noun: ClassVar[str] = "negative"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range mirrored."""
        return -operands[0]


@dataclass(frozen=True, slots=True)
class Invert(Operator):
    """``-1 - a``: all bits inverted."""

    noun: ClassVar[str] = "inverse"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range mirrored."""
        return (-operands[0]).plus(-1)


@dataclass(frozen=True, slots=True)
class Multiply(Operator):
    """``a * b``.

    Attributes:
        hard: whether it is meant for a hard multiplier, which decides how long it takes.
    """

    hard: bool = False

    noun: ClassVar[str] = "product"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Product of the ranges."""
        return operands[0] * operands[1]


@dataclass(frozen=True, slots=True)
class ShiftLeft(Operator):
    """``a * 2**amount``."""

    amount: int
    noun: ClassVar[str] = "scaled"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range scaled."""
        return operands[0] << self.amount


@dataclass(frozen=True, slots=True)
class ShiftRight(Operator):
    """``floor(a / 2**amount)``."""

    amount: int
    noun: ClassVar[str] = "shifted"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range scaled, floors of its ends."""
        return operands[0] >> self.amount


@dataclass(frozen=True, slots=True)
class Bits(Operator):
    """`count` two's complement bits of a from bit `low` on.

    They are read as an unsigned integer, or as two's complement. Above a's own width
    its sign goes on.
    """

    low: int
    count: int
    as_signed: bool = False
    noun: ClassVar[str] = "bits"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range of the bits."""
        return operands[0].bits(self.low, self.count, self.as_signed)


@dataclass(frozen=True, slots=True)
class Concatenate(Operator):
    """Unsigned parts side by side, the most significant first, each of its own width."""

    widths: tuple[int, ...]
    noun: ClassVar[str] = "word"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Lowest and highest parts side by side."""
        low = high = 0
        for part, width in zip(operands, self.widths, strict=True):
            if not Range.unsigned(width).holds(part):
                raise ValueError(f"a part of {width} bits cannot hold {part}")
            low, high = low << width | part.low, high << width | part.high
        return Range(low, high)


Comparison = Literal["<", ">=", "==", "!="]


@dataclass(frozen=True, slots=True)
class Compare(Operator):
    """Whether a and b compare so; 0 or 1."""

    kind: Comparison
    noun: ClassVar[str] = "flag"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Both values, or the one that the ranges leave."""
        a, b = operands
        if self.kind in ("<", ">="):
            always, never = a.high < b.low, a.low >= b.high
        else:
            always = a.single and a == b
            never = a.high < b.low or b.high < a.low
        if self.kind in (">=", "!="):
            always, never = never, always
        return Range(int(always), int(not never))


@dataclass(frozen=True, slots=True)
class Reaches(Operator):
    """Whether an unsigned a is at least `bound` > 0; 0 or 1.

    Written as ands and ors of the bits of a, which takes a third of a LUT4 per bit and
    shares the first bits between bounds, where a comparison would take a carry chain.
    """

    bound: int
    noun: ClassVar[str] = "reached"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Both values, or the one that the range leaves."""
        (a,) = operands
        if a.signed or self.bound <= 0:
            raise ValueError("bounds of unsigned wires are positive")
        return Range(int(a.low >= self.bound), int(a.high >= self.bound))


Connective = Literal["&", "|", "^"]


@dataclass(frozen=True, slots=True)
class Logic(Operator):
    """And, or, exclusive or of two single bits."""

    kind: Connective
    noun: ClassVar[str] = "flag"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """Both values, or the one that a constant operand leaves."""
        a, b = operands
        if not (_BIT.holds(a) and _BIT.holds(b)):
            raise ValueError("logic takes single bits")
        if self.kind == "&":
            return Range(a.low & b.low, a.high & b.high)
        if self.kind == "|":
            return Range(a.low | b.low, a.high | b.high)
        if a.single and b.single:
            return Range(a.low ^ b.low, a.low ^ b.low)
        return _BIT


_BIT = Range(0, 1)


@dataclass(frozen=True, slots=True)
class Select(Operator):
    """Of the operands behind the first one, the one that the first one counts to."""

    noun: ClassVar[str] = "choice"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The hull of the operands that can be selected."""
        index, options = operands[0], operands[1:]
        if not Range(0, len(options) - 1).holds(index):
            raise ValueError(f"{index} selects from {len(options)} wires")
        chosen = options[index.low : index.high + 1]
        return Range(min(r.low for r in chosen), max(r.high for r in chosen))


@dataclass(frozen=True, slots=True)
class Lookup(Operator):
    """``values[a]``.

    Attributes:
        values: entries from address 0 on.
        memory: kept in a memory that block RAM can hold, if a register follows it;
            otherwise in logic.
    """

    values: tuple[int, ...]
    memory: bool = False
    noun: ClassVar[str] = "entry"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The hull of the entries that can be addressed."""
        address = operands[0]
        if not Range(0, len(self.values) - 1).holds(address):
            raise ValueError(f"addresses {address} of a table of {len(self.values)} entries")
        return Range.of(self.values[address.low : address.high + 1])


@dataclass(frozen=True, slots=True)
class Saturate(Operator):
    """The member of `range` nearest to a."""

    range: Range
    noun: ClassVar[str] = "saturated"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The range, cut."""
        return Range(self.range.clamp(operands[0].low), self.range.clamp(operands[0].high))


@dataclass(frozen=True, slots=True)
class Narrow(Operator):
    """a, which is claimed to stay in `range`; the evaluator checks the claim.

    For what intervals cannot see, as operands that depend on each other.
    """

    range: Range
    reason: str
    noun: ClassVar[str] = "narrowed"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """The claim, as far as it is news."""
        return Range(max(self.range.low, operands[0].low), min(self.range.high, operands[0].high))


@dataclass(frozen=True, slots=True)
class Register(Operator):
    """a, one clock later; before the first clock `initial`.

    Attributes:
        initial: the value to begin with.
        free: hardware may begin with any value, as nothing reads the first ones: block
            memories and some flip-flops cannot begin with a given one.
    """

    initial: int
    free: bool = False
    noun: ClassVar[str] = "register"

    def result(self, operands: tuple[Range, ...]) -> Range:
        """As a, and the initial value."""
        return operands[0].hull(Range(self.initial, self.initial))
