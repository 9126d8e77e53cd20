"""The datapath of a fixed-point form as a straight line of integer steps.

A form is lowered once (:mod:`actc.emitters.lowering`); each language has a writer that
walks the steps. The builder computes every value at every input code while the program
is built, so the ranges are exact: no step can overflow a type that holds its range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint

Operator = Literal["add", "subtract", "multiply", "left", "right", "and", "lookup", "rank"]
"""Integer operations. `left` and `right` shift by a constant, `right` rounds towards
minus infinity. `lookup` is the entry of a table at an index, `rank` the number of
entries of an increasing table that are not above a value."""

INPUT = "x"
"""Name of the input code."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values that occur, from the smallest to the largest."""

    low: int
    high: int

    @property
    def signed(self) -> bool:
        """Whether a negative value occurs."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits of the narrowest type (two's complement when signed) that holds them; >= 1."""
        if self.signed:
            return max((~self.low).bit_length(), max(self.high, 0).bit_length()) + 1
        return max(self.high.bit_length(), 1)

    def __or__(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))


def range_of(codes: Codes) -> Range:
    """The range of the entries of an array that has some."""
    return Range(int(codes.min()), int(codes.max()))


@dataclass(frozen=True, slots=True)
class Step:
    """``name = operator(left, right)``; a value is used only after its step.

    Attributes:
        left: a value or a constant; for `lookup` and `rank` a value.
        right: a value or a constant; the number of bits of shifts; the table of
            `lookup` and `rank`.
        range: of the result, over all input codes.
    """

    name: str
    operator: Operator
    left: str | int
    right: str | int
    range: Range


@dataclass(frozen=True, eq=False)
class Program:
    """Steps from an input code to an output code.

    Attributes:
        input, output: the formats.
        tables: int64 [n] each, n >= 1, by name.
        steps: in the order of computation.
        result: the value or constant that is the output code.
    """

    input: FixedPoint
    output: FixedPoint
    tables: dict[str, Codes]
    steps: tuple[Step, ...]
    result: str | int

    def range(self, operand: str | int) -> Range:
        """Exact range of a value or constant."""
        if isinstance(operand, int):
            return Range(operand, operand)
        if operand == INPUT:
            return Range(self.input.low, self.input.high)
        return next(step.range for step in self.steps if step.name == operand)


@dataclass(frozen=True, eq=False)
class Value:
    """A named value and what it is at every input code, int64 [n]."""

    name: str
    codes: Codes


Operand = Value | int

_COMPUTE: dict[Operator, Callable[[Codes | int, Codes | int], Codes | int]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "left": lambda a, b: a << b,
    "right": lambda a, b: a >> b,
    "and": lambda a, b: a & b,
}
_NEUTRAL: dict[Operator, int] = {"add": 0, "subtract": 0, "multiply": 1, "left": 0, "right": 0}
"""Right operands that leave the left one as it is."""


class Builder:
    """Collects the steps of a program; leaves out those that compute nothing.

    Steps that give the same at every input code become constants.

    Args:
        input: at most 16 bits, all of whose codes are computed.
        output: the format of the result.
    """

    def __init__(self, input: FixedPoint, output: FixedPoint) -> None:
        self.input, self.output = input, output
        self.x = Value(INPUT, input.codes())
        self._tables: dict[str, Codes] = {}
        self._steps: list[Step] = []

    def apply(self, name: str, operator: Operator, left: Operand, right: Operand) -> Operand:
        """``operator(left, right)`` for the operators without a table, named `name`."""
        a, b = (side.codes if isinstance(side, Value) else side for side in (left, right))
        found = _COMPUTE[operator](a, b)
        if not isinstance(found, np.ndarray):
            return int(found)
        if isinstance(left, Value) and isinstance(right, int) and _NEUTRAL.get(operator) == right:
            return left
        return self._step(name, operator, _spelled(left), _spelled(right), found)

    def lookup(self, name: str, table: str, entries: Codes, index: Operand) -> Operand:
        """``entries[index]``."""
        if isinstance(index, int):
            return int(entries[index])
        return self._step(name, "lookup", index.name, table, entries[index.codes], entries)

    def rank(self, name: str, table: str, entries: Codes, value: Value) -> Operand:
        """Number of `entries`, which increase, that are not above `value`."""
        found = np.searchsorted(entries, value.codes, side="right")
        return self._step(name, "rank", value.name, table, found, entries)

    def finish(self, result: Operand) -> tuple[Program, Codes]:
        """The program that computes `result`, and what it gives at every input code."""
        steps = _needed(self._steps, _spelled(result))
        used = {step.right for step in steps}
        tables = {name: table for name, table in self._tables.items() if name in used}
        program = Program(self.input, self.output, tables, steps, _spelled(result))
        outputs = result.codes if isinstance(result, Value) else np.int64(result)
        return program, np.broadcast_to(outputs, (self.input.count,))

    def _step(
        self,
        name: str,
        operator: Operator,
        left: str | int,
        right: str | int,
        codes: Codes,
        table: Codes | None = None,
    ) -> Operand:
        """A new step; the constant that it gives at every input code, if it does."""
        if np.all(codes == codes[0]):
            return int(codes[0])
        if table is not None:
            self._tables[str(right)] = table
        codes = codes.astype(np.int64)
        self._steps.append(Step(name, operator, left, right, range_of(codes)))
        return Value(name, codes)


def _spelled(operand: Operand) -> str | int:
    return operand.name if isinstance(operand, Value) else operand


def _needed(steps: list[Step], result: str | int) -> tuple[Step, ...]:
    """The steps on which the result depends."""
    wanted, kept = {result}, list[Step]()
    for step in reversed(steps):
        if step.name in wanted:
            kept.append(step)
            wanted |= {step.left, step.right}
    return tuple(reversed(kept))
