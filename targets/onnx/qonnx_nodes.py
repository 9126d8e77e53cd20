"""Formats as QONNX quantizers.

The operators are those of Pappalardo et al., "QONNX: Representing Arbitrary-Precision
Quantized Neural Networks", 2022; https://github.com/fastmachinelearning/qonnx:

    Quant(x, scale, zero, bits) = (round(clip(x / scale + zero, low, high)) - zero) * scale
    BipolarQuant(x, scale) = scale where x >= 0, else -scale
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.numerics.weights import QuantizedWeights

Array = np.ndarray[Any, Any]

DOMAIN = "qonnx.custom_op.general"
ROUNDING = "ROUND"
"""To nearest, ties to even; with FLOOR the only mode that every reader knows."""

MOVES = frozenset(
    {
        "Concat", "Expand", "Flatten", "GlobalMaxPool", "Identity", "MaxPool", "ReduceMax",
        "ReduceMin", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""Operators that choose and move numbers: what they give is quantized if what they read is."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A format as the parameters of a Quant.

    Attributes:
        zero: zero point.
        bits: bit width.
        signed, narrow: which codes there are: all of `bits` bits, or one less where narrow.
        ends: real numbers to clip to in front, where the format has fewer codes.
    """

    zero: int
    bits: int
    signed: bool = False
    narrow: bool = False
    ends: tuple[float, float] | None = None


def spelling(p: QuantizationParameters, *, exact_ties: bool = False) -> Spelling:
    """The Quant of a format, without a zero point where one of its own codes can be 0.

    Args:
        exact_ties: whether numbers may be ties. Quant adds the zero point before it rounds
            to even, QuantizeLinear behind: with an odd one they part. Such a format gets
            one bit more and no zero point, and saturates in front.
    """
    top, half = largest_code(p.bits), 1 << (p.bits - 1)
    plain = {
        (0, 0, top): Spelling(0, p.bits),
        (0, 0, top - 1): Spelling(0, p.bits, narrow=True),
        (half, 0, top): Spelling(0, p.bits, signed=True),
        (half - 1, 0, top - 1): Spelling(0, p.bits, signed=True, narrow=True),
        (half, 1, top): Spelling(0, p.bits, signed=True, narrow=True),
    }
    found = plain.get((p.zero_point, p.low, p.high))
    if found is not None:
        return found
    if (p.low, p.high) == (0, top) and not (exact_ties and p.zero_point % 2):
        return Spelling(p.zero_point, p.bits)
    low, high = (p.scale * (code - p.zero_point) for code in (p.low, p.high))
    if exact_ties and p.zero_point % 2:
        return Spelling(0, p.bits + 1, signed=True, ends=(low, high))
    whole = plain.get((p.zero_point, 0, top), Spelling(p.zero_point, p.bits))
    return Spelling(whole.zero, whole.bits, whole.signed, ends=(low, high))


class Quantizers:
    """Makes nodes, and shares the constants that they need."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._held: dict[tuple[str, float], ir.Value] = {}
        self.zero_points = 0
        """Quantizers with a zero point so far."""
        self.clips = 0
        """Quantizers with a Clip in front so far."""

    def quantize(self, source: ir.Value, p: QuantizationParameters, name: str) -> list[ir.Node]:
        """Nodes that round `source` to a format; the last one gives the result, `name`.

        Inputs of the network may be ties (pixels often are), other numbers are kept off.
        """
        nodes: list[ir.Node] = []
        found = spelling(p, exact_ties=source.is_graph_input())
        if found.ends is not None:
            self.clips += 1
            ends = [self._number(f"{name}_end", end) for end in found.ends]
            nodes.append(_named(ir.node("Clip", [source, *ends], name=f"{name}_clip")))
            source = nodes[0].outputs[0]
        self.zero_points += found.zero != 0
        scale = add_constant(self._graph, f"{name}_scale", np.array(p.scale, np.float32))
        quant = self._quant(source, scale, found, name)
        return [*nodes, quant]

    def weights(self, held: QuantizedWeights, shape: tuple[int, ...], name: str) -> list[ir.Node]:
        """Quant, or BipolarQuant, of the weights of a layer.

        Args:
            shape: of the scales, so that they broadcast with the weights; -1 stands for
                the output channels.
        """
        axis = shape.index(-1)
        codes = np.moveaxis(held.codes, 0, axis)
        one = bool(np.all(held.scales == held.scales[0]))
        scales = held.scales[:1].reshape(()) if one else held.scales.reshape(shape)
        real = codes.astype(np.float32) * scales.astype(np.float32)
        value = add_constant(self._graph, f"{name}_float", np.ascontiguousarray(real))
        scale = add_constant(self._graph, f"{name}_scale", scales.astype(np.float32))
        if np.all(np.abs(codes) == 1):
            node = ir.node("BipolarQuant", [value, scale], domain=DOMAIN, name=name)
            return [_named(node)]
        return [self._quant(value, scale, _weight_spelling(held), name)]

    def _quant(self, source: ir.Value, scale: ir.Value, found: Spelling, name: str) -> ir.Node:
        zero, bits = self._number("zero_point", found.zero), self._number("bits", found.bits)
        attributes: dict[str, int | str] = {
            "signed": int(found.signed),
            "narrow": int(found.narrow),
            "rounding_mode": ROUNDING,
        }
        inputs = [source, scale, zero, bits]
        return _named(ir.node("Quant", inputs, attributes, domain=DOMAIN, name=name))

    def _number(self, kind: str, number: float) -> ir.Value:
        key = (kind, float(number))
        if key not in self._held:
            array = np.array(number, np.float32)
            self._held[key] = add_constant(self._graph, f"{kind}_{number:g}", array)
        return self._held[key]


def _weight_spelling(held: QuantizedWeights) -> Spelling:
    """The fewest bits, at least those of the format, that hold all codes.

    Weights of two bits (-3, -1, 1, 3) take three: Quant has no codes without 0.
    """
    low, high = int(held.codes.min(initial=0)), int(held.codes.max(initial=0))
    bits = max(held.form.bits, high.bit_length() + 1, (-low - 1).bit_length() + 1 if low else 0)
    return Spelling(0, bits, signed=True, narrow=low > -(1 << (bits - 1)))


def _named(node: ir.Node) -> ir.Node:
    node.outputs[0].name = node.name
    return node
