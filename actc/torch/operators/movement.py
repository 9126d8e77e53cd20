"""Operators that move numbers, choose among them, or compute with plain integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from actc.ir.dialect import GOLDEN_OPSET
from actc.ir.graph import constant, has_graphs
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import (
    Array,
    Maker,
    NotSupported,
    Operator,
    integer,
    integers,
    is_code,
    known,
)


class Move(nn.Module):
    """Any operator that only says where each number goes: Reshape, Slice, Split, Gather...

    ONNX's reference tells where, by moving the positions themselves; once per shape.
    """

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        if any(value is not None and constant(value) is None for value in node.inputs[1:]):
            raise NotSupported("what tells it where to move numbers varies")
        self.evaluate = Evaluator(node)
        self.places: dict[tuple[int, ...], list[tuple[Tensor, bool]]] = {}

    def forward(self, x: Tensor, *constants: Tensor) -> Any:
        """Move the numbers."""
        shape = tuple(x.shape)
        if shape not in self.places:
            positions = np.arange(x.numel(), dtype=np.int64).reshape(shape)
            self.places[shape] = [_places(array, x.numel()) for array in self.evaluate([positions])]
        moved = [
            x.reshape(places.shape) if in_order else x.reshape(-1)[places.to(x.device)]
            for places, in_order in self.places[shape]
        ]
        return moved[0] if len(moved) == 1 else tuple(moved)


def _places(array: Array, count: int) -> tuple[Tensor, bool]:
    """Where each number comes from, and whether all stay in their order."""
    places = np.ascontiguousarray(array)
    in_order = places.size == count and bool((places.reshape(-1) == np.arange(count)).all())
    return torch.from_numpy(places), in_order


class Evaluator:
    """One node in ONNX's reference evaluator.

    Args:
        node: a node of the standard domain; its constant inputs are built in.
    """

    def __init__(self, node: ir.Node) -> None:
        proto = ir.to_proto(node)
        self._known: dict[str, Array] = {}
        self.variable: list[int] = []
        inputs = []
        for position, value in enumerate(node.inputs):
            array = constant(value)
            if array is not None:
                self._known[f"x{position}"] = array
            elif value is not None:
                self.variable.append(position)
            inputs.append("" if value is None else f"x{position}")
        del proto.input[:]
        proto.input.extend(inputs)
        self._outputs = [name for name in proto.output if name]
        graph = helper.make_graph(
            [proto],
            "node",
            [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in inputs if n],
            [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in self._outputs],
        )
        opset = [onnx.helper.make_opsetid("", GOLDEN_OPSET)]
        self._run = ReferenceEvaluator(helper.make_model(graph, opset_imports=opset))

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for the inputs that vary, in order."""
        feeds = {f"x{p}": array for p, array in zip(self.variable, arrays, strict=True)}
        found = self._run.run(self._outputs, {**self._known, **feeds})
        return [np.asarray(array) for array in found]


class Plain(nn.Module):
    """Arithmetic on the network's own integers and booleans, which has no gradient."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        values = [*node.inputs, *node.outputs]
        if has_graphs(node) or not all(v is None or is_code(v) for v in values):
            raise NotSupported("")
        self.evaluate = Evaluator(node)
        self.dtypes = [_numpy_type(node.inputs[p]) for p in self.evaluate.variable]

    def forward(self, *tensors: Tensor | None) -> Any:
        """Compute in numpy."""
        given = [tensors[position] for position in self.evaluate.variable]
        arrays = [
            t.detach().cpu().numpy().astype(dtype)
            for t, dtype in zip(given, self.dtypes, strict=True)
            if t is not None
        ]
        device = next((t.device for t in tensors if t is not None), None)
        found = [
            torch.from_numpy(array.astype(np.float64)).to(device) for array in self.evaluate(arrays)
        ]
        return found[0] if len(found) == 1 else tuple(found)


def _numpy_type(value: ir.Value | None) -> np.dtype[Any]:
    assert value is not None
    assert value.dtype is not None
    return value.dtype.numpy()


def transpose(node: ir.Node, gradients: Gradients) -> Operator:
    """The axes in another order."""
    given = integers(node, "perm", [])
    return lambda x: x.permute(given or list(range(x.ndim))[::-1])


def concat(node: ir.Node, gradients: Gradients) -> Operator:
    """Tensors one behind the other."""
    axis = integer(node, "axis")
    return lambda *parts: torch.cat(parts, axis)


def top_k(node: ir.Node, gradients: Gradients) -> Operator:
    """The largest (or smallest) numbers in order, of equal ones the first first."""
    count, axis = int(known(node, 1).item()), integer(node, "axis", -1)
    descending = integer(node, "largest", 1) != 0

    def run(x: Tensor, *constants: Tensor) -> tuple[Tensor, Tensor]:
        order = torch.sort(x.detach(), dim=axis, descending=descending, stable=True).indices
        first = order.narrow(axis, 0, count)
        return x.gather(axis, first), first.to(torch.float64)

    return run


def where(node: ir.Node, gradients: Gradients) -> Operator:
    """Of two integers one, each."""
    if not all(is_code(value) for value in node.inputs):
        raise NotSupported("it computes with float numbers")
    return lambda condition, a, b: torch.where(condition != 0, a, b)


def sum_or_product(node: ir.Node, gradients: Gradients) -> Operator:
    """Add and Mul of integers."""
    if not all(is_code(value) for value in node.inputs):
        raise NotSupported("it computes with float numbers")
    if node.op_type == "Add":
        return lambda a, b: a + b
    return lambda a, b: a * b


MOVES = (
    "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "Unsqueeze",
)  # fmt: skip

STANDARD: dict[str, Maker] = {
    **dict.fromkeys(MOVES, Move),
    "Add": sum_or_product,
    "Concat": concat,
    "Mul": sum_or_product,
    "TopK": top_k,
    "Transpose": transpose,
    "Where": where,
}
"""Operators of ONNX's own domain; others that take and give integers alone are `Plain`."""
