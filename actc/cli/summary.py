"""One screen about a compilation, from its report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from actc.report import render_text


def summary(report: Mapping[str, Any], directory: Path) -> Text:
    """The report as text with its headings styled, how long it took and where the page is.

    The diagnostics are left out: they go to stderr.
    """
    text = Text(render_text({**report, "diagnostics": []}))
    if report.get("timings"):
        text.append(f"\n  took {sum(report['timings'].values()):.1f} seconds")
    text.append(f"\n  see {directory / 'report.html'}")
    text.highlight_regex(re.compile(r"\A.*"), "bold")
    text.highlight_regex(re.compile(r"^WARNING.*", re.MULTILINE), "bold yellow")
    return text
