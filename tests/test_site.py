"""The documentation site: it builds without a warning, and a browser has nothing to complain of."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
import site_messages
import site_pages
from command_line import ROOT, CommandLine

from actc.cli.application import COMMANDS, GROUPS
from actc.codes import CODES

# The site itself needs mkdocs, and is built once.
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="mkdocs is not installed (pip install 'actc[docs]')",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    if browser.commands() is None:
        pytest.skip("chromium or chromedriver is not installed")
    with browser.start() as started:
        yield started


def pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if path.name != "404.html")


@needs_mkdocs
@pytest.mark.slow
def test_every_page_of_the_folder_is_in_it(site: Path) -> None:
    written = {str(page.relative_to(site).with_suffix("")) for page in pages(site)}
    texts = {
        str(path.relative_to(ROOT / "docs").with_suffix(""))
        for path in (ROOT / "docs").rglob("*.md")
    }
    assert {text.replace("README", "index") for text in texts} <= written
    assert {"reference/api", "reference/cli", "reference/diagnostics"} <= written


@needs_mkdocs
@pytest.mark.slow
def test_the_reference_holds_every_command_and_code(site: Path) -> None:
    commands = (site / "reference/cli.html").read_text("utf-8")
    assert re.findall(r'<h2 id="actc-(\w+)"', commands) == list(COMMANDS)
    pairs = [f"{group}-{name}" for group, (_, names) in GROUPS.items() for name in names]
    assert re.findall(r'<h2 id="actc-(\w+-\w+)"', commands) == pairs
    codes = (site / "reference/diagnostics.html").read_text("utf-8")
    assert re.findall(r'<h2 id="(act\d+)"', codes) == [code.lower() for code in sorted(CODES)]


@needs_mkdocs
@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^>]*>")
    for page in pages(site):
        assert not loads.findall(page.read_text("utf-8")), page.name


@needs_mkdocs
@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1300, False), (420, True)])
def test_pages_load_without_errors_and_fit_the_window(
    site: Path, chromium: browser.Browser, width: int, dark: bool
) -> None:
    chromium.open(site / "index.html", width=width, dark=dark)
    chromium.eval("localStorage.clear()")  # it remembers the colours of the last window
    for page in pages(site):
        chromium.open(page, width=width, dark=dark)
        assert chromium.console() == [], page.name
        assert chromium.eval("return document.documentElement.scrollWidth") <= width, page.name


@needs_mkdocs
@pytest.mark.slow
@pytest.mark.parametrize("page", ["index.html", "reference/cli.html"])
def test_the_search_works_from_a_folder(site: Path, chromium: browser.Browser, page: str) -> None:
    chromium.open(site / page, width=1300)
    chromium.eval(
        "const input = document.querySelector('.md-search__input'); input.focus();"
        "input.value = 'popcount'; input.dispatchEvent(new Event('keyup', {bubbles: true}))"
    )
    links = "return [...document.querySelectorAll('.md-search-result__link')].map((a) => a.href)"
    end = time.monotonic() + 30
    while not (found := chromium.eval(links)) and time.monotonic() < end:
        time.sleep(0.1)
    assert any("binary-fpga.html" in link for link in found), found
    assert chromium.console() == []


def test_figures_of_the_comparison_stand_on_the_pages_that_it_names() -> None:
    text = (ROOT / "docs/peers.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| \[\w+\]\((\S+)\) \|$", text, re.M)
    assert len(rows) == text.count("\n| ") - 1
    for question, ours, theirs, page in rows:
        source = (ROOT / "docs" / page).read_text("utf-8")
        for figure in re.findall(r"\d+\.\d+(?:e-\d+)?|\d{4,}", f"{ours} {theirs} {question}"):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", source), (question, figure)


WITHOUT_EXAMPLE = 32  # codes whose message a function puts together: never more


def test_every_code_has_an_example() -> None:
    found = {code: site_messages.examples(code) for code in CODES}
    assert all(f"[{code}]: " in e.text for code, several in found.items() for e in several)
    assert sum(not several[0].message for several in found.values()) <= WITHOUT_EXAMPLE
    page = site_pages.diagnostics()
    assert all(several[0].text in page for several in found.values())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["compile", "none.onnx", "--target", "cpuu"], "ACT0201"),
        (["compile", "README.md", "--target", "onnx", "--weights", "77"], "ACT0224"),
        (["inspect", "none.onnx"], "ACT0202"),
    ],
)
def test_an_example_reads_like_what_is_printed(
    command: list[str], code: str, actc_cli: CommandLine
) -> None:
    (printed,) = actc_cli(*command, "--json").document["diagnostics"]
    assert printed["code"] == code
    patterns = [
        ".+".join(map(re.escape, re.split("<[^<>]+>", example.message)))
        for example in site_messages.examples(printed["code"])
    ]
    assert any(re.fullmatch(pattern, printed["message"]) for pattern in patterns), printed


def test_links_outside_the_site_become_names() -> None:
    sources = {"docs/a.md": "a.md", "docs/b/c.md": "b/c.md", "README.md": "readme.md"}
    given = "[a](../a.md#x) [made](../../tools/make.py) [readme](../../README.md) ![p](p.svg)"
    made = site_pages.resolve(f"{given}\n\n```\n[a](../a.md)\n```\n", "docs/b/c.md", sources)
    shown = "[a](../a.md#x) made (`tools/make.py`) [readme](../readme.md) ![p](p.svg)"
    assert made == f"{shown}\n\n```\n[a](../a.md)\n```\n"
    assert site_pages.resolve("| `\\|x\\|` |", "docs/a.md", sources) == "| `|x|` |"
