"""Signs with thresholds that depend on the sample, kept in one piece for exact integers.

(Lee et al., "INSTA-BNN: Binary Neural Network with INSTAnce-aware Threshold", ICCV 2023.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.context import Context
from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.graph import add_constant, constant, is_op, replace_node, unique_name
from actc.numerics.quantization import largest_code
from actc.numerics.weights import QuantizedWeights
from actc.passes.quantized.form_reader import COMPARISONS, FormReader
from actc.passes.quantized.forms import Form, NotLinear
from actc.passes.quantized.integers import NotRead
from actc.passes.quantized.pairs import given_format
from actc.passes.quantized.spelled_pair import pair_of

Array = np.ndarray[Any, Any]

SIGN = "InstanceSign"
"""Float operator of the domain `actc`: the nodes between a layer and a quantizer, as its body."""
FACTS = "instances"
"""Key of the context's facts: overload of the operator -> its `Instance`."""
SUM_BITS = 62
"""Sums of powers of accumulators stay below 2^62."""
_MOST_CODES = 3
_MOVES = ("Dropout", "Flatten", "Identity", "MaxPool", "Pad", "Reshape", "Squeeze", "Transpose")
_INPUT_BITS = 8


@dataclass(frozen=True, eq=False)
class Instance:
    """A sign of a polynomial of a layer's result.

    Attributes:
        margin: what is compared with zero.
        results: float64 [3], the value below, at and above zero.
        positions: of each channel.
    """

    margin: Form
    results: Array
    positions: int


def keep_instances(model: ir.Model, context: Context) -> None:
    """Put one actc::InstanceSign in the place of what lies between a layer and such a sign.

    Its body is the nodes that it stands for; other readers of their values keep them.
    """
    for node in list(model.graph):
        pair = pair_of(node)
        if pair is None or pair[1].high - pair[1].low >= _MOST_CODES:
            continue
        value, reader = node.inputs[0], FormReader()
        producer = None if value is None else value.producer()
        if value is None or producer is None:
            continue
        try:
            results = reader.sign(value)
        except NotLinear:
            continue
        margin = reader.margin
        if margin is None or not _has_statistic(margin) or not _fits(reader, margin, context):
            continue
        known = context.facts.setdefault(FACTS, {})
        name = f"instance{len(known) + 1}"
        known[name] = Instance(margin, results, reader.positions)
        _put(model, reader, value, name)


def spell_comparisons(graph: ir.Graph) -> None:
    """x > t -> x - t > 0, for a threshold t of the sample's own, so that it counts as a sign."""
    for node in list(graph):
        if not is_op(node, *COMPARISONS) or any(constant(v) is not None for v in node.inputs):
            continue
        reader = FormReader()
        try:
            reader.sign(node.outputs[0])
        except NotLinear:
            continue
        if reader.margin is None or not _has_statistic(reader.margin):
            continue
        difference = ir.node("Sub", list(node.inputs), name=f"{node.name}_difference")
        result, like = difference.outputs[0], node.inputs[0]
        result.name = unique_name(graph, f"{node.outputs[0].name}_difference")
        result.type = None if like is None else like.type
        result.shape = node.outputs[0].shape
        graph.insert_before(node, difference)
        node.replace_input_with(0, result)
        zero = np.zeros((), np.float32 if result.dtype is None else result.dtype.numpy())
        node.replace_input_with(1, add_constant(graph, f"{node.name}_zero", zero))


def is_instance(node: ir.Node | None) -> bool:
    """Whether `node` is such a sign."""
    return is_op(node, SIGN, domain=DOMAIN)


def _has_statistic(margin: Form) -> bool:
    """Whether something of the sample decides, and what varies with the position is x alone."""
    higher = [np.any(row != 0) for power, row in margin.own.items() if power > 1]
    return not any(higher) and not margin.plain


def _fits(reader: FormReader, margin: Form, context: Context) -> bool:
    """Whether sums of powers of the layer's accumulators stay within 63 bits."""
    assert reader.start is not None
    layer = reader.start.producer()
    assert layer is not None
    weights = context.facts.get("given", {}).get(str(layer.name))
    if weights is None:
        return False
    most = max([*margin.sums, *(margin.joint.weights if margin.joint else ())])
    return bool(_bound(layer, weights) ** most * reader.positions < 2**SUM_BITS)


def _bound(layer: ir.Node, weights: QuantizedWeights) -> int:
    """Of the accumulators of a layer whose integers are given."""
    scale, code = _input(layer.inputs[0])
    rows = np.abs(weights.codes.astype(np.int64)).reshape(len(weights.codes), -1).sum(axis=1)
    bias = constant(layer.inputs[2]) if len(layer.inputs) > 2 else None
    largest = 0.0 if bias is None else float(np.abs(bias).max(initial=0))
    return int(rows.max(initial=0)) * code + int(largest / float(weights.scales.min() * scale)) + 2


def _input(value: ir.Value | None) -> tuple[float, int]:
    """Scale and largest code of what a layer reads."""
    node = None if value is None else value.producer()
    while node is not None and is_op(node, *_MOVES):
        node = None if node.inputs[0] is None else node.inputs[0].producer()
    if node is not None and is_op(node, "DequantizeLinear"):
        try:
            found = given_format(node)
        except NotRead:
            found = None
        if found is not None:
            p = found[1]
            return p.scale, max(p.zero_point, largest_code(p.bits) - p.zero_point)
    return 2.0**-_INPUT_BITS, largest_code(_INPUT_BITS)


def _put(model: ir.Model, reader: FormReader, value: ir.Value, name: str) -> None:
    old = value.producer()
    assert old is not None
    assert reader.start is not None
    _add_function(model, reader, value, name)
    sign = ir.Node(DOMAIN, SIGN, [reader.start], overload=name, name=str(old.name), num_outputs=1)
    sign.outputs[0].type, sign.outputs[0].shape = value.type, value.shape
    replace_node(old, [sign], sign.outputs[0])


def _add_function(model: ir.Model, reader: FormReader, output: ir.Value, name: str) -> None:
    """The nodes as a function body; constants become Constant nodes."""
    start = reader.start
    assert start is not None
    x = ir.Value(name="x", type=start.type)
    values: dict[ir.Value, ir.Value] = {start: x}
    nodes: list[ir.Node] = []
    for number, node in enumerate(n for n in model.graph if n in reader.nodes):
        inputs: list[ir.Value | None] = []
        for value in node.inputs:
            array = None if value is None or value in values else constant(value)
            if value is not None and array is not None:
                held = ir.node("Constant", [], {"value": ir.tensor(array)})
                held.name = held.outputs[0].name = f"c{len(values)}"
                nodes.append(held)
                values[value] = held.outputs[0]
            inputs.append(None if value is None else values[value])
        copy = ir.node(node.op_type, inputs, dict(node.attributes), name=f"n{number}")
        copy.outputs[0].name = "y" if node.outputs[0] is output else f"v{number}"
        nodes.append(copy)
        values[node.outputs[0]] = copy.outputs[0]
    opset = model.opset_imports[""]
    graph = ir.Graph([x], [values[output]], nodes=nodes, opset_imports={"": opset}, name=SIGN)
    function = ir.Function(DOMAIN, SIGN, name, graph=graph, attributes=[])
    model.functions[function.identifier()] = function
    model.opset_imports[DOMAIN] = VERSION
