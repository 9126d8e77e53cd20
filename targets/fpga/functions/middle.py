"""Saturated ends apart: comparisons of the first bits once, the function on the others.

Accumulators are often far wider than what their activation tells apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.functions.domain import domain, position
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire


@dataclass(frozen=True)
class Middle:
    """A function that is constant below and above a window.

    Attributes:
        inner: the function of ``i - (first << (bits - 1))``, i the position of the input.
        bits: of the window, which is as long as two to the power of it.
        first: its start, in halves of windows.
        below, above: the levels outside.
    """

    inner: StepFunction
    bits: int
    first: int
    below: int
    above: int

    @classmethod
    def of(cls, steps: StepFunction) -> Middle | None:
        """The smallest window that holds all steps; None if it is no smaller than the range."""
        if steps.levels.size < 3:
            return None
        low = domain(steps.range).low
        begin, end = int(steps.starts[1]) - low, int(steps.starts[-1]) - low
        for bits in range(1, steps.range.width):
            first = begin >> (bits - 1)
            if (first + 2) << (bits - 1) >= end:
                start = (first << (bits - 1)) + low
                inside = (steps.starts > start) & (steps.starts < start + (1 << bits))
                starts = np.append(start, steps.starts[inside])
                window = Range(0, (1 << bits) - 1)
                inner = StepFunction.from_runs(window, starts - start, steps.evaluate(starts))
                return cls(inner, bits, first, int(steps.levels[0]), int(steps.levels[-1]))
        return None

    def build(self, inner: Callable[[Wire], Wire], x: Wire) -> Wire:
        """The function, from what computes it within the window."""
        i, graph = position(x), x.graph
        half = self.bits - 1
        part = i.bits(half, x.width - half)
        # the second half of a window may come first
        top = part.bits(0, 1) ^ (self.first & 1)
        t = graph.concatenate((top, 1), (i.bits(0, half), half)) if half else top
        y = inner(t).narrow(self.inner.hull, "all values within the window")
        y = graph.select(part.reaches(self.first), [self.below, y])
        return graph.select(part.reaches(self.first + 2), [y, self.above])
