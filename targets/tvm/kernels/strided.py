"""What the kernels over strided loops must compute: plain values, no TVM import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actc.targets.tvm.kernels.attention_spec import Logic
from actc.targets.tvm.kernels.float_spec import Apply, FloatTable
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue

TableKind = Literal["none", "shared", "channel"]


@dataclass(frozen=True, slots=True)
class Copy:
    """The input itself."""


@dataclass(frozen=True, slots=True)
class Add:
    """int32: a * a_mul + b * b_mul + bias."""

    a_mul: int
    b_mul: int
    bias: int


@dataclass(frozen=True, slots=True)
class Mul:
    """int32: (a - a_zero) * (b - b_zero)."""

    a_zero: int
    b_zero: int


@dataclass(frozen=True, slots=True)
class Quantize:
    """uint8 from float32: saturate(round_half_even(x / scale) + zero)."""

    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class Dequantize:
    """float32: float32(x - zero) * scale; the scale is the second input."""

    zero: int


@dataclass(frozen=True, slots=True)
class Count:
    """uint8: a staircase per channel, from a comparison with each of its points.

    Inputs: the accumulator; the code below all points (int32); for each of `steps` a point
    (typed as the accumulator) and what the code rises by from there on (int32).
    """

    steps: int


@dataclass(frozen=True, slots=True)
class Search:
    """uint8: a staircase per channel, by binary search among ``2**levels - 1`` points.

    Inputs: the accumulator; the first entry of the channel (int32); the points and the codes
    of all channels, ``2**levels`` entries of each a channel (the last point is not read).
    """

    levels: int


Operation = Copy | Add | Mul | Quantize | Dequantize | Apply | FloatTable | Logic | Count | Search


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One loop nest: ``out = table[requantize(operation(inputs))]``.

    PrimFunc buffers, in this order: inputs; multiplier (int32) if `requantize`;
    offset (int32) if `table` is "channel"; the table (uint8, `table_size`) if there
    is one; out.

    Attributes:
        batch: samples, None when symbolic.
        dims: loop extents inside a sample, innermost last.
        inputs: operands of the operation, then the multiplier, then the offset.
        out: where the result goes.
        operation: what is computed.
        requantize: how int32 becomes uint8; None to leave the operation's type.
        table: whether a table follows; "channel" adds the offset to the code first.
        table_size: elements of the table.
    """

    batch: int | None
    dims: tuple[int, ...]
    inputs: tuple[Operand, ...]
    out: Operand
    operation: Operation
    requantize: Epilogue | None = None
    table: TableKind = "none"
    table_size: int = 0


@dataclass(frozen=True, slots=True)
class Concat:
    """Several copies into one buffer; PrimFunc buffers: the parts' inputs, then out."""

    parts: tuple[Elementwise, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """Sum (int32, plus `bias`) or maximum (uint8) over the loops `over`.

    The operand `x` has strides for `dims`, then for `over`; others for `dims` only.
    PrimFunc buffers: x; multiplier if `requantize`; offset if `table` is "channel"; the table if
    there is one; out.
    """

    batch: int | None
    dims: tuple[int, ...]
    over: tuple[int, ...]
    kind: Literal["sum", "max"]
    x: Operand
    inputs: tuple[Operand, ...]
    out: Operand
    bias: int = 0
    requantize: Epilogue | None = None
    table: TableKind = "none"
    table_size: int = 0


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Maximum over windows of (n, in_h, in_w, lanes) uint8, or OR of words of bits (uint32);
    outside counts as 0."""

    batch: int | None
    in_h: int
    in_w: int
    lanes: int
    out_h: int
    out_w: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int]
    dilations: tuple[int, int]
    dtype: Literal["uint8", "uint32"] = "uint8"


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """IntLayerNorm over the last of `dims`, or IntRmsNorm with a `zero`; see docs/internals.md.

    PrimFunc buffers: x, gamma, beta, multiplier if `requantize`, the table if any, out;
    all operands have strides for all of `dims`.
    """

    batch: int | None
    dims: tuple[int, ...]
    inputs: tuple[Operand, ...]
    out: Operand
    eps: float
    requantize: Epilogue | None = None
    table: TableKind = "none"
    table_size: int = 0
    zero: int | None = None


@dataclass(frozen=True, slots=True)
class Softmax:
    """IntSoftmax over the last of `dims`: x uint8, table int32 (256,), out float32.

    With `bits` it is IntProbabilities, out int32.
    """

    batch: int | None
    dims: tuple[int, ...]
    x: Operand
    out: Operand
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Embed:
    """Rows of a table: i int32, table uint8 (rows, width), out uint8.

    The last of `dims` walks along a row; the index has stride 0 there. An index
    outside 0..rows-2 takes the last row.
    """

    batch: int | None
    dims: tuple[int, ...]
    index: Operand
    out: Operand
    rows: int
    width: int
