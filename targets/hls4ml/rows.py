"""Layers of all channels of a position: argmax, probabilities, layer normalization.

Golden's layer normalization is ``floor(4096 * d / sqrt(v + eps))`` in float64, each operation
rounded to the nearest, ties to even (IEEE 754). Here it is computed with integers of 64 bits,
so that no tool's floating point is needed, and that of none trusted:

1. The sum ``v + eps`` has L bits in front of the point. Its 53 leading bits are m, rounded by
   the bits behind them, which are constants: ``m * 2^(L - 53)``.
2. The root r of ``m * 2^52`` (L odd) or ``m * 2^53`` comes digit by digit, with a rest. It has
   53 bits, and the next number is nearer where the rest is larger than r; ties cannot be. The
   root is ``r * 2^-t`` with t = (106 - L) div 2.
3. ``4096 * |d| * 2^t = q * r + rest``, digit by digit. With b bits of q, float64 numbers lie
   2^(b - 53) apart there: the quotient was rounded up to q + 1 where it is at most half of that
   below, ``r - rest <= r >> (54 - b)``, and down to q where it is at most half above.

All sums stay below 2^56: v + eps is below 2^53.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from actc.targets.fpga.folded.program import RowStage
from actc.targets.fpga.folded.rows import NORMAL, ArgmaxRow, LayerNormRow, Row, SoftmaxRow
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.layers import Attribute, HlsLayer, Integers, hull_of

_BITS = 53
"""Of float64's mantissa."""
_LIMB = 27
"""Bits of each of the two integers that a constant of 53 bits is written as."""


def refusal(stage: RowStage) -> str:
    """Why a stage has no layer; "" where it has."""
    row, channels = stage.row, stage.input.channels
    reach = max(abs(stage.input.range.low), abs(stage.input.range.high))
    if isinstance(row, SoftmaxRow) and channels * int(row.table.max()) >= 1 << 31:
        return "its sums of exponentials take more than 31 bits"
    if not isinstance(row, LayerNormRow):
        return ""
    if row.eps <= 0:
        return "it divides by zero where all elements are equal"
    if (channels * reach) ** 2 + row.eps >= 1 << _BITS:
        return f"its sums of squares take more than {_BITS} bits"
    return ""


def row_layer(stage: RowStage, name: str, given: str) -> HlsLayer:
    """The layer of a row, without the functions behind it.

    Args:
        name: of the layer.
        given: the layer that it reads.
    """
    op, attributes = _parts(stage.row, stage.input.range, stage.input.channels)
    found = stage.row.ranges(stage.input.channels)
    result = hull_of(np.array([[range.low, range.high] for range in found]))
    positions = () if stage.input.positions == 1 else (stage.input.rows, stage.input.columns)
    types = {k: hull_of(v) for k, v in attributes.items() if isinstance(v, np.ndarray)}
    results: dict[str, Attribute] = {"results": len(found)}
    shape = (*positions, len(found))
    return HlsLayer(name, op, (given,), shape, result, results | attributes, types, stage.name)


def _parts(row: Row, range: Range, channels: int) -> tuple[str, dict[str, Attribute]]:
    """Operator, and what it needs to know."""
    if isinstance(row, ArgmaxRow):
        return "ActcArgmax", {}
    if isinstance(row, SoftmaxRow):
        powers = row.table[: range.high - range.low + 1]
        return "ActcSoftmax", {"powers": powers, "size": len(powers), "bits": row.bits}
    assert isinstance(row, LayerNormRow)
    reach = isqrt(NORMAL * NORMAL * (channels - 1)) + 1
    constants: dict[str, Attribute] = {"gamma": row.gamma, "beta": row.beta}
    return "ActcLayerNorm", {**constants, **_limbs(row.eps), "digits": reach.bit_length()}


def _limbs(eps: float) -> dict[str, Attribute]:
    """Bits in front of the point, 53 behind it, and whether there are more."""
    over, under = eps.as_integer_ratio()
    whole, rest = divmod(over, under)
    part, more = divmod(rest << _BITS, under)
    mask = (1 << _LIMB) - 1
    return {
        "whole_high": whole >> _LIMB, "whole_low": whole & mask,
        "part_high": part >> _LIMB, "part_low": part & mask, "more": int(more > 0),
    }  # fmt: skip


