"""Make matplotlib's SVG small, themed and fit to stand inside an HTML page.

Drawn with sentinel colours, which become CSS custom properties here, a plot
follows the page into dark mode. Identifiers go, as several plots share a page.
"""

from __future__ import annotations

import re
from enum import Enum
from xml.etree import ElementTree

_NUMBER = re.compile(r"-?\d+\.\d+")
_COLOUR = re.compile(r"#c0ffe\d")
_DROPPED = {"metadata", "defs", "style"}


class Ink(str, Enum):
    """Sentinel colours; the page defines what each looks like."""

    TEXT = "#c0ffe0"
    GRID = "#c0ffe1"
    HISTOGRAM = "#c0ffe2"
    ORIGINAL = "#c0ffe3"
    ERROR = "#c0ffe4"
    FIRST = "#c0ffe5"
    SECOND = "#c0ffe6"
    THIRD = "#c0ffe7"
    FOURTH = "#c0ffe8"

    @property
    def variable(self) -> str:
        """The CSS value, e.g. ``var(--plot-text)``."""
        return f"var(--plot-{self.name.lower()})"


CHANNELS = (Ink.FIRST, Ink.SECOND, Ink.THIRD, Ink.FOURTH)


def compact(svg: str, css_class: str, label: str) -> str:
    """Return `svg` as an inline element of a page.

    Args:
        svg: what matplotlib wrote (text kept as text, no markers, no clips).
        css_class: class of the element.
        label: what a screen reader says.
    """
    root = ElementTree.fromstring(svg)
    _clean(root)
    view = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"class": css_class, "viewBox": view, "role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element) -> None:
    """Strip namespaces, identifiers and needless groups; shorten what is left."""
    element.tag = _local(element.tag)
    element.text = (element.text or "").strip()
    element.tail = ""
    for name in ("id", "clip-path"):  # nothing is drawn outside its axes
        element.attrib.pop(name, None)
    if element.get("transform", "").startswith("rotate(-0"):
        del element.attrib["transform"]
    kept: list[ElementTree.Element] = []
    for child in element:
        if _local(child.tag) in _DROPPED:
            continue
        _clean(child)
        if child.tag == "g" and not child.attrib:
            kept.extend(child)
        else:
            kept.append(child)
    element[:] = kept
    for name, value in element.attrib.items():
        element.set(name, _shorten(name, value))


def _local(tag: object) -> str:
    """The name without its namespace; "" for a comment."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else "metadata"


def _shorten(name: str, value: str) -> str:
    """One decimal is a tenth of a pixel; colours become custom properties."""
    if name == "style":
        value = _COLOUR.sub(lambda found: Ink(found[0]).variable, value)
        rules = (rule.strip() for rule in value.split(";"))
        return ";".join(r.replace(": ", ":") for r in rules if r and not r.startswith("font"))
    if name == "d":
        value = re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip()
    return _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value)
