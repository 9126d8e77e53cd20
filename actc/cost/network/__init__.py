"""The logic of whole networks, fully unrolled: estimated by its parts, without synthesis."""

from __future__ import annotations

from actc.cost.network.operations import (
    Unit,
    add_cells,
    matrix_cells,
    maximum_cells,
    product_cells,
    requantize_cells,
    unit_cells,
)

__all__ = [
    "Unit",
    "add_cells",
    "matrix_cells",
    "maximum_cells",
    "product_cells",
    "requantize_cells",
    "unit_cells",
]
