"""What is shown of a model whose names are HTML, in a real browser: all of it is text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile.names import hostile_names

import actc
from tests import browser

pytestmark = pytest.mark.skipif(
    browser.commands() is None,
    reason="NO BROWSER: pages of hostile models are not opened; install chromium, chromium-driver",
)

MARKUP = (
    "</pre></td></title></style></script></textarea>-->\"'><img src=x onerror=EVIL()>"
    "<svg onload=EVIL()><script>EVIL()</script><script src=http://127.0.0.1:9/x.js></script>"
    "<iframe srcdoc='<script>parent.EVIL()</script>'></iframe><link rel=stylesheet href=//a/b>"
    "<base href=http://127.0.0.1:9/><a href=javascript:EVIL()>a</a><style>*{display:none}</style>"
    "{{ EVIL() }}${EVIL()}\" onmouseover='EVIL()' autofocus onfocus=\"EVIL()"
)
"""Ends every element and attribute that it could stand in, and tells of itself when it runs."""
_FOUND = """
const all = [...document.querySelectorAll("*")];
return {
  ran: window.ran || 0,
  handlers: all.filter((n) => n.getAttributeNames().some((a) => a.startsWith("on"))).length,
  strange: all.filter((n) => ["iframe", "link", "base", "object", "embed", "form"]
    .includes(n.localName) && n.getAttribute("href") !== "data:,").length,
  images: all.filter((n) => n.localName === "img" && !n.src.startsWith("data:")).length,
  links: all.filter((n) => n.localName === "a" && !n.getAttribute("href").startsWith("#")).length,
  fetched: performance.getEntriesByType("resource").map((e) => e.name.split("/").pop())
    .filter((name) => name !== "timings.js" && !name.startsWith("svg+xml;base64,")),
  told: document.body.innerText.split("EVIL()").length - 1,
};
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    with browser.start() as started:
        yield started


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> actc.Artifact:
    """Of a model whose every name is markup, and whose file is called so, too."""
    folder = tmp_path_factory.mktemp("markup")
    path = folder / "<img src=x onerror=EVIL()>.onnx"
    path.write_bytes(hostile_names(MARKUP).SerializeToString())
    return actc.compile(path, target="onnx", output=folder / "out")


def shown(tab: browser.Browser, page: Path) -> None:
    """Open a page; nothing of a name is more than a text, and nothing is loaded."""
    tab.open(page)
    assert tab.console() == [], "what ran would be no function, or would be refused"
    found = tab.eval(_FOUND)
    told = found.pop("told")
    assert found == {
        **dict.fromkeys(("ran", "handlers", "strange", "images", "links"), 0),
        "fetched": [],
    }
    assert told, "the names are there to be read"


def test_the_report(tab: browser.Browser, artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    shown(tab, artifact.path / "report.html")
    tab.screenshot(artifact.path / "report.png")


def test_a_fit(tab: browser.Browser, tmp_path: Path) -> None:
    """The page of a fit, and its view in a page of somebody else, which refuses nothing."""
    fit = dataclasses.replace(actc.fit("Tanh", segments=3), function=MARKUP)
    fit.save(plot=tmp_path / "fit.html")
    shown(tab, tmp_path / "fit.html")
    _notebook(tab, tmp_path / "notebook.html", fit._repr_html_())


def test_an_artefact_in_a_notebook(
    tab: browser.Browser, artifact: actc.Artifact, tmp_path: Path
) -> None:
    _notebook(tab, tmp_path / "notebook.html", artifact._repr_html_())


def test_what_runs_is_seen(tab: browser.Browser, tmp_path: Path) -> None:
    """The judge of the others: markup that nobody escaped."""
    with pytest.raises(AssertionError):
        _notebook(tab, tmp_path / "notebook.html", f"<pre>{MARKUP}</pre>")
    assert tab.eval("return window.ran") > 0


def _notebook(tab: browser.Browser, page: Path, view: str) -> None:
    head = "<meta charset=utf-8><link rel=icon href='data:,'><script>"
    script = "window.EVIL = () => { window.ran = (window.ran || 0) + 1; };"
    page.write_text(f"<!doctype html>{head}{script}</script><div>{view}</div>", "utf-8")
    shown(tab, page)
