"""Constants that the model holds as integers with a scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, is_op
from actc.numerics.weights import Granularity, QuantizedWeights, WeightFormat

Array = np.ndarray[Any, Any]

INTEGERS = frozenset(
    {
        ir.DataType.INT4, ir.DataType.UINT4, ir.DataType.INT8, ir.DataType.UINT8,
        ir.DataType.INT16, ir.DataType.UINT16, ir.DataType.INT32,
    }
)  # fmt: skip
"""Types of codes that are read."""


class NotRead(Exception):
    """A quantizer that is not read; the text says why, `help` what to do."""

    def __init__(self, reason: str, help_text: str) -> None:
        super().__init__(reason)
        self.help = help_text


@dataclass(frozen=True, eq=False, slots=True)
class Integers:
    """real = scale * code.

    Attributes:
        codes: int64, zero point taken off.
        scale: float64 of float32 numbers, as many axes as `codes`, broadcast-ready.
        blocks: whether runs of codes along an axis have scales of their own.
    """

    codes: Array
    scale: Array
    blocks: bool = False

    def real(self) -> Array:
        """What DequantizeLinear gives: one float32 product."""
        product: Array = self.codes.astype(np.float32) * self.scale.astype(np.float32)
        return product

    def transposed(self, axes: list[int]) -> Integers:
        """Both with their axes in another order."""
        return Integers(self.codes.transpose(axes), self.scale.transpose(axes), self.blocks)

    def weights(self) -> QuantizedWeights:
        """As the weights of a layer, the output channels first.

        Raises:
            NotRead: a code does not fit int8, or the scale is none per output channel.
        """
        if self.codes.min(initial=0) < -128 or self.codes.max(initial=0) > 127:
            raise NotRead(
                "the weights do not fit int8 once their zero point is taken off",
                "quantize the weights symmetrically: zero point 0, or 128 for uint8",
            )
        full = np.broadcast_to(self.scale, self.codes.shape).reshape(len(self.codes), -1)
        if np.any(full != full[:, :1]) or np.any(full <= 0):
            raise NotRead(
                "the weights' scales differ inside an output channel, or are not positive",
                "quantize the weights with one positive scale per tensor or output channel",
            )
        channels = full[:, 0].astype(np.float64)
        codes = np.ascontiguousarray(self.codes.astype(np.int8))
        one = bool(np.all(channels == channels[:1]))
        form = _form(codes, one)
        return QuantizedWeights(codes, channels, np.zeros(len(channels)), form)


def _form(codes: Array, one_scale: bool) -> WeightFormat:
    """The smallest format that holds the codes."""
    most = int(np.abs(codes.astype(np.int64)).max(initial=0))
    granularity: Granularity = "tensor" if one_scale else "channel"
    if most <= 1:
        return WeightFormat(2, True, granularity)
    bits = min(max(most.bit_length() + 1, 3), 8)
    return WeightFormat(bits, False, granularity)


def integers_of(value: ir.Value | None) -> Integers | None:
    """The integers behind a constant that is dequantized, perhaps transposed; else None.

    Raises:
        NotRead: they have a type or scales that are not read.
    """
    node = value.producer() if value is not None else None
    if is_op(node, "Transpose") and node is not None:
        found = integers_of(node.inputs[0])
        if found is None:
            return None
        order = list(reversed(range(found.codes.ndim)))
        return found.transposed(attribute_ints(node, "perm", order))
    if not is_op(node, "DequantizeLinear") or node is None:
        return None
    codes = _constant_codes(node.inputs[0])
    if codes is None:
        return None
    size = block_size(node)
    scale, zero = quantizer_constants(node, blocks=True)
    if size:
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
        spread = [np.repeat(part, size, axis=axis) for part in (scale, zero)]
        scale, zero = (np.take(s, np.arange(codes.shape[axis]), axis=axis) for s in spread)
        return Integers(codes - zero, scale.astype(np.float64), blocks=True)
    shape = _axis_shape(node, scale, codes.ndim)
    return Integers(codes - zero.reshape(shape), scale.astype(np.float64).reshape(shape))


def block_size(node: ir.Node) -> int:
    """How many codes along the axis share a scale; 0 for all."""
    return node.attributes["block_size"].as_int() if "block_size" in node.attributes else 0


def _constant_codes(value: ir.Value | None) -> Array | None:
    """Integers that are constant, or that constants are quantized to."""
    array = constant(value)
    if array is not None:
        return array.astype(np.int64)
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "QuantizeLinear", "Clip"):
        return None
    if is_op(node, "Clip"):
        inner = _constant_codes(node.inputs[0])
        return None if inner is None else np.clip(inner, *clip_ends(node))
    real = constant(node.inputs[0])
    if real is None:
        return None
    scale, zero = quantizer_constants(node)
    shape = _axis_shape(node, scale, real.ndim)
    steps = np.rint(real.astype(np.float32) / scale.astype(np.float32).reshape(shape))
    low, high = code_range(node)
    return np.asarray(np.clip(steps.astype(np.int64) + zero.reshape(shape), low, high))


def quantizer_constants(node: ir.Node, *, blocks: bool = False) -> tuple[Array, Array]:
    """Scale and zero point (int64) of a QuantizeLinear or DequantizeLinear.

    Args:
        blocks: whether there may be one per block.

    Raises:
        NotRead: they are computed, or of blocks, or for a type that is not read.
    """
    scale = constant(node.inputs[1])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    zero = constant(given)
    if scale is None or (given is not None and zero is None):
        raise NotRead("its scale or zero point is computed", "export a static quantization")
    if block_size(node) and not blocks:
        raise NotRead("it has a scale per block", "quantize per tensor or per output channel")
    if not np.all(scale > 0):
        raise NotRead("a scale is not positive", "calibrate the model again")
    code_type(node)
    points = np.zeros_like(scale, np.int64) if zero is None else zero.astype(np.int64)
    return scale, points


def _axis_shape(node: ir.Node, scale: Array, rank: int) -> tuple[int, ...]:
    """The shape in which scales broadcast with what is quantized."""
    if scale.size == 1:
        return (1,) * rank
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
    return tuple(-1 if position == axis % rank else 1 for position in range(rank))


def code_type(node: ir.Node) -> ir.DataType:
    """Type of the codes of a QuantizeLinear or DequantizeLinear.

    Raises:
        NotRead: it is no type of integers.
    """
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    dtype: ir.DataType | None = ir.DataType.UINT8
    if is_op(node, "DequantizeLinear"):
        source = node.inputs[0]
        assert source is not None
        dtype = source.dtype if source.dtype is not None else ir.DataType.INT8
        array = constant(source)
        if source.dtype is None and array is not None:
            dtype = ir.DataType.from_numpy(array.dtype)
    elif zero is not None:
        array = constant(zero)
        dtype = zero.dtype if array is None else ir.DataType.from_numpy(array.dtype)
    elif "output_dtype" in node.attributes and node.attributes["output_dtype"].as_int():
        dtype = ir.DataType(node.attributes["output_dtype"].as_int())
    if dtype not in INTEGERS:
        name = "unknown" if dtype is None else dtype.name.lower()
        raise NotRead(f"its codes are of type {name}", "quantize to integers of 4, 8 or 16 bits")
    return dtype


def code_range(node: ir.Node) -> tuple[int, int]:
    """Smallest and largest code of a QuantizeLinear's type."""
    dtype = code_type(node)
    bits = dtype.bitwidth
    low = -(2 ** (bits - 1)) if dtype.is_signed() else 0
    return low, low + 2**bits - 1


def clip_ends(node: ir.Node) -> tuple[int, int]:
    """What a Clip of codes clips to.

    Raises:
        NotRead: it is computed.
    """
    ends = [-(2**31), 2**31 - 1]
    for position, value in enumerate(node.inputs[1:3]):
        array = constant(value)
        if value is not None and array is None:
            raise NotRead("the Clip between computes its ends", "export a static quantization")
        if array is not None:
            ends[position] = int(array.reshape(-1)[0])
    return ends[0], ends[1]
