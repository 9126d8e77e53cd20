"""Scalar functions: what the fitters approximate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ModelError

Float64Array = npt.NDArray[np.float64]
Elementwise = Callable[[Float64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """A real function of one real variable, evaluated elementwise in float64.

    Attributes:
        name: for messages and reports.
        elementwise: float64 array -> float64 array of the same shape.
        domain: closed interval outside of which the function continues with the
            value at the nearer end; both ends may be infinite.

    Raises:
        ValueError: the domain is empty or NaN.
    """

    name: str
    elementwise: Elementwise
    domain: tuple[float, float] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        if not self.domain[0] <= self.domain[1]:
            raise ValueError(f"the domain {self.domain} is empty")

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate at `x`; overflow to infinity is a value, NaN is an error.

        Args:
            x: real numbers, any shape, no NaN.

        Returns:
            float64, the shape of `x`.

        Raises:
            ModelError: ACT0303, the function is not a number somewhere in `x`.
        """
        points = np.clip(np.asarray(x, np.float64), *self.domain)
        with np.errstate(all="ignore"):
            values = np.asarray(self.elementwise(points), np.float64)
        values = np.broadcast_to(values, points.shape)
        undefined = np.isnan(values)
        if np.any(undefined):
            raise ModelError(not_a_number(self.name, points[undefined]))
        return values

    def finite(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate at `x` where only finite values can be used.

        Raises:
            ModelError: ACT0303 as :meth:`__call__`; ACT0304, a value is infinite.
        """
        values = self(x)
        infinite = ~np.isfinite(values)
        if np.any(infinite):
            raise ModelError(_infinite(self.name, np.asarray(x, np.float64)[infinite]))
        return values


def not_a_number(name: str, points: Float64Array) -> Diagnostic:
    """ACT0303, of a function at these points."""
    return Diagnostic(
        "ACT0303",
        f"function {name} is not a number at x = {points.flat[0]:.9g}",
        notes=(_where(points),),
        help="calibrate with data that stays inside the function's domain",
    )


def _infinite(name: str, points: Float64Array) -> Diagnostic:
    return Diagnostic(
        "ACT0304",
        f"function {name} is infinite at x = {points.flat[0]:.9g}",
        notes=(_where(points),),
        help="choose a narrower range, or a table, which saturates",
    )


def _where(points: Float64Array) -> str:
    return f"{points.size} of the points asked for, from {points.min():.9g} to {points.max():.9g}"
