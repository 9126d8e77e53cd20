"""Rules for comparisons, logic, and choosing between two tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Tensor, array_of

_COMPARISONS: dict[str, Callable[[Wire, Wire], Wire]] = {
    "Equal": lambda a, b: a.equals(b),
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "And": lambda a, b: a & b,
    "Or": lambda a, b: a | b,
    "Xor": lambda a, b: a ^ b,
}


def compare(builder: Builder, node: ir.Node) -> None:
    """Greater, Equal, And... of two tensors of integers or flags."""
    apply = _COMPARISONS[node.op_type]
    a, b = _wires(builder, node, (0, 1))
    pairs = zip(a.reshape(-1), b.reshape(-1), strict=True)
    found = (Element(apply(first, second)) for first, second in pairs)
    builder.set(node.outputs[0], array_of(found, a.shape))


def negation(builder: Builder, node: ir.Node) -> None:
    """Not of flags."""
    wires = builder.wires(builder.tensor(node))
    builder.set(node.outputs[0], array_of((Element(w ^ 1) for w in wires.flat), wires.shape))


def where(builder: Builder, node: ir.Node) -> None:
    """Where: one of two elements, as a flag says."""
    flags, a, b = _wires(builder, node, (0, 1, 2))
    triples = zip(flags.reshape(-1), a.reshape(-1), b.reshape(-1), strict=True)
    found = (Element(builder.graph.select(flag, [no, yes])) for flag, yes, no in triples)
    builder.set(node.outputs[0], array_of(found, a.shape))


def cast(builder: Builder, node: ir.Node) -> None:
    """Cast between integers: the values stay what they are."""
    x, dtype = builder.tensor(node), ir.DataType(node.attributes["to"].as_int())
    if dtype == ir.DataType.BOOL:
        found = (Element(wire.differs(0)) for wire in builder.wires(x).flat)
        builder.set(node.outputs[0], array_of(found, x.shape))
        return
    if not dtype.is_integer():
        raise Unsupported(f"it makes {dtype.name} of integers inside the network")
    ends = np.iinfo(dtype.numpy())
    for element in x.elements.flat:
        if element.range.low < ends.min or element.range.high > ends.max:
            raise Unsupported(f"values of {element.range} leave {dtype.name}")
    builder.set(node.outputs[0], x.elements)


def _wires(builder: Builder, node: ir.Node, places: tuple[int, ...]) -> list[Elements]:
    """Inputs in one shape, as wires."""
    ranks = {
        len(builder.tensors[value].shape) + 1
        for value in node.inputs
        if value is not None and value in builder.tensors
    }
    if len(ranks) != 1:
        raise Unsupported("it joins tensors of different rank", "give all the batch in front")
    rank = ranks.pop()
    tensors: list[Tensor] = [builder.operand(node, place, rank) for place in places]
    return list(np.broadcast_arrays(*(builder.wires(tensor) for tensor in tensors)))
