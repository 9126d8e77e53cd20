"""Files of this package that are copied as they are, or filled in."""

from __future__ import annotations

from importlib import resources

from actc.targets.vendor import files as vendor

_PACKAGE = "actc.targets.bnn_hls"


def library() -> dict[str, str]:
    """Name -> text of the C++ library."""
    return {**_texts("library"), vendor.WORD_HEADER: vendor.word_header()}


def simulation_headers() -> dict[str, str]:
    """Name -> text of the headers that stand for the vendor's in simulation."""
    return {**_texts("include"), vendor.AXI_HEADER: vendor.axi_header()}


def filled(name: str, **values: str) -> str:
    """A template with its ``@NAME@`` filled in."""
    text = resources.files(_PACKAGE).joinpath("templates").joinpath(name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _texts(folder: str) -> dict[str, str]:
    found = resources.files(_PACKAGE).joinpath(folder).iterdir()
    return {file.name: file.read_text("utf-8") for file in sorted(found, key=lambda f: f.name)}
