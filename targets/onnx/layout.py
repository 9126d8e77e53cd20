"""Where onnxruntime changes the layout of images.

Its integer kernels want channels last, its float convolutions and poolings blocks of channels
or channels first. Operators that work element by element take any layout, so what counts is
which operators lie behind each other with nothing but these between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import is_op
from actc.targets.onnx.spelling import SILU

BOUND = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Operators whose layout depends on whether they run on codes."""
_ANY = (
    "Add", "Clip", "Concat", "Div", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Mul", "PRelu", "Relu", "Sigmoid", "Softplus", "Sub", "Tanh",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Path:
    """An image, and who decides in which layout it is read.

    Attributes:
        value: the image.
        source: the operator of BOUND that makes it; None: it has its channels first.
        readers: operators of BOUND that read it, also through others.
        ends: whether it is read with its channels first too, or is an output.
    """

    value: ir.Value
    source: ir.Node | None
    readers: tuple[ir.Node, ...]
    ends: bool


def paths(graph: ir.Graph) -> list[Path]:
    """All images that an operator of BOUND makes or reads."""
    found = []
    for value in [*graph.inputs, *(v for node in graph for v in node.outputs)]:
        producer = value.producer()
        if _takes_any(producer):
            continue
        readers, ends = _readers(value)
        bound = producer if is_op(producer, *BOUND) else None
        if readers or bound is not None:
            found.append(Path(value, bound, tuple(readers), ends))
    return found


def is_channels_last(pool: ir.Node) -> bool:
    """Whether a pooling on codes finds its channels last: it is next to an integer convolution.

    A Conv in front, with Relu, Clip or other poolings between; or any operators that take
    every layout, if a Conv follows too.
    """
    if _reaches_back(pool, lambda node: is_op(node, "Relu", "Clip", "MaxPool")):
        return True
    readers, _ = _readers(pool.outputs[0])
    followed = any(is_op(node, "Conv") for node in readers)
    return followed and _reaches_back(pool, lambda node: is_op(node, "MaxPool") or _takes_any(node))


def _reaches_back(node: ir.Node | None, passes: Callable[[ir.Node], bool]) -> bool:
    """Whether a Conv is in front, with nothing between but what `passes`."""
    while node is not None:
        source = node.inputs[0] if node.inputs else None
        node = None if source is None else source.producer()
        if node is None or is_op(node, "Conv"):
            return node is not None
        if not passes(node):
            return False
    return False


def _takes_any(node: ir.Node | None) -> bool:
    return is_op(node, *_ANY) or is_op(node, SILU, "Activation", domain=DOMAIN)


def _readers(value: ir.Value) -> tuple[list[ir.Node], bool]:
    """Operators of BOUND behind a value, and whether others or the caller read it too."""
    readers: dict[ir.Node, None] = {}
    ends, seen, waiting = False, {value}, [value]
    while waiting:
        current = waiting.pop()
        ends = ends or current.is_graph_output()
        for use in current.uses():
            if use.node.graph is not current.graph:  # control flow runs in float
                ends = True
            elif is_op(use.node, *BOUND):
                readers[use.node] = None
            elif _takes_any(use.node):
                new = [v for v in use.node.outputs if v not in seen]
                seen.update(new)
                waiting += new
            else:
                ends = True
    return list(readers), ends
