"""Signed steps: a level that changes at thresholds, up or down.

For monotone functions this is FINN's MultiThreshold (Umuroglu et al., FPGA 2017);
signed heights make it exact for every function of one variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.gates import FixedFit, Gates, verified


@dataclass(frozen=True, eq=False)
class Thresholds:
    """``y = levels[number of thresholds <= x]``.

    Attributes:
        input, output: the formats.
        thresholds: int64 [n], input codes, strictly increasing, above the lowest one.
        levels: int64 [n+1], output codes; neighbours differ.

    Raises:
        ValueError: the above does not hold.
    """

    input: FixedPoint
    output: FixedPoint
    thresholds: Codes
    levels: Codes

    def __post_init__(self) -> None:
        for name, form in (("thresholds", self.input), ("levels", self.output)):
            own = form.check(getattr(self, name))
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        if self.levels.shape != (self.thresholds.size + 1,) or self.thresholds.ndim != 1:
            raise ValueError("n thresholds separate n + 1 levels")
        if np.any(np.diff(self.thresholds, prepend=self.input.low) <= 0):
            raise ValueError("thresholds must increase, from above the lowest code on")
        if np.any(self.heights == 0):
            raise ValueError("neighbouring levels must differ")

    @property
    def heights(self) -> Codes:
        """Signed step at each threshold; int64 [n]."""
        return np.diff(self.levels)

    @property
    def unit_steps(self) -> int:
        """Number of thresholds if each changed the output by one, as in MultiThreshold."""
        return int(np.abs(self.heights).sum())

    @property
    def storage_bits(self) -> int:
        """The thresholds as input codes and the levels as output codes."""
        return self.thresholds.size * self.input.bits + self.levels.size * self.output.bits

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        above = np.searchsorted(self.thresholds, self.input.check(codes), side="right")
        found: Codes = self.levels[above]
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "thresholds",
            "thresholds": self.thresholds.tolist(),
            "levels": self.levels.tolist(),
        }


def fit_thresholds(gates: Gates) -> FixedFit[Thresholds]:
    """Fewest steps within the gates.

    Longest runs with a common admissible level, one after the other: a run's part
    has a common level if the run has, so no form has fewer steps (induction on the
    end of the s-th run). Within a run the level is as near to the middle of the
    function's values as the gates allow.
    """
    starts, levels = [0], []
    lows, highs = gates.low.tolist(), gates.high.tolist()
    low, high = lows[0], highs[0]
    for index in range(1, len(lows)):
        if lows[index] > high or highs[index] < low:
            levels.append(_level(gates, slice(starts[-1], index), low, high))
            starts.append(index)
            low, high = lows[index], highs[index]
        else:
            low, high = max(low, lows[index]), min(high, highs[index])
    levels.append(_level(gates, slice(starts[-1], None), low, high))
    thresholds = np.array(starts[1:], np.int64) + gates.input.low
    return verified(
        Thresholds(gates.input, gates.output, thresholds, np.array(levels, np.int64)), gates
    )


def _level(gates: Gates, run: slice, low: int, high: int) -> int:
    part = gates.target[run]
    return int(min(max(round((part.min() + part.max()) / 2), low), high))
