"""QuantizeLinear, Clip and DequantizeLinear for a format that a model implies."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, is_op, only_user, unique_name
from actc.numerics.quantization import QuantizationParameters
from actc.passes.quantized.integers import NotRead
from actc.passes.quantized.pairs import given_format


def spelled_pair(
    graph: ir.Graph, source: ir.Value, scale: float, low: int, high: int, name: str
) -> list[ir.Node]:
    """Three nodes that round `source` to scale * n, low <= n <= high; not yet in the graph.

    Args:
        graph: takes the constants.
        scale: a float32 number.
        low, high: -128 .. 127.
        name: of the last node; the others' begin so.
    """
    held = {
        what: add_constant(graph, f"{name}_{what}", np.array(number, dtype))
        for what, number, dtype in (
            ("scale", scale, np.float32),
            ("zero_point", 0, np.int8),
            ("low", low, np.int8),
            ("high", high, np.int8),
        )
    }
    grid = [held["scale"], held["zero_point"]]
    codes = ir.node("QuantizeLinear", [source, *grid], name=f"{name}_quantize")
    clipped = ir.node(
        "Clip", [codes.outputs[0], held["low"], held["high"]], name=f"{name}_saturate"
    )
    back = ir.node("DequantizeLinear", [clipped.outputs[0], *grid], name=name)
    for node, what in ((codes, "codes"), (clipped, "saturated"), (back, "real")):
        node.outputs[0].name = unique_name(graph, f"{name}_{what}")
    back.outputs[0].type, back.outputs[0].shape = source.type, source.shape
    return [codes, clipped, back]


def pair_of(quantize: ir.Node | None) -> tuple[ir.Node, QuantizationParameters] | None:
    """The DequantizeLinear that alone reads the codes of a quantizer, and the format of both."""
    if quantize is None or not is_op(quantize, "QuantizeLinear"):
        return None
    node = only_user(quantize.outputs[0])
    while is_op(node, "Clip") and node is not None:
        node = only_user(node.outputs[0])
    if node is None or not is_op(node, "DequantizeLinear"):
        return None
    try:
        found = given_format(node)
    except NotRead:
        return None
    return None if found is None else (node, found[1])
