"""The sum behind piecewise-linear and polynomial forms: ``(c + a t + ...) >> shift``.

The form fixes the outputs, not the datapath. What makes it small:

- Any constant that leaves all outputs of a segment as they are is as good as the
  form's. Those with the most zeros at the end are taken; common zeros are not added.
- Coefficients multiply as sums of few shifted operands, chosen per segment.
- The sum is needed modulo two to the power of the output's bits and the shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actc.approx.fixed_point import Codes
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.arithmetic import add_at
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.selectors import Selector
from actc.targets.fpga.units.terms import terms


@dataclass(frozen=True)
class Product:
    """A coefficient of each segment times an operand.

    Attributes:
        operand: the wire, as late as what a selector picks.
        values: int64, its value at each position of the input.
        coefficients: of each segment, not all zero.
    """

    operand: Wire
    values: Codes
    coefficients: list[int]

    def sums(self, starts: Sequence[int]) -> Codes:
        """int64, of each position: coefficient times operand."""
        column = np.array(self.coefficients, np.int64)
        return np.repeat(column, np.diff([*starts, len(self.values)])) * self.values


class Row(NamedTuple):
    """``wire * 2**place``."""

    wire: Wire
    place: int


@dataclass(frozen=True)
class Constants:
    """The constants of each segment that leave its outputs as they are.

    Attributes:
        low, high: of each segment; Python integers.
    """

    low: list[int]
    high: list[int]

    @classmethod
    def of(cls, sums: Codes, outputs: Codes, starts: Sequence[int], shift: int) -> Constants:
        """All c with ``(sum + c) >> shift == output``.

        Args:
            sums, outputs: int64, of each position.
            starts: first position of each segment.

        Raises:
            ValueError: a segment has none.
        """
        least = np.maximum.reduceat((outputs << shift) - sums, starts)
        most = np.minimum.reduceat(((outputs + 1) << shift) - 1 - sums, starts)
        if np.any(least > most):
            raise ValueError("no constant gives the outputs of a segment")
        return cls(least.tolist(), most.tolist())

    def moved(self, corrections: Sequence[int]) -> Constants:
        """The constants plus something in each segment."""
        return Constants(
            [low + more for low, more in zip(self.low, corrections, strict=True)],
            [high + more for high, more in zip(self.high, corrections, strict=True)],
        )

    def roundest(self) -> list[int]:
        """Of each segment the constant with the most zeros at its end."""
        return [_roundest(low, high) for low, high in zip(self.low, self.high, strict=True)]


def _roundest(low: int, high: int) -> int:
    if low <= 0 <= high:
        return 0
    zeros = 0
    while high >> (zeros + 1) << (zeros + 1) >= low:
        zeros += 1
    return high >> zeros << zeros


def rounded_sum(
    products: Sequence[Product],
    starts: Sequence[int],
    outputs: Codes,
    shift: int,
    selector: Selector,
    options: UnitOptions,
) -> Wire:
    """``(products + c) >> shift`` with a constant c for each segment.

    Args:
        products: any number.
        starts: first position of each segment.
        outputs: int64, of each position; some constants give them.
        selector: picks what belongs to the segment.

    Raises:
        ValueError: no constants give the outputs.
    """
    sums = np.zeros_like(outputs)
    for product in products:
        sums += product.sums(starts)
    zeros = min((common_zeros(p.coefficients, shift) for p in products), default=shift)
    # the products have no bits at the last places, so floors pass through the sum
    constants = Constants.of(sums >> zeros, outputs, starts, shift - zeros)
    rows: list[Row] = []
    for product in products:
        more, corrections = _multiplied(product, zeros, selector, options)
        rows += more
        constants = constants.moved(corrections)
    width = Range.of(outputs.tolist()).width
    total = _total(rows, constants.roundest(), shift - zeros, width, selector)
    return total.bits(0, width, signed=bool(outputs.min() < 0)).named("value")


def _multiplied(
    product: Product, zeros: int, selector: Selector, options: UnitOptions
) -> tuple[list[Row], list[int]]:
    """Rows whose sum is the product without its last zeros, less what constants must add."""
    column = [coefficient >> zeros for coefficient in product.coefficients]
    corrections = [0] * len(column)
    if options.multiplier == "multiply":
        return [Row(product.operand * selector.pick(column).named("coefficient"), 0)], corrections
    rows = []
    for term in terms(column, options.multiplier):
        rows.append(Row(term.wire(product.operand, selector).named("term"), term.place))
        corrections = [a + b for a, b in zip(corrections, term.corrections(), strict=True)]
    return rows, corrections


def _total(
    rows: Sequence[Row], constants: Sequence[int], shift: int, width: int, selector: Selector
) -> Wire:
    """Rows and constants modulo 2**(width + shift), without the last `shift` bits."""
    zeros = common_zeros(constants, shift)
    bits = width + shift
    half = 1 << (bits - 1)
    reduced = [((value + half) % (2 * half) - half) >> zeros for value in constants]
    constant = selector.pick(reduced).named("constant")
    if not rows:
        return constant >> (shift - zeros)
    first, *rest = rows
    total = first.wire << first.place
    for row in rest:
        total = add_at(total, row.wire, row.place).bits(0, bits, signed=True)
    # what the constants have no bits for passes below the last adder
    return ((total >> zeros) + constant) >> (shift - zeros)


def common_zeros(values: Sequence[int], most: int) -> int:
    """Zero bits that all values end with, `most` at most."""
    union = 0
    for value in values:
        union |= value
    return min((union & -union).bit_length() - 1, most) if union else most
