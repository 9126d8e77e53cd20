"""Textbook scalar functions: formula, parameters, source and a float64 definition.

The definitions do not come from any model: they name what a model computes
(:mod:`actc.approx.label`) and give tests something independent to compare with.
"""

from __future__ import annotations

import difflib

from actc.approx.catalogue import (
    bounded,
    elementary,
    gated,
    kan,
    localized,
    lowbit,
    periodic,
    polynomials,
    rational,
    rectifiers,
    relu,
    sigmoid_gates,
    smooth,
    thresholds,
)
from actc.approx.catalogue.entry import ELEMENTARY, CatalogueEntry, Parameter, Source

__all__ = [
    "CATALOGUE",
    "ELEMENTARY",
    "FAMILIES",
    "CatalogueEntry",
    "Parameter",
    "Source",
    "find",
    "nearest",
]

# The order matters for labels: of several entries that fit, the first gives the name.
FAMILIES: dict[str, tuple[CatalogueEntry, ...]] = {
    "elementary functions": elementary.ENTRIES,
    "rectifiers": relu.ENTRIES,
    "smooth rectifiers": smooth.ENTRIES,
    "self-gated units": gated.ENTRIES,
    "periodic functions": periodic.ENTRIES,
    "rectifier variants": rectifiers.ENTRIES,
    "gated variants": sigmoid_gates.ENTRIES,
    "sigmoids": bounded.ENTRIES,
    "localized functions and wavelets": localized.ENTRIES,
    "rational functions": rational.ENTRIES,
    "polynomials": polynomials.ENTRIES,
    "edges of Kolmogorov-Arnold networks": kan.ENTRIES,
    "thresholds": thresholds.ENTRIES,
    "binary and quantized activations": lowbit.ENTRIES,
}
"""The entries by family, in the order in which they are listed."""

CATALOGUE: tuple[CatalogueEntry, ...] = tuple(
    entry for entries in FAMILIES.values() for entry in entries
)
"""Every entry."""


def _key(name: str) -> str:
    """Names differ in more than case, spaces and hyphens."""
    return "".join(c for c in name.lower() if c not in " -_")


_BY_NAME = {_key(alias): entry for entry in CATALOGUE for alias in entry.aliases}
_BY_NAME |= {_key(entry.name): entry for entry in CATALOGUE}


def find(name: str) -> CatalogueEntry:
    """The entry called `name`, also by another name; case and hyphens do not matter.

    Raises:
        KeyError: no such function.
    """
    return _BY_NAME[_key(name)]


def nearest(name: str) -> str | None:
    """The entry's name that is most like `name`, if any is."""
    near = difflib.get_close_matches(_key(name), _BY_NAME, n=1)
    return _BY_NAME[near[0]].name if near else None
