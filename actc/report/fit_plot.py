"""The plot of a fit: function, approximation, error and breakpoints.

Drawn by matplotlib with its defaults restored: the same fit gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actc.report.format import visible

Floats = npt.NDArray[np.float64]

_FUNCTION, _FORM, _ERROR, _GUIDE = "#8a8f98", "#1f5fbf", "#c2560c", "#d8dbe0"
_BAND = "#f6e3d4"
_MOST_STEPS = 1024
"""Of more input codes than this, the span of each of so many runs is drawn."""
_MOST_GUIDES = 64
"""More breakpoints than this are ticks at the foot only."""
# Any: some versions of matplotlib type the keys one by one.
_STYLE: Any = {
    "svg.hashsalt": "actc",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0,
}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1b1f24; background: #fff; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; }
th { text-align: left; font-weight: normal; color: #57606a; padding-right: 2rem; }
</style>
<h1>{{ title }}</h1>
{{ plot }}
<table>
{% for name, value in facts.items() %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table>
</html>
"""


@dataclass(frozen=True, eq=False)
class FitCurve:
    """What is plotted.

    Attributes:
        title: one line of plain text.
        x: float64 [n], increasing.
        function, approximation: float64 [n], finite.
        breakpoints: float64 [m].
        max_error: largest error over the domain.
        lower_bound: no form of its kind has a smaller one; None if there is none.
    """

    title: str
    x: Floats
    function: Floats
    approximation: Floats
    breakpoints: Floats
    max_error: float
    lower_bound: float | None


@dataclass(frozen=True, eq=False)
class FixedCurve:
    """What is plotted of a form in fixed point; n input codes in increasing order.

    Attributes:
        title: one line of plain text.
        x: float64 [n], the values of the codes.
        function, approximation: float64 [n], the saturated function and the outputs.
        error: float64 [n], in ulps of the output.
        low, high: float64 [n], the least and the largest error that is allowed, in ulps.
    """

    title: str
    x: Floats
    function: Floats
    approximation: Floats
    error: Floats
    low: Floats
    high: Floats


def render_fit(curve: FitCurve | FixedCurve, kind: str, facts: Mapping[str, str]) -> bytes:
    """Draw a fit.

    Args:
        kind: "png", "svg" or "html".
        facts: shown below the plot of a page.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = _draw_fixed(curve) if isinstance(curve, FixedCurve) else _draw(curve)
        drawn = io.BytesIO()
        if kind == "png":
            figure.savefig(drawn, format="png", dpi=150, metadata={"Software": None})
        else:
            figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    if kind != "html":
        return drawn.getvalue()
    svg = drawn.getvalue().decode("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_PAGE).render(
        title=visible(curve.title),
        plot=Markup(svg[svg.index("<svg") :]),
        facts=facts,
    )
    return page.encode("utf-8")


def _axes(title: str) -> tuple[Figure, Axes, Axes]:
    """A figure with a large upper and a small lower part, labelled."""
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    top.set_title(_short(visible(title)), loc="left", fontsize=11)
    bottom.set_xlabel("x")
    return figure, top, bottom


def _draw(curve: FitCurve) -> Figure:
    figure, top, bottom = _axes(curve.title)
    for axes in (top, bottom):
        _guides(axes, curve.breakpoints)
    top.plot(curve.x, curve.function, color=_FUNCTION, linewidth=3.2, label="function")
    top.plot(curve.x, curve.approximation, color=_FORM, linewidth=1.2, label="approximation")
    top.legend(frameon=False)
    error = curve.approximation - curve.function
    bottom.plot(curve.x, error, color=_ERROR, linewidth=0.9)
    for side in (-1, 1):
        bottom.axhline(side * curve.max_error, color=_ERROR, linewidth=0.8, linestyle="--")
        if curve.lower_bound is not None:
            bottom.axhline(side * curve.lower_bound, color=_FORM, linewidth=0.8, linestyle=":")
    reach = 1.2 * max(curve.max_error, float(np.abs(error).max())) or 1.0
    bottom.set_ylim(-reach, reach)
    bottom.set_ylabel("error")
    bottom.ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def _draw_fixed(curve: FixedCurve) -> Figure:
    figure, top, bottom = _axes(curve.title)
    top.plot(curve.x, curve.function, color=_FUNCTION, linewidth=3.2, label="function")
    if len(curve.x) <= _MOST_STEPS:
        top.step(curve.x, curve.approximation, color=_FORM, where="mid", linewidth=1.2)
        low, high = curve.low, curve.high
        bottom.fill_between(curve.x, low, high, step="mid", color=_BAND, linewidth=0)
        bottom.step(curve.x, curve.error, color=_ERROR, where="mid", linewidth=0.9)
    else:
        bottom.axhspan(float(curve.low.min()), float(curve.high.max()), color=_BAND, linewidth=0)
        for axes, y, color in ((top, curve.approximation, _FORM), (bottom, curve.error, _ERROR)):
            x, least, largest = _spans(curve.x, y)
            line: Any = {"facecolor": color, "edgecolor": color, "linewidth": 0.8, "zorder": 3}
            axes.fill_between(x, least, largest, step="post", **line)
    # steps and spans have the same entry
    top.plot([], [], color=_FORM, linewidth=1.2, label="approximation")
    top.legend(frameon=False)
    reach = 1.2 * float(np.abs([curve.low, curve.high, curve.error]).max()) or 1.0
    bottom.set_ylim(-reach, reach)
    bottom.set_ylabel("error in ulps\n(shaded: allowed)")
    return figure


def _spans(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Start, least and largest y of runs of x; the last run is closed."""
    runs = x.reshape(_MOST_STEPS, -1), y.reshape(_MOST_STEPS, -1)
    low, high = runs[1].min(axis=1), runs[1].max(axis=1)
    starts = np.append(runs[0][:, 0], x[-1])
    return starts, np.append(low, low[-1]), np.append(high, high[-1])


def _guides(axes: Axes, breakpoints: Floats) -> None:
    """Where one segment ends and the next begins."""
    place: Callable[[], Any] = axes.get_xaxis_transform
    if len(breakpoints) <= _MOST_GUIDES:
        for position in breakpoints:
            axes.axvline(float(position), color=_GUIDE, linewidth=0.8, zorder=0)
    else:
        axes.vlines(breakpoints, 0, 0.03, transform=place(), color=_GUIDE, linewidth=0.6)


def _short(text: str, most: int = 90) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
