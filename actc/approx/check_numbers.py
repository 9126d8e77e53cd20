"""Numbers of certificates, as the checkers read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Evaluate = Callable[[Array], Array]

SLACK = Fraction(1, 2**44)
"""Of a function's largest value: how far two mathematical libraries may be apart."""
TIGHT = 1 + Fraction(1, 10**9)
"""A claimed error that is not attained up to this ratio is wrong too."""


def number(text: str) -> Fraction:
    """A finite hexadecimal float.

    Raises:
        TypeError, ValueError, OverflowError: it is none.
    """
    return Fraction(float.fromhex(text))


def numbers(texts: Sequence[str]) -> list[Fraction]:
    """Finite hexadecimal floats."""
    return [number(text) for text in texts]
