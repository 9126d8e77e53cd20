"""Constants as signed digits."""

from __future__ import annotations

from functools import cache

_MANY = 6
"""Constants of more digits are only taken in their canonical form."""

Digit = tuple[int, int]
"""Place, and sign 1 or -1."""


def digit_count(value: int) -> int:
    """The fewest signed digits that make a constant."""
    magnitude = abs(value)
    return (magnitude ^ 3 * magnitude).bit_count()


@cache
def canonical_digits(value: int) -> tuple[Digit, ...]:
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
    return tuple(digits)


@cache
def minimal_digits(value: int) -> tuple[Digit, ...]:
    """Every digit that some form of a constant with the fewest digits has, in order.

    3 is 2 + 1 and 4 - 1, so its digits are 1, -1, 2 and 4 (Park and Kang, "Digital filter
    synthesis based on minimal signed digit representation", 2001).
    """
    if value == 0:
        return ()
    if digit_count(value) > _MANY:
        return canonical_digits(value)
    if value & 1 == 0:
        return tuple((place + 1, sign) for place, sign in minimal_digits(value >> 1))
    found: set[Digit] = set()
    for sign in (1, -1):
        if digit_count(value - sign) < digit_count(value):
            found |= {(0, sign), *minimal_digits(value - sign)}
    return tuple(sorted(found))


@cache
def minimal_pairs(value: int) -> tuple[tuple[Digit, Digit], ...]:
    """Every two digits that some form with the fewest digits has together, in order."""
    return tuple(
        (first, second)
        for first in minimal_digits(value)
        for second in minimal_digits(value - (first[1] << first[0]))
        if first < second
    )
