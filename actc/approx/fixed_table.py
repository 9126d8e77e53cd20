"""Plain tables in fixed point: one output code for each input code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.gates import FixedFit, Gates, verified


@dataclass(frozen=True, eq=False)
class FixedTable:
    """``y = values[i]`` with i = x - lowest code.

    For signed inputs i is the code with its first bit inverted.

    Attributes:
        input, output: the formats.
        values: int64 [2**(input bits)], output codes in increasing order of the input code.

    Raises:
        ValueError: not one entry per input code, or an entry is outside the output format.
    """

    input: FixedPoint
    output: FixedPoint
    values: Codes

    def __post_init__(self) -> None:
        own = self.output.check(self.values)
        if own.shape != (self.input.count,):
            raise ValueError(
                f"a table of {self.input} has {self.input.count} entries, not {own.shape}"
            )
        own.setflags(write=False)
        object.__setattr__(self, "values", own)

    @property
    def storage_bits(self) -> int:
        """An output code for each input code."""
        return self.values.size * self.output.bits

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        found: Codes = self.values[self.input.check(codes) - self.input.low]
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {"form": "fixed_table", "values": self.values.tolist()}


def nearest_codes(gates: Gates) -> Codes:
    """For every input code, the admissible output code that is nearest to the function.

    Ties go to the even code. No form within the gates has a smaller largest error.
    """
    return np.clip(np.rint(gates.target).astype(np.int64), gates.low, gates.high)


def fit_fixed_table(gates: Gates) -> FixedFit[FixedTable]:
    """The table of the nearest admissible output codes: no form has a smaller error."""
    return verified(FixedTable(gates.input, gates.output, nearest_codes(gates)), gates)
