"""Odd constants that few adders multiply by, and the adders.

Every odd constant is a sum or difference of two multiples that take fewer adders, one of
them shifted (adder graphs: Dempster and Macleod, 1994). All that one and two adders give
are known; three adders: products of these, and these plus or minus a power of two.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.arithmetic import add_at
from actc.targets.fpga.units.terms import signed_digits

Constants: TypeAlias = npt.NDArray[np.int64]

MAX_ADDERS = 3
TOP = 20
"""The largest shift between two operands."""
_MOST = 1 << 36


class Split(NamedTuple):
    """``(left << left_shift) + sign * (right << right_shift)``; one shift is 0."""

    left: int
    left_shift: int
    sign: int
    right: int
    right_shift: int


@functools.cache
def multiples(adders: int) -> Constants:
    """Odd positive constants of so many adders (0..3), increasing."""
    if adders == 0:
        return np.ones(1, np.int64)
    powers = np.int64(1) << np.arange(1, TOP + 1, dtype=np.int64)
    ones = np.unique(np.concatenate([powers - 1, powers + 1]))[1:]
    if adders == 1:
        return ones
    fewer = multiples(adders - 1)[:, None]
    found = np.concatenate(
        [
            np.outer(fewer, ones).ravel(),
            *(part.ravel() for part in (fewer * powers + 1, fewer * powers - 1)),
            *(part.ravel() for part in (fewer + powers, np.abs(fewer - powers))),
        ]
    )
    found = np.unique(found[(found > 1) & (found < _MOST)])
    kept: Constants = found
    for count in range(adders):
        kept = np.setdiff1d(kept, multiples(count), assume_unique=True)
    return kept


def adders_of(constant: int) -> int:
    """Adders of an odd constant, as :func:`split` adds it up."""
    if constant == 1:
        return 0
    for adders in range(1, MAX_ADDERS + 1):
        if _is_multiple(constant, adders):
            return adders
    return len(signed_digits(constant)) - 1


def split(constant: int) -> Split:
    """How an odd constant > 1 is added up, by as few adders as are known."""
    for adders in range(1, MAX_ADDERS + 1):
        if _is_multiple(constant, adders):
            found = _split(constant, multiples(adders - 1))
            if found is not None:
                return found
    # beyond the known ones: the last signed digit apart
    last = signed_digits(constant)[-1]
    rest = constant - last.sign
    shift = (rest & -rest).bit_length() - 1
    return Split(rest >> shift, shift, last.sign, 1, 0)


def _is_multiple(constant: int, adders: int) -> bool:
    known = multiples(adders)
    place = int(np.searchsorted(known, constant))
    return place < len(known) and int(known[place]) == constant


def _split(constant: int, fewer: Constants) -> Split | None:
    """A split into 1 and one of `fewer`, or into one of `fewer` twice."""
    known = set(fewer.tolist())
    for shift in range(1, TOP + 1):
        power = 1 << shift
        for sign in (1, -1):
            rest = constant - sign
            if rest % power == 0 and rest >> shift in known:
                return Split(rest >> shift, shift, sign, 1, 0)
            factor = power + sign
            if constant % factor == 0 and constant // factor in known:
                return Split(constant // factor, shift, sign, constant // factor, 0)
        if constant - power in known:
            return Split(1, shift, 1, constant - power, 0)
        if power - constant in known:
            return Split(1, shift, -1, power - constant, 0)
        if constant + power in known:
            return Split(constant + power, 0, -1, 1, shift)
    return None


def multiple(x: Wire, constant: int) -> Wire:
    """``x * constant`` by adders, for an odd positive constant."""
    if constant == 1:
        return x
    part = split(constant)
    left, right = multiple(x, part.left), multiple(x, part.right)
    if part.sign > 0:
        total = add_at(right, left, part.left_shift)
    elif part.left_shift:
        total = (left << part.left_shift) - right
    else:
        total = subtract_at(left, right, part.right_shift)
    return total.narrow(x.range * Range(constant, constant), f"{constant} times a wire")


def multiple_plus(x: Wire, constant: int, more: int) -> Wire:
    """``x * constant + more``; a `more` below the last shift costs no adder of its own."""
    if more == 0:
        return multiple(x, constant)
    exact = (x.range * Range(constant, constant)).plus(more)
    reason = f"{constant} times a wire, and a constant"
    part = split(constant) if constant > 1 else None
    if part is not None and 0 < more < 1 << part.left_shift:
        left, right = multiple(x, part.left), multiple(x, part.right)
        word = beside(left, more, part.left_shift)
        total = word + right if part.sign > 0 else word - right
        return total.narrow(exact, reason)
    zeros = (more & -more).bit_length() - 1
    return add_at(multiple(x, constant), x.graph.constant(more >> zeros), zeros).narrow(
        exact, reason
    )


def beside(high: Wire, low: int, count: int) -> Wire:
    """``high * 2**count + low`` for a constant of `count` bits: no adder."""
    graph = high.graph
    whole = high.bits(0, high.width)
    word = graph.concatenate((whole, high.width), (graph.constant(low), count))
    return word.bits(0, high.width + count, signed=high.signed)


def subtract_at(total: Wire, row: Wire, place: int) -> Wire:
    """``total - row * 2**place``; the bits of `total` below the place need no adder."""
    high = (total >> place) - row
    whole = high.bits(0, high.width)
    word = total.graph.concatenate((whole, high.width), (total.bits(0, place), place))
    return word.bits(0, high.width + place, signed=high.signed)
