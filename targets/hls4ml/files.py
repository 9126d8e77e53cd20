"""Files of this package that are filled in."""

from __future__ import annotations

from importlib import resources


def filled(name: str, **values: str) -> str:
    """A template with its ``@NAME@`` filled in."""
    package = resources.files("actc.targets.hls4ml")
    text = package.joinpath("templates").joinpath(name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
