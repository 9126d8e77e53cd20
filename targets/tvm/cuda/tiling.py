"""How a large product is cut into tiles, and its weights in their order. Pure Python.

A convolution is a matrix product of pixels and output channels (implicit GEMM). It counts in
words of 32 bits: four codes of 8 bits, two halves or one float32. A block of threads computes
some pixels times some channels; it goes through the words of the sum `DEPTH` at a time,
which lie in shared memory meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.targets.tvm.cuda.half import HALF, Stored
from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.float_spec import FloatConv, FloatMatMul
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.plan import Array, Kernel

Method = Literal["dp4a", "mma.u8s8", "mma.f16", "fma"]
"""Dot products of four codes, tensor cores on codes or on halves, float32 as it is."""

Products = Literal["auto", "dp4a", "fp16"]
"""What the user chooses: tensor cores for codes where all GPUs have them, never, or for halves in
place of float32 too."""

DEPTH = 16
"""Words of the sum that are in shared memory at a time."""
ROW = DEPTH + 4
"""Words from one row of a tile to the next: rows of a warp begin in different banks."""

PACKED = {"dp4a": 4, "mma.u8s8": 4, "mma.f16": 2, "fma": 1}
"""Channels of a word."""

_MANY_PIXELS, _FEW_PIXELS = 128, 32
"""Of a block; few for dense layers and small maps, so that a small batch leaves no blocks idle."""
_SMALL_MAP = 16
_LEAST_DEPTH, _LEAST_CHANNELS = 16, 8
_MOST_DEPTH = 1 << 14
"""Up to here sums of products of two codes stay within 32 bits, whatever their zero points."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of one convolution.

    Attributes:
        method: how products are computed.
        words: of a pixel.
        pixels, channels: of a block.
        columns: blocks side by side, which together have all channels.
        steps: times that shared memory is filled.
    """

    method: Method
    words: int
    pixels: int
    channels: int
    columns: int
    steps: int

    @property
    def wide(self) -> bool:
        """Whether four neighbouring words always are of one pixel, to be loaded at once."""
        return self.words % 4 == 0


def tiling_of(spec: ConvSpec, method: Method) -> Tiling | None:
    """The tiles of a convolution; None where the plain kernel is as good."""
    taps = spec.kernel[0] * spec.kernel[1]
    words = -(-spec.in_c // PACKED[method])
    lanes = padded(spec.out_c)
    if spec.group != 1 or taps * words < _LEAST_DEPTH or lanes < _LEAST_CHANNELS:
        return None
    few = spec.out_h * spec.out_w <= _SMALL_MAP
    channels = 64 if lanes > 32 or few else 32 if lanes > 16 else 16
    columns = -(-lanes // channels)
    pixels = _FEW_PIXELS if few else _MANY_PIXELS
    return Tiling(method, words, pixels, channels, columns, -(-taps * words // DEPTH))


def matmul_tiling(spec: BatchMatMul | FloatMatMul, method: Method) -> Tiling | None:
    """The tiles of a product of activations; None where the plain kernel is as good."""
    rows, columns = spec.dims[-2:]
    if min(rows, columns, spec.depth) < _LEAST_CHANNELS or spec.depth > _MOST_DEPTH:
        return None
    words = -(-spec.depth // PACKED[method])
    pixels, channels = (64 if extent > 32 else 32 for extent in (rows, columns))
    return Tiling(method, words, pixels, channels, -(-columns // channels), -(-words // DEPTH))


def chosen_tiling(kernel: Kernel | Stored, architecture: str, products: Products) -> Tiling | None:
    """The tiles of a kernel; None where it has none.

    Args:
        kernel: any kernel of a plan.
        architecture: the oldest that it must run on; tensor cores take bytes from sm_80 on, and
            halves always.
        products: the user's choice.
    """
    modern = int(architecture.removeprefix("sm_")) >= 80
    if isinstance(kernel, Stored):
        conv = kernel.kernel
        method: Method = "fma" if kernel.exact else "mma.f16"
        return tiling_of(conv.conv, method) if isinstance(conv, FloatConv) else None
    if isinstance(kernel, BatchMatMul):
        return matmul_tiling(kernel, "mma.u8s8" if modern and products != "dp4a" else "dp4a")
    if isinstance(kernel, FloatMatMul):
        halves = (modern and products == "fp16") or kernel.a.dtype == kernel.b.dtype == HALF
        return matmul_tiling(kernel, "mma.f16" if halves else "fma")
    if isinstance(kernel, ConvSpec):
        tensor = modern and products != "dp4a"
        return tiling_of(kernel, "mma.u8s8" if tensor else "dp4a")
    if isinstance(kernel, FloatConv):
        half = modern and products == "fp16"
        return tiling_of(kernel.conv, "mma.f16" if half else "fma")
    return None


def pack_tiles(weight: Array, tiling: Tiling) -> Array:
    """Weights (O, C, kh, kw) as rows of words, one for each channel of the blocks; int32, or
    float32 for "fma"; zeros where there is no channel or tap."""
    packed = PACKED[tiling.method]
    moved = np.moveaxis(weight, 1, -1)
    room = tiling.words * packed - moved.shape[-1]
    rows = np.pad(moved, ((0, 0), (0, 0), (0, 0), (0, room))).reshape(len(moved), -1)
    if tiling.method == "mma.f16":
        rows = rows.astype(np.float16)
    full = np.zeros((tiling.columns * tiling.channels, tiling.steps * DEPTH * packed), rows.dtype)
    full[: len(rows), : rows.shape[1]] = rows
    found: Array = full if tiling.method == "fma" else full.view("<i4")
    return np.ascontiguousarray(found)
