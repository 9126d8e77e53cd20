"""From a node that no scheduled rule takes to calls of generic kernels. Pure Python."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import has_graphs
from actc.targets.tvm.generic.registry import RULES
from actc.targets.tvm.generic.request import Request
from actc.targets.tvm.generic.spec import Generic, TensorType
from actc.targets.tvm.layout import plain
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_shape import copy_out


def has_kernel(node: ir.Node) -> bool:
    """Whether the operator has a generic kernel, for some types and attributes."""
    return node.domain in ("", "ai.onnx") and node.op_type in RULES


def lower(planner: Planner, node: ir.Node) -> None:
    """Lower a node by generic kernels.

    Raises:
        Unsupported: its types, shapes or attributes have none.
    """
    if not has_kernel(node):
        raise Unsupported(f"operator {node.op_type} has no kernel in this target", _help(node))
    RULES[node.op_type].plan(Request(planner, node))


def _help(node: ir.Node) -> str:
    if has_graphs(node):
        return "what decides how often or whether it runs must be a constant of the model"
    return "write it with operators of docs/onnx-coverage.md, or keep it out of the model"


def finish(planner: Planner, value: ir.Value) -> str:
    """The buffer of a model output: row-major, logical shape, written by a kernel."""
    array = planner.constant(value)
    if array is not None:
        source = planner.add_constant(str(value.name), array)
        return _copy(planner, value, source, TensorType(str(array.dtype), array.shape))
    tensor = planner.tensors[str(value.name)]
    if not tensor.plain:
        return copy_out(planner, value)
    extents = tuple(int(extent or 0) for extent in tensor.shape[1:])
    same = planner.is_scalar(tensor.name) == (not tensor.shape)
    if same and planner.buffer_shape(tensor.name) == extents and planner.writes(tensor.name):
        return tensor.name
    return _copy(planner, value, tensor.name, TensorType(tensor.dtype, tensor.shape))


def _copy(planner: Planner, value: ir.Value, source: str, kind: TensorType) -> str:
    out = plain(planner.temporary(str(value.name)), kind.dtype, kind.shape)
    extents = tuple(int(extent or 0) for extent in kind.shape[1:])
    planner.emit(Generic("Identity", (kind,), kind), [source], out, None, extents)
    return out.name
