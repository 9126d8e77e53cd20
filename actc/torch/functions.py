"""Exact steps of integer arithmetic with a gradient: the building blocks of every operator.

Integers are held in float64 tensors, where all of magnitude below 2^53 are exact. Each
function gives exactly the integer that golden gives; what it passes back is the gradient
of a smooth function near it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class _Round(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Floor(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Clamp(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float, margin: float) -> Tensor:
        ctx.save_for_backward((x >= low - margin) & (x <= high + margin))
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (passes,) = ctx.saved_tensors
        return gradient * passes, None, None, None


class _Lookup(Function):
    @staticmethod
    def forward(ctx: Any, index: Tensor, table: Tensor, slope: Tensor) -> Tensor:
        entry = index.to(torch.int64)
        ctx.save_for_backward(_compact(entry, len(table)), slope)
        return table[entry]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        entry, slope = ctx.saved_tensors
        return gradient * slope[entry.to(torch.int64)], None, None


class _FewBitLookup(Function):
    @staticmethod
    def forward(
        ctx: Any, index: Tensor, table: Tensor, level: Tensor, slopes: Tensor, bits: int
    ) -> Tensor:
        entry = index.to(torch.int64)
        ctx.shape, ctx.bits = entry.shape, bits
        ctx.save_for_backward(pack(level[entry], bits), slopes)
        return table[entry]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        packed, slopes = ctx.saved_tensors
        levels = unpack(packed, ctx.bits, gradient.numel()).reshape(ctx.shape)
        return gradient * slopes[levels], None, None, None, None


class _Nearest(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, largest: int, step: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.reach = largest + step / 2
        if step == 1:
            return torch.round(x).clamp(-largest, largest)
        sign = torch.where(x < 0, -1.0, 1.0).to(x.dtype)
        return torch.where(x.abs() < 2, sign, 3 * sign)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _inwards(gradient, x, ctx.reach), None, None


class _Chosen(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, thresholds: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.reach = float(codes.abs().max()) + 0.5
        return codes[torch.bucketize(x, thresholds)]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _inwards(gradient, x, ctx.reach), None, None


def _inwards(gradient: Tensor, x: Tensor, reach: float) -> Tensor:
    """The gradient of codes: beyond the last one only a step back changes anything."""
    outwards = ((x > reach) & (gradient < 0)) | ((x < -reach) & (gradient > 0))
    return gradient.masked_fill(outwards, 0.0)


def round_through(x: Tensor) -> Tensor:
    """The nearest integers, ties to even; the gradient passes unchanged.

    The straight-through estimator (Bengio, Leonard and Courville, "Estimating or
    Propagating Gradients Through Stochastic Neurons for Conditional Computation", 2013).
    """
    return _applied(_Round, x)


def floor_through(x: Tensor) -> Tensor:
    """The integers not above `x`; the gradient passes unchanged."""
    return _applied(_Floor, x)


def clamp(x: Tensor, low: float, high: float, margin: float = 0.0) -> Tensor:
    """`x` within low..high; the gradient passes up to `margin` outside of it.

    With a margin this is the backward of HeLU (see `actc.torch.gradients`), for a clamp
    at both ends.
    """
    return _applied(_Clamp, x, low, high, margin)


def lookup(index: Tensor, table: Tensor, slope: Tensor) -> Tensor:
    """table[index], with the gradient slope[index] for the index.

    Args:
        index: float64 integers, any shape.
        table, slope: float64 [n].
    """
    return _applied(_Lookup, index, table, slope)


def few_bit_lookup(
    index: Tensor, table: Tensor, level: Tensor, slopes: Tensor, bits: int
) -> Tensor:
    """table[index], with the gradient slopes[level[index]]; keeps `bits` bits per element.

    Args:
        index: float64 integers, any shape.
        table: float64 [n].
        level: uint8 [n], below 2**bits.
        slopes: float64 [2**bits].
        bits: 1, 2, 4 or 8.
    """
    return _applied(_FewBitLookup, index, table, level, slopes, bits)


def nearest_code(x: Tensor, largest: int, step: int) -> Tensor:
    """The code of a weight format nearest to `x`, as `WeightFormat.nearest`.

    The gradient passes unchanged, but not where it would lead further away from the
    codes.

    Args:
        x: float64, weights in units of codes.
        largest: the largest code.
        step: distance of neighbouring codes, 1 or 2.
    """
    return _applied(_Nearest, x, largest, step)


def chosen_code(x: Tensor, thresholds: Tensor, codes: Tensor) -> Tensor:
    """The code whose part of the line `x` lies in; the gradient as that of `nearest_code`.

    Args:
        x: float64, weights in units of codes.
        thresholds: float64 [n - 1], increasing; a part ends with its threshold.
        codes: float64 [n], increasing.
    """
    return _applied(_Chosen, x, thresholds, codes)


def shifted(x: Tensor, bits: int) -> Tensor:
    """x / 2^bits rounded, ties towards plus infinity: integers below 2^52 in magnitude."""
    half = float((1 << bits) >> 1)
    return floor_through((x + half) * 2.0**-bits)


def pack(levels: Tensor, bits: int) -> Tensor:
    """Numbers of `bits` bits (1, 2, 4 or 8), uint8, several to a byte: uint8 [bytes]."""
    flat, each = levels.reshape(-1), 8 // bits
    flat = torch.nn.functional.pad(flat, (0, -len(flat) % each)).reshape(-1, each)
    packed = torch.zeros(len(flat), dtype=torch.uint8, device=levels.device)
    for place in range(each):
        packed |= flat[:, place] << (bits * place)
    return packed


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """What `pack` packed, the first `count` numbers: int64 [count]."""
    places = torch.arange(0, 8, bits, device=packed.device)
    spread = (packed.to(torch.int64)[:, None] >> places) & ((1 << bits) - 1)
    return spread.reshape(-1)[:count]


def _compact(entry: Tensor, size: int) -> Tensor:
    """Indices below `size` in the smallest type."""
    return entry.to(torch.uint8 if size <= 2**8 else torch.int32)


def _applied(function: type[Function], *arguments: Any) -> Tensor:
    result: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return result