# --- what the C++ computes


def argmax(layer: HlsLayer, x: Integers) -> Integers:
    """ActcArgmax: elements are compared in order, and a later one wins if it is larger."""
    best, place = x[..., 0], np.zeros(x.shape[:-1], np.int64)
    for channel in range(1, x.shape[-1]):
        larger = x[..., channel] > best
        best, place = np.where(larger, x[..., channel], best), np.where(larger, channel, place)
    return place[..., None]


def softmax(layer: HlsLayer, x: Integers) -> Integers:
    """ActcSoftmax: a quotient digit by digit, of one bit more than the code."""
    bits = _number(layer, "bits")
    powers = _constant(layer, "powers")[x.max(axis=-1, keepdims=True) - x]
    total = powers.sum(axis=-1, keepdims=True)
    rest, quotient = powers, np.zeros_like(powers)
    for _ in range(bits + 2):
        larger = rest >= total
        quotient = 2 * quotient + larger
        rest = 2 * np.where(larger, rest - total, rest)
    return np.asarray(np.minimum((quotient + 1) >> 1, (1 << bits) - 1))


def layer_norm(layer: HlsLayer, x: Integers) -> Integers:
    """ActcLayerNorm: float64 in integers, see above."""
    count = x.shape[-1]
    total = x.sum(axis=-1, keepdims=True)
    v = count * (x * x).sum(axis=-1, keepdims=True) - total * total
    mantissa, length = _sum(layer, v)
    root = _root(np.where(length % 2, mantissa, 2 * mantissa))
    normal = _quotient(count * x - total, root, (106 - length) // 2, _number(layer, "digits"))
    return np.asarray(normal * _constant(layer, "gamma") + _constant(layer, "beta"))


def _sum(layer: HlsLayer, v: Integers) -> tuple[Integers, Integers]:
    """The mantissa of v + eps, and the bits in front of the point."""
    names = ("whole", "part")
    whole, part = (
        (_number(layer, f"{name}_high") << _LIMB) | _number(layer, f"{name}_low") for name in names
    )
    whole_v = np.where(v == 0, 1, v + whole)  # of equal elements d is 0, whatever the root is
    length = _length(whole_v, _BITS)
    mantissa = (whole_v << (_BITS - length)) | (part >> length)
    rest, half = part & ((np.int64(1) << length) - 1), np.int64(1) << (length - 1)
    odd = (mantissa & 1) | _number(layer, "more")
    return mantissa + ((rest > half) | ((rest == half) & (odd == 1))), length


def _root(y: Integers) -> Integers:
    """The root of ``y * 2^52``, rounded to the nearest."""
    root, rest = np.zeros_like(y), np.zeros_like(y)
    for place in range(27, -27, -1):
        pair = (y >> (2 * place)) & 3 if place >= 0 else 0
        rest, tried = (rest << 2) | pair, (root << 2) | 1
        larger = rest >= tried
        rest, root = np.where(larger, rest - tried, rest), 2 * root + larger
    return root + (rest > root)


def _quotient(d: Integers, root: Integers, shift: Integers, digits: int) -> Integers:
    """``floor(fl64(4096 * d * 2^shift / root))``."""
    rest = (np.abs(d) * NORMAL) << (shift - digits)
    quotient = np.zeros_like(rest)
    for _ in range(digits):
        rest = rest << 1
        larger = rest >= root
        rest, quotient = np.where(larger, rest - root, rest), 2 * quotient + larger
    slack = root >> (54 - _length(quotient, digits))
    up = quotient + (root - rest <= slack)
    return np.where(d < 0, -(quotient + (rest > slack)), up)


def _length(x: Integers, most: int) -> Integers:
    """Bits of positive integers."""
    found = [(x >> place) > 0 for place in range(most)]
    return np.asarray(np.sum(found, axis=0, dtype=np.int64))


def _constant(layer: HlsLayer, name: str) -> Integers:
    value = layer.attributes[name]
    assert isinstance(value, np.ndarray)
    return value


def _number(layer: HlsLayer, name: str) -> int:
    value = layer.attributes[name]
    assert isinstance(value, int)
    return value
