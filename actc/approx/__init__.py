"""Scalar functions and their approximations: fits, forms, certificates and names."""

from actc.approx.catalogue import CATALOGUE, CatalogueEntry
from actc.approx.function import ScalarFunction
from actc.approx.label import label
from actc.approx.table import Table, TableFit, fit_table

__all__ = [
    "CATALOGUE",
    "CatalogueEntry",
    "ScalarFunction",
    "Table",
    "TableFit",
    "fit_table",
    "label",
]
