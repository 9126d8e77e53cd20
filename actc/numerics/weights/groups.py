"""Scales of two levels: integer factors of groups of weights under a channel's scale.

A weight is ``scale * factor * code``. Factors are searched by themselves, all of them for
every group; codes are those that are best beside all other groups (see `rounding`). Every
step lowers ``e^T H e`` or leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.numerics.weights.format import WeightFormat
from actc.numerics.weights.objective import quadratic
from actc.numerics.weights.rounding import descend, sequential_codes
from actc.numerics.weights.scales import (
    best_scales,
    bounded_scales,
    group_scales,
    refitted_scales,
)

Array = np.ndarray[Any, Any]

_ROUNDS = 2
_STEPS, _SHARES = 32, (0.5, 1.5)
"""Channel scales tried, and the largest group's factor in them over the largest there is."""
_BESIDE = range(-1, 3)
"""Factors tried, about what a group wants for itself."""


@dataclass(frozen=True, eq=False, slots=True)
class Grouped:
    """A choice of integers for the rows of a layer.

    Attributes:
        codes: float64 [G, R, K], of the format.
        factors: float64 [G, R, groups], 1 ... `form.factors`.
        scales: float64 [G, R, 1].
    """

    codes: Array
    factors: Array
    scales: Array

    def products(self, form: WeightFormat) -> Array:
        """Factor times code, [G, R, K]: what integer operators take."""
        return self.codes * spread(self.factors, form, self.codes.shape[-1])


def spread(factors: Array, form: WeightFormat, size: int) -> Array:
    """Factors [..., groups] of every weight [..., size]."""
    if factors.shape[-1] == 1:
        return np.asarray(np.broadcast_to(factors, (*factors.shape[:-1], size)))
    return np.repeat(factors, form.group, axis=-1)[..., :size]


def nearest_groups(
    rows: Array, plain: tuple[Array, Array], form: WeightFormat, floor: Array | None
) -> Grouped:
    """Factors and scales of least square error with the nearest codes, not worse than `plain`.

    Args:
        rows: float64 [G, R, K].
        plain: codes [G, R, K] and scales [G, R, 1] without groups.
        floor: float64 [G * R], the smallest scales allowed.
    """
    found = _least_squares(rows, form, floor)
    return _better(rows, np.eye(rows.shape[-1])[None], found, _split(plain, form, floor), form)


def optimal_groups(
    rows: Array,
    hessian: Array,
    plain: tuple[Array, Array],
    form: WeightFormat,
    floor: Array | None,
) -> Grouped:
    """Codes, factors and scales of least output error, never worse than `plain`.

    The search starts from the groups of least square error, rounded one weight after the
    other, or in rows where that is not better from `plain`, whose scale becomes a smaller
    one times a factor that all groups have.

    Args:
        rows: float64 [G, R, K].
        hessian: float64 [G, K, K], positive definite.
        plain: codes [G, R, K] and scales [G, R, 1] without groups.
        floor: float64 [G * R], the smallest scales allowed.
    """
    start = _least_squares(rows, form, floor)
    steps = start.scales * spread(start.factors, form, rows.shape[-1])
    codes = sequential_codes(rows, steps, hessian, form)
    codes = descend(rows, steps, codes, hessian, form)
    first = Grouped(codes, start.factors, start.scales)
    best = _better(rows, hessian, first, _split(plain, form, floor), form)
    return _alternate(rows, hessian, best, form, floor)


def _least_squares(rows: Array, form: WeightFormat, floor: Array | None) -> Grouped:
    """Factors and scales of nearly the least square error.

    Every group's own best scale is known. Channel scales are tried of which some factor
    gives the largest of these, each with the best of a few factors next to what a group
    wants; from the best one on, the scale of least error for the codes and the
    best of all factors take turns.
    """
    wanted = group_scales(rows, form)
    largest = wanted.max(axis=-1).reshape(-1)
    if form.granularity == "tensor":
        largest = np.full_like(largest, largest.max())
    shares = form.factors * np.geomspace(*_SHARES, _STEPS)
    tried = np.stack([bounded_scales(largest / share, form, floor) for share in shares])

    def near(scales: Array) -> tuple[Array, Array]:
        below = np.floor(wanted / scales.reshape(*rows.shape[:2], 1))
        beside = [np.clip(below + n, 1, form.factors) for n in _BESIDE]
        return _best_factors(rows, scales, beside, form)

    scales = best_scales(tried, lambda s: near(s)[1].reshape(-1), form.granularity)
    factors, _ = near(scales)
    shaped = scales.reshape(*rows.shape[:2], 1)
    every = [np.full_like(factors, f) for f in range(1, form.factors + 1)]
    for _ in range(0 if form.power_of_two else _ROUNDS):
        found = _nearest(rows, factors, shaped, form)
        shaped = refitted_scales(rows, None, found.products(form), shaped, form, floor)
        factors, _ = _best_factors(rows, shaped, every, form)
    return _nearest(rows, factors, shaped, form)


def _nearest(rows: Array, factors: Array, scales: Array, form: WeightFormat) -> Grouped:
    codes = form.nearest(rows / (scales * spread(factors, form, rows.shape[-1])))
    return Grouped(codes, factors, scales)


