"""The curve of one activation site: what the report plots."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SiteCurve:
    """A scalar function and its approximation on one grid of inputs.

    An int8 site has one entry per input code (n = 256); a float site has any
    increasing grid. A per-channel family is a sequence of curves, one per
    channel that is shown. Values that are not finite leave a gap in the plot.

    Attributes:
        x: float64 [n], inputs, increasing.
        original: float64 [n], the model's own function at `x`.
        approximation: float64 [n], what replaced it at `x`.
        histogram: counts float64 [m] and edges float64 [m + 1] of the site's
            input during calibration.
        input_scale: distance of two neighbouring input codes; None for float.
        label: what tells this curve from the others of its site, such as
            "channel 3".

    Raises:
        ValueError: the arrays do not have these shapes.
    """

    x: Floats
    original: Floats
    approximation: Floats
    histogram: tuple[Floats, Floats] | None = None
    input_scale: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        shapes = {np.shape(a) for a in (self.x, self.original, self.approximation)}
        if len(shapes) != 1 or len(np.shape(self.x)) != 1 or len(self.x) < 2:
            raise ValueError(f"x, original and approximation must be alike, [n >= 2]: {shapes}")
        if self.histogram is not None:
            counts, edges = self.histogram
            if np.ndim(counts) != 1 or np.shape(edges) != (len(counts) + 1,):
                raise ValueError("histogram must be counts [m] and edges [m + 1]")

    @property
    def error(self) -> Floats:
        """float64 [n]: approximation minus original; NaN where either is not finite."""
        with np.errstate(invalid="ignore"):
            return finite(self.approximation - self.original)

    def digest(self) -> str:
        """SHA-256 of the functions alone: sites that agree on it share a plot."""
        state = hashlib.sha256(self.label.encode())
        for values in (self.x, self.original, self.approximation):
            state.update(np.ascontiguousarray(values, np.float64).tobytes())
        return state.hexdigest()


def finite(values: Floats) -> Floats:
    """float64 [n]: `values` with NaN for everything that is not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def pooled_histogram(curves: Sequence[SiteCurve]) -> tuple[Floats, Floats] | None:
    """Sum of the histograms, when there are some and all have the same edges."""
    found = [c.histogram for c in curves if c.histogram is not None]
    if not found or not all(np.array_equal(found[0][1], edges) for _, edges in found):
        return None
    return np.sum([counts for counts, _ in found], axis=0, dtype=np.float64), found[0][1]
