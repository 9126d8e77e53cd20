"""QDQ models of networks that came quantized: the pairs that they had, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.formats import annotate, parameters_of
from actc.ir.graph import add_constant, constant, is_op, replace_node
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.targets.onnx.weights import Chosen

Array = np.ndarray[Any, Any]

_FAKE_QUANTIZE = "FakeQuantize"
_CLAMPS = ("Relu", "Clip")
_FLOAT32_ROUNDING = 2.0**-22


def is_given(model: ir.Model) -> bool:
    """Whether quantizers of the model itself are in it."""
    return any(is_op(node, _FAKE_QUANTIZE, domain=DOMAIN) for node in model.graph)


def layers_on_codes(graph: ir.Graph, chosen: Chosen) -> frozenset[ir.Node]:
    """The layers that the model runs on integers, and that onnxruntime's kernels run so.

    Their input is a quantizer of 8 bits at most, and so is what reads the sum of a Conv;
    their bias is a whole number of steps of the sum.
    """
    layers = (node for node in graph if is_op(node, "Conv", "Gemm", "MatMul"))
    return frozenset(node for node in layers if _on_codes(node, chosen))


def _on_codes(node: ir.Node, chosen: Chosen) -> bool:
    held, source = chosen.get(str(node.name)), node.inputs[0]
    if held is None or source is None or not _gives_bytes(source.producer()):
        return False
    if is_op(node, "Conv") and not _read_as_bytes(node.outputs[0]):
        return False
    given = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    parameters = parameters_of(source)
    if given is None or parameters is None:
        return parameters is not None
    unit = held.scales * parameters.scale
    bias = given.reshape(-1).astype(np.float64)
    left = np.abs(bias - np.rint(bias / unit) * unit)
    return bool(np.all(left <= _FLOAT32_ROUNDING * np.abs(bias)))


def _gives_bytes(node: ir.Node | None) -> bool:
    parameters = None if node is None else parameters_of(node.outputs[0])
    own = is_op(node, _FAKE_QUANTIZE, domain=DOMAIN)
    return own and parameters is not None and parameters.bits <= 8


def _read_as_bytes(value: ir.Value) -> bool:
    """Whether one quantizer is all that reads a sum, perhaps through a clamp."""
    users = [use.node for use in value.uses()]
    if len(users) != 1 or value.is_graph_output():
        return False
    if users[0].op_type in _CLAMPS:
        return _read_as_bytes(users[0].outputs[0])
    return _gives_bytes(users[0])


def write_pairs(graph: ir.Graph) -> None:
    """QuantizeLinear and DequantizeLinear for each actc::FakeQuantize, Clip between or before.

    Codes are uint8, or uint16 beyond 8 bits, counted from 0.
    """
    for node in list(graph):
        if is_op(node, _FAKE_QUANTIZE, domain=DOMAIN):
            parameters = parameters_of(node.outputs[0])
            assert parameters is not None
            _write_pair(graph, node, parameters)


def _write_pair(graph: ir.Graph, node: ir.Node, p: QuantizationParameters) -> None:
    name, source = str(node.name), node.inputs[0]
    whole = (p.low, p.high) == (0, largest_code(p.bits)) and p.bits in (8, 16)
    scale = add_constant(graph, f"{name}_step", np.array(p.scale, np.float32))
    zero = add_constant(graph, f"{name}_zero_point", np.array(p.zero_point, p.dtype))
    nodes: list[ir.Node] = []

    def step(op: str, inputs: list[ir.Value | None]) -> ir.Value:
        nodes.append(ir.node(op, inputs, name=f"{name}_{op}"))
        nodes[-1].outputs[0].name = nodes[-1].name
        return nodes[-1].outputs[0]

    def ends(array: Array) -> list[ir.Value]:
        return [add_constant(graph, f"{name}_end", end) for end in array]

    value = source
    if not whole and p.bits > 8:  # onnxruntime has no Clip of uint16
        real = p.scale * (np.array([p.low, p.high]) - p.zero_point)
        value = step("Clip", [value, *ends(real.astype(np.float32))])
    value = step("QuantizeLinear", [value, scale, zero])
    if not whole and p.bits <= 8:
        value = step("Clip", [value, *ends(np.array([p.low, p.high], np.uint8))])
    result = step("DequantizeLinear", [value, scale, zero])
    replace_node(node, nodes, result)
    annotate(result, p)


def write_operands(graph: ir.Graph) -> None:
    """Constants that are added to codes, or multiply them, as codes where that is exact.

    onnxruntime adds and multiplies bytes only where both operands are dequantized.
    """
    for node in list(graph):
        if not is_op(node, "Add", "Mul") or not _between_bytes(node):
            continue
        for index, value in enumerate(node.inputs):
            array = constant(value)
            found = None if array is None else exact_codes(array)
            if found is None:
                continue
            name = f"{node.name or node.outputs[0].name}_operand"
            held = [
                add_constant(graph, f"{name}_{what}", part)
                for what, part in zip(("uint8", "step", "zero_point"), found, strict=True)
            ]
            new = ir.node("DequantizeLinear", held, name=name)
            new.outputs[0].name = name
            graph.insert_before(node, new)
            node.replace_input_with(index, new.outputs[0])


def _between_bytes(node: ir.Node) -> bool:
    """Whether one operand is dequantized bytes, the other constant, and bytes come out."""
    users = [use.node for use in node.outputs[0].uses()]
    variable = [v for v in node.inputs if v is not None and constant(v) is None]
    if len(users) != 1 or len(variable) != 1 or not is_op(users[0], "QuantizeLinear"):
        return False
    source, zero = variable[0].producer(), constant(users[0].inputs[2])
    given = None if source is None or len(source.inputs) < 3 else constant(source.inputs[2])
    if not is_op(source, "DequantizeLinear") or given is None or zero is None:
        return False
    return bool(given.dtype == zero.dtype == np.uint8)


def exact_codes(array: Array) -> tuple[Array, Array, Array] | None:
    """Codes, scale and zero point whose float32 product is `array` on every bit.

    Args:
        array: float32.

    Returns:
        uint8 of the same shape, float32 [], uint8 []; None where no scale does it.
    """
    largest = np.abs(array).max(initial=0.0)
    if array.dtype != np.float32 or not 0 < largest < np.inf:
        return None
    for most in range(1, 256):
        scale = np.float32(largest / most)
        for step in (scale, np.nextafter(scale, np.float32(0)), np.nextafter(scale, largest)):
            codes = np.rint(array / step)
            low, high = min(codes.min(), 0.0), codes.max()
            if high - low <= 255 and np.array_equal(codes.astype(np.float32) * step, array):
                return (codes - low).astype(np.uint8), np.array(step), np.array(-low, np.uint8)
    return None
