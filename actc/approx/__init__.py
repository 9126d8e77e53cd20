"""Scalar functions and their approximations: fits, forms, certificates and names."""

from actc.approx.catalogue import CATALOGUE, CatalogueEntry
from actc.approx.certificate import certify_table
from actc.approx.checker import check_certificate
from actc.approx.function import ScalarFunction
from actc.approx.label import label
from actc.approx.pwl import Fit, PiecewiseLinear, fit_piecewise_linear
from actc.approx.table import Table, TableFit, fit_table

__all__ = [
    "CATALOGUE",
    "CatalogueEntry",
    "Fit",
    "PiecewiseLinear",
    "ScalarFunction",
    "Table",
    "TableFit",
    "certify_table",
    "check_certificate",
    "fit_piecewise_linear",
    "fit_table",
    "label",
]
