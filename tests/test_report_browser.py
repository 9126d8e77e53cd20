"""The report as a real browser shows it: light, dark, narrow, printed, and under attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actc.report import render_html, render_timings
from actc.report.format import visible
from tests import browser
from tests import report_samples as samples

pytestmark = pytest.mark.skipif(
    browser.commands() is None,
    reason="NO BROWSER: the report page is not checked; install chromium and chromium-driver",
)

MODES = {"light": (1200, False), "dark": (1200, True), "narrow": (360, False)}
READABLE = 4.5  # contrast that WCAG 2.2, 1.4.3 asks of text

_CONTRASTS = """
const light = (color) => {
  const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ground = (node) => {
  for (let n = node; n; n = n.parentElement) {
    const color = getComputedStyle(n).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return color;
  }
};
return [...document.querySelectorAll("p, th, td, dt, dd, a, b, small, code, .mark, .key, text")]
  .filter((node) => node.textContent.trim())
  .map((node) => {
    const style = getComputedStyle(node);
    const ink = node.localName === "text" ? style.fill : style.color;
    const [a, b] = [light(ink), light(ground(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.localName, node.textContent.trim().slice(0, 30)];
  })
  .sort((x, y) => x[0] - y[0])[0];
"""

_OVERFLOWING = """
const scrolls = (node) => node.closest(".scroll") !== null;
return [...document.querySelectorAll("body *")]
  .filter((n) => !scrolls(n.parentElement) && n.getBoundingClientRect().right > innerWidth + 0.5)
  .map((n) => `${n.localName}.${n.className}`);
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    with browser.start() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by name, each with its times beside it, but for "alone"."""
    synthetic = samples.unlabelled(samples.small()[0]), samples.small()[1]
    reports: dict[str, tuple[dict[str, Any], Any]] = {
        "small": samples.small(),
        "large": samples.large(40),
        "hostile": samples.hostile(),
        "synthetic": synthetic,
        "fpga": (samples.on_fpga(), samples.small()[1]),
        "alone": samples.small(),
    }
    found = {}
    for name, (report, curves) in reports.items():
        folder = tmp_path_factory.mktemp(name)
        found[name] = folder / "report.html"
        found[name].write_text(render_html(report, curves), encoding="utf-8")
        if name != "alone":
            (folder / "timings.js").write_text(render_timings(samples.TIMINGS))
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["small", "large", "hostile", "synthetic", "fpga"])
def test_the_page_loads_fits_and_is_readable(
    tab: browser.Browser, pages: dict[str, Path], name: str, mode: str
) -> None:
    width, dark = MODES[mode]
    tab.open(pages[name], width, dark)
    assert tab.console() == []
    assert tab.eval("return document.documentElement.scrollWidth") == width
    assert tab.eval(_OVERFLOWING) == []
    contrast, *where = tab.eval(_CONTRASTS)
    assert contrast >= READABLE, where
    tab.screenshot(pages[name].parent / f"{mode}.png")


def test_dark_mode_is_dark_and_reaches_the_plots(
    tab: browser.Browser, pages: dict[str, Path]
) -> None:
    colours = """
      const style = getComputedStyle(document.querySelector(".plot path[style*=original]"));
      const ground = getComputedStyle(document.body).backgroundColor;
      return [ground, style.stroke].map((c) => c.match(/\\d+/g).reduce((a, b) => a + +b, 0) / 3);
    """
    tab.open(pages["small"])
    light, light_line = tab.eval(colours)
    tab.open(pages["small"], dark=True)
    dark, dark_line = tab.eval(colours)
    assert light > 240
    assert dark < 40
    assert light_line != dark_line


def test_every_site_has_a_row_with_a_shape_and_leads_to_its_plot(
    tab: browser.Browser, pages: dict[str, Path]
) -> None:
    tab.open(pages["large"])
    rows = tab.eval(
        """return [...document.querySelectorAll("tr.site")].map((row) => {
          const body = document.getElementById(row.querySelector("a").hash.slice(1));
          return [row.dataset.site, row.querySelectorAll("svg path").length > 0,
                  body.querySelectorAll("svg.plot path").length > 5];
        });"""
    )
    sites = samples.large(40)[0]["activations"]
    assert [row[0] for row in rows] == [site["id"] for site in sites]
    assert all(row[1:] == [True, True] for row in rows[:-1])
    assert rows[-1][1:] == [False, False]  # left in float: no curve


def test_many_plots_start_folded_and_a_link_opens_one(
    tab: browser.Browser, pages: dict[str, Path]
) -> None:
    opened = "return document.querySelectorAll('details[open]').length"
    tab.open(pages["large"])
    total = tab.eval("return document.querySelectorAll('details').length")
    assert tab.eval(opened) == 0
    tab.eval("document.querySelectorAll('tr.site a')[3].click()")
    assert tab.eval("return document.querySelectorAll('details')[3].open") is True
    tab.eval("document.getElementById('unfold').click()")
    assert tab.eval(opened) == total
    assert tab.eval("return document.querySelector('details .plot').clientHeight") > 100
    tab.open(pages["small"])
    assert tab.eval(opened) == 3


def test_a_click_sorts_the_sites(tab: browser.Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["large"])
    click = """
      const head = [...document.querySelectorAll(".sites th")]
        .find((th) => th.textContent === "Max error");
      head.querySelector("button").click();
      return [head.ariaSort, [...document.querySelectorAll("tr.site")].map((r) => r.dataset.site)];
    """
    errors = {s["id"]: s["max_error"] or -1.0 for s in samples.large(40)[0]["activations"]}
    order, names = tab.eval(click)
    assert order == "descending"
    assert [errors[n] for n in names if errors[n] >= 0] == sorted(
        (e for e in errors.values() if e >= 0), reverse=True
    )
    assert tab.eval(click)[0] == "ascending"


def test_times_are_shown_when_their_file_is_there(
    tab: browser.Browser, pages: dict[str, Path]
) -> None:
    shown = """const [table, note] = ["times", "no-times"].map((i) => document.getElementById(i));
               return [table.innerText, table.checkVisibility(), note.checkVisibility()];"""
    tab.open(pages["small"])
    table, *seen = tab.eval(shown)
    assert table.split()[-2:] == ["total", "11.74"]
    assert set(samples.TIMINGS) <= set(table.split())
    assert seen == [True, False]
    tab.open(pages["alone"])
    assert tab.eval(shown)[1:] == [False, True]
    assert [m for m in tab.console() if "timings.js" not in m] == []


def test_hostile_names_are_inert(tab: browser.Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["hostile"])  # an alert would fail this and every later call
    assert tab.eval("return document.scripts.length") == 2
    assert tab.eval("return document.querySelectorAll('[onmouseover]').length") == 0
    name = tab.eval("return document.querySelector('tr.site th').innerText")
    assert name == visible(samples.HOSTILE)
    assert tab.eval("return document.title").startswith(visible(samples.HOSTILE))


def test_the_page_would_refuse_a_script_that_got_in(
    tab: browser.Browser, pages: dict[str, Path]
) -> None:
    tab.open(pages["small"])
    tab.eval(
        """const script = document.createElement("script");
           script.textContent = "window.gotIn = true";
           document.body.append(script);"""
    )
    assert tab.eval("return window.gotIn === undefined") is True
    assert any("Content Security Policy" in message for message in tab.console())


def test_print_shows_every_plot(tab: browser.Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["large"], dark=True)
    assert tab.pdf().startswith(b"%PDF")
    assert tab.eval("return document.querySelectorAll('details:not([open])').length") == 0
