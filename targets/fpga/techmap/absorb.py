"""Look-up tables in front of carry chains of ECP5, taken into the tables of the chains.

A place of a chain has a table of four inputs, of which a sum uses two. Where one of these
comes from a look-up table of two inputs (or three, if the tables agree) that nothing else
reads, the place reads those instead. The carry of a place, where its table is 0, is a
function of its first two inputs: there the operands follow from each other, so that it is
made from the other operand alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from actc.targets.fpga.techmap.ecp5_cells import (
    PINS,
    Bit,
    Module,
    Pin,
    Readers,
    inputs,
    number,
    set_number,
)

_MOST = 3
"""Inputs of a look-up table beside the other operand."""


def absorb_tables(module: Module) -> None:
    """Take look-up tables into the places of carry chains, where all their readers are such."""
    readers, cells = Readers(module), module["cells"]
    taken: set[tuple[str, str]] = set()  # the tables of a place follow from its inputs no more
    for name in [name for name, cell in cells.items() if cell["type"] == "LUT4"]:
        net = cells[name]["connections"]["Z"][0]
        pins = readers.of(net)
        if not pins or any((pin.cell, pin.port[1:]) in taken for pin in pins):
            continue
        changes = {pin: _changed(cells[pin.cell], pin, cells[name]) for pin in pins}
        if None in changes.values():
            continue
        for pin, change in changes.items():
            assert change is not None
            readers.forget(pin.cell, cells[pin.cell])
            change.make(cells[pin.cell], pin.port[1])
            readers.learn(pin.cell, cells[pin.cell])
            taken.add((pin.cell, pin.port[1:]))
        readers.forget(name, cells.pop(name))


@dataclass(frozen=True, slots=True)
class _Change:
    """The inputs and the INIT of a place."""

    bits: tuple[Bit, ...]
    init: int

    def make(self, cell: dict[str, Any], half: str) -> None:
        for pin, bit in zip(PINS, self.bits, strict=True):
            cell["connections"][pin + half] = [bit]
        set_number(cell, f"INIT{half}", self.init)


@dataclass(frozen=True, slots=True)
class _Operands:
    """What a place does with two operands, one of which is another table's output.

    Attributes:
        total: (other operand, output) -> its table, the sum without the carry.
        carry: the same -> the carry out where its table is 0.
    """

    total: Mapping[tuple[int, int], int]
    carry: Mapping[tuple[int, int], int]


def _changed(cell: dict[str, Any], pin: Pin, table: dict[str, Any]) -> _Change | None:
    """A place with a look-up table in it; None if that is not possible."""
    if cell["type"] != "CCU2C" or pin.port[0] not in "AB":
        return None
    half = pin.port[1]
    a, b, c, d = (cell["connections"][name + half][0] for name in PINS)
    if (c, d) != ("1", "1") or a == b:
        return None
    place = _operands(number(cell, f"INIT{half}"), pin.port[0])
    bits = inputs(table)
    used = [index for index, bit in enumerate(bits) if bit not in ("0", "1")]
    if len(used) > _MOST or "x" in bits:
        return None
    own = number(table, "INIT")
    fixed = sum((bit == "1") << index for index, bit in enumerate(bits))
    for order in permutations(used):
        outputs = {
            values: own >> (fixed | sum(v << i for v, i in zip(values, order, strict=True))) & 1
            for values in product((0, 1), repeat=len(order))
        }
        init = _joined(place, outputs)
        if init is not None:
            ones = ["1"] * (_MOST - len(order))
            other = b if pin.port[0] == "A" else a
            return _Change((other, *(bits[index] for index in order), *ones), init)
    return None


def _operands(init: int, absorbed: str) -> _Operands:
    pairs = list(product((0, 1), (0, 1)))
    index = {(k, x): (x + 2 * k if absorbed == "A" else k + 2 * x) for k, x in pairs}
    return _Operands(
        {pair: init >> (12 + index[pair]) & 1 for pair in pairs},
        {pair: init >> index[pair] & 1 for pair in pairs},
    )


def _joined(place: _Operands, outputs: Mapping[tuple[int, ...], int]) -> int | None:
    """INIT with the other operand at A and a table's inputs behind it, those not used at 1.

    Its low four bits are LUT2(A, B), the carry where the table is 0. With three inputs they
    are part of the table as well.
    """
    init = 0
    carries: dict[int, int] = {}
    free = True
    for other, (values, output) in product((0, 1), outputs.items()):
        pins = [other, *values, *[1] * (_MOST - len(values))]
        index = sum(value << pin for pin, value in enumerate(pins))
        total = place.total[other, output]
        init |= total << index
        free = free and index > 3
        carry = place.carry[other, output]
        if not total and carries.setdefault(index & 3, carry) != carry:
            return None
    if free:
        return init | sum(carry << index for index, carry in carries.items())
    agree = all(init >> index & 1 == carry for index, carry in carries.items())
    return init if agree else None
