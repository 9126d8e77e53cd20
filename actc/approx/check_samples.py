"""The points that a certificate of lines speaks of; for :mod:`actc.approx.checker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import Array, number

_TAIL_PARTS = 256
_MOST_OCTAVES = 64
_ALLOWED = {"float32": 2.0**-23, "float64": 2.0**-44}
"""In a tail, the error counts beyond this part of the value: its last place."""


class CheckSamples:
    """A core of equidistant points, and perhaps tails beyond it.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: the certificate is malformed.
    """

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        precision = certificate["precision"]
        dtype = {"float32": np.float32, "float64": np.float64}[precision]
        self._allowed = _ALLOWED[precision]
        lo, hi = (float(number(certificate[key])) for key in ("lo", "hi"))
        left, right = certificate.get("tails", (0, 0))
        core = np.linspace(lo, hi, int(certificate["points"])).astype(dtype).astype(np.float64)
        self._ends = float(core.min()), float(core.max())
        tails = [-_tail(-lo, left), _tail(hi, right)]
        beyond = np.concatenate(tails).astype(dtype).astype(np.float64)
        self.x: Array = np.unique(np.concatenate([core, beyond]))

    def in_core(self, x: Array) -> npt.NDArray[np.bool_]:
        """Whether points are no tail's."""
        low, high = self._ends
        found: npt.NDArray[np.bool_] = (x >= low) & (x <= high)
        return found

    def allowance(self, x: Array, y: Array) -> Array:
        """The part of the error at `x`, where the value is `y`, that does not count."""
        return np.where(self.in_core(x), 0.0, self._allowed * np.abs(y))


def _tail(start: float, octaves: Any) -> Array:
    """Points beyond `start`, 256 per octave."""
    if type(octaves) is not int or not 0 <= octaves <= _MOST_OCTAVES:
        raise ValueError(f"a tail has 0..{_MOST_OCTAVES} octaves")
    if octaves and not start > 0:
        raise ValueError("a tail begins away from zero")
    part = 1 + np.arange(1, _TAIL_PARTS + 1) / _TAIL_PARTS
    points: Array = np.multiply.outer(start * 2.0 ** np.arange(octaves), part).ravel()
    return points
