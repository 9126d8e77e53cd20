"""Constants that were added to a wire, taken over by the function behind it.

An accumulator ends with its bias: an adder of all its bits. Thresholds, tables and the
constants of blocks take it over for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.functions.stages import Stage
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.hdl import operators as op


@dataclass(frozen=True)
class Biased:
    """``sign * (wire << shift) + offset``.

    Attributes:
        wire: without sign, shift and offset.
        sign: 1 or -1.
    """

    wire: Wire
    sign: int
    shift: int
    offset: int

    @classmethod
    def of(cls, wire: Wire) -> Biased:
        """What a wire is made of, as far as constants go."""
        found = cls(wire, 1, 0, 0)
        while True:
            inner = found._inside()
            if inner is None:
                return found
            found = inner

    def _inside(self) -> Biased | None:
        """The same from an operand of the wire; None if it is no sum with a constant."""
        operator, operands = self.wire.operator, self.wire.operands
        if isinstance(operator, op.Narrow):
            return Biased(operands[0], self.sign, self.shift, self.offset)
        if isinstance(operator, op.ShiftLeft):
            return Biased(operands[0], self.sign, self.shift + operator.amount, self.offset)
        if isinstance(operator, op.Add):
            for known, other in (operands, operands[::-1]):
                if known.value is not None:
                    return self._less(other, 1, known.value)
        if isinstance(operator, op.Subtract):
            first, second = operands
            if second.value is not None:
                return self._less(first, 1, -second.value)
            if first.value is not None:
                return self._less(second, -1, first.value)
        return self._beside()

    def _beside(self) -> Biased | None:
        """All bits of a wire with constant bits below them."""
        operator = self.wire.operator
        signed = isinstance(operator, op.Bits)
        word = self.wire.operands[0] if signed else self.wire
        if not isinstance(word.operator, op.Concatenate) or len(word.operands) != 2:
            return None
        (source, low), place = word.operands, word.operator.widths[1]
        if low.value is None:
            return None
        if signed:
            bits = source.operator
            source = source.operands[0] if isinstance(bits, op.Bits) else source
            if bits != op.Bits(0, source.width):
                return None
            if operator != op.Bits(0, source.width + place, source.signed):
                return None
        offset = self.offset + self.sign * (low.value << self.shift)
        return Biased(source, self.sign, self.shift + place, offset)

    def _less(self, wire: Wire, sign: int, constant: int) -> Biased:
        offset = self.offset + self.sign * (constant << self.shift)
        return Biased(wire, self.sign * sign, self.shift, offset)

    def inputs(self, range: Range) -> Range:
        """Values of the wire for which the whole is in `range`."""
        step = self.sign << self.shift
        ends = (range.low - self.offset, range.high - self.offset)
        low, high = ends if self.sign > 0 else ends[::-1]
        inside = Range(-(-low // step), high // step)
        own = self.wire.range
        return Range(max(inside.low, own.low), min(inside.high, own.high))

    def function(self, steps: StepFunction) -> StepFunction:
        """The function of the wire that `steps` is of the whole."""
        range = self.inputs(steps.range)
        step = self.sign << self.shift
        edges = steps.starts if self.sign > 0 else steps.ends
        starts = -((self.offset - edges) // step)
        inside = starts[(starts > range.low) & (starts <= range.high)]
        starts = np.unique(np.append(inside, range.low))
        return StepFunction.from_runs(range, starts, steps.evaluate(starts * step + self.offset))


def without_bias(acc: Wire, stages: Sequence[Stage]) -> tuple[Wire, list[Stage]]:
    """The wire below constants that were added to `acc`, and the stages that take them over.

    For callers that build equal functions once: what they share is then free of the bias.

    Args:
        stages: one at least; the first is asked for its function now.
    """
    biased = Biased.of(acc)
    if biased.wire is acc:
        return acc, list(stages)
    first = biased.function(stages[0](acc.range))
    wire = biased.wire.narrow(first.range, "what is added to it stays in its range")
    return wire, [first.cut, *stages[1:]]
