"""Files of this package that are filled in."""

from __future__ import annotations

from importlib import resources


def library(name: str) -> str:
    """A header of actc's layers."""
    return _text("library", *name.split("/"))


def filled(name: str, **values: str) -> str:
    """A template with its ``@NAME@`` filled in."""
    text = _text("templates", name)
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _text(*parts: str) -> str:
    place = resources.files("actc.targets.hls4ml")
    for part in parts:
        place = place.joinpath(part)
    return place.read_text("utf-8")
