"""Sums, products and selections, by the bits that they take."""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from actc.approx.slope_sets import digit_count
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.hdl import operators as op

SUMS = (op.Add, op.Subtract, op.Negate, op.Multiply)


@dataclass(frozen=True, slots=True)
class Sum:
    """Sums of sums and products, which synthesis adds up together.

    All rows but two go through levels of full adders, the last two through one adder
    with a carry chain.

    Attributes:
        width: bits of the result that are read.
        rows: the wires that are added.
        constants: how many constants are added.
        products: operands of each product of two variables.
    """

    width: int
    rows: tuple[Wire, ...]
    constants: int
    products: tuple[tuple[Wire, Wire], ...]

    @property
    def product_bits(self) -> int:
        """Partial products."""
        return sum(a.width * b.width for a, b in self.products)

    @property
    def row_count(self) -> int:
        """Numbers to add, with the partial products."""
        partial = sum(min(a.width, b.width) for a, b in self.products)
        return len(self.rows) + self.constants + partial

    @property
    def adder_bits(self) -> int:
        """Bits of the carry chain: from the second lowest beginning of a row on."""
        zeros = sorted(
            [trailing_zeros(row) for row in self.rows]
            + [trailing_zeros(a) + trailing_zeros(b) for a, b in self.products] * 2
            + [0] * self.constants
        )
        return max(self.width - zeros[min(1, len(zeros) - 1)], 0)

    def compressor_bits(self, product_rows: int) -> int:
        """Bits of rows beyond the last two, where a product counts as so many rows."""
        surplus = len(self.rows) + product_rows * len(self.products) - 2
        narrow = sorted(row.width - trailing_zeros(row) for row in self.rows)
        extra = max(surplus - len(narrow), 0) * self.width
        return sum(narrow[: max(surplus, 0)]) + extra

    @property
    def levels(self) -> float:
        """Full adders in a row: each level turns three numbers into two."""
        return math.log(max(self.row_count, 2) / 2) / math.log(1.5)


def collect_sum(root: Wire, readers: Counter[int], width: int) -> tuple[Sum, set[int]]:
    """The sum that ends at `root`, and the indices of the wires inside it.

    Args:
        readers: how many wires and ports read each wire.
        width: how many of its lowest bits are read.
    """
    rows: list[Wire] = []
    products: list[tuple[Wire, Wire]] = []
    constants = 0
    inside: set[int] = set()
    pending = [root]
    while pending:
        wire = pending.pop()
        if wire is not root and not (isinstance(wire.operator, SUMS) and readers[wire.index] == 1):
            constants += wire.value is not None
            rows += [wire] if wire.value is None else []
            continue
        inside.add(wire.index)
        if not isinstance(wire.operator, op.Multiply):
            pending += wire.operands
            continue
        first, second = wire.operands
        factor = first.value if first.value is not None else second.value
        if factor is None:
            products.append((first, second))
        else:
            variable = second if first.value is not None else first
            rows += [variable] * digit_count(factor)
    return Sum(width, tuple(rows), constants, tuple(products)), inside


def trailing_zeros(wire: Wire) -> int:
    """Bits at the end of a wire that are always 0."""
    kind, operands = wire.operator, wire.operands
    if isinstance(kind, op.Constant):
        return _zeros([kind.value], wire.width)
    if isinstance(kind, op.Lookup):
        return _zeros(kind.values, wire.width)
    if isinstance(kind, op.ShiftLeft):
        return kind.amount + trailing_zeros(operands[0])
    if isinstance(kind, op.Multiply):
        return sum(map(trailing_zeros, operands))
    if isinstance(kind, op.Select):
        return min(map(trailing_zeros, operands[1:]))
    if isinstance(kind, (op.Add, op.Subtract, op.Negate, op.Narrow)):
        return min(map(trailing_zeros, operands))
    return 0


def _zeros(values: Sequence[int], width: int) -> int:
    union = 0
    for value in values:
        union |= value
    return (union & -union).bit_length() - 1 if union else width


def select_tables(wire: Wire, lut_inputs: int, width: int) -> int:
    """Look-up tables of the lowest `width` bits of a selection between numbers, at least.

    A bit is a function of the index and of the different bits that it may be; a
    function of m inputs needs (m - 1) / (k - 1) tables of k inputs or more.
    """
    index, options = wire.operands[0], wire.operands[1:]
    options = options[index.range.low : index.range.high + 1]
    tables = 0
    for bit in range(width):
        sources = {_source(option, bit) for option in options}
        variables = len(sources - _CONSTANTS) + index.width
        if len(sources) > 1:
            tables += -(-(variables - 1) // (lut_inputs - 1))
    return tables


def choice_bits(wire: Wire) -> int:
    """Bits in which the options of a selection can differ."""
    values = [option.value for option in wire.operands[1:]]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return wire.width
    ever = functools.reduce(operator.or_, known)
    always = functools.reduce(operator.and_, known)
    return (ever ^ always).bit_count()


_CONSTANTS = {(-1, 0), (-1, 1)}


def _source(wire: Wire, bit: int) -> tuple[int, int]:
    """The wire and place that a bit comes from, inverted or not; or -1 and the constant."""
    bit = min(bit, wire.width - 1) if wire.signed else bit
    kind = wire.operator
    if isinstance(kind, op.Constant):
        return -1, kind.value >> bit & 1
    if bit >= wire.width:
        return -1, 0
    if isinstance(kind, op.ShiftLeft):
        return _source(wire.operands[0], bit - kind.amount) if bit >= kind.amount else (-1, 0)
    if isinstance(kind, op.ShiftRight):
        return _source(wire.operands[0], bit + kind.amount)
    if isinstance(kind, op.Bits):
        return _source(wire.operands[0], bit + kind.low)
    if isinstance(kind, op.Narrow):
        return _source(wire.operands[0], bit)
    if isinstance(kind, op.Invert):
        found = _source(wire.operands[0], bit)
        return (-1, 1 - found[1]) if found in _CONSTANTS else found
    return wire.index, bit
