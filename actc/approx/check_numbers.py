"""Values of certificates, as the checkers read them: each of exactly its type.

What another program could read otherwise is refused: a number as a text, true in the place of 1,
65536.0 in the place of 65536, digits that a float cannot hold, spaces in bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Evaluate = Callable[[Array], Array]

SLACK = Fraction(1, 2**44)
"""Of a function's largest value: how far two mathematical libraries may be apart."""
TIGHT = 1 + Fraction(1, 10**9)
"""A claimed error that is not attained up to this ratio is wrong too."""


_MOST_DIGITS = 40


class Malformed(ValueError):
    """A certificate that cannot be read; the message is a sentence."""


def require_keys(
    found: Mapping[Any, Any], wanted: Collection[str], what: str, optional: Collection[str] = ()
) -> None:
    """Refuse missing and unknown keys.

    Raises:
        Malformed: there are some.
    """
    missing = sorted(set(wanted) - set(found))
    unknown = len(set(found) - set(wanted) - set(optional))
    if missing or unknown:
        problem = f"lacks {missing[0]!r}" if missing else f"has {unknown} unknown keys"
        raise Malformed(f"{what} {problem}")


def integer(value: object, low: int, high: int, what: str) -> int:
    """A whole number in low..high.

    Raises:
        Malformed: it is none.
    """
    if type(value) is not int or not low <= value <= high:
        raise Malformed(f"{what} is not a whole number in {low}..{high}")
    return value


def real(text: object, what: str) -> float:
    """A number, or an infinity, as `float.hex` writes it.

    Raises:
        Malformed: it is none.
    """
    try:
        if not isinstance(text, str) or len(text) > _MOST_DIGITS:
            raise ValueError
        value = float.fromhex(text)
        if math.isnan(value) or value.hex() != text:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{what} is not a hexadecimal float") from error
    return value


def number(text: object, what: str) -> Fraction:
    """A finite number, as `float.hex` writes it.

    Raises:
        Malformed: it is none.
    """
    value = real(text, what)
    if math.isinf(value):
        raise Malformed(f"{what} is not finite")
    return Fraction(value)


def numbers(texts: object, what: str) -> list[Fraction]:
    """A list of finite numbers.

    Raises:
        Malformed: it is none.
    """
    return [number(text, f"one of {what}") for text in listed(texts, what)]


def amount(text: object, what: str) -> Fraction:
    """A finite number that is not negative.

    Raises:
        Malformed: it is none.
    """
    value = number(text, what)
    if value < 0:
        raise Malformed(f"{what} is negative")
    return value


def any_amount(text: object, what: str) -> float:
    """A number that is not negative, perhaps infinite.

    Raises:
        Malformed: it is none.
    """
    value = real(text, what)
    if value < 0:
        raise Malformed(f"{what} is negative")
    return value


def listed(value: object, what: str) -> list[Any]:
    """A list.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, list):
        raise Malformed(f"{what} is not a list")
    return value


def octets(text: object, what: str) -> bytes:
    """Bytes as `bytes.hex` writes them.

    Raises:
        Malformed: they are not.
    """
    try:
        if not isinstance(text, str):
            raise ValueError
        found = bytes.fromhex(text)
        if found.hex() != text:
            raise ValueError
    except ValueError as error:
        raise Malformed(f"{what} is not a text of hexadecimal bytes") from error
    return found
