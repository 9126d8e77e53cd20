"""Batch norms in front of a quantizer of few codes, spelled out so that ties stay ties."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import is_elementwise
from actc.ir.graph import (
    add_constant,
    constant,
    is_op,
    only_user,
    rank,
    replace_node,
    unique_name,
)
from actc.passes.quantized.spelled_pair import pair_of

_MOST_CODES = 16


def spell_batch_norms(graph: ir.Graph) -> None:
    """BatchNormalization -> ((x - mean) * gamma) / deviation + beta, with a number per channel.

    Folded to a factor and an offset, a sum equal to the mean would not give beta exactly.
    """
    for node in list(graph):
        if is_op(node, "BatchNormalization") and _decides(node):
            _spell(graph, node)


def _decides(node: ir.Node) -> bool:
    """Whether a quantizer of few codes reads what becomes of the result, elementwise."""
    value: ir.Value | None = node.outputs[0]
    while value is not None and value.uses() and not value.is_graph_output():
        user = only_user(value) or next(iter(value.uses())).node
        if is_op(user, "QuantizeLinear"):
            found = pair_of(user)
            return found is not None and found[1].high - found[1].low <= _MOST_CODES
        if not is_elementwise(user):
            return False
        value = user.outputs[0]
    return False


def _spell(graph: ir.Graph, node: ir.Node) -> None:
    arrays = [constant(value) for value in node.inputs[1:5]]
    axes = rank(node.inputs[0]) or rank(node.outputs[0])
    training = node.attributes.get("training_mode")
    if axes is None or any(a is None for a in arrays) or (training and training.as_int()):
        return
    gamma, beta, mean, variance = (a.astype(np.float64) for a in arrays if a is not None)
    given = node.attributes.get("epsilon")
    deviation = np.sqrt(variance + (1e-5 if given is None else given.as_float()))
    if not np.all(deviation > 0):
        return
    value, name, steps = node.inputs[0], str(node.name), []
    shape = [1, -1] + [1] * (axes - 2)
    parts = (("Sub", mean, "mean"), ("Mul", gamma, "gamma"), ("Div", deviation, "deviation"))
    for op, array, what in (*parts, ("Add", beta, "beta")):
        held = add_constant(graph, f"{name}_{what}", array.reshape(shape).astype(np.float32))
        step = ir.node(op, [value, held], name=f"{name}_{what}")
        value = step.outputs[0]
        value.name = unique_name(graph, f"{node.outputs[0].name}_{what}_done")
        value.type = node.outputs[0].type
        steps.append(step)
    assert value is not None
    value.name = None
    replace_node(node, steps, value)
