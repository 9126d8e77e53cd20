"""Files of this package that are copied as they are, or filled in."""

from __future__ import annotations

from importlib import resources

_PACKAGE = "actc.targets.vendor"
AXI_HEADER = "ap_axi_sdata.h"
"""Words of AXI4 streams, for simulation."""
WORD_HEADER = "actc_axis_word.h"
"""How networks behind AXI4 streams send words; it includes :data:`AXI_HEADER`."""


def axi_header() -> str:
    """The text of :data:`AXI_HEADER`; it includes "ap_int.h", which must lie on the path."""
    return resources.files(_PACKAGE).joinpath("include").joinpath(AXI_HEADER).read_text("utf-8")


def word_header() -> str:
    """The text of :data:`WORD_HEADER`, which comes with the sources."""
    return resources.files(_PACKAGE).joinpath("library").joinpath(WORD_HEADER).read_text("utf-8")


def filled(name: str, **values: str) -> str:
    """A template with its ``@NAME@`` filled in."""
    text = resources.files(_PACKAGE).joinpath("templates").joinpath(name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
