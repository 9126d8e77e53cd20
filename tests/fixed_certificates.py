"""Fitters in fixed point, and their certificates as documents."""

from __future__ import annotations

import copy
import functools
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from actc.approx import ScalarFunction
from actc.approx.bipartite import fit_bipartite
from actc.approx.catalogue import find
from actc.approx.compressed_table import fit_compressed_table
from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_table import fit_fixed_table
from actc.approx.gates import FixedForm
from actc.approx.signed_digits import fit_integer_lines
from actc.approx.thresholds import Thresholds, fit_thresholds

Certificate = dict[str, Any]
Fitter = Callable[..., Any]

FITTERS: dict[str, tuple[Fitter, dict[str, int]]] = {
    "table": (fit_fixed_table, {}),
    "compressed": (fit_compressed_table, {}),
    "bipartite": (fit_bipartite, {}),
    "thresholds": (fit_thresholds, {}),
    "lines": (fit_integer_lines, {}),
    "lines of a grid": (functools.partial(fit_integer_lines, grid=3), {"grid": 3}),
    "lines of two digits": (functools.partial(fit_integer_lines, digits=2), {"digits": 2}),
    "tree": (fit_segment_tree, {}),
    "tree of one digit": (functools.partial(fit_segment_tree, digits=1), {"digits": 1}),
}
OBJECTIVES = ("correctly_rounded", "faithful", 0.1)


def plain(certificate: Certificate) -> Certificate:
    """As read from a file."""
    return dict(json.loads(json.dumps(certificate)))


def of_function(name: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    return find(name).function()


def count(form: FixedForm) -> int:
    return form.levels.size if isinstance(form, Thresholds) else form.segments  # type: ignore[attr-defined]


def serving(low: list[int], high: list[int], slopes: list[int], shift: int) -> list[list[bool]]:
    """Whether one line serves the inputs from the first index to the second."""
    table = [[False] * 8 for _ in range(8)]
    for start, end in itertools.combinations(range(9), 2):
        x = np.arange(start, end)
        first = (np.array(low[start:end]) << shift) - np.outer(slopes, x)
        last = ((np.array(high[start:end]) + 1) << shift) - 1 - np.outer(slopes, x)
        table[start][end - 1] = bool(np.any(first.max(axis=1) <= last.min(axis=1)))
    return table


def fewest_leaves(serves: list[list[bool]], start: int = 0, end: int = 8) -> int:
    if serves[start][end - 1]:
        return 1
    middle = (start + end) // 2
    return fewest_leaves(serves, start, middle) + fewest_leaves(serves, middle, end)


def listed(values: list[float]) -> ScalarFunction:
    held = np.array(values)
    return ScalarFunction("listed", lambda x: held[x.astype(int)], (0, len(values) - 1))


def changed(certificate: Certificate, path: tuple[Any, ...], value: Any) -> Certificate:
    other = copy.deepcopy(certificate)
    place: Any = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return other
