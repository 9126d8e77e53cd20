"""How the error of a rounding depends on its bits."""

from __future__ import annotations

import math
from collections.abc import Mapping

_PER_BIT = 4.0
_TINY = 1e-30


def interpolated(bits: float, measured: Mapping[float, float]) -> float:
    """The mean square error with so many bits, from those that were measured.

    A step of half the size has a quarter of the mean square error (Bennett, "Spectra of
    quantized signals", 1948); beyond the measured bits this law continues the nearest
    one. Between two of them the logarithm of the error is a straight line, so that it
    passes through both, whatever saturation or correlation did to the law.

    Args:
        bits: of the rounding.
        measured: bits -> mean square error, not empty.
    """
    known = sorted(measured)
    if bits in measured:
        return measured[bits]
    if bits < known[0] or bits > known[-1]:
        nearest = known[0] if bits < known[0] else known[-1]
        return measured[nearest] * math.pow(_PER_BIT, nearest - bits)
    below = max(b for b in known if b < bits)
    above = min(b for b in known if b > bits)
    ends = [math.log(max(measured[b], _TINY)) for b in (below, above)]
    share = (bits - below) / (above - below)
    return math.exp(ends[0] + share * (ends[1] - ends[0]))
