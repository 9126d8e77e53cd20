"""Sets of slopes: multiples of a step, and sums of few powers of two."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from actc.approx.fixed_point import Codes


class Slopes(Protocol):
    """A finite or infinite set of integers that holds 0."""

    def between(self, low: int, high: int) -> int | None:
        """A member in [low, high] near the middle; None if there is none."""


@dataclass(frozen=True, slots=True)
class Grid:
    """All multiples of `step` >= 1."""

    step: int = 1

    def between(self, low: int, high: int) -> int | None:
        """A multiple in [low, high] near the middle; None if there is none."""
        middle = (low + high) // 2 // self.step * self.step
        for member in (middle, middle + self.step):
            if low <= member <= high:
                return member
        return None


@dataclass(frozen=True, slots=True)
class SignedDigits:
    """Sums of at most `digits` terms ``+-2**i``, 0 <= i <= `top`."""

    digits: int
    top: int

    def between(self, low: int, high: int) -> int | None:
        """A member in [low, high] near the middle; None if there is none."""
        members = _members(self.digits, self.top)
        first = int(np.searchsorted(members, low))
        last = int(np.searchsorted(members, high, side="right")) - 1
        if first > last:
            return None
        middle = int(np.searchsorted(members, (low + high) // 2))
        return int(members[min(max(middle, first), last)])


@functools.lru_cache(maxsize=64)
def _members(digits: int, top: int) -> Codes:
    """All members in increasing order."""
    if digits == 0:
        return np.zeros(1, np.int64)
    fewer = _members(digits - 1, top)
    powers = np.int64(1) << np.arange(top + 1, dtype=np.int64)
    terms = np.concatenate([-powers, [0], powers])
    return np.unique(fewer[:, None] + terms)


def digit_count(slope: int) -> int:
    """Fewest signed digits of an integer: its non-adjacent form (Reitwiesner, 1960)."""
    size = abs(slope)
    return ((3 * size) ^ size).bit_count()
