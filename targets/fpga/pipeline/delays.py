"""Delays of operators: how many look-up tables and carries a signal passes, in ns.

Carry chains and look-up tables are counted as yosys 0.70 maps them: additions and
comparisons by order to carry chains, everything else to look-up tables. Wires that are
parts of others, put side by side or inverted take no time.
"""

from __future__ import annotations

from functools import singledispatch
from math import ceil, log2

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.expressions import first_bit
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.pipeline.timing import Timing

_MERGED = 0.5
"""Levels of a gate of two inputs behind look-up tables, most of which take it in."""


def delay(wire: Wire, timing: Timing) -> float:
    """From the operands of a wire to its value, with the wires to it, ns; 0 if free."""
    return _delay(wire.operator, wire, timing)


@singledispatch
def _delay(operator: op.Operator, wire: Wire, timing: Timing) -> float:
    raise NotImplementedError(type(operator).__name__)


@_delay.register(op.Input)
@_delay.register(op.Constant)
@_delay.register(op.Bits)
@_delay.register(op.Concatenate)
@_delay.register(op.Narrow)
@_delay.register(op.ShiftLeft)
@_delay.register(op.ShiftRight)
@_delay.register(op.Invert)
@_delay.register(op.Register)
def _(operator: op.Operator, wire: Wire, timing: Timing) -> float:
    return 0.0


@_delay.register(op.Add)
@_delay.register(op.Subtract)
@_delay.register(op.Negate)
def _(operator: op.Operator, wire: Wire, timing: Timing) -> float:
    return chain(_chain_bits(wire), timing)


@_delay.register
def _(operator: op.Compare, wire: Wire, timing: Timing) -> float:
    if operator.kind in ("<", ">="):
        return chain(_chain_bits(wire), timing)
    first, second = wire.operands
    width = first.range.hull(second.range).width
    inputs = width if first.value is not None or second.value is not None else 2 * width
    return gate(inputs, timing)


@_delay.register
def _(operator: op.Reaches, wire: Wire, timing: Timing) -> float:
    last = (operator.bound & -operator.bound).bit_length() - 1
    return gate(max(wire.operands[0].width - last, 1), timing)


@_delay.register
def _(operator: op.Logic, wire: Wire, timing: Timing) -> float:
    soft = any(isinstance(o.operator, (op.Logic, op.Reaches)) for o in wire.operands)
    return timing.level * (_MERGED if soft else 1.0)


@_delay.register
def _(operator: op.Select, wire: Wire, timing: Timing) -> float:
    return tree(wire.operands[0].range.high.bit_length(), timing)


@_delay.register
def _(operator: op.Lookup, wire: Wire, timing: Timing) -> float:
    if operator.memory:
        return timing.memory_setup
    return table(wire.operands[0].width, timing)


@_delay.register
def _(operator: op.Saturate, wire: Wire, timing: Timing) -> float:
    return chain(_chain_bits(wire), timing) + timing.level


@_delay.register
def _(operator: op.Multiply, wire: Wire, timing: Timing) -> float:
    if operator.hard:
        return timing.multiply
    widths = sorted(operand.width for operand in wire.operands)
    known = next((operand.value for operand in wire.operands if operand.value is not None), None)
    rows = widths[0] if known is None else max(abs(known).bit_count(), 1)
    # carry-save adders of look-up tables, two levels each, take three rows to two
    savers = ceil(log2(rows / 2) / log2(1.5)) if rows > 2 else 0
    rows_made = timing.level if known is None else 0.0
    return rows_made + savers * timing.level + chain(wire.width, timing)


def saving(operand: Wire, wire: Wire, timing: Timing) -> float:
    """How much less than `delay` a wire takes behind an operand of the same stage, ns.

    The carries of two chains run at the same time: a sum's bits come one after the other,
    and the next chain takes them so. Summing them up would charge them twice.
    """
    return timing.carry * min(_ripple(operand), _chain_bits(wire))


def _chain_bits(wire: Wire) -> int:
    """Bits of the carry chain that an operator begins with; 0 for others."""
    operator = wire.operator
    if isinstance(operator, (op.Add, op.Subtract, op.Negate)):
        # zeros at the end of one operand: the other one passes as it is
        idle = trailing_zeros(wire.operands[-1])
        if isinstance(operator, op.Add):
            idle = max(idle, trailing_zeros(wire.operands[0]))
        return max(wire.width - idle, 1)
    if isinstance(operator, op.Saturate):
        return wire.operands[0].width
    if isinstance(operator, op.Compare) and operator.kind in ("<", ">="):
        first, second = wire.operands
        return first.range.hull(second.range).width
    return 0


def _ripple(wire: Wire) -> int:
    """How many carries later than the first bit of a wire its last one comes."""
    lost = 0
    while isinstance(wire.operator, (op.ShiftLeft, op.ShiftRight, op.Bits, op.Narrow, op.Invert)):
        lost += first_bit(wire.operator)
        (wire,) = wire.operands
    sums = isinstance(wire.operator, (op.Add, op.Subtract, op.Negate))
    return max(_chain_bits(wire) - lost, 0) if sums else 0


def chain(width: int, timing: Timing) -> float:
    """A carry chain; single bits are a look-up table."""
    if width == 1:
        return timing.level
    return timing.level + timing.chain + width * timing.carry


def gate(inputs: int, timing: Timing) -> float:
    """An and, an or or alike of some inputs, as a tree of look-up tables."""
    levels = 1
    while timing.lut_inputs**levels < inputs:
        levels += 1
    return levels * timing.level


def tree(bits: int, timing: Timing) -> float:
    """A multiplexer with an index of some bits."""
    if timing.wide_inputs == timing.lut_inputs == 4:
        return bits * timing.level
    # four options and two bits of index are a function of six inputs
    pairs, single = divmod(bits, 2)
    muxes = max(6 - timing.lut_inputs, 0)
    return pairs * (timing.level + muxes * timing.mux) + single * timing.level


def table(bits: int, timing: Timing) -> float:
    """Logic that looks up a table of some address bits."""
    inside = min(bits, timing.wide_inputs)
    muxes = max(inside - timing.lut_inputs, 0)
    return timing.level + muxes * timing.mux + tree(bits - inside, timing)


def trailing_zeros(wire: Wire) -> int:
    """How many low bits of a wire are always 0."""
    zeros = 0
    # chains of registers are longer than Python recurses
    while isinstance(wire.operator, (op.ShiftLeft, op.Narrow, op.Register)):
        zeros += wire.operator.amount if isinstance(wire.operator, op.ShiftLeft) else 0
        (wire,) = wire.operands
    value = wire.value
    return zeros + ((value & -value).bit_length() - 1 if value else 0)


def is_memory(wire: Wire) -> bool:
    """Whether a wire is read from a memory, which takes a clock."""
    return isinstance(wire.operator, op.Lookup) and wire.operator.memory
