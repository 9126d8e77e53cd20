"""Depthwise convolution: vectors over channels, one multiply-add per tap.

Taps are multiplied as 32-bit lanes; with AVX512-VNNI, vpdpwssd does the
multiply and the add (the upper 16-bit half of every activation lane is zero).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import store_tile_vector
from actc.targets.tvm.kernels.conv_frame import KernelFrame
from actc.targets.tvm.kernels.conv_input import WordMap, allocate_scratch, prepare_input
from actc.targets.tvm.kernels.conv_isa import DotProduct, Int8Array, dot_product
from actc.targets.tvm.kernels.conv_tiling import block_starts
from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    accumulators,
    intrinsic,
    load,
    store,
)
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.kernels.tir import vector

_UNROLLED_TAPS = 200
"""Pixels x taps that are written out; beyond, kernel rows are a loop."""


class _Plan:
    """Vectors, pixels per tile and packed layout (block, tap, lane) of int32."""

    def __init__(self, spec: ConvSpec, features: frozenset[str]) -> None:
        dot: DotProduct = dot_product(features)
        self.channels = padded(spec.out_c)
        self.lanes = dot.lanes
        while self.lanes > self.channels:
            self.lanes //= 2
        self.blocks = -(-self.channels // self.lanes)
        self.taps = spec.kernel[0] * spec.kernel[1]
        most = min(8 if dot.registers > 16 else 4, spec.out_w)
        self.pixels = -(-spec.out_w // -(-spec.out_w // most))
        self.fused = dot.word_cost == 1
        self.unrolled = self.pixels * self.taps <= _UNROLLED_TAPS


def pack_depthwise(
    weight: Int8Array, spec: ConvSpec, features: frozenset[str]
) -> npt.NDArray[np.int8]:
    """Packed weights: little-endian int32 of (block, kh, kw, lane), as bytes.

    Args:
        weight: (C, 1, kh, kw) int8.
    """
    plan = _Plan(spec, features)
    lanes = np.zeros((padded(spec.out_c), plan.taps), "<i4")
    lanes[: spec.out_c] = weight.reshape(spec.out_c, plan.taps)
    starts = block_starts(plan.channels, plan.lanes)
    parts = [lanes[start : start + plan.lanes].T for start in starts]
    return np.ascontiguousarray(np.stack(parts)).reshape(-1).view(np.int8)


class _Tile:
    """Accumulators of neighbouring pixels for one vector of channels."""

    def __init__(self, plan: _Plan, frame: KernelFrame, source: WordMap, block: Expr) -> None:
        self.plan = plan
        self.spec = frame.spec
        self.source = source
        self.weight = frame.weight
        # A tap's weights are 4 * lanes bytes; tap 0 of the block is here.
        self.first_weight = block * (plan.taps * 4 * plan.lanes)

    def reduce(self, acc: list[Buffer], base: Expr) -> None:
        """Add all taps; `base` is the first input word of the tile."""
        height = self.spec.kernel[0]
        if self.plan.unrolled:
            for ky in range(height):
                self._kernel_row(acc, base, ky)
        else:
            with T.serial(0, height) as row:
                self._kernel_row(acc, base, row)

    def _kernel_row(self, acc: list[Buffer], base: Expr, ky: Expr) -> None:
        spec, lanes = self.spec, self.plan.lanes
        start = base + ky * (spec.dilations[0] * self.source.row)
        loaded: dict[int, Expr] = {}
        for kx in range(spec.kernel[1]):
            tap = self.first_weight + (ky * spec.kernel[1] + kx) * (4 * lanes)
            factor = T.Bind(load(self.weight, tap, 4 * lanes))
            for pixel in range(self.plan.pixels):
                place = pixel * spec.strides[1] + kx * spec.dilations[1]
                if place not in loaded:
                    loaded[place] = self._activation(start + place * self.source.pixel)
                total = self._multiply_add(load(acc[pixel], 0, lanes), loaded[place], factor)
                store(acc[pixel], 0, total, lanes)

    def _activation(self, word: Expr) -> Expr:
        lanes = self.plan.lanes
        words = load(self.source.buffer, word, lanes // 4)
        value = T.reinterpret(vector("uint8", lanes), words)
        return T.Bind(T.cast(value, vector("int32", lanes)))

    def _multiply_add(self, total: Expr, value: Expr, factor: Expr) -> Expr:
        lanes = self.plan.lanes
        if not self.plan.fused:
            return total + value * T.reinterpret(vector("int32", lanes), factor)
        pairs = vector("int16", 2 * lanes)
        name = f"llvm.x86.avx512.vpdpwssd.{32 * lanes}"
        operands = (T.reinterpret(pairs, value), T.reinterpret(pairs, factor))
        return intrinsic(name, vector("int32", lanes), total, *operands)


def _row(frame: KernelFrame, plan: _Plan, source: WordMap, out: Buffer, y: Expr) -> None:
    """Output row `y`, one vector of channels after the other."""
    spec, lanes = frame.spec, plan.lanes
    with T.serial(0, plan.blocks) as block:
        start = T.Bind(T.min(block * lanes, plan.channels - lanes))
        multipliers = frame.multipliers([start], lanes)
        with T.serial(0, -(-spec.out_w // plan.pixels)) as step:
            x = T.Bind(T.min(step * plan.pixels, spec.out_w - plan.pixels))
            stride = spec.strides[1] * source.pixel
            row = y * (spec.strides[0] * source.row)
            base = T.Bind(row + x * stride + T.floordiv(start, 4))
            acc = accumulators(plan.pixels, lanes)
            for vector in acc:
                store(vector, 0, load(frame.bias, start, lanes), lanes)
            _Tile(plan, frame, source, block).reduce(acc, base)
            first = (y * spec.out_w + x) * plan.channels + start
            for pixel, vector in enumerate(acc):
                total, at = load(vector, 0, lanes), first + pixel * plan.channels
                multiplier = multipliers[0] if multipliers else None
                store_tile_vector(out, at, total, multiplier, spec.epilogue, lanes)


def depthwise_prim_func(spec: ConvSpec, features: frozenset[str], name: str) -> Expr:
    """The PrimFunc of a depthwise convolution; see `ConvSpec`."""
    plan = _Plan(spec, features)
    size = plan.blocks * plan.taps * plan.lanes * 4
    frame = KernelFrame(spec, size, features)

    def sample(words: Buffer, out: Buffer, scratch: tuple[Buffer | None, Buffer | None]) -> None:
        source = prepare_input(words, spec, scratch, 0)
        with T.serial(0, spec.out_h) as y:
            _row(frame, plan, source, out, y)
            frame.finish_row(out, y, spec.out_w)

    return frame.prim_func(name, lambda: allocate_scratch(spec, 0), sample)
