"""Integer functions of one variable, as runs of equal values.

A requantized accumulator has millions of inputs and a few hundred outputs: its runs say
all about it, and thresholds, lines and tables are found from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]
Function: TypeAlias = Callable[[Integers], npt.ArrayLike]

MAX_INPUTS = 1 << 22
"""Inputs up to which a function given as a callable is enumerated."""


@dataclass(frozen=True, eq=False)
class StepFunction:
    """``levels[k]`` for inputs from ``starts[k]`` up to the next start.

    Attributes:
        range: the inputs.
        starts: int64 [n], strictly increasing, ``starts[0] == range.low``.
        levels: int64 [n]; neighbours differ.

    Raises:
        ValueError: the above does not hold.
    """

    range: Range
    starts: Integers
    levels: Integers

    def __post_init__(self) -> None:
        for name in ("starts", "levels"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        if self.starts.shape != self.levels.shape or self.starts.ndim != 1 or not self.starts.size:
            raise ValueError("every run has a start and a level")
        inside = self.starts[0] == self.range.low and self.starts[-1] <= self.range.high
        if not inside or np.any(np.diff(self.starts) <= 0) or np.any(np.diff(self.levels) == 0):
            raise ValueError("runs increase from the lowest input on, and neighbours differ")

    @classmethod
    def of(cls, range: Range, values: npt.ArrayLike | Function | StepFunction) -> StepFunction:
        """The function with these values.

        Args:
            values: integers, one per input from the lowest on; or what computes them from
                an int64 array of inputs; or a function whose range holds this one.

        Raises:
            UsageError: ACT0545, `values` are not one integer per input; ACT0546, there are
                too many inputs to compute all.
        """
        if isinstance(values, StepFunction):
            return values.cut(range)
        count = range.high - range.low + 1
        if callable(values):
            if count > MAX_INPUTS:
                raise UsageError(_too_many(range))
            values = values(np.arange(range.low, range.high + 1, dtype=np.int64))
        table = np.asarray(values)
        if table.dtype.kind not in "iu" or table.shape != (count,):
            raise UsageError(_bad_values(range, table))
        return cls.from_runs(range, np.arange(count) + range.low, table.astype(np.int64))

    @classmethod
    def from_runs(cls, range: Range, starts: Integers, levels: Integers) -> StepFunction:
        """Runs of which neighbours may be equal; they are joined."""
        kept = np.flatnonzero(np.diff(levels, prepend=levels[0] - 1))
        return cls(range, starts[kept], levels[kept])

    @property
    def ends(self) -> Integers:
        """Last input of each run; int64 [n]."""
        return np.append(self.starts[1:] - 1, self.range.high).astype(np.int64)

    @property
    def hull(self) -> Range:
        """From the least to the largest value that is reached."""
        return Range(int(self.levels.min()), int(self.levels.max()))

    @property
    def key(self) -> tuple[int, int, bytes, bytes]:
        """Equal for equal functions."""
        return self.range.low, self.range.high, self.starts.tobytes(), self.levels.tobytes()

    def evaluate(self, inputs: npt.ArrayLike) -> Integers:
        """Values of inputs (integers of the range, any shape); beyond it, of its end."""
        found = np.searchsorted(self.starts, np.asarray(inputs, np.int64), side="right") - 1
        values: Integers = self.levels[np.maximum(found, 0)]
        return values

    def cut(self, range: Range) -> StepFunction:
        """The same for fewer inputs.

        Raises:
            UsageError: ACT0545, an input of `range` has no value.
        """
        if not self.range.holds(range):
            raise UsageError(_bad_values(range, self.starts))
        inside = (self.starts > range.low) & (self.starts <= range.high)
        starts = np.concatenate([[range.low], self.starts[inside]])
        return StepFunction(range, starts, self.evaluate(starts))

    def moved(self, offset: int) -> StepFunction:
        """The function of ``x + offset`` that equals this one of x."""
        return StepFunction(self.range.plus(offset), self.starts + offset, self.levels)

    def mirrored(self) -> StepFunction:
        """The function of ``~x``, that is -1 - x, that equals this one of x."""
        range = (-self.range).plus(-1)
        return StepFunction(range, -1 - self.ends[::-1], self.levels[::-1])

    def then(self, outer: StepFunction) -> StepFunction:
        """``outer(self(x))``.

        Raises:
            UsageError: ACT0545, `outer` has no value for one of this one's.
        """
        if not outer.range.holds(self.hull):
            raise UsageError(_bad_values(self.hull, outer.starts))
        return StepFunction.from_runs(self.range, self.starts, outer.evaluate(self.levels))


def _bad_values(range: Range, given: npt.NDArray[np.generic]) -> Diagnostic:
    return Diagnostic(
        "ACT0545",
        f"an integer function of {range} is not given for each of these inputs",
        notes=(f"given: {given.dtype} of shape {list(given.shape)}",),
        help=f"give {range.high - range.low + 1} integers, one per input from {range.low} on",
    )


def _too_many(range: Range) -> Diagnostic:
    return Diagnostic(
        "ACT0546",
        f"an integer function of {range} has too many inputs to compute all its values",
        notes=(f"at most {MAX_INPUTS} inputs",),
        help="give its runs as a StepFunction, or build it in stages (requantize, then a table)",
    )
