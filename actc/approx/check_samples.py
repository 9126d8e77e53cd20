"""The points that a certificate of lines speaks of; for :mod:`actc.approx.checker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import Array, Malformed, integer, listed, number

MOST_POINTS = 2**24
"""A certificate that asks for more samples is an attack on memory, not a fit."""
_TAIL_PARTS = 256
_MOST_OCTAVES = 64
_ALLOWED = {"float32": 2.0**-23, "float64": 2.0**-44}
"""In a tail, the error counts beyond this part of the value: its last place."""


class CheckSamples:
    """A core of equidistant points, and perhaps tails beyond it.

    Raises:
        Malformed: the certificate cannot be read.
    """

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        precision = certificate["precision"]
        if not isinstance(precision, str) or precision not in _ALLOWED:
            raise Malformed(f"the precision is not one of {', '.join(_ALLOWED)}")
        dtype, self._allowed = np.dtype(precision), _ALLOWED[precision]
        lo, hi = (float(number(certificate[key], key)) for key in ("lo", "hi"))
        points = integer(certificate["points"], 2, MOST_POINTS, "points")
        tails = listed(certificate.get("tails", [0, 0]), "the tails")
        if not lo <= hi or len(tails) != 2:  # one point, where the ends are the same
            raise Malformed("the samples have no two ends")
        left, right = tails
        core = np.linspace(lo, hi, points).astype(dtype).astype(np.float64)
        if not np.isfinite(core).all():
            raise Malformed(f"the samples are not finite in {precision}")
        self._ends = float(core.min()), float(core.max())
        beyond = (
            np.concatenate([-_tail(-lo, left), _tail(hi, right)]).astype(dtype).astype(np.float64)
        )
        self.x: Array = np.unique(np.concatenate([core, beyond]))

    def in_core(self, x: Array) -> npt.NDArray[np.bool_]:
        """Whether points are no tail's."""
        low, high = self._ends
        found: npt.NDArray[np.bool_] = (x >= low) & (x <= high)
        return found

    def allowance(self, x: Array, y: Array) -> Array:
        """The part of the error at `x`, where the value is `y`, that does not count."""
        return np.where(self.in_core(x), 0.0, self._allowed * np.abs(y))


def _tail(start: float, octaves: object) -> Array:
    """Points beyond `start`, 256 per octave."""
    octaves = integer(octaves, 0, _MOST_OCTAVES, "the octaves of a tail")
    if octaves and not start > 0:
        raise Malformed("a tail begins away from zero")
    part = 1 + np.arange(1, _TAIL_PARTS + 1) / _TAIL_PARTS
    points: Array = np.multiply.outer(start * 2.0 ** np.arange(octaves), part).ravel()
    return points
