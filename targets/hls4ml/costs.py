"""What functions cost in hardware: estimates in LUTs of six inputs, by which forms are chosen.

One element is counted. The rates are round numbers, not fits: forms that differ by less than a
third may be taken for each other.
"""

from __future__ import annotations

_ROM_BITS = 64
"""Bits of a table that one LUT holds."""
_COMPARED_BITS = 2
"""Bits of a comparison in one LUT, with its carry chain."""
_SELECTED = 4
"""Bits that one LUT chooses one of."""
_MULTIPLIER = 80
"""LUTs that a hard multiplier counts."""
_FACTORS = 25, 18
"""Bits of the factors of one hard multiplier, signed, the wider one first."""


def memory(bits: int) -> float:
    """A table."""
    return bits / _ROM_BITS


def comparison(width: int) -> float:
    """Of numbers of `width` bits."""
    return width / _COMPARED_BITS


def addition(width: int) -> float:
    """Of numbers of `width` bits."""
    return float(width)


def product(first: int, second: int) -> float:
    """Of numbers of `first` and `second` bits."""
    wide, narrow = max(first, second), min(first, second)
    return float(_MULTIPLIER * -(-wide // _FACTORS[0]) * -(-narrow // _FACTORS[1]))


def shift(width: int, ways: int) -> float:
    """By one of some numbers of places, or nothing at all.

    Args:
        width: of the result.
        ways: how many numbers of places there are.
    """
    levels = 0
    while _SELECTED**levels < ways + 1:
        levels += 1
    return float(width * levels)


def search(depth: int, width: int) -> float:
    """Up to 2**depth - 1 limits of `width` bits, and a step and a register for each of its bits."""
    return depth * (comparison(width) + width) + memory(width << depth)
