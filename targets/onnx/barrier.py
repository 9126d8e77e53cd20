"""Places where onnxruntime would undo what was chosen, and what stops it there.

A Sum of one term is a copy that no rewriting of onnxruntime removes or looks through.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, is_op, only_user

_JOINED = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Clip", "Elu", "Softplus")
"""Activations that onnxruntime joins with the Gemm in front."""


def keep_apart(graph: ir.Graph) -> None:
    """Put barriers

    - between a float MaxPool and QuantizeLinear or DequantizeLinear: onnxruntime moves
      the conversion to the pooling's other side, where it runs on bytes, 10 to 40 times
      slower if the channels are not last;
    - between Gemm on codes and a float activation: joined, they are no pattern of an
      integer kernel, and the weights are dequantized in each call;
    - in front of a float Conv or product between codes: onnxruntime quantizes its weights
      itself and runs it on integers, or dequantizes them in each call;
    - behind a product on codes that is read both as bytes and otherwise: its kernel gives
      bytes or float.
    """
    for node in list(graph):
        if is_op(node, "Gemm", "MatMul") and _dequantizes(node) and not _one_result(node):
            _separate_users(graph, node)
    for node in list(graph):
        source = node.inputs[0] if node.inputs else None
        producer = None if source is None else source.producer()
        if producer is None:
            continue
        if _leaves_pool(node, producer) or _joins(node, producer) or _is_enclosed(node, producer):
            _separate(graph, node)


def _one_result(node: ir.Node) -> bool:
    """Whether all users of a product take bytes, or all take float."""
    output = node.outputs[0]
    users = [use.node for use in output.uses()]
    quantizers = [user for user in users if is_op(user, "QuantizeLinear")]
    if not quantizers:
        return True
    zero = constant(quantizers[0].inputs[2])
    same = len(users) == 1 and not output.is_graph_output()
    return same and zero is not None and zero.dtype == np.uint8


def _separate_users(graph: ir.Graph, node: ir.Node) -> None:
    output = node.outputs[0]
    uses = [(use.node, use.idx) for use in output.uses()]
    name = f"{node.name}_apart"
    copy = ir.node("Sum", [output], name=name)
    copy.outputs[0].name = name
    graph.insert_after(node, copy)
    for user, index in uses:
        user.replace_input_with(index, copy.outputs[0])


def _leaves_pool(node: ir.Node, producer: ir.Node) -> bool:
    behind = is_op(node, "QuantizeLinear") and is_op(producer, "MaxPool")
    before = is_op(node, "MaxPool") and is_op(producer, "DequantizeLinear")
    return (behind and not _on_codes(producer)) or (before and not _on_codes(node))


def _is_enclosed(node: ir.Node, producer: ir.Node) -> bool:
    """Whether a float operator with weights reads codes and gives codes."""
    if not is_op(node, "Conv", "Gemm", "MatMul") or not is_op(producer, "DequantizeLinear"):
        return False
    weights = node.inputs[1]
    if weights is None or is_op(weights.producer(), "DequantizeLinear"):
        return False
    users = [use.node for use in node.outputs[0].uses()]
    users += [use.node for user in users if is_op(user, *_JOINED) for use in user.outputs[0].uses()]
    return any(is_op(user, "QuantizeLinear") for user in users)


def _joins(node: ir.Node, producer: ir.Node) -> bool:
    pattern = is_op(node, *_JOINED) and is_op(producer, "Gemm") and _dequantizes(producer)
    return pattern and only_user(node.inputs[0]) is node


def _on_codes(node: ir.Node) -> bool:
    users = [use.node for use in node.outputs[0].uses()]
    return _dequantizes(node) and bool(users) and all(is_op(u, "QuantizeLinear") for u in users)


def _dequantizes(node: ir.Node) -> bool:
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    variable = source is not None and constant(source) is None
    return variable and is_op(producer, "DequantizeLinear")


def _separate(graph: ir.Graph, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    name = f"{node.name}_apart"
    copy = ir.node("Sum", [source], name=name)
    copy.outputs[0].name = name
    graph.insert_before(node, copy)
    node.replace_input_with(0, copy.outputs[0])
