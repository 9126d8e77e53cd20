"""Constants as signed digits."""

from __future__ import annotations


def canonical_digits(value: int) -> list[tuple[int, int]]:
    """The canonical signed digits of an integer: as few as possible, no two side by side.

    Reitwiesner, "Binary arithmetic" (1960).

    Returns:
        (place, sign) of each digit that is not zero, lowest place first.
    """
    digits = []
    place = 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)  # 1 before a zero, -1 before a one
            digits.append((place, sign))
            value -= sign
        value >>= 1
        place += 1
    return digits
