"""Selecting along an axis that Transpose put in front of the batch. Pure Python.

torch's fused attention projection gives queries, keys and values as
``[batch, tokens, 3, heads, width]``, transposes the 3 to the front and takes the three
parts. The batch then is not the outermost axis for a moment; selecting first and
transposing the parts is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from actc.targets.tvm.kernels.strided import Copy
from actc.targets.tvm.layout import Tensor, like, reshaped, transposed
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Source, Tail, emit_nest

_HELP = "`--target onnx` runs it; recurrent layers, which want steps in front, have no kernel here"


def select_in_front(planner: Planner, node: ir.Node, x: Tensor, perm: Sequence[int]) -> None:
    """A Transpose that moves the batch, with the selections along axis 0 that follow it.

    Raises:
        Unsupported: something else reads the transposed value, or the batch is not in
            front after the selection.
    """
    axis, rest = perm[0], list(perm[1:])
    if axis == 0 or rest[0] != 0:
        raise Unsupported("the batch axis is moved by Transpose", _HELP)
    found = _selections(planner, node.outputs[0])
    inner = [p - (p > axis) for p in rest]
    for index, value, nodes in found:
        for fused in nodes:
            planner.fuse(fused)
        shape = tuple(1 if a == axis else d for a, d in enumerate(x.shape))
        part = like(x, str(value.name), x.dtype, shape)
        emit_nest(planner, part, [Source(x.name, x, ((axis, index),))], Copy(), Tail(value))
        without = tuple(d for a, d in enumerate(x.shape) if a != axis)
        straight = reshaped(part, part.name, without)
        assert straight is not None  # only an axis of extent 1 is gone
        planner.view(value, transposed(straight, part.name, inner))


def _selections(planner: Planner, value: ir.Value) -> list[tuple[int, ir.Value, list[ir.Node]]]:
    """(index, selected value, nodes) of everything that reads `value`."""
    refusal = Unsupported(
        "the batch axis is moved by Transpose, and not only selections follow", _HELP
    )
    if planner.is_output(value):
        raise refusal
    extent = value.shape[0] if value.shape is not None else None
    found: list[tuple[int, ir.Value, list[ir.Node]]] = []
    for node in dict.fromkeys(use.node for use in value.uses()):
        kind = (node.domain, node.op_type)
        if kind == ("", "Slice") and (index := _one_slice(planner, node, extent)) is not None:
            parts = [(index, node.outputs[0])]
        elif kind == ("", "Split") and _axis(node) == 0 and len(node.outputs) == extent:
            parts = list(enumerate(node.outputs))
        else:
            raise refusal
        for index, part in parts:
            reader = planner.only_reader(part)
            if reader is None or not _squeezes_first(planner, reader):
                raise refusal
            found.append((index, reader.outputs[0], [node, reader]))
    return found


def _axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int() if "axis" in node.attributes else 0


def _one_slice(planner: Planner, node: ir.Node, extent: object) -> int | None:
    """The index that a Slice takes of axis 0; None for any other Slice."""
    bounds = [planner.constant(value) for value in node.inputs[1:]]
    if len(bounds) < 3 or any(b is None or b.size != 1 for b in bounds):
        return None
    start, end, axis, *step = (int(b.reshape(())) for b in bounds if b is not None)
    if axis != 0 or step not in ([], [1]) or not isinstance(extent, int):
        return None
    taken = range(extent)[start:end]
    return taken[0] if len(taken) == 1 else None


def _squeezes_first(planner: Planner, node: ir.Node) -> bool:
    """Whether a node drops axis 0 and nothing else."""
    if (node.domain, node.op_type) != ("", "Squeeze") or len(node.inputs) < 2:
        return False
    axes = planner.constant(node.inputs[1])
    return axes is not None and axes.tolist() in ([0], 0)
