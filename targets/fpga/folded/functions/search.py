"""How many of a channel's thresholds a total reaches, by a balanced search."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.hdl import Wire


def reached(total: Wire, thresholds: Sequence[Wire]) -> tuple[Wire, ...]:
    """Bits of how many of 2**n - 1 increasing thresholds a total reaches, the first bit first.

    One comparison for each bit, with the threshold that the bits before choose.
    """
    bits = len(thresholds).bit_length()
    found: list[Wire] = []
    for bit in range(bits - 1, -1, -1):
        found.append(total >= chosen(found, thresholds[(1 << bit) - 1 :: 2 << bit]))
    return tuple(found)


def chosen(bits: Sequence[Wire], options: Sequence[Wire]) -> Wire:
    """Of 2**n options the one that n bits count to, as choices of two."""
    left = list(options)
    for bit in reversed(bits):
        left = [bit.graph.select(bit, left[at : at + 2]) for at in range(0, len(left), 2)]
    return left[0]
