"""Depthwise convolution: vectors over channels, one multiply-add per tap."""

from __future__ import annotations

import numpy as np
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_cut import row_bands
from actc.targets.tvm.kernels.conv_frame import Activation, KernelFrame, Output
from actc.targets.tvm.kernels.conv_input import (
    Band,
    WordMap,
    allocate_scratch,
    prepare_input,
    whole_map,
)
from actc.targets.tvm.kernels.conv_isa import DotProduct, Weight
from actc.targets.tvm.kernels.conv_tiling import block_starts, vector_lanes
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, accumulators, load, store
from actc.targets.tvm.kernels.parallel import spread
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_UNROLLED_TAPS = 200
"""Pixels x taps that are written out; beyond, kernel rows are a loop."""


class _Plan:
    """Vectors, pixels per tile and packed layout (block, tap, lane)."""

    def __init__(self, spec: ConvSpec, dot: DotProduct, schedule: Schedule | None = None) -> None:
        self.dot = dot
        self.channels = padded(spec.out_c)
        self.lanes = vector_lanes(spec, dot)
        self.blocks = -(-self.channels // self.lanes)
        self.taps = spec.kernel[0] * spec.kernel[1]
        self.block_size = self.taps * dot.tap_size(self.lanes)
        self.pixels = modelled_pixels(spec, dot) if schedule is None else schedule.pixels
        self.unrolled = self.pixels * self.taps <= _UNROLLED_TAPS


def modelled_pixels(spec: ConvSpec, dot: DotProduct) -> int:
    """Pixels of a tile where no schedule tells another number."""
    most = min(8 if dot.registers > 16 else 4, spec.out_w)
    return -(-spec.out_w // -(-spec.out_w // most))


def depthwise_work(spec: ConvSpec, dot: DotProduct) -> int:
    """Vector instructions of one sample."""
    blocks = -(-padded(spec.out_c) // vector_lanes(spec, dot))
    return spec.out_h * spec.out_w * blocks * (spec.kernel[0] * spec.kernel[1] + 4)


def pack_depthwise(
    weight: Weight, spec: ConvSpec, dot: DotProduct, schedule: Schedule | None = None
) -> Weight:
    """Packed weights of a depthwise convolution, one-dimensional.

    Args:
        weight: (C, 1, kh, kw).
        schedule: that of the kernel.
    """
    plan = _Plan(spec, dot, schedule)
    lanes = np.zeros((plan.channels, plan.taps), weight.dtype)
    lanes[: spec.out_c] = weight.reshape(spec.out_c, plan.taps)
    starts = block_starts(plan.channels, plan.lanes)
    return dot.pack_lanes(np.stack([lanes[start : start + plan.lanes].T for start in starts]))


class _Tile:
    """Accumulators of neighbouring pixels for one vector of channels."""

    def __init__(self, plan: _Plan, frame: KernelFrame, source: WordMap, block: Expr) -> None:
        self.plan = plan
        self.spec = frame.spec
        self.source = source
        self.weight = frame.weight
        self.first_weight = block * plan.block_size

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
        spec, lanes, dot = self.spec, self.plan.lanes, self.plan.dot
        start = base + ky * (spec.dilations[0] * self.source.row)
        loaded: dict[int, Expr] = {}
        for kx in range(spec.kernel[1]):
            tap = ky * spec.kernel[1] + kx
            at = self.first_weight + tap * dot.tap_size(lanes)
            factor = dot.lane_weight(self.weight, at, lanes)
            for pixel, register in enumerate(acc):
                place = pixel * spec.strides[1] + kx * spec.dilations[1]
                if place not in loaded:
                    word = start + place * self.source.pixel
                    loaded[place] = dot.lane_values(self.source.buffer, word, lanes)
                total = dot.multiply_add(load(register, 0, lanes), loaded[place], factor)
                store(register, 0, total, lanes)


def _row(frame: KernelFrame, plan: _Plan, source: WordMap, out: Output, y: Expr) -> None:
    """Output row `y`, one vector of channels after the other."""
    spec, lanes = frame.spec, plan.lanes
    with T.serial(0, plan.blocks) as block:
        start = T.Bind(T.min(block * lanes, plan.channels - lanes))
        multipliers = frame.multipliers([start], lanes)
        with T.serial(0, -(-spec.out_w // plan.pixels)) as step:
            x = T.Bind(T.min(step * plan.pixels, spec.out_w - plan.pixels))
            row = (y * spec.strides[0] - source.first) * source.row
            column = x * (spec.strides[1] * source.pixel)
            base = T.Bind(row + column + T.floordiv(start, plan.dot.channels))
            acc = accumulators(plan.pixels, lanes, plan.dot.total_type)
            for register in acc:
                store(register, 0, load(frame.bias, start, lanes), lanes)
            _Tile(plan, frame, source, block).reduce(acc, base)
            first = (y * spec.out_w + x) * plan.channels + start
            frame.store_pixels(out, [first], plan.channels, [acc], multipliers, lanes)


def depthwise_prim_func(
    spec: ConvSpec,
    dot: DotProduct,
    features: frozenset[str],
    name: str,
    activation: Activation | None = None,
    schedule: Schedule | None = None,
    residuals: int = 0,
) -> Expr:
    """The PrimFunc of a depthwise convolution; see `ConvSpec`."""
    plan = _Plan(spec, dot, schedule)
    size = plan.blocks * plan.block_size
    frame = KernelFrame(spec, dot, size, features, activation, residuals)

    work = depthwise_work(spec, dot)
    bands, band_rows = row_bands(spec.out_h, work, schedule)
    height = (band_rows - 1) * spec.strides[0] + spec.dilations[0] * (spec.kernel[0] - 1) + 1

    def piece(n: Expr, index: Expr) -> None:
        words, out = frame.sample(n)
        band = whole_map(spec)
        if bands > 1 and height < band.rows:
            band = Band(T.Bind(index * (band_rows * spec.strides[0])), height)
        scratch = allocate_scratch(spec, dot, 0, band.rows)
        source = prepare_input(words, spec, dot, scratch, 0, band)
        first = T.Bind(index * band_rows)
        with T.serial(0, T.min(band_rows, spec.out_h - first)) as row:
            _row(frame, plan, source, out, first + row)
            frame.finish_row(out, first + row, spec.out_w)

    return frame.prim_func(name, lambda: spread(frame.batch, bands, work, piece))
