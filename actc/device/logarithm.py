"""The integer log-softmax of the dialect (IntLogSoftmax), as the host computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from actc.device.bits import Integers

TABLES = {"table": 256, "levels": 256, "octaves": 31, "logarithms": 257}
"""The tables it needs, and their entries."""
_FRACTION_BITS, _SEGMENT_BITS = 30, 8


def log_softmax(q: Integers, tables: Mapping[str, Sequence[int]], axis: int) -> Integers:
    """-(levels[d] + log S) for the distances d to the maximum and S = sum of table[d].

    With S = 2^k * (1 + f) its logarithm is octaves[k] and, for f, a line between two
    neighbours of `logarithms`, rounded half up.

    Args:
        q: codes.
        tables: those of `TABLES`.
        axis: along which the sum runs.

    Returns:
        the shape of `q`.
    """
    table, levels, octaves, logarithms = (np.array(tables[name], np.int64) for name in TABLES)
    distance = q.max(axis=axis, keepdims=True) - q
    total = table[distance].sum(axis=axis, keepdims=True)
    octave = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
    fraction = (total << (_FRACTION_BITS - octave)) - (1 << _FRACTION_BITS)
    rest_bits = _FRACTION_BITS - _SEGMENT_BITS
    segment, rest = fraction >> rest_bits, fraction & ((1 << rest_bits) - 1)
    step = logarithms[segment + 1] - logarithms[segment]
    inside = logarithms[segment] + ((step * rest + (1 << (rest_bits - 1))) >> rest_bits)
    return np.asarray(-(levels[distance] + octaves[octave] + inside))
