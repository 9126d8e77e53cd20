"""What mkdocs calls while it builds the documentation site (mkdocs.yml)."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import site_pages
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
_COMMENT = re.compile(
    r"^<!-- (not run|fragment|run as|stand-ins): (.*?) -->$", re.MULTILINE | re.DOTALL
)
_SAID = {
    "not run": "not run by the tests",
    "fragment": "a fragment: its imports are tested",
    "run as": "the tests run it with",
    "stand-ins": "the tests run it with programs in the place of",
}


def on_config(config: Any) -> None:
    """Pages that the navigation does not name follow at its end."""
    named = set(re.findall(r"'([^']+\.md)'", str(config.nav)))
    there = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    if more := sorted(there - named):
        config.nav.append({"More": list(more)})


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are written from the code, and those from outside docs/."""
    for path, write in site_pages.GENERATED.items():
        files.append(File.generated(config, path, content=write()))
    for source, path in site_pages.ELSEWHERE.items():
        content = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links for the site, and a line where a block is not run by the tests."""
    own = {path: source for source, path in site_pages.ELSEWHERE.items()}
    path = page.file.src_uri
    if path in site_pages.GENERATED:
        return markdown
    pages = [file.src_uri for file in files.documentation_pages()]
    sources = {own.get(name, f"docs/{name}"): name for name in pages}
    linked = site_pages.resolve(markdown, own.get(path, f"docs/{path}"), sources)
    return _COMMENT.sub(
        lambda said: f'<p class="not-run">{_SAID[said[1]]}: {html.escape(said[2])}</p>\n', linked
    )
