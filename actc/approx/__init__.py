"""Scalar functions and their approximations: fits, forms, certificates and names."""

from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.candidates import Candidate, Variant, candidates, candidates_of_size, variants
from actc.approx.catalogue import CATALOGUE, CatalogueEntry
from actc.approx.certificate import certify_table
from actc.approx.checker import check_certificate
from actc.approx.compressed_table import CompressedTable, fit_compressed_table
from actc.approx.dyadic import SegmentTree, fit_leaves, fit_segment_tree
from actc.approx.fixed_certificate import certify_fixed
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import (
    IntegerPolynomial,
    PolynomialFit,
    fit_polynomial,
    fit_polynomial_leaves,
)
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.float_tree import TreeFit, fit_tree
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, FixedForm, Gates, NoForm, make_gates
from actc.approx.label import label
from actc.approx.least_squares import LeastSquaresFit, fit_least_squares
from actc.approx.pwl import Fit, PiecewiseLinear, fit_piecewise_linear
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines, fit_segments
from actc.approx.table import Table, TableFit, fit_table
from actc.approx.thresholds import Thresholds, fit_thresholds

__all__ = [
    "CATALOGUE",
    "BipartiteTable",
    "Candidate",
    "CatalogueEntry",
    "CompressedTable",
    "Fit",
    "FixedFit",
    "FixedForm",
    "FixedPoint",
    "FixedTable",
    "Gates",
    "IntegerPiecewiseLinear",
    "IntegerPolynomial",
    "LeastSquaresFit",
    "NoForm",
    "PiecewiseLinear",
    "PolynomialFit",
    "ScalarFunction",
    "SegmentTree",
    "Table",
    "TableFit",
    "Thresholds",
    "TreeFit",
    "Variant",
    "candidates",
    "candidates_of_size",
    "certify_fixed",
    "certify_table",
    "check_certificate",
    "fit_bipartite",
    "fit_compressed_table",
    "fit_fixed_table",
    "fit_integer_lines",
    "fit_least_squares",
    "fit_leaves",
    "fit_piecewise_linear",
    "fit_polynomial",
    "fit_polynomial_leaves",
    "fit_segment_tree",
    "fit_segments",
    "fit_table",
    "fit_thresholds",
    "fit_tree",
    "label",
    "make_gates",
    "variants",
]
