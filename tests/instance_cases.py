"""Arguments of actc::InstanceSteps from integers of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actc.ir.spec.instances import _statistic, numbers
from actc.numerics.limbs import PLACES, limb_count, limbs, moved

Array = np.ndarray[Any, Any]


def arguments(
    acc: Array,
    powers: Sequence[int],
    weights: Sequence[Sequence[int]],
    factor: Sequence[int],
    slope: Sequence[int],
    offset: Sequence[int],
    values: Sequence[int] = (0, 2, 2),
) -> list[Array]:
    """The operator's inputs.

    Args:
        acc: [N, C, ...].
        weights: of each channel, one per power.
        factor: of the statistic: one number, or one per channel.
        slope, offset: one per channel.
    """
    channels, middle = acc.shape[1], (1,) * (acc.ndim - 2)
    bound = int(np.abs(acc.astype(np.int64)).max(initial=1))
    count = max(int(np.prod(acc.shape[2:])), 1)
    sums = [count * bound**power for power in powers]
    each = [sum(abs(w) * s for w, s in zip(row, sums, strict=True)) for row in weights]
    total = sum(each)
    largest = max(abs(w) for row in weights for w in row)
    digits = max(limb_count(total), limb_count(largest << 40))
    margin = max(abs(f) for f in factor) * total + max(map(abs, slope)) * bound
    margin = max(margin + max(map(abs, offset)), max(abs(f) for f in factor) << (20 * digits))
    size = limb_count(margin)
    rows = [[moved(w, PLACES, digits) for w in row] for row in weights]
    shape = (1, channels, *middle)
    return [
        acc,
        np.array(powers, np.int64),
        np.array(rows).reshape(*shape, len(powers), PLACES, digits),
        np.stack([moved(f, digits, size) for f in factor], axis=1).reshape(digits, -1),
        limbs(slope, size).reshape(*shape, size),
        limbs(offset, size).reshape(*shape, size),
        np.array(values, np.uint8),
    ]


def random(
    shape: tuple[int, ...], powers: Sequence[int], shared: bool, bits: int, seed: int, bound: int
) -> list[Array]:
    """Numbers of up to `bits` bits of either sign, zeros among them, and margins near zero."""
    generator = np.random.default_rng(seed)

    def number(size: int) -> int:
        value = int.from_bytes(generator.bytes(bits // 8 + 1), "little") >> int(
            generator.integers(8, bits + 8 - size + 1)
        )
        return -value if generator.random() < 0.5 else value

    channels = shape[1]
    acc = generator.integers(-bound, bound + 1, shape).astype(np.int32)
    weights = [[number(bits // 2) for _ in powers] for _ in range(channels)]
    factor = [number(bits // 2) for _ in range(channels)] if shared else [1]
    slope = [number(bits) for _ in range(channels)]
    slope[0] = 0
    # an offset with which an accumulator of the first sample has the margin zero
    rows = np.array([[moved(w, PLACES, 20) for w in row] for row in weights])
    spread = rows.reshape(1, channels, *([1] * (len(shape) - 2)), len(powers), PLACES, 20)
    assert int(numbers(spread).reshape(channels, -1)[0, 0]) == weights[0][0]
    statistic = _statistic(acc, np.array(powers), spread, shared)[0]
    offset = []
    for channel in range(channels):
        gain = factor[channel] if shared else 1
        level = gain * int(statistic[0 if shared else channel])
        met = int(acc[0, channel].reshape(-1)[0])
        offset.append(-level - slope[channel] * met + (channel % 3 == 2))
    return arguments(acc, powers, weights, factor, slope, offset, (3, 5, 9))
