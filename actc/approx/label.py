"""Naming a function by comparing it with the catalogue.

A label is a convenience for reports and never decides what is computed. Tried in
this order, the first success wins:

1. g(x) for every well-known catalogue function g (`CatalogueEntry.searched`);
2. g(x, parameters), the parameters searched among the constants of the model's own
   sub-graph, their reciprocals and their negatives;
3. a g(s x) + b for every g with its usual parameters, s searched in the same way
   (s = 1 first) and a, b from linear regression;
4. the rarer functions: as in 1, then those of one parameter as in 2. They come last
   because a flexible one would give its name to what is better known by another.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from actc.approx.catalogue import CATALOGUE, CatalogueEntry
from actc.approx.function import Float64Array

CUSTOM = "custom"
RELATIVE_TOLERANCE = 1e-5
"""Models carry float32 constants, so that their functions differ from the textbook's."""
MAX_CANDIDATES = 32
"""Parameter candidates tried; pairs of them for functions of two parameters."""

_SEARCHED = tuple(entry for entry in CATALOGUE if entry.searched)
_RARER = tuple(entry for entry in CATALOGUE if not entry.searched)
_RARER_OF_ONE = tuple(entry for entry in _RARER if len(entry.parameters) == 1)


def label(f: Callable[[Float64Array], Float64Array], constants: Sequence[float]) -> str:
    """Name the scalar function `f`.

    Args:
        f: float64 array -> float64 array, elementwise; called once.
        constants: the constants in f's own sub-graph.

    Returns:
        e.g. "GELU", "LeakyReLU(0.1)", "0.5*Sigmoid(2*x)+1"; "Constant"; or "custom".
        The same input always gives the same label.
    """
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(f(_points()), np.float64), _points().shape)
        if not np.any(np.isfinite(values)):
            return CUSTOM
        if np.ptp(values[np.isfinite(values)]) == 0.0 and np.all(np.isfinite(values)):
            return "Constant"
        candidates = _candidates(constants)
        return (
            _match_usual(values, _SEARCHED)
            or _match_parameters(values, candidates, _SEARCHED)
            or _match_scaled(values, [1.0])
            or _match_scaled(values, [c for c in candidates if c not in (0.0, 1.0)])
            or _match_usual(values, _RARER)
            or _match_parameters(values, candidates, _RARER_OF_ONE)
            or CUSTOM
        )


@functools.cache
def _points() -> Float64Array:
    """Where functions are compared: first the probes, then the full set.

    No point is a "nice" number, where a step or a kink could sit.
    """
    probes = np.linspace(-3.9, 4.1, _PROBES) + 1 / (9 * np.pi)
    even = np.linspace(-10.0, 10.0, 200) + 1 / (7 * np.pi)
    near = np.geomspace(1e-3, 0.5, 12) * np.sqrt(1.1)
    far = np.array([12.3, 17.1, 23.7, 31.9])
    return np.concatenate([probes, even, near, -near, far, -far])


_PROBES = 24


@functools.cache
def _usual_values(entries: tuple[CatalogueEntry, ...]) -> Float64Array:
    """The functions with their usual parameters [entry, point]."""
    shape = _points().shape
    with np.errstate(all="ignore"):
        rows = [entry.evaluate(_points(), *entry.defaults) for entry in entries]
    return np.stack([np.broadcast_to(row, shape) for row in rows])


def _close(actual: Float64Array, expected: Float64Array) -> bool:
    """Whether two value vectors agree at every point, NaN and infinities included."""
    # an absolute floor, because float32 constants leave noise where values cancel
    finite = actual[np.isfinite(actual)]
    floor = 0.1 * RELATIVE_TOLERANCE * min(1.0, float(np.abs(finite).max(initial=0.0)))
    return bool(np.allclose(actual, expected, rtol=RELATIVE_TOLERANCE, atol=floor, equal_nan=True))


def _candidates(constants: Iterable[float]) -> list[float]:
    """Parameter values worth trying: c, 1/c, -c, -1/c, without near-duplicates."""
    found: list[float] = []
    for constant in map(float, constants):
        inverse = 1 / constant if constant else 0.0
        for value in (constant, inverse, -constant, -inverse):
            known = any(abs(value - other) <= 1e-7 * abs(other) for other in found)
            if math.isfinite(value) and not known:
                found.append(value)
    return found[:MAX_CANDIDATES]


def _match_usual(values: Float64Array, entries: tuple[CatalogueEntry, ...]) -> str | None:
    expected = _usual_values(entries)
    for row in _near(expected[:, :_PROBES], values[:_PROBES]):
        if _close(values, expected[row]):
            return entries[row].name
    return None


def _match_parameters(
    values: Float64Array, candidates: list[float], entries: Iterable[CatalogueEntry]
) -> str | None:
    for entry in entries:
        if not entry.parameters:
            continue
        choices = [sorted({*candidates, default}) for default in entry.defaults]
        grid = np.array(list(itertools.product(*choices)))
        columns = [column[:, None] for column in grid.T]
        expected = entry.evaluate(_points()[None, :_PROBES], *columns)
        for row in _near(expected, values[:_PROBES]):
            if _close(values, entry.evaluate(_points(), *grid[row])):
                return entry.title(*grid[row])
    return None


def _near(expected: Float64Array, probes: Float64Array) -> Iterable[int]:
    """Rows of `expected` [rows, probes] that fit at the first few points."""
    finite = np.isfinite(probes)
    gap = np.abs(expected - probes)[:, finite]
    near = gap <= RELATIVE_TOLERANCE * (1.0 + np.abs(probes[finite]))
    return [int(row) for row in np.flatnonzero(near.all(axis=1))]


def _match_scaled(values: Float64Array, factors: list[float]) -> str | None:
    """Find a g(s x) + b with s among `factors`."""
    probes = values[:_PROBES]
    if not factors or not np.all(np.isfinite(probes)):
        return None
    scales = np.array(factors)
    for entry in _SEARCHED:
        inner = entry.evaluate(scales[:, None] * _points()[:_PROBES], *entry.defaults)
        for row, outer, offset in _affine_fits(inner, probes):
            expected = entry.evaluate(scales[row] * _points(), *entry.defaults)
            if _close(values, outer * expected + offset):
                return _affine_title(entry.name, outer, float(scales[row]), offset)
    return None


def _affine_fits(inner: Float64Array, probes: Float64Array) -> Iterable[tuple[int, float, float]]:
    """Rows of `inner` [S, probes] with probes ~= outer * row + offset."""
    mean = inner.mean(axis=1, keepdims=True)
    centred, target = inner - mean, probes - probes.mean()
    outer = (centred * target).sum(axis=1) / (centred * centred).sum(axis=1)
    gap = np.abs(outer[:, None] * centred - target).max(axis=1)
    for row in np.flatnonzero(gap <= RELATIVE_TOLERANCE * np.abs(target).max()):
        yield int(row), float(outer[row]), float(probes.mean() - outer[row] * mean[row, 0])


def _affine_title(name: str, outer: float, scale: float, offset: float) -> str:
    front = "" if abs(outer - 1) < RELATIVE_TOLERANCE else f"{outer:.6g}*"
    inside = "x" if scale == 1.0 else f"{scale:.6g}*x"
    back = "" if abs(offset) < RELATIVE_TOLERANCE * max(1.0, abs(outer)) else f"{offset:+.6g}"
    if name == "Identity":
        return f"{front}{inside}{back}"
    return f"{front}{name}{'' if inside == 'x' else f'({inside})'}{back}"
