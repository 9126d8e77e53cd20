"""Integers of many bits as limbs: number = sum of limb * 2^(20 * place), the lowest limb first.

Limbs are signed and within 2^19, so that products of two, and thousands of their sums, stay
within int64 (carry-save arithmetic: carries are taken once, at the end).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LIMB_BITS = 20
MOST_LIMBS = 48
"""Limbs of one number: float64, which guesses where it changes its sign, holds 2^1023."""
PLACES = 3
"""Limbs of sums below 2^62; the last takes what is left."""

_HALF = 1 << (LIMB_BITS - 1)
_BASE = 1 << LIMB_BITS


def limb_count(number: int) -> int:
    """Limbs that every number up to `number` in magnitude fits."""
    return max(-(-(abs(number).bit_length() + 1) // LIMB_BITS), 1)


def limbs_of(number: int, count: int) -> list[int]:
    """The limbs of a number, lowest first.

    Raises:
        OverflowError: it does not fit.
    """
    found = []
    for _ in range(count):
        limb = (number + _HALF) % _BASE - _HALF
        found.append(limb)
        number = (number - limb) >> LIMB_BITS
    if number:
        raise OverflowError(f"a number has more than {count} limbs")
    return found


def limbs(numbers: Iterable[int], count: int) -> Array:
    """Numbers as limbs: int64 [n, count].

    Raises:
        OverflowError: one does not fit.
    """
    return np.array([limbs_of(number, count) for number in numbers], np.int64)


def moved(number: int, places: int, count: int) -> Array:
    """A number times 2^(20 * place) for each place: int64 [places, count].

    Raises:
        OverflowError: the last does not fit.
    """
    return limbs((number << (LIMB_BITS * place) for place in range(places)), count)
