"""Lines rounded to the format in which their coefficients are emitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from actc.approx.function import Float64Array
from actc.approx.strip import Samples

Precision = Literal["float32", "float64"]
Line = tuple[float, float]


class Coefficients(NamedTuple):
    """breakpoints float64 [n-1], slopes and intercepts float64 [n], all in the format."""

    breakpoints: Float64Array
    slopes: Float64Array
    intercepts: Float64Array


def round_lines(
    samples: Samples,
    lines: Sequence[Line],
    breaks: Sequence[float],
    precision: Precision,
    *,
    reach: float,
    continuous: bool = False,
) -> Coefficients:
    """Round lines to `precision`.

    The slope is rounded first and the intercept then taken anew: in the middle of the
    residuals (discontinuous), or to keep the value at the middle of the segment
    (continuous), so that the slope's rounding acts over half a segment only. What is
    only float64 noise becomes zero.

    Args:
        lines: slope and intercept of each segment.
        breaks: where segments begin, all but the first.
        reach: largest ``|x|``; slopes that bring only noise up to there become zero.
    """
    dtype, negligible = np.dtype(precision), 4 * samples.noise
    breakpoints = np.asarray(breaks, dtype).astype(np.float64)
    # links so short that their ends round to the same number serve nothing
    kept = np.concatenate([breakpoints[1:] > breakpoints[:-1], [True]])[: len(breakpoints)]
    breakpoints = breakpoints[kept]
    lines = [line for line, keep in zip(lines, [*kept, True], strict=True) if keep]
    edges = np.concatenate([samples.x[:1], breakpoints, samples.x[-1:]])
    starts = [0, *np.searchsorted(samples.x, breakpoints).tolist(), len(samples)]
    slopes, intercepts = [], []
    for index, (slope, intercept) in enumerate(lines):
        rounded = float(np.asarray(slope if abs(slope) * reach > negligible else 0.0, dtype))
        window = slice(starts[index], starts[index + 1])
        if continuous or window.start == window.stop:
            middle = (edges[index] + edges[index + 1]) / 2
            offset = intercept + (slope - rounded) * middle
        else:
            residual = samples.y[window] - rounded * samples.x[window]
            allowed = samples.allowance[window]
            offset = ((residual - allowed).max() + (residual + allowed).min()) / 2
        slopes.append(rounded)
        intercepts.append(float(np.asarray(offset if abs(offset) > negligible else 0.0, dtype)))
    return Coefficients(breakpoints, np.array(slopes), np.array(intercepts))
