"""Golden as the unrolled hardware sees it: how it ends.

A softmax at the end is split: the numerators are integers, the division is the host's.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from actc.ir.graph import add_constant, is_op

DOMAIN = "actc.network"
"""Operators that only this package knows."""
TERMS = "actc.network.division"
"""Metadata of the operators behind the numerators of a softmax."""


_SAME_SHAPE = ("IntSoftmax", "IntLogSoftmax")
"""Operators whose bodies hide from shape inference that they keep the shape."""


def prepared(golden: ir.Model, split: bool) -> ir.Model:
    """A copy of golden, with all shapes; a softmax at its end is split if so wanted."""
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(golden))
    model = ir.from_proto(proto)
    for node in model.graph:
        source, output = node.inputs[0] if node.inputs else None, node.outputs[0]
        if output.shape is None and source is not None and node.op_type in _SAME_SHAPE:
            output.shape = source.shape
    if not split:
        return model
    for node in list(model.graph):
        output = node.outputs[0]
        last = output.is_graph_output() and not output.uses()
        if last and is_op(node, "IntSoftmax", domain="actc"):
            _split_softmax(model, node)
    return model


def _split_softmax(model: ir.Model, node: ir.Node) -> None:
    """e = table[max(x) - x]; float32(float64(e) / float64(sum e))."""
    graph, output = model.graph, node.outputs[0]
    rank = len(output.shape or ())
    axis = node.attributes["axis"].as_int() % max(rank, 1)
    name = str(output.name)
    terms = ir.node("SoftmaxTerms", node.inputs, {"axis": axis}, domain=DOMAIN, name=node.name)
    terms.outputs[0].name = f"{name}.terms"
    terms.outputs[0].type = ir.TensorType(ir.DataType.INT32)
    terms.outputs[0].shape = output.shape
    axes = add_constant(graph, f"{name}.axis", np.array([axis], np.int64))
    real = ir.node("Cast", [terms.outputs[0]], {"to": int(ir.DataType.DOUBLE)})
    total = ir.node("ReduceSum", [real.outputs[0], axes], {"keepdims": 1})
    ratio = ir.node("Div", [real.outputs[0], total.outputs[0]])
    single = ir.node("Cast", [ratio.outputs[0]], {"to": int(ir.DataType.FLOAT)})
    made = (real, total, ratio, single)
    for step, part in zip(made, ("real", "sum", "ratio", "single"), strict=True):
        step.name = step.outputs[0].name = f"{name}.{part}"
        step.metadata_props[TERMS] = name
    graph.insert_before(node, [terms, *made])
    single.outputs[0].type, single.outputs[0].shape = output.type, output.shape
    ir.convenience.replace_all_uses_with(output, single.outputs[0], replace_graph_outputs=True)
    graph.remove(node, safe=True)
    output.name = None
    single.outputs[0].name = name
