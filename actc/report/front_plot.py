"""The plot of a Pareto front: share of a device against samples per second.

Drawn by matplotlib with its defaults restored: the same front gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from actc.report.format import visible

_KINDS = {
    "luts": ("logic cells", "#1f5fbf"),
    "brams": ("block memories", "#c2560c"),
    "dsps": ("hard multipliers", "#3c8d4f"),
}
# Any: some versions of matplotlib type the keys one by one.
_STYLE: Any = {
    "svg.hashsalt": "actc",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def render_front(document: Mapping[str, Any], kind: str) -> bytes:
    """Draw a front.

    Args:
        document: as :func:`actc.explore` returns it.
        kind: "png" or "svg".
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = _draw(document)
        drawn = io.BytesIO()
        if kind == "png":
            figure.savefig(drawn, format="png", dpi=150, metadata={"Software": None})
        else:
            figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def _draw(document: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    points = document["points"]
    speeds = [point["samples_per_second"] for point in points]
    for name, (title, color) in _KINDS.items():
        available = document["available"][name]
        if available:
            shares = [100 * point[name] / available for point in points]
            # points fall in speed: between two of them the faster design has to be taken
            axes.plot(speeds, shares, color=color, drawstyle="steps-post", linewidth=1.2)
            axes.plot(speeds, shares, "o", color=color, markersize=4, label=title)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"samples per second at {document['clock_mhz']:g} MHz")
    axes.set_ylabel("percent of the device, estimated")
    axes.legend(frameon=False)
    title = f"{document['model']} on {document['device']}"
    axes.set_title(visible(title)[:80], loc="left", fontsize=11)
    return figure
