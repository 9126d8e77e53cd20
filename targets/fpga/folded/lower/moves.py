"""Operators that only move elements, and the order in which an entry's elements should come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims
from actc.targets.fpga.folded.lower.order import Order
from actc.targets.fpga.folded.lower.tracked import Functions, Integers, Lowering
from actc.targets.fpga.network import rules_moves as rules
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.lower import key_of
from actc.targets.fpga.network.options import NetworkOptions


def _flatten(builder: Builder, node: ir.Node) -> None:
    """Flatten, of a batch of one from any axis on."""
    value = node.inputs[0]
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
    if axis == 0 and (dims(value) or (None,))[0] == 1:
        builder.set(node.outputs[0], builder.tensor(node).elements.reshape(-1))
    else:
        rules.flatten(builder, node)


MOVES: dict[str, Callable[[Builder, ir.Node], None]] = {
    "::Flatten": _flatten,
    "::Identity": rules.identity,
    "::Reshape": rules.reshape,
    "::Squeeze": rules.squeeze,
    "::Transpose": rules.transpose,
    "::Unsqueeze": rules.unsqueeze,
}
SPATIAL = ("::MaxPool", "actc::IntConv", "actc::WideConv", "actc::WideMaxPool")
DENSE = ("actc::IntMatMul", "actc::WideMatMul")
_PAIRS = ("actc::IntAdd", "actc::IntMul", "actc::WideMul")
_ELEMENTWISE = (
    "::Cast",
    "actc::ChannelTable",
    "actc::Requantize",
    "actc::Steps",
    "actc::Table",
)


def move(lowering: Lowering, node: ir.Node) -> None:
    """Reshape, Transpose and the like: other places of the same elements."""
    x = lowering.tracked(node)
    lowering.moved(node, x, _moved(lowering.functions, node, 0, x.index))


def _moved(functions: Functions, node: ir.Node, at: int, index: Integers) -> Integers:
    found = functions.result(MOVES[key_of(node)], node, at, index.astype(object))
    return found.astype(np.int64)


def entry_order(entry: ir.Value, shape: tuple[int, ...], nodes: Sequence[ir.Node]) -> Order:
    """The order in which an entry should come: as its first readers take it.

    Windows want all channels of a position together; a matrix product takes any order, so
    only the elements of its rows have to come together. Hosts permute axes and no more.

    Args:
        shape: of one sample.
        nodes: of the hardware, in order.
    """
    wanted = list(_wanted(entry, shape, nodes))
    spatial = [places for kind, places in wanted if kind == "spatial"]
    size = prod(shape)
    found = None
    if spatial:
        found = Order.of(_in_positions(np.moveaxis(spatial[0], 0, -1)))
    elif wanted:
        found = Order.of(_in_positions(wanted[0][1]))
    elif len(shape) == 3:  # elements alone: as pictures come
        found = Order.of(np.moveaxis(np.arange(size).reshape(shape), 0, -1))
    plain = Order((1, 1, size), (0, 1, 2))
    return found if found is not None and found.permutes(shape) else plain


def _in_positions(places: Integers) -> Integers:
    """Rows, columns, channels of places whose last axis are channels."""
    lead = places.shape[:-1]
    rows = lead[0] if len(lead) == 2 else 1
    return places.reshape(rows, -1, places.shape[-1])


def _wanted(
    entry: ir.Value, shape: tuple[int, ...], nodes: Sequence[ir.Node]
) -> Iterator[tuple[str, Integers]]:
    """The kind of each first reader, and the entry's elements as it reads them."""
    functions = Functions(NetworkOptions())
    known: dict[ir.Value, Integers] = {entry: np.arange(prod(shape)).reshape(shape)}
    for node in nodes:
        at = next((i for i, value in enumerate(node.inputs) if value in known), None)
        value = None if at is None else node.inputs[at]
        if at is None or value is None:
            continue
        key, places = key_of(node), known[value]
        if key in SPATIAL and places.ndim in (2, 3):
            yield "spatial", places
        elif key in DENSE and places.ndim:
            yield "dense", places
        elif key in _ELEMENTWISE or (key in _PAIRS and not _is_widened(node)):
            known[node.outputs[0]] = places
        elif key in MOVES:
            try:
                known[node.outputs[0]] = _moved(functions, node, at, places)
            except Unsupported:
                continue  # heard when the node is lowered


def _is_widened(node: ir.Node) -> bool:
    """Whether variable operands have different shapes."""
    shapes = {dims(v) for v in node.inputs[:2] if v is not None and constant(v) is None}
    return len(shapes) > 1
