"""report.html: one self-contained page.

Names in a model are untrusted. Jinja2 escapes every value, `visible` disarms
control characters, plots carry no names, and a content security policy lets
nothing run but the page's own script and the file of times beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from actc.report import format as text
from actc.report import view
from actc.report.hardware import FOLDINGS, hardware
from actc.report.svg import CHANNELS, Ink
from actc.report.verdict import STAGES, percent, points, verdict

_OPEN_PLOTS = 8  # more sites than this start folded


def render_html(
    report: Mapping[str, Any], curves: view.Curves, timings_file: str = "timings.js"
) -> str:
    """Return the page.

    Args:
        report: the dictionary of report.json; missing keys read as unknown.
        curves: site id -> its curve, or up to four channels of a family.
        timings_file: name of the file that `actc.report.render_timings` makes,
            relative to the page.

    Returns:
        HTML; equal arguments give equal text.
    """
    filled = view.complete(report)
    sites = view.groups(filled, curves)
    script = _asset("page.js")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=filled,
            verdict=verdict(filled),
            ladder=view.ladder(filled),
            facts=view.facts(filled),
            hardware=hardware(filled),
            folding_columns=FOLDINGS,
            islands=view.island_rows(filled),
            binary_facts=view.binary_facts(filled["binary"]) if filled["binary"] else [],
            groups=sites,
            group_of={site["id"]: group for group in sites for site in group.sites},
            plots=_plots(sites),
            folded=len(sites) > _OPEN_PLOTS,
            sizes=view.size_rows(filled),
            timings_file=quote(timings_file),
            style=Markup(_asset("style.css")),
            script=Markup(script),
            script_hash=_digest(script),
            channels=[ink.variable for ink in CHANNELS],
            stages=STAGES,
            inks=Ink,
        )
    )


def _plots(sites: list[view.Group]) -> dict[str, tuple[Markup, Markup]]:
    """Group key -> its plot and its small shape; groups without curves have none."""
    # Here, as it takes a second, and only this page needs it.
    from actc.report.plot import site_plot, spark_plot, style

    with style():
        return {
            group.key: (Markup(site_plot(group.curves)), Markup(spark_plot(group.curves)))
            for group in sites
            if group.curves
        }


@cache
def _environment() -> Environment:
    """Jinja2's environment, with the templates that it has compiled already."""
    environment = Environment(
        loader=PackageLoader("actc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_disarm,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        figure=text.figure,
        percent=percent,
        plain=text.plain,
        points=points,
        shape=text.shape,
        size=text.size,
        step=text.step,
    )
    environment.tests["rewritten"] = view.is_rewritten
    return environment


def _disarm(value: Any) -> Any:
    return text.visible(value) if type(value) is str else value


def _asset(name: str) -> str:
    return (files("actc.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(script: str) -> str:
    """The script's hash as a content security policy spells it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
