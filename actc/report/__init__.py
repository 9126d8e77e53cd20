"""What a compilation did and what it cost, as HTML, text and JSON."""

from actc.report.curve import SiteCurve
from actc.report.document import render_json
from actc.report.page import render_html
from actc.report.text import render_build, render_text
from actc.report.timing import read_timings, render_timings
from actc.report.verdict import Verdict, verdict

__all__ = [
    "SiteCurve",
    "Verdict",
    "read_timings",
    "render_build",
    "render_html",
    "render_json",
    "render_text",
    "render_timings",
    "verdict",
]
