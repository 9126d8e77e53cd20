"""What else approximates activations: the peers of benchmarks/approx.py.

Every peer is a function of x in float64; nothing of its hardware's rounding is held
against it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

PWLF_POINTS = 1024
"""pwlf solves a least-squares problem over all points for every candidate."""


def uniform_minimax(x: Array, y: Array, segments: int) -> float:
    """Largest error of the best line on each of so many equal parts of the samples."""
    worst = 0.0
    for part_x, part_y in zip(
        np.array_split(x, segments), np.array_split(y, segments), strict=True
    ):
        worst = max(worst, best_line_error(part_x, part_y))
    return worst


def best_line_error(x: Array, y: Array) -> float:
    """Least largest error of a line: the width of the convex hull between its chains.

    The best line is parallel to an edge of the hull of the samples, and the width over
    the edges of the upper and the lower chain is a convex function of the slope.
    """
    upper, lower = hull(x, y), hull(x, -y)
    falling = np.diff(y[upper]) / np.diff(x[upper])
    rising = np.diff(y[lower]) / np.diff(x[lower])
    slopes = np.concatenate([falling, rising])
    # the vertex of a chain that touches a line: where its slopes pass the line's
    top = np.array(upper)[np.searchsorted(-falling, -slopes)]
    bottom = np.array(lower)[np.searchsorted(rising, slopes)]
    width = (y[top] - slopes * x[top]) - (y[bottom] - slopes * x[bottom])
    return float(width.min()) / 2


def hull(x: Array, y: Array) -> list[int]:
    """Indices of the upper chain of the convex hull (Andrew 1979)."""
    xs, ys = x.tolist(), y.tolist()
    chain: list[int] = []
    for i in range(len(xs)):
        while len(chain) > 1:
            a, b = chain[-2:]
            if (ys[b] - ys[a]) * (xs[i] - xs[a]) > (ys[i] - ys[a]) * (xs[b] - xs[a]):
                break
            chain.pop()
        chain.append(i)
    return chain


def uniform_interpolation(f: Function, x: Array, lo: float, hi: float, segments: int) -> float:
    """Largest error of chords between equidistant knots on the curve."""
    knots = np.linspace(lo, hi, segments + 1)
    return float(np.abs(np.interp(x, knots, f(knots)) - f(x)).max())


def hls4ml_table(f: Function, lo: float, hi: float, size: int = 1024) -> Function:
    """The table of hls4ml 1.3.0 (nnet_utils/nnet_activation.h) over [lo, hi).

    Entry i holds ``f(lo + i (hi - lo) / size)``. The index is ``(int)(x * size / range)``,
    truncated towards zero, plus the offset of zero, and saturates. hls4ml fixes the range:
    [-8, 8) for sigmoid and softplus, [-4, 4) for tanh; its entries are ap_fixed<18,8>,
    here they are not rounded.
    """
    entries = f(lo + np.arange(size) * (hi - lo) / size)

    def evaluate(x: Array) -> Array:
        index = np.trunc(x * size / (hi - lo)) - round(lo * size / (hi - lo))
        found: Array = entries[np.clip(index, 0, size - 1).astype(int)]
        return found

    return evaluate


def i_gelu(x: Array) -> Array:
    """I-BERT's GELU: a polynomial of degree 2 for erf (Kim et al. 2021, equation 8)."""
    a, b = -0.2888, -1.769
    z = x / math.sqrt(2)
    erf = np.sign(z) * (a * (np.minimum(np.abs(z), -b) + b) ** 2 + 1)
    found: Array = x * (1 + erf) / 2
    return found


def i_exp(x: Array) -> Array:
    """I-BERT's exp(-x), x >= 0: degree 2 on one octave and a shift (equation 13)."""
    octaves = np.floor(x / math.log(2))
    rest = -(x - octaves * math.log(2))
    found: Array = (0.3585 * (rest + 1.353) ** 2 + 0.344) * 2.0**-octaves
    return found


def fit_pwlf(f: Function, x: Array, segments: int) -> tuple[float, float] | None:
    """Largest error over `x`, and processor seconds, of pwlf's `fitfast`; None if not installed."""
    try:
        import pwlf
    except ImportError:
        return None
    sparse = np.linspace(x[0], x[-1], PWLF_POINTS)
    start = time.process_time()
    model = pwlf.PiecewiseLinFit(sparse, f(sparse), seed=1)
    model.fitfast(segments)
    seconds = time.process_time() - start
    return float(np.abs(model.predict(x) - f(x)).max()), seconds
