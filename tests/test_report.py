"""The report as HTML text, plain text and JSON; the browser's view is in test_report_browser."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actc.report import (
    SiteCurve,
    read_timings,
    render_html,
    render_json,
    render_text,
    render_timings,
    verdict,
)
from actc.report.format import plain, size, step, visible
from actc.report.plot import site_plot, spark_plot, style
from actc.report.view import complete, facts, groups, ladder
from tests import report_samples as samples

FRESH = """
import hashlib, sys
from tests import report_samples as samples
from actc.report import render_html
print(hashlib.sha256(render_html(*samples.small()).encode()).hexdigest())
"""


class Page(HTMLParser):
    """Tags, attributes, text and the contents of scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.words += data


def test_the_page_is_the_same_in_another_process_with_other_settings(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 31\nlines.linestyle: --\n")
    root = Path(__file__).resolve().parents[1]
    settings = {"MPLCONFIGDIR": str(tmp_path), "PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    here = render_html(*samples.small())
    assert here == render_html(*samples.small())
    assert fresh.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_rendering_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    render_html(*samples.small())
    assert dict(mpl.rcParams) == before


def test_the_page_is_self_contained() -> None:
    page = render_html(*samples.small(), timings_file="a b.js")
    assert "http" not in page.replace("http-equiv", "")
    assert re.findall(r'<script src="([^"]*)"', page) == ["a%20b.js"]
    assert not re.findall(r"<link(?! rel=\"icon\" href=\"data:,\")|url\(|@import", page)


def test_names_from_the_model_stay_text() -> None:
    tame, hostile = Page(render_html(*samples.small())), Page(render_html(*samples.hostile()))
    assert set(hostile.tags) == set(tame.tags)
    assert {name for name, _ in hostile.attributes} == {name for name, _ in tame.attributes}
    assert len(hostile.scripts) == 2
    assert not any("alert" in script for script in hostile.scripts)
    assert hostile.words.count(visible(samples.HOSTILE)) > 20
    assert "{{7*7}}" in hostile.words
    assert not set(hostile.words) & {"\x1b", "\u202e"}


def test_a_name_cannot_turn_or_colour_a_terminal_line() -> None:
    text = render_text(samples.hostile()[0])
    assert set(text) & {"\x1b", "\u202e"} == set()
    assert visible("a\nb\x1b[1m\u202eé 漢\xa0") == "a\\nb\\x1b[1m\\u202eé 漢\xa0"


def test_forty_sites_fit_in_three_megabytes_and_each_is_there() -> None:
    report, curves = samples.large(40)
    page = render_html(report, curves)
    assert len(page.encode()) < 3_000_000
    assert re.findall(r'data-site="([^"]*)"', page) == [s["id"] for s in report["activations"]]
    assert page.count('<svg class="plot"') == 38  # two sites are equal, one has no curve
    assert "2 equal sites" in page
    assert "3.1e+38 in the calibration data" in page


def test_sites_with_equal_curves_share_a_plot() -> None:
    report, curves = samples.large(12)
    found = groups(complete(report), curves)
    together = [[s["id"] for s in g.sites] for g in found if len(g.sites) > 1]
    assert together == [[report["activations"][0]["id"], report["activations"][5]["id"]]]
    assert sum(len(g.sites) for g in found) == 12


def test_a_plot_says_where_its_largest_error_is() -> None:
    x = np.linspace(-1.0, 1.0, 5)
    off = np.array([0.0, 0.25, 0.0, -0.5, 0.0])
    report, _ = samples.small()
    report["activations"] = [samples.activation("s", "tanh", samples.curve("tanh"))]
    page = render_html(report, {"s": SiteCurve(x, x, x + off)})
    assert "Largest error 0.5 at input 0.5" in page
    assert "No error at any input" in render_html(report, {"s": SiteCurve(x, x, x)})


def test_a_plot_is_small_themed_and_free_of_identifiers() -> None:
    with style():
        plot, spark = site_plot([samples.curve("gelu")]), spark_plot([samples.curve("gelu")])
    assert len(plot) < 15_000
    assert len(spark) < 1_500
    for svg in (plot, spark):
        assert not re.search(r"c0ffe|#[0-9a-f]{6}|\bid=|url\(|xlink|font", svg)
    for name in ("original", "error", "histogram", "first", "grid", "text"):
        assert f"var(--plot-{name})" in plot


def test_every_plot_colour_is_defined_for_light_and_dark() -> None:
    page = render_html(*samples.small())
    for name in set(re.findall(r"var\((--[a-z-]+)\)", page)) - {"--sans", "--mono"}:
        assert len(re.findall(rf"{name}: #", page)) == 2, name


@pytest.mark.parametrize(
    ("x", "original", "approximation"),
    [
        ([0, 1], [math.nan, math.nan], [math.nan, math.nan]),
        ([0, 1, 2, 3], [-math.inf, 1, 2, math.inf], [0, 1, 2.5, 3]),
        ([-1e-30, 0, 1e-30], [0, 1e-40, 2e-40], [0, 0, 0]),
        ([0, 1e30], [1e38, -1e38], [0, 0]),
        ([-128, 127], [1, 1], [1, 1]),
    ],
)
def test_odd_curves_are_drawn(
    x: list[float], original: list[float], approximation: list[float]
) -> None:
    empty = (np.zeros(3), np.array([5e30, 6e30, 7e30, 8e30]))
    curve = SiteCurve(np.array(x, float), np.array(original), np.array(approximation), empty)
    with style():
        plot = site_plot([curve])
        spark_plot([curve])
    assert "nan" not in plot
    assert "inf" not in plot.replace("infl", "")


@pytest.mark.parametrize(("shapes", "edges"), [((4, 4, 3), 3), ((1, 1, 1), 3), ((4, 4, 4), 2)])
def test_a_curve_of_wrong_shape_is_refused(shapes: tuple[int, int, int], edges: int) -> None:
    arrays = [np.zeros(n) for n in shapes]
    with pytest.raises(ValueError, match=r"\[n >= 2\]|edges"):
        SiteCurve(*arrays, histogram=(np.zeros(2), np.zeros(edges)))


def changed(**changes: Any) -> dict[str, Any]:
    return complete(samples.small()[0] | changes)


ACCURACY = {"float": 0.99, "approximated": 0.99, "golden": 0.98, "artifact": 0.98}
UNKNOWN = dict.fromkeys(ACCURACY)


@pytest.mark.parametrize(
    ("report", "level", "words"),
    [
        (changed(), "good", "equals golden bit for bit on 450 of 450 samples"),
        (
            changed(),
            "good",
            "98.89 % -> 98.67 %, drop 0.22 points, within the budget of 1.0 points",
        ),
        (changed(accuracy=ACCURACY), "good", "drop 1.0 points, within the budget of 1.0 points"),
        (changed(accuracy=ACCURACY, options={"max_drop": 0.0099}), "bad", "over the budget"),
        (changed(accuracy=ACCURACY, options={}), "good", "drop 1.0 points"),
        (changed(accuracy=ACCURACY | {"artifact": 0.995}), "good", "gain 0.5 points"),
        (changed(accuracy=ACCURACY | {"artifact": 0.99}), "good", "no drop"),
        (changed(accuracy=ACCURACY | {"artifact": None}), "good", "99.00 % -> 98.00 %"),
        (changed(bit_exact=False), "bad", "differs from golden on some of 450 samples"),
        (changed(accuracy=UNKNOWN), "unknown", "as the data has no labels"),
        (changed(accuracy=UNKNOWN), "unknown", "agree on 99.78 % of top-1 choices"),
        (changed(accuracy=UNKNOWN, outputs=[]), "unknown", "has no labels"),
        (changed(accuracy=UNKNOWN, data={"synthetic": True}), "unknown", "data is synthetic"),
        (changed(accuracy=UNKNOWN, bit_exact=False), "bad", "differs from golden"),
    ],
)
def test_the_verdict(report: dict[str, Any], level: str, words: str) -> None:
    found = verdict(report)
    assert found.level == level
    assert words in str(found)
    mark = {"good": "Pass", "bad": "Fail", "unknown": "Not measured"}[level]
    assert f'<span class="mark">{mark}</span>' in render_html(report, {})


def test_the_ladder_shows_stages_and_budget_to_scale() -> None:
    found = ladder(changed(accuracy=ACCURACY | {"artifact": 0.97}, options={"max_drop": 0.015}))
    assert found is not None
    assert found.limit is not None
    assert [row.over for row in found.rows] == [False, False, False, True]
    positions = [row.position for row in found.rows]
    assert positions[0] == positions[1] > positions[2] > found.limit > positions[3] > 0
    assert positions[0] - positions[2] == pytest.approx(positions[2] - positions[3], abs=0.02)
    assert ladder(changed(accuracy=UNKNOWN)) is None


def test_synthetic_data_is_said_loudly() -> None:
    report = samples.unlabelled(samples.small()[0])
    assert 'class="banner" role="alert"><strong>Synthetic data.' in render_html(report, {})
    assert render_text(report).splitlines()[1].startswith("WARNING: calibrated on synthetic data")
    assert 'class="banner"' not in render_html(*samples.small())


def test_what_was_left_is_listed_with_its_reason() -> None:
    report, curves = samples.large(6)
    page = Page(render_html(report, curves)).words
    for entry in [*report["left_float"], report["activations"][-1]]:
        assert entry["reason"] in page
    assert "every operator is integer" not in page
    rewritten = samples.small()[0] | {"left_float": []}
    assert "every operator is integer" in Page(render_html(rewritten, {})).words


def test_hardware_is_shown_with_its_shares_and_rungs() -> None:
    text = render_text(samples.on_fpga())
    for words in ("131.2 MHz", "built for 120", "9 clocks", "68.6 ns", "131.2 M samples/s"):
        assert words in text, words
    assert re.search(r"logic cells +3102 +24288 +12.8 % +2950", text)
    assert re.search(r"features.1 +1210 +640 +812 +2490 +- +80.3 %", text)
    assert re.search(r"head +612 +- +391 +612 +600 +19.7 %", text)
    assert re.search(r"bitstream +not run +ecpunpack is not installed", text)
    assert re.search(r"load with +openFPGALoader -b ulx3s features.1.bit", text)
    assert re.search(r"note +look at features.1 first", text)
    page = render_html(samples.on_fpga(), {})
    assert 'title="features.1: 1210 LUT"' in page
    assert "−5 %" in page  # the estimate of logic cells
    assert "−2 %" in page  # and of a layer's
    assert 'style="width:52.9%" title="features.1: 640 Carry"' in page


def test_a_report_without_hardware_has_no_such_section() -> None:
    assert "Hardware" not in render_html(samples.small()[0], {})


def test_a_report_of_another_version_renders() -> None:
    assert "no activation that actc recognizes" in render_html({}, {})
    assert "accuracy is not known" in render_text({})
    sparse = {"activations": [{"id": "a"}], "outputs": [{"name": "y"}], "passes": ["p"]}
    assert 'data-site="a"' in render_html(sparse, {})
    assert "a" in render_text(sparse)
    nulls = dict.fromkeys(samples.small()[0])
    assert render_text(nulls) == render_text({})


def test_text_is_one_screen() -> None:
    report, _ = samples.large(40)
    lines = render_text(report, samples.TIMINGS).splitlines()
    assert len(lines) < 55
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "digits_cnn.onnx -> cpu:znver4, int8" in text
    assert "39 of 40" in text
    assert "... and 28 more (largest error first); report.html has them all" in text
    assert re.search(r"intermediate\.act_fn +snake +left", text)
    assert re.search(r"artifact +98\.67 % +-0\.22 +59\.8 KiB", text)
    assert re.search(r"total +11\.74", text)
    assert "warning[ACT0214]: 30 samples are few" in text
    assert "help: give at least 100 samples" in text


def test_text_needs_neither_rich_nor_matplotlib() -> None:
    code = "import sys, actc.report.text; print({'rich', 'matplotlib'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@given(st.dictionaries(st.text(), st.floats(0, 1e6), max_size=5))
def test_times_are_read_as_written(timings: dict[str, float]) -> None:
    found = read_timings(render_timings(timings))
    assert list(found) == list(timings)
    assert list(found.values()) == pytest.approx(list(timings.values()), abs=1e-6)


def test_the_file_of_times_says_that_it_differs_between_runs() -> None:
    first = render_timings(samples.TIMINGS).splitlines()[0]
    assert first.startswith("//")
    assert "differs between runs" in first


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_what_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a time in seconds: build"):
        render_timings({"build": seconds})


@pytest.mark.parametrize(
    "text",
    ["", "window.actcTimings = {", "window.actcTimings = [1];", 'window.actcTimings = {"a": "b"};'],
)
def test_what_is_no_file_of_times_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a timings file"):
        read_timings(text)


def test_json_is_strict() -> None:
    report = {"b": np.float32(0.5), "a": [math.nan, -math.inf, np.int64(3)], "n": {"x": True}}
    text = render_json(report)
    assert json.loads(text) == {"b": 0.5, "a": [None, "-infinite", 3], "n": {"x": True}}
    assert list(json.loads(text)) == ["b", "a", "n"]
    full, _ = samples.small()
    assert json.loads(render_json(full)) == full


def test_units() -> None:
    amounts = (None, 0, 1023, 1024, 5_000_000, 7 << 40)
    assert [size(n) for n in amounts] == [
        "-",
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "4.8 MiB",
        "7168.0 GiB",
    ]
    assert plain({"a": [1, None, True], "b": {}}) == "a = 1, -, yes, b = -"
    assert step({"name": "calibrate", "options": {"method": "mse"}}) == "calibrate{method=mse}"
    assert step("recognize") == step({"name": "recognize"}) == "recognize"


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({}, "yes"),
        ({"samples": 0}, "-"),
        ({"rungs": [{"name": "artifact", "result": "not run", "detail": ""}]}, "-"),
        ({"diagnostics": [{"code": "ACT0602"}]}, "no"),
    ],
)
def test_a_float_artefact_is_said_to_follow_the_approximated_model(
    change: dict[str, Any], value: str
) -> None:
    report = complete(samples.small()[0])
    report.update({"precision": "float32", "bit_exact": None, "rungs": [], "diagnostics": []})
    named = {name: found for name, found, _ in facts({**report, **change})}
    assert named["Artifact follows approximated"] == value
    assert "Artifact equals golden" not in named
    assert f"artifact follows approximated  {value}" in render_text({**report, **change})
    if "rungs" in change:
        assert "compared with the approximated model" in str(verdict({**report, **change}))
