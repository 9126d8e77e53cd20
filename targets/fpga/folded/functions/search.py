"""How many of a channel's thresholds a total reaches, by a balanced search."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.hdl import Wire


def reached(total: Wire, thresholds: Sequence[Wire]) -> Wire:
    """How many of 2**n - 1 increasing thresholds a total reaches.

    One comparison for each bit, with the threshold that the bits before choose.
    """
    graph, bits = total.graph, len(thresholds).bit_length()
    if not bits:
        return graph.constant(0)
    found: list[Wire] = []
    for bit in range(bits - 1, -1, -1):
        own = thresholds[(1 << bit) - 1 :: 2 << bit]
        number = graph.concatenate(*((each, 1) for each in found)) if found else graph.constant(0)
        found.append(total >= graph.select(number, own))
    return graph.concatenate(*((each, 1) for each in found)).named("segment")
