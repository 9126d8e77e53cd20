"""Where the hardware begins and ends: golden's float edges belong to the host.

The head of golden turns the model's inputs into codes: Cast, QuantizeLinear, and the clamp
to fewer bits behind it. Its tail turns integers into the model's outputs: DequantizeLinear,
the Mul and Add in front of it, the division of a softmax, the logarithm of a log-softmax.
Both are cut off as models of their own, which the specification runs; what lies between is
hardware.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from actc.ir.graph import constant, is_op
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.rewrite import TERMS

_SOFTMAXES = ("IntSoftmax", "IntLogSoftmax")
_CODES = (ir.DataType.UINT8, ir.DataType.UINT16)
_INDEXED = 2**24
"""Rows of a table that an index is taken for."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A golden model in three parts.

    Attributes:
        head: nodes of the host in front of the hardware.
        nodes: those of the hardware, in order.
        tail: nodes of the host behind it.
        entries: values that the hardware reads from the host.
        exits: values that it gives back.
    """

    head: tuple[ir.Node, ...]
    nodes: tuple[ir.Node, ...]
    tail: tuple[ir.Node, ...]
    entries: tuple[ir.Value, ...]
    exits: tuple[ir.Value, ...]


def cut(model: ir.Model) -> Cut:
    """Cut a golden model; unused nodes are in no part."""
    needed = _needed(model.graph)
    head = _head(model.graph, needed)
    tail = _tail(model.graph, needed, set(head))
    nodes = [node for node in needed if node not in head and node not in tail]
    given = [*model.graph.inputs, *(v for node in head for v in node.outputs)]
    wanted = {v for node in nodes for v in node.inputs if v is not None}
    beside = {v for node in tail for v in node.inputs if v is not None}
    beside |= set(model.graph.outputs)
    entries = [v for v in given if v in wanted or v in beside]
    # what the host only hands through crosses the hardware too: no output goes around it
    exits = [value for value in (*entries, *_in_order(nodes)) if value in beside]
    return Cut(tuple(head), tuple(nodes), tuple(tail), tuple(entries), tuple(exits))


def _in_order(nodes: Iterable[ir.Node]) -> list[ir.Value]:
    return [value for node in nodes for value in node.outputs]


def _needed(graph: ir.Graph) -> list[ir.Node]:
    """Nodes behind the outputs, in order."""
    found: set[ir.Node] = set()
    pending = [value.producer() for value in graph.outputs]
    while pending:
        node = pending.pop()
        if node is not None and node not in found:
            found.add(node)
            pending += [value.producer() for value in node.inputs if value is not None]
    return [node for node in graph if node in found and not _is_constant(node)]


def _is_constant(node: ir.Node) -> bool:
    return all(constant(value) is not None for value in node.outputs)


def _head(graph: ir.Graph, needed: Sequence[ir.Node]) -> dict[ir.Node, None]:
    """Conversions of the model's inputs; a dictionary for its order."""
    given = set(graph.inputs)
    head: dict[ir.Node, None] = {}
    for node in needed:
        if node.inputs and node.inputs[0] in given and _converts(node):
            head[node] = None
            given.update(node.outputs)
    return head


def _converts(node: ir.Node) -> bool:
    source = node.inputs[0]
    if is_op(node, "QuantizeLinear"):
        return True
    if is_op(node, "Cast") and source is not None:  # codes are cast in hardware
        return source.dtype not in (*_CODES, ir.DataType.BOOL)
    return clamp_of(node) is not None and only_reader(source) is node


def clamp_of(node: ir.Node) -> Range | None:
    """The range to which a Requantize only clamps, None if it does more."""
    if not is_op(node, "Requantize", domain="actc"):
        return None
    numbers = [constant(value) for value in node.inputs[1:]]
    if any(array is None or array.size != 1 for array in numbers):
        return None
    multiplier, shift, zero, low, high = (int(a.item()) for a in numbers if a is not None)
    return Range(low, high) if multiplier == 1 << shift and zero == 0 else None


def only_reader(value: ir.Value | None) -> ir.Node | None:
    """The only node that reads a value, None if there are others or it is an output."""
    if value is None or value.is_graph_output() or len(value.uses()) != 1:
        return None
    return next(iter(value.uses())).node


def _tail(graph: ir.Graph, needed: Sequence[ir.Node], head: set[ir.Node]) -> dict[ir.Node, None]:
    """Conversions into the model's outputs."""
    tail: dict[ir.Node, None] = {}
    for node in reversed(needed):
        ends = all(
            all(use.node in tail for use in value.uses())
            and (value.is_graph_output() or value.uses())
            for value in node.outputs
        )
        if ends and node not in head and _finishes(node, tail):
            tail[node] = None
    return dict.fromkeys(node for node in needed if node in tail)


def _finishes(node: ir.Node, tail: dict[ir.Node, None]) -> bool:
    if is_op(node, "DequantizeLinear") or is_op(node, *_SOFTMAXES, domain="actc"):
        return True
    if is_op(node, "Mul", "Add"):  # finer steps of a sum, for the sake of its bias
        return any(constant(value) is not None for value in node.inputs)
    return TERMS in node.metadata_props


def submodel(
    model: ir.Model,
    nodes: Sequence[ir.Node],
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
) -> onnx.ModelProto:
    """Some nodes as a model of their own, with the constants that they read."""
    proto = ir.to_proto(model)
    read = {str(v.name) for node in nodes for v in node.inputs if v is not None}
    graph = onnx.helper.make_graph(
        [ir.to_proto(node) for node in nodes],
        "host",
        [_info(value) for value in inputs],
        [_info(value) for value in outputs],
        [tensor for tensor in proto.graph.initializer if tensor.name in read],
    )
    made = onnx.helper.make_model(graph, ir_version=proto.ir_version)
    del made.opset_import[:]
    made.opset_import.extend(proto.opset_import)
    made.functions.extend(proto.functions)
    return made


def _info(value: ir.Value) -> onnx.ValueInfoProto:
    dtype = value.dtype
    assert dtype is not None  # the check refuses values without a type
    shape = (
        None if value.shape is None else [d if isinstance(d, int) else None for d in value.shape]
    )
    if shape:
        shape[0] = None
    return onnx.helper.make_tensor_value_info(str(value.name), int(dtype), shape)


def entry_range(value: ir.Value) -> Range | None:
    """The integers that the host gives for an entry, None if they are not known."""
    producer = value.producer()
    if producer is not None and (found := clamp_of(producer)) is not None:
        return found
    if value.dtype is not None and value.dtype in _CODES:
        return Range(0, int(np.iinfo(value.dtype.numpy()).max))
    if value.dtype == ir.DataType.BOOL:
        return Range(0, 1)
    rows = embedded_rows(value)
    return None if rows is None else Range(0, rows)


def embedded_rows(value: ir.Value) -> int | None:
    """Rows of the largest table that an integer selects from; None if it does something else."""
    users = [use.node for use in value.uses()]
    if value.dtype != ir.DataType.INT32 or not users:
        return None
    if not all(is_op(user, "IntEmbed", domain="actc") for user in users):
        return None
    tables = [constant(user.inputs[1]) for user in users]
    sizes = [table.shape[0] - 1 for table in tables if table is not None]
    return max(sizes) if sizes and max(sizes) < _INDEXED else None
