"""Plots of activation sites, drawn by matplotlib.

The same curves give the same bytes on every machine: matplotlib's defaults are
restored first, so that nobody's matplotlibrc shows, and its own font measures
the text. No name from the model enters a plot.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from actc.report.curve import Floats, SiteCurve, finite, pooled_histogram
from actc.report.svg import CHANNELS, Ink, compact

_WIDTH, _HEIGHT = 4.6, 2.9  # inches of 72 points; the page scales the plot
# Any: some versions of matplotlib type the keys one by one.
_STYLE: Any = {
    "svg.hashsalt": "actc",
    "svg.fonttype": "none",
    "path.simplify": True,
    "path.simplify_threshold": 0.15,
    "font.size": 9,
    "text.parse_math": False,
    "text.color": Ink.TEXT.value,
    "xtick.color": Ink.TEXT.value,
    "ytick.color": Ink.TEXT.value,
    "axes.labelcolor": Ink.TEXT.value,
    "axes.labelsize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": Ink.GRID.value,
    "grid.linewidth": 0.7,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.spines.bottom": False,
    "xtick.major.size": 0,  # tick marks would be shared symbols with identifiers
    "ytick.major.size": 0,
    "axes.xmargin": 0,
}


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's defaults and the style of the report, for the time of a page."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def site_plot(curves: Sequence[SiteCurve]) -> str:
    """Return an SVG element: functions above, errors below, one x axis.

    Args:
        curves: one curve, or up to four channels of a family. To be called
            within `style`.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT), frameon=False)
    top = figure.add_axes((0.125, 0.4, 0.855, 0.575))
    bottom = figure.add_axes((0.125, 0.09, 0.855, 0.22))
    low, high = _span([c.x for c in curves])
    for axes in (top, bottom):
        axes.set_xlim(low, high)
        axes.patch.set_visible(False)
    _draw_functions(top, curves)
    _draw_errors(bottom, curves)
    for axis in (top.yaxis, bottom.xaxis):
        start, end = axis.get_view_interval()
        axis.set_major_formatter(FuncFormatter(partial(_tick, span=end - start)))
    return _svg(figure, "plot", "Function and approximation over the input, and their difference")


def spark_plot(curves: Sequence[SiteCurve]) -> str:
    """Return an SVG element of a few hundred bytes: the shape of a site."""
    figure = Figure(figsize=(0.9, 0.36), frameon=False)
    axes = figure.add_axes((0.02, 0.06, 0.96, 0.88))
    axes.set_axis_off()
    for curve, ink in zip(curves, CHANNELS, strict=False):
        every = max(1, len(curve.x) // 40)
        x, y = finite(curve.x)[::every], finite(curve.approximation)[::every]
        axes.plot(x, y, color=ink.value, linewidth=1.2, clip_on=False)
    return _svg(figure, "spark", "Shape of the approximation")


def _draw_functions(axes: Axes, curves: Sequence[SiteCurve]) -> None:
    low, high = _span([v for c in curves for v in (c.original, c.approximation)])
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    axes.set_ylim(low, high)
    histogram = pooled_histogram(curves)
    if histogram is not None:
        _draw_histogram(axes, *histogram, low, high)
    for curve, ink in zip(curves, CHANNELS, strict=False):
        x = finite(curve.x)
        axes.plot(x, finite(curve.original), color=Ink.ORIGINAL.value, linewidth=2.6, clip_on=False)
        axes.plot(x, finite(curve.approximation), color=ink.value, linewidth=1.1, clip_on=False)
    axes.tick_params(labelbottom=False)
    axes.locator_params(axis="x", nbins=7)
    axes.locator_params(axis="y", nbins=5)


def _draw_histogram(axes: Axes, counts: Floats, edges: Floats, low: float, high: float) -> None:
    """Where the data lies, at the foot of the plot; the height has no unit."""
    left, right = axes.get_xlim()
    inside = (edges[1:] > left) & (edges[:-1] < right)
    if not inside.any() or not counts[inside].max() > 0:
        return
    first, last = np.flatnonzero(inside)[[0, -1]]
    kept, bounds = counts[first : last + 1], np.clip(edges[first : last + 2], left, right)
    heights = low + 0.45 * (high - low) * kept / kept.max()
    axes.stairs(heights, bounds, baseline=low, fill=True, color=Ink.HISTOGRAM.value, clip_on=False)


def _draw_errors(axes: Axes, curves: Sequence[SiteCurve]) -> None:
    largest = max((_largest(c.error) for c in curves), default=0.0)
    inks = CHANNELS if len(curves) > 1 else (Ink.ERROR,)
    for curve, ink in zip(curves, inks, strict=False):
        axes.plot(finite(curve.x), curve.error, color=ink.value, linewidth=0.9, clip_on=False)
    bound = largest or 1.0
    axes.set_ylim(-1.15 * bound, 1.15 * bound)
    ticks = [-largest, 0.0, largest] if largest else [0.0]
    axes.set_yticks(ticks, [_tick(t, digits=2) for t in ticks])
    axes.locator_params(axis="x", nbins=7)


def _tick(value: float, _: int = 0, span: float = 0.0, digits: int = 4) -> str:
    """A tick label; what is zero but for rounding reads as zero."""
    shown = 0.0 if abs(value) <= 1e-9 * span else value
    return f"{shown:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def _span(arrays: Sequence[Floats]) -> tuple[float, float]:
    """Smallest and largest finite value, never equal; (0, 1) when there is none."""
    values = np.concatenate([a[np.isfinite(a)] for a in arrays])
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    wide = high - low > 1e-9 * max(abs(low), abs(high), 1e-300)
    return (low, high) if wide else (low - 0.5, high + 0.5)


def _largest(values: Floats) -> float:
    return float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0


def _svg(figure: Figure, css_class: str, label: str) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return compact(text.getvalue(), css_class, label)