def _best_factors(
    rows: Array, scales: Array, tried: Sequence[Array], form: WeightFormat
) -> tuple[Array, Array]:
    """Of the factors tried [G, R, groups], each group's best; the rows' square errors [G, R]."""
    shaped = scales.reshape(*rows.shape[:2], 1)
    best, least = tried[0], np.full(tried[0].shape, np.inf)
    for factors in tried:
        steps = shaped * spread(factors, form, rows.shape[-1])
        squares = (rows - steps * form.nearest(rows / steps)) ** 2
        errors = np.add.reduceat(squares, _starts(form, rows.shape[-1]), axis=-1)
        best, least = np.where(errors < least, factors, best), np.minimum(errors, least)
    return best, least.sum(axis=-1)


def _split(plain: tuple[Array, Array], form: WeightFormat, floor: Array | None) -> Grouped:
    """The same weights with room around every group's factor, where the floor leaves it."""
    codes, scales = plain
    least = bounded_scales(np.zeros(scales.size), form, floor).reshape(scales.shape)
    room = np.clip(scales / least, 1, max(1, form.factors // 2))
    factor = 2.0 ** np.floor(np.log2(room))
    if form.granularity == "tensor":
        factor = np.full_like(factor, factor.min())
    groups = form.groups_of(codes.shape[-1])
    return Grouped(codes, np.repeat(factor, groups, axis=-1), scales / factor)


def _starts(form: WeightFormat, size: int) -> Array:
    return np.arange(0, size, form.group)


def _alternate(
    rows: Array, hessian: Array, found: Grouped, form: WeightFormat, floor: Array | None
) -> Grouped:
    """The best factors, codes and scale take turns."""
    codes, factors, scales = found.codes, found.factors, found.scales
    size = rows.shape[-1]
    for turn in range(_ROUNDS):
        near = None if turn == 0 else 2
        codes, factors = _refactored(rows, hessian, Grouped(codes, factors, scales), form, near)
        codes = descend(rows, scales * spread(factors, form, size), codes, hessian, form)
        if not form.power_of_two:
            products = codes * spread(factors, form, size)
            scales = refitted_scales(rows, hessian, products, scales, form, floor)
            codes = descend(rows, scales * spread(factors, form, size), codes, hessian, form)
    return Grouped(codes, factors, scales)


def _refactored(
    rows: Array, hessian: Array, found: Grouped, form: WeightFormat, near: int | None
) -> tuple[Array, Array]:
    """Each group's best factor while all other groups stay, with codes of its own.

    Given the others, a group's best real weights are a linear equation; they are rounded
    one after the other for every factor tried (all, or those up to `near` away).
    """
    codes, factors, scales = found.codes.copy(), found.factors.copy(), found.scales
    gradient = (rows - scales * found.products(form)) @ hessian
    size = rows.shape[-1]
    offsets = np.arange(1, form.factors + 1) if near is None else np.arange(-near, near + 1)
    for index, start in enumerate(_starts(form, size)):
        part = slice(start, min(start + form.group, size))
        block = hessian[:, part, part]
        now = factors[:, :, index : index + 1]
        real = scales * now * codes[:, :, part]
        room = np.swapaxes(np.linalg.solve(block, np.swapaxes(gradient[:, :, part], 1, 2)), 1, 2)
        target = real + room
        tried = offsets if near is None else np.clip(now + offsets, 1, form.factors)
        steps = scales * np.broadcast_to(tried, (*rows.shape[:2], len(offsets)))
        best_codes, best, error = _best_block(target, steps, block, form)
        won = error < quadratic(room, block) * (1 - 1e-9)
        chosen = np.take_along_axis(np.broadcast_to(tried, steps.shape), best[..., None], -1)
        factors[:, :, index : index + 1] = np.where(won[..., None], chosen, now)
        codes[:, :, part] = np.where(won[..., None], best_codes, codes[:, :, part])
        moved = scales * factors[:, :, index : index + 1] * codes[:, :, part] - real
        gradient -= moved @ hessian[:, part, :]
    return codes, factors


def _best_block(
    target: Array, steps: Array, block: Array, form: WeightFormat
) -> tuple[Array, Array, Array]:
    """The best of the steps tried for one group: its codes, its index, its error.

    Args:
        target: float64 [G, R, n].
        steps: float64 [G, R, T].
        block: float64 [G, n, n].
    """
    shape = (*steps.shape, target.shape[-1])
    flat = (steps.shape[0], -1, target.shape[-1])
    targets = np.broadcast_to(target[:, :, None, :], shape).reshape(flat)
    widths = steps.reshape(steps.shape[0], -1, 1)
    codes = sequential_codes(targets, widths, block, form)
    errors = quadratic(targets - widths * codes, block).reshape(steps.shape)
    best = np.argmin(errors, axis=-1)
    chosen = np.take_along_axis(codes.reshape(shape), best[..., None, None], axis=2)[:, :, 0]
    return chosen, best, np.take_along_axis(errors, best[..., None], -1)[..., 0]


def _better(rows: Array, hessian: Array, a: Grouped, b: Grouped, form: WeightFormat) -> Grouped:
    """The one of less error, per row or for all rows under a single scale."""
    errors = [quadratic(rows - x.scales * x.products(form), hessian) for x in (a, b)]
    if form.granularity == "tensor":
        return b if errors[1].sum() < errors[0].sum() else a
    won = (errors[1] < errors[0])[..., None]
    pairs = ((b.codes, a.codes), (b.factors, a.factors), (b.scales, a.scales))
    return Grouped(*(np.where(won, x, y) for x, y in pairs))
