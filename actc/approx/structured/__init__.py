"""Structured functions: integer datapaths around fitted scalar pieces, with error bounds."""

from actc.approx.structured.decomposition import Decomposition
from actc.approx.structured.entry import (
    STRUCTURED,
    StructuredEntry,
    is_structured,
    parse_structured,
    structured,
)
from actc.approx.structured.pieces import Fitter, smallest_table

__all__ = [
    "STRUCTURED",
    "Decomposition",
    "Fitter",
    "StructuredEntry",
    "is_structured",
    "parse_structured",
    "smallest_table",
    "structured",
]
