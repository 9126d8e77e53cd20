"""QuantizeLinear, perhaps Clip, and DequantizeLinear: a format that the model gives."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import is_op
from actc.numerics.quantization import MIN_BITS, QuantizationParameters
from actc.passes.quantized.integers import (
    NotRead,
    clip_ends,
    code_range,
    quantizer_constants,
)


def quantizer_behind(dequantize: ir.Node) -> tuple[ir.Node, list[ir.Node]] | None:
    """The QuantizeLinear whose codes a DequantizeLinear reads, and the Clips between.

    Returns:
        None when something else than a QuantizeLinear gives the codes.
    """
    clips: list[ir.Node] = []
    value = dequantize.inputs[0]
    node = value.producer() if value is not None else None
    while node is not None and is_op(node, "Clip"):
        clips.append(node)
        value = node.inputs[0]
        node = value.producer() if value is not None else None
    if node is None or not is_op(node, "QuantizeLinear"):
        return None
    return node, clips


def given_format(dequantize: ir.Node) -> tuple[ir.Node, QuantizationParameters] | None:
    """The quantizer in front of a DequantizeLinear, and the format that both give.

    Codes become unsigned: the smallest one is 0, the real numbers stay the same.

    Returns:
        None when there is no quantizer in front.

    Raises:
        NotRead: a pair of a kind that is not read.
    """
    found = quantizer_behind(dequantize)
    if found is None:
        return None
    quantize, clips = found
    scale, zero = quantizer_constants(quantize)
    scale_back, zero_back = quantizer_constants(dequantize)
    if scale.size != 1 or scale_back.size != 1:
        raise NotRead(
            "it has a scale per channel", "quantize activations with one scale per tensor"
        )
    same = float(scale.item()) == float(scale_back.item()) and zero.item() == zero_back.item()
    if not same:
        raise NotRead(
            "QuantizeLinear and DequantizeLinear differ in scale or zero point",
            "give actc the model that this one was rewritten from",
        )
    low, high = code_range(quantize)
    for clip in reversed(clips):
        first, last = clip_ends(clip)
        low, high = min(max(low, first), last), max(min(high, last), first)
    point = int(zero.item())
    if not low <= point <= high or low == high:
        raise NotRead("zero is none of its codes", "quantize with a zero point among the codes")
    return quantize, unsigned_format(float(np.float32(scale.item())), low - point, high - point)


def unsigned_format(scale: float, low: int, high: int) -> QuantizationParameters:
    """The format of scale * n for low <= n <= high, the codes counted from 0.

    Raises:
        NotRead: more than 16 bits.
    """
    bits = max((high - low).bit_length(), MIN_BITS)
    if bits > 16:
        raise NotRead(f"its codes have {bits} bits", "quantize activations to 16 bits at most")
    return QuantizationParameters(scale, -low, 0, high - low, bits)
