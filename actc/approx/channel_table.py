"""Families: one table per channel of a tensor, between the same two formats."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from actc.approx.certificate import format_claim
from actc.approx.function import Float64Array
from actc.numerics import QuantizationParameters
from actc.numerics.quantization import Codes

VERSION = 1


def fit_channel_table(exact: Float64Array, output: QuantizationParameters) -> Codes:
    """The codes nearest to a family's values, saturating.

    Args:
        exact: float64 [entries, channels], the functions at every input code.

    Returns:
        the output's dtype, [channels, entries].
    """
    return np.ascontiguousarray(output.quantize(exact).T)


def certify_channel_table(
    function: str,
    exact: Float64Array,
    table: Codes,
    input: QuantizationParameters,
    output: QuantizationParameters,
) -> dict[str, Any]:
    """Certificate of a family of tables; JSON-ready.

    ``tables`` holds each different table once, ``table`` the number of each channel's.
    Errors and bounds (hexadecimal floats) are those over the input codes in use, per
    channel and the largest of all; a lower bound is the rounding floor of the output
    format. ``digest`` is the SHA-256 of the channels' tables, one after the other.

    Args:
        exact: float64 [entries, channels], the functions at every input code.
        table: codes [channels, entries].
    """
    used = slice(input.low, input.high + 1)
    codes = np.arange(output.low, output.high + 1)
    grid, wanted = output.values()[codes], exact[used]
    # the nearest number of the format; infinite values are infinitely far from any
    steps = np.clip(wanted / output.scale + output.zero_point, output.low, output.high)
    nearest = grid[np.rint(steps).astype(np.int64) - output.low]
    floors = np.abs(nearest - wanted).max(axis=0)
    errors = np.abs(output.values()[table.T[used]] - wanted).max(axis=0)
    tables, which = _different(table)
    return {
        "kind": "channel-table",
        "version": VERSION,
        "function": function,
        "input": format_claim(input),
        "output": format_claim(output),
        "channels": len(table),
        "tables": tables,
        "table": which,
        "max_errors": [float(error).hex() for error in errors],
        "lower_bounds": [float(floor).hex() for floor in floors],
        "max_error": float(errors.max()).hex(),
        "lower_bound": float(floors.max()).hex(),
        "digest": hashlib.sha256(_bytes(table)).hexdigest(),
    }


def _different(table: Codes) -> tuple[list[str], list[int]]:
    """The different rows in order of appearance, and which one each channel has."""
    numbers: dict[str, int] = {}
    which = [numbers.setdefault(_bytes(row).hex(), len(numbers)) for row in table]
    return list(numbers), which


def _bytes(codes: Codes) -> bytes:
    return codes.astype(codes.dtype.newbyteorder("<")).tobytes()
