"""Integer intervals: what a wire can hold, and so its width and its sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """All integers from `low` to `high`, both included.

    The operators give the range of results over all pairs of independent operands;
    both of its ends are reached.

    Raises:
        ValueError: `low` is above `high`.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"no integer is in {self.low}..{self.high}")

    @classmethod
    def of(cls, values: Iterable[int]) -> Range:
        """The narrowest range that holds all `values` (at least one)."""
        members = list(values)
        return cls(min(members), max(members))

    @classmethod
    def unsigned(cls, width: int) -> Range:
        """All integers of `width` >= 0 bits."""
        return cls(0, (1 << width) - 1)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"

    @property
    def signed(self) -> bool:
        """Whether a two's complement sign bit is needed."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits that hold every member, with the sign; at least 1."""
        if not self.signed:
            return max(self.high.bit_length(), 1)
        # ~low for negative low: -8 fits where 7 fits
        return max((~self.low).bit_length(), max(self.high, 0).bit_length()) + 1

    @property
    def single(self) -> bool:
        """Whether there is one member only."""
        return self.low == self.high

    def holds(self, other: Range) -> bool:
        """Whether every member of `other` is one of this range."""
        return self.low <= other.low and other.high <= self.high

    def hull(self, other: Range) -> Range:
        """The narrowest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def clamp(self, value: int) -> int:
        """The member nearest to `value`."""
        return min(max(value, self.low), self.high)

    def bits(self, low: int, count: int, signed: bool = False) -> Range:
        """Range of the `count` two's complement bits from bit `low` on.

        Args:
            signed: whether they are read as two's complement again, or as unsigned.
        """
        if signed:
            half = 1 << (count - 1)
            return (self >> low).plus(half).bits(0, count).plus(-half)
        mask = (1 << count) - 1
        first, last = self.low >> low, self.high >> low
        if first >> count == last >> count:
            return Range(first & mask, last & mask)
        return Range(0, mask)  # the end of a block and the start of the next are members

    def plus(self, constant: int) -> Range:
        """The range moved."""
        return Range(self.low + constant, self.high + constant)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.high - other.low)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low)

    def __mul__(self, other: Range) -> Range:
        return Range.of(a * b for a in (self.low, self.high) for b in (other.low, other.high))

    def __lshift__(self, amount: int) -> Range:
        return Range(self.low << amount, self.high << amount)

    def __rshift__(self, amount: int) -> Range:
        return Range(self.low >> amount, self.high >> amount)
