"""How results show themselves in a notebook (IPython's `_repr_html_`).

Names in them are untrusted: text is escaped, and pictures are images, in which no script runs.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping


def text_html(text: str) -> str:
    """Text as it is, in a fixed font."""
    shown = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return f'<pre style="line-height:1.25">{html.escape(shown)}</pre>'


def facts_html(facts: Mapping[str, str]) -> str:
    """A table of two columns."""
    rows = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{''.join(rows)}</table>"


def image_html(svg: bytes, description: str) -> str:
    """A picture, inside of the page."""
    data = base64.b64encode(svg).decode("ascii")
    alt = html.escape(description, quote=True)
    return f'<img alt="{alt}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'
