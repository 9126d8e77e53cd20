"""Exact tables: one entry for each input code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.numerics import QuantizationParameters
from actc.numerics.compare import root_mean_square
from actc.numerics.quantization import MAX_BITS, Codes

_TYPES = (np.uint8, np.uint16, np.float32)


@dataclass(frozen=True, eq=False)
class Table:
    """A function as a table over codes.

    Attributes:
        values: [256] for codes of up to 8 bits, [2**bits] for wider ones; output codes
            (uint8 or uint16), or float32 real values.
    """

    values: npt.NDArray[Any]

    def __post_init__(self) -> None:
        lengths = [(2**bits,) for bits in range(8, MAX_BITS + 1)]
        if self.values.shape not in lengths or self.values.dtype not in _TYPES:
            raise ValueError(
                "a table is uint8, uint16 or float32, [256] to [65536], not "
                f"{self.values.dtype} {self.values.shape}"
            )
        own = self.values.copy()
        own.setflags(write=False)
        object.__setattr__(self, "values", own)

    def evaluate(self, codes: Codes) -> npt.NDArray[Any]:
        """Look up `codes` (any shape); the result has the dtype of `values`."""
        entries: npt.NDArray[Any] = self.values[codes]
        return entries


@dataclass(frozen=True, eq=False)
class TableFit:
    """A table with its error over the input codes in use.

    Attributes:
        form: the table.
        max_error, rms_error: of the real values, against the function.
        lower_bound: the rounding floor: no table into the same output format has a
            smaller max_error.
        input, output: the formats; output None: float32 values.
    """

    form: Table
    max_error: float
    rms_error: float
    lower_bound: float
    input: QuantizationParameters
    output: QuantizationParameters | None


def fit_table(
    f: ScalarFunction, input: QuantizationParameters, output: QuantizationParameters | None
) -> TableFit:
    """Tabulate `f` over all codes of `input`, rounded like ONNX QuantizeLinear.

    Codes outside ``input.low .. input.high`` do not occur; their entries repeat the
    nearest code in use, and the errors leave them out. Where `f` is beyond the
    output's range the entry saturates, and the error says so.

    Raises:
        ModelError: ACT0303, `f` is not a number at a code; ACT0304, `f` is infinite
            and there is no output format to saturate to.
    """
    used = np.clip(np.arange(input.entries), input.low, input.high)
    x = input.values()[used]
    if output is None:
        exact = f.finite(x)
        with np.errstate(over="ignore"):
            values: npt.NDArray[Any] = exact.astype(np.float32)
        attained = values.astype(np.float64)
        nearest = attained
    else:
        exact = f(x)
        values = output.quantize(exact)
        attained = output.values()[values]
        nearest = _nearest(exact, output.values()[output.low : output.high + 1])
    occurring = slice(input.low, input.high + 1)
    error = np.abs(attained - exact)[occurring]
    return TableFit(
        form=Table(values),
        max_error=float(error.max()),
        rms_error=root_mean_square(error),
        lower_bound=float(np.abs(nearest - exact)[occurring].max()),
        input=input,
        output=output,
    )


def _nearest(x: Float64Array, grid: Float64Array) -> Float64Array:
    """The nearest element of the increasing `grid` for each x; [len(x)]."""
    above = np.clip(np.searchsorted(grid, x), 0, len(grid) - 1)
    below = np.maximum(above - 1, 0)
    return np.where(np.abs(x - grid[below]) <= np.abs(grid[above] - x), grid[below], grid[above])
