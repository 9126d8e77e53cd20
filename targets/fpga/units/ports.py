"""What all units share: their ports, and the position that tables are addressed by."""

from __future__ import annotations

from actc.approx.fixed_point import FixedPoint
from actc.targets.fpga.hdl import Graph, Range, Wire
from actc.targets.fpga.units.options import UnitOptions


def input_port(format: FixedPoint) -> Wire:
    """The port `x` of a new graph: codes of `format`."""
    return Graph().input("x", Range(format.low, format.high))


def position(x: Wire, format: FixedPoint) -> Wire:
    """``x - lowest code``, unsigned: for signed formats x with its first bit inverted."""
    if not format.signed:
        return x
    top = x.bits(format.bits - 1, 1) ^ 1
    rest = format.bits - 1
    if rest == 0:
        return top.named("i")
    return x.graph.concatenate((top, 1), (x.bits(0, rest), rest)).named("i")


def table(address: Wire, values: list[int], options: UnitOptions) -> Wire:
    """``values[address]`` where the options say; from memory one clock later."""
    entry = address.graph.lookup(address, values, memory=options.lookup == "memory")
    return delayed(entry, options)


def delayed(wire: Wire, options: UnitOptions) -> Wire:
    """`wire` as late as what comes from tables."""
    return wire.register() if options.lookup == "memory" and wire.value is None else wire
