"""What a kernel must compute: plain values, no TVM import.

Buffers are in *physical* layout. A convolution-like tensor of logical shape
[N, C, H, W] lies in memory as (N, H, W, Cp) with ``Cp = padded(C)``; a tensor of
rank 3, [N, C, L], as (N, 1, L, Cp); the rows [..., K] of a matrix product as
(N, 1, rows, Kp). Lanes ``C..Cp-1`` of an activation may hold anything (but
always the same thing for the same input); packed weights hold zeros there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

CHANNEL_BLOCK = 4
"""Channels are padded to this multiple: one 32-bit lane of an u8 x s8 dot product."""

EpilogueKind = Literal["accumulator", "requantize", "requantize+table", "requantize+channel_table"]


_BLOCK: ContextVar[int] = ContextVar("channels of a block", default=CHANNEL_BLOCK)


def padded(channels: int) -> int:
    """`channels` rounded up to a multiple of CHANNEL_BLOCK, or of what `channel_block` says."""
    block = _BLOCK.get()
    return -(-channels // block) * block


@contextmanager
def channel_block(lanes: int) -> Iterator[None]:
    """Plan kernels with channels padded to another multiple: 1 where memory is scarce.

    For whole plans, whose kernels are not TVM's: those read CHANNEL_BLOCK lanes at a time.
    """
    token = _BLOCK.set(lanes)
    try:
        yield
    finally:
        _BLOCK.reset(token)


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What happens to an int32 accumulator before it is stored.

    Attributes:
        kind: "accumulator" stores the int32 itself; "requantize" stores
            ``clamp(((acc * multiplier + 2**(shift-1)) >> shift) + zero, low, high)``
            as uint8, with an exact 64-bit product; "+table" then looks the result up
            in one table of 256 bytes, "+channel_table" in the channel's own 256 bytes
            of a table of ``out_channels_padded * 256``.
        shift: 1..46. zero, low, high: 0..255. Unused by "accumulator".
    """

    kind: EpilogueKind
    shift: int = 1
    zero: int = 0
    low: int = 0
    high: int = 255

    @property
    def out_dtype(self) -> str:
        """Element type of what is stored."""
        return "int32" if self.kind == "accumulator" else "uint8"

    def table_size(self, channels_padded: int) -> int:
        """Bytes of the table operand; 0 when the kernel takes none."""
        return {"requantize+table": 256, "requantize+channel_table": 256 * channels_padded}.get(
            self.kind, 0
        )


@dataclass(frozen=True, slots=True)
class Residual:
    """Another tensor of codes, added to those of a convolution: IntAdd and what follows.

    A convolution's code a and the other tensor's code b become
    ``requantize(own * a + other * b + bias)``, in int32 up to there.

    Attributes:
        own, other: the factors.
        bias: of the sum.
        multiplier: of `epilogue`, the same for all channels.
        epilogue: "requantize", with or without "+table".
    """

    own: int
    other: int
    bias: int
    multiplier: int
    epilogue: Epilogue

    @property
    def narrow(self) -> bool:
        """Whether 32 bits hold every number on the way to the code."""
        reach = 255 * (abs(self.own) + abs(self.other)) + abs(self.bias)
        rounding = (1 << (self.epilogue.shift - 1)) if self.epilogue.shift < 31 else 1 << 31
        return self.multiplier == 1 and reach + rounding < 1 << 31


class OutputMap:
    """The output of a 2-D convolution, by its input and window."""

    in_h: int
    in_w: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]

    __slots__ = ()

    @property
    def out_h(self) -> int:
        """Height of the output map."""
        extent = self.dilations[0] * (self.kernel[0] - 1) + 1
        return (self.in_h + self.pads[0] + self.pads[2] - extent) // self.strides[0] + 1

    @property
    def out_w(self) -> int:
        """Width of the output map."""
        extent = self.dilations[1] * (self.kernel[1] - 1) + 1
        return (self.in_w + self.pads[1] + self.pads[3] - extent) // self.strides[1] + 1

    @property
    def pointwise(self) -> bool:
        """Whether every output pixel depends on the one input pixel at its place."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads)


@dataclass(frozen=True, slots=True)
class ConvSpec(OutputMap):
    """A 2-D convolution (or matrix product) over uint8 with its epilogue.

    The kernel computes ``sum(x * w) + bias`` (the bias already holds
    ``-x_zero * sum(w)``, see `fold_bias`), reading ``x_zero`` outside the map.

    PrimFunc buffers, in this order (the table only if ``epilogue.table_size`` > 0,
    the multiplier only if the kind is not "accumulator", the last two before `out` only with
    a `residual`, and such a table):

    ==============  =======  ==================================================
    x               uint8    (n, in_h, in_w, padded(in_c))
    packed_weight   int8     the shape of what `pack_weight` returned
    bias            int32    (padded(out_c),)
    multiplier      int32    (padded(out_c),), >= 0; 0 in padding lanes
    table           uint8    (epilogue.table_size(padded(out_c)),)
    residual        uint8    as out
    residual_table  uint8    (256,)
    out             uint8    (n, out_h, out_w, padded(out_c)); int32 for "accumulator"
    ==============  =======  ==================================================

    ``n`` is an int64 variable if `batch` is None. Buffers are compact and
    aligned to 64 bytes at their start. A kernel may run over all
    n * in_h * in_w pixels as one axis when `pointwise`; otherwise n is its
    outermost loop.

    Attributes:
        batch: samples, None when symbolic.
        in_h, in_w, in_c: the map (logical channels); in_h = 1 for rank 3 and matrices.
        out_c: logical output channels.
        kernel, strides, dilations: (height, width).
        pads: (top, left, bottom, right).
        group: 1, in_c (depthwise) or any common divisor of in_c and out_c.
        x_zero: zero point of x, 0..255.
        epilogue: what to do with the accumulator.
        residual: what to do with the codes then, in the targets that fuse it.
    """

    batch: int | None
    in_h: int
    in_w: int
    in_c: int
    out_c: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    group: int
    x_zero: int
    epilogue: Epilogue
    residual: Residual | None = None

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.group == self.in_c == self.out_c and self.group > 1


def fold_bias(
    bias: npt.NDArray[np.int32], weight: npt.NDArray[np.int8], x_zero: int
) -> npt.NDArray[np.int32]:
    """Bias of shape (padded(O),) with the input's zero point folded in.

    Args:
        bias: (O,) int32.
        weight: (O, C/g, kh, kw) int8.
        x_zero: zero point of the input.

    Returns:
        ``bias - x_zero * weight.sum(axis=(1, 2, 3))``, zeros in padding lanes.

    Raises:
        OverflowError: a partial sum of the kernel could leave int32.
    """
    wide = weight.astype(np.int64)
    folded = bias.astype(np.int64) - x_zero * wide.sum(axis=(1, 2, 3))
    reach = np.abs(folded) + 255 * np.abs(wide).sum(axis=(1, 2, 3))
    if reach.size and int(reach.max()) >= 2**31:
        raise OverflowError(f"an accumulator may reach {int(reach.max())}, beyond int32")
    out = np.zeros(padded(len(folded)), np.int32)
    out[: len(folded)] = folded
    return out
