"""Signs above a threshold of the sample's own, in numpy and Python's integers."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, operator

_LIMB_BITS = 20


def numbers(limbs: Array) -> Array:
    """The integers whose limbs lie along the last axis; an object array without that axis."""
    places = np.array([1 << (_LIMB_BITS * place) for place in range(limbs.shape[-1])], object)
    total: Array = (limbs.astype(object) * places).sum(axis=-1)
    return np.asarray(total, object)


def instance_steps(
    acc: Array,
    powers: Array,
    weights: Array,
    factor: Array,
    slope: Array,
    offset: Array,
    values: Array,
    *,
    shared: int,
) -> Array:
    """values[1 + sign(slope * acc + offset + factor * T)], for the statistic T of each sample.

    T = sum over powers p and positions of weight[p] * acc^p, of a channel or (`shared`) over all
    channels; docs/internals.md has the shapes. A threshold is found per sample and channel
    with Python's integers, and accumulators are compared with it.

    Raises:
        OverflowError: a sum of powers leaves 63 bits.
        ValueError: weights or factors are not those of one number, moved by whole limbs.
    """
    channels = acc.shape[1]
    statistic = _statistic(acc, powers, weights, bool(shared))
    gains = _gains(factor, channels if shared else 1, offset.shape[-1])
    slopes = np.broadcast_to(numbers(slope).reshape(-1), channels)
    level = numbers(offset).reshape(1, -1) + statistic * gains[None]
    signs = np.empty(acc.shape, np.int64)
    for n, c in np.ndindex(acc.shape[:2]):
        signs[n, c] = _signs(acc[n, c].astype(np.int64), int(slopes[c]), int(level[n, c]))
    return np.asarray(values[1 + signs])


def _statistic(acc: Array, powers: Array, weights: Array, shared: bool) -> Array:
    """T as Python's integers [N, C], or [N, 1] where all channels share it."""
    wide = acc.astype(np.int64).reshape(*acc.shape[:2], -1)
    total = np.zeros(acc.shape[:2], object)
    for index, power in enumerate(int(p) for p in powers):
        largest = int(np.abs(wide).max(initial=0))
        if largest**power * wide.shape[2] >= 2**62:
            raise OverflowError("a sum of powers leaves 63 bits")
        sums = (wide**power).sum(axis=2)
        rows = numbers(weights)[..., index, :].reshape(-1, weights.shape[-2])
        for place in range(rows.shape[1]):
            if np.any(rows[:, place] != rows[:, 0] * (1 << (_LIMB_BITS * place))):
                raise ValueError("weights of a power are not moved by whole limbs")
        total = total + sums.astype(object) * rows[:, 0][None]
    return total.sum(axis=1, keepdims=True) if shared else total


def _gains(factor: Array, channels: int, limbs: int) -> Array:
    """The factor of T in each channel [channels]."""
    rows = numbers(factor.reshape(len(factor), channels, limbs))
    for place, row in enumerate(rows):
        if np.any(row != rows[0] * (1 << (_LIMB_BITS * place))):
            raise ValueError("factors are not moved by whole limbs")
    return np.asarray(rows[0], object)


def _signs(acc: Array, slope: int, level: int) -> Array:
    """Signs of slope * acc + level: int64, shaped as `acc`."""
    if slope == 0:
        return np.full(acc.shape, (level > 0) - (level < 0), np.int64)
    turned = 1 if slope > 0 else -1
    edge, rest = divmod(-level * turned, abs(slope))  # zero at acc = edge + rest / |slope|
    ends = np.iinfo(np.int64)
    if not ends.min < edge < ends.max:
        return np.full(acc.shape, turned if edge < 0 else -turned, np.int64)
    above = (acc > edge).astype(np.int64) - (acc <= edge if rest else acc < edge)
    return np.asarray(above * turned)


SPECIFICATION = [operator("InstanceSteps", instance_steps, ("shared",))]
"""Implementations for onnx's reference evaluator."""
