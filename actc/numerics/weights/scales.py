"""Scales of weights: by the largest value, by square error, by output error."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from actc.numerics.weights.format import WeightFormat
from actc.numerics.weights.integers import SMALLEST_SCALE
from actc.numerics.weights.objective import quadratic

Array = np.ndarray[Any, Any]

_EXACT_LARGEST = 31
"""Largest code up to which all breakpoints are visited."""
_CHUNK = 2**22
_REFINEMENTS = 8
_GRID = np.linspace(0.5, 1.0, 201)
_AROUND = np.linspace(0.7, 1.3, 13)
_OCTAVES = 10


def largest_scales(weights: Array, form: WeightFormat, floor: Array | None = None) -> Array:
    """Scales at which the largest weight of each row has the largest code.

    Args:
        weights: float64 [O, K].
        floor: float64 [O], the smallest scales allowed.

    Returns:
        float64 [O], positive; all equal when the format has one scale per tensor.
    """
    reach = np.abs(weights).max(axis=1, initial=0.0) / form.largest
    if form.granularity == "tensor":
        reach = np.full_like(reach, reach.max(initial=0.0))
    return bounded_scales(reach, form, floor)


def square_error_scales(weights: Array, form: WeightFormat, floor: Array | None = None) -> Array:
    """Scales of least square error ``sum (w - s * code)^2``, with the nearest codes.

    Up to 6 bits the minimum is exact: as s falls, each code rises at known breakpoints,
    between which the best s is ``sum(w code) / sum(code^2)``; all of them are visited
    in order. With more bits it is a grid, refined by alternating codes and scale.

    Args:
        weights: float64 [O, K].
        floor: float64 [O], the smallest scales allowed.

    Returns:
        float64 [O], positive.
    """
    rows = np.abs(weights)
    if form.granularity == "tensor":
        rows = rows.reshape(1, -1)
    if form.power_of_two:
        best = _powers_of_two(rows, form)
    elif form.largest <= _EXACT_LARGEST:
        best = _by_breakpoints(rows, form)
    else:
        best = _by_grid(rows, form)
    return bounded_scales(np.broadcast_to(best, len(weights)), form, floor)


def output_error_scales(
    weights: Array, hessian: Array, form: WeightFormat, floor: Array | None = None
) -> Array:
    """Scales of least output error ``e^T H e`` with the nearest codes, on a grid.

    Args:
        weights: float64 [G, R, K].
        hessian: float64 [G, K, K], positive definite.
        floor: float64 [G * R], the smallest scales allowed.

    Returns:
        float64 [G * R], positive.
    """
    rows = weights.reshape(-1, weights.shape[-1])
    centre = square_error_scales(rows, form, floor)
    factors = 2.0 ** np.arange(-1, 2) if form.power_of_two else _AROUND
    tried = np.stack([bounded_scales(centre * factor, form, floor) for factor in factors])
    return best_scales(
        tried, lambda scales: _output_error(weights, hessian, form, scales), form.granularity
    )


def best_scales(tried: Array, error: Any, granularity: str) -> Array:
    """Of the scales tried [n, O], the one of least error per row, or for all rows together.

    Args:
        tried: float64 [n, O].
        error: scales [O] -> errors [O].
        granularity: "channel" or "tensor".
    """
    errors = np.stack([error(scales) for scales in tried])
    if granularity == "tensor":
        return np.asarray(tried[np.argmin(errors.sum(axis=1))])
    return np.asarray(tried[np.argmin(errors, axis=0), np.arange(tried.shape[1])])


def fitted_scales(weights: Array, codes: Array, hessian: Array | None, form: WeightFormat) -> Array:
    """The scales of least output error for given codes; NaN where the codes are all zero.

    ``s = w^T H c / c^T H c``, for a single scale the quotient of the sums over all rows.

    Args:
        weights, codes: float64 [G, R, K].
        hessian: float64 [G, K, K]; None: the identity.

    Returns:
        float64 [G * R].
    """
    product = codes if hessian is None else codes @ hessian
    above = np.einsum("grk,grk->gr", product, weights).reshape(-1)
    below = np.einsum("grk,grk->gr", product, codes).reshape(-1)
    if form.granularity == "tensor":
        above, below = np.full_like(above, above.sum()), np.full_like(below, below.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan))


def refitted_scales(
    rows: Array,
    hessian: Array | None,
    codes: Array,
    scales: Array,
    form: WeightFormat,
    floor: Array | None,
) -> Array:
    """The best scales allowed for the codes: the error is a parabola in each.

    Args:
        rows, codes: float64 [G, R, K].
        hessian: float64 [G, K, K]; None: the identity.
        scales: float64 [G, R, 1], kept where the codes are all zero.
        floor: float64 [G * R], the smallest scales allowed.

    Returns:
        float64 [G, R, 1].
    """
    fitted = fitted_scales(rows, codes, hessian, form)
    kept = np.where(fitted > 0, fitted, scales.reshape(-1))
    return np.asarray(bounded_scales(kept, form, floor).reshape(scales.shape))


def group_scales(rows: Array, form: WeightFormat) -> Array:
    """The scale of least square error of every group by itself.

    Args:
        rows: float64 [G, R, K].

    Returns:
        float64 [G, R, groups]; `SMALLEST_SCALE` for a group of zeros.
    """
    size, group = rows.shape[-1], form.group
    # Zeros at the end of a short last group would take part: it is searched by itself.
    whole = rows[..., : size - size % group].reshape(-1, group)
    single = dataclasses.replace(form, granularity="channel", power_of_two=False, group=0)
    found = square_error_scales(whole, single).reshape(*rows.shape[:2], -1)
    if size % group:
        rest = rows[..., size - size % group :].reshape(-1, size % group)
        last = square_error_scales(rest, single).reshape(*rows.shape[:2], 1)
        found = np.concatenate([found, last], axis=-1)
    return np.asarray(found)


def bounded_scales(scales: Array, form: WeightFormat, floor: Array | None) -> Array:
    """`scales` [O] raised to the smallest allowed, and to powers of two where those are wanted."""
    least = np.full(len(scales), SMALLEST_SCALE)
    if floor is not None:
        least = np.maximum(least, floor.max(initial=0.0) if form.granularity == "tensor" else floor)
    if form.power_of_two:
        return np.asarray(np.maximum(_power_above(scales), _power_above(least)))
    return np.asarray(np.maximum(scales, least))


def _output_error(weights: Array, hessian: Array, form: WeightFormat, scales: Array) -> Array:
    shaped = scales.reshape(*weights.shape[:2], 1)
    residual = weights - shaped * form.nearest(weights / shaped)
    return np.asarray(quadratic(residual, hessian).reshape(-1))


def _power_above(scales: Array) -> Array:
    """The least powers of two that are not below `scales`."""
    mantissa, exponent = np.frexp(scales)
    return np.asarray(np.ldexp(1.0, exponent - (mantissa == 0.5)))


def _by_breakpoints(rows: Array, form: WeightFormat) -> Array:
    """Exact minimum for non-negative rows [O, K]; 0 for a row of zeros."""
    codes = form.magnitudes
    if len(codes) == 1:  # of two codes of one size no step depends on the scale
        return np.asarray(rows.mean(axis=1) / codes[0])
    middles, rises = (codes[1:] + codes[:-1]) / 2, np.diff(codes)
    squares = np.diff(codes**2)
    step = max(1, _CHUNK // max(1, rows.shape[1] * len(rises)))
    found = []
    for start in range(0, len(rows), step):
        part = rows[start : start + step, :, None]
        points = (part / middles).reshape(len(part), -1)
        order = np.argsort(-points, axis=1, kind="stable")
        products = np.take_along_axis((part * rises).reshape(len(part), -1), order, axis=1)
        powers = np.take(np.tile(squares, part.shape[1]), order)
        above = np.cumsum(products, axis=1) + codes[0] * part.sum(axis=(1, 2))[:, None]
        below = np.cumsum(powers, axis=1) + codes[0] ** 2 * part.shape[1]
        best = np.argmax(above**2 / below, axis=1)[:, None]
        scale = np.take_along_axis(above, best, 1) / np.take_along_axis(below, best, 1)
        found.append(scale[:, 0])
    return np.concatenate(found) if found else np.zeros(0)


def _by_grid(rows: Array, form: WeightFormat) -> Array:
    reach = np.maximum(rows.max(axis=1, initial=0.0) / form.largest, SMALLEST_SCALE)
    best = best_scales(
        reach * _GRID[:, None], lambda scales: _square_error(rows, form, scales), "channel"
    )
    for _ in range(_REFINEMENTS):
        codes = form.nearest(rows / best[:, None])
        below = (codes * codes).sum(axis=1)
        best = np.where(below > 0, (rows * codes).sum(axis=1) / np.maximum(below, 1.0), best)
    return np.asarray(best)


def _powers_of_two(rows: Array, form: WeightFormat) -> Array:
    reach = np.maximum(rows.max(axis=1, initial=0.0) / form.largest, SMALLEST_SCALE)
    tried = _power_above(reach) * 2.0 ** -np.arange(_OCTAVES)[:, None]
    return best_scales(tried, lambda scales: _square_error(rows, form, scales), "channel")


def _square_error(rows: Array, form: WeightFormat, scales: Array) -> Array:
    residual = rows - scales[:, None] * form.nearest(rows / scales[:, None])
    return np.asarray((residual**2).sum(axis=1))
