"""Values whose samples do not lie along the first axis: recurrent layers take the steps first.

A folded network computes one sample at a time, so it does not matter where the axis of the
samples is, as long as it is known and nothing mixes samples. What only moves elements is run
on the numbers of the elements of two samples, which shows both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from actc.ir.graph import constant
from actc.targets.fpga.folded.lower import functions, moves
from actc.targets.fpga.folded.lower.tracked import Draft, Integers, Lowering, Tracked
from actc.targets.fpga.folded.program import RecurrentStage
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import key_of

PARTS = ("::Gather", "::Slice")
"""Operators that take a part of a tensor: the last state of a recurrent layer."""
_LAYERS = ("actc::IntGru", "actc::IntLstm")
_KEPT = (*functions.RULES, "actc::IntAdd", "actc::IntMatMul", "actc::IntMul", "actc::WideMatMul")
"""Operators that leave the axes where they are."""
_PART = "streams carry whole tensors; parts of them are not joined or taken"
_HELP = "take the last state of a recurrent layer, or compile with --target cpu"


def check(lowering: Lowering, node: ir.Node) -> None:
    """Refuse what cannot be done where samples do not lie along the first axis.

    Raises:
        Unsupported: the node needs them there, or reads values with other axes of samples.
    """
    key, axes = key_of(node), _axes(lowering, node)
    if not any(axes) or key in (*moves.MOVES, *PARTS, *_LAYERS):
        return
    constants = [a for v in node.inputs if (a := constant(v)) is not None and a.size > 1]
    rank = len(lowering.tracked(node).shape) if key in functions.RULES else 0
    aligned = key not in functions.RULES or (
        all(array.size == array.shape[-1] for array in constants) and max(axes) < rank
    )
    if key not in _KEPT or len(set(axes)) > 1 or not aligned:
        raise Unsupported(
            f"the axis of its samples is axis {max(axes)}", "keep the batch as the first axis"
        )


def carry(lowering: Lowering, node: ir.Node) -> None:
    """Behind the rule of a node: where the samples of its result lie."""
    axes = _axes(lowering, node)
    if any(axes) and key_of(node) in _KEPT:
        lowering.batches[node.outputs[0]] = max(axes)


def _axes(lowering: Lowering, node: ir.Node) -> list[int]:
    return [lowering.batches.get(v, 0) for v in node.inputs if v in lowering.values]


def move(lowering: Lowering, node: ir.Node) -> None:
    """Reshape, Transpose and the like, also of the axis of the samples."""
    given = constant(node.inputs[0])
    if given is not None:  # as first states are
        node.outputs[0].const_value = ir.tensor(_run(node, given))
        return
    x = lowering.tracked(node)
    if not any(_axes(lowering, node)):
        try:
            moves.move(lowering, node)
            return
        except Unsupported as error:
            plain = error
        try:
            index, axis = _moved(lowering, node, x)
        except Unsupported:
            raise plain from None
    else:
        index, axis = _moved(lowering, node, x)
    lowering.moved(node, x, index)
    _lie(lowering, node, axis)


def part(lowering: Lowering, node: ir.Node) -> None:
    """Slice, Gather: all of a tensor, or the last state of a recurrent layer.

    Raises:
        Unsupported: it takes something else.
    """
    x = lowering.tracked(node)
    index, axis = _moved(lowering, node, x)
    stage = x.draft.stage
    if index.size != x.size or np.any(np.sort(index, axis=None) != np.arange(x.size)):
        first = x.size - x.draft.output.channels
        states = isinstance(stage, RecurrentStage) and not stage.last
        if not states or np.any(np.sort(index, axis=None) != np.arange(first, x.size)):
            raise Unsupported(_PART, _HELP)
        x = Tracked(_of_last_state(lowering, x.draft), x.index, x.path)
        index = index - first
    lowering.moved(node, x, index)
    _lie(lowering, node, axis)


def _of_last_state(lowering: Lowering, draft: Draft) -> Draft:
    """The draft of a layer's last state beside that of all its states, which may go unread."""
    stage, output = draft.stage, draft.output
    assert isinstance(stage, RecurrentStage)
    for other in lowering.drafts:
        if other.nodes[:1] == draft.nodes[:1] and other.output.positions == 1:
            other.known.update(draft.known)
            return other
    name = lowering.name(f"{stage.name}_last")
    vector = type(output)(1, 1, output.channels, output.range)
    made = RecurrentStage(name, (), (), stage.input, vector, cell=stage.cell)
    found = Draft(made, draft.head, list(draft.nodes), draft.sources, draft.constants)
    found.known.update(draft.known)
    lowering.drafts.append(found)
    return found


def _lie(lowering: Lowering, node: ir.Node, axis: int) -> None:
    if axis:
        lowering.batches[node.outputs[0]] = axis


def _moved(lowering: Lowering, node: ir.Node, x: Tracked) -> tuple[Integers, int]:
    """Places in the stream of what a node gives of a sample, and its axis of samples."""
    axis = lowering.batches.get(node.inputs[0], 0) if node.inputs[0] is not None else 0
    size = int(x.size)
    try:
        moved = _run(node, np.stack([x.index, x.index + size], axis=axis))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise Unsupported("it needs a batch of one", "keep the batch dynamic") from error
    for place in range(moved.ndim):
        samples = [moved.take(sample, place) for sample in range(moved.shape[place])]
        apart = len(samples) == 2 and np.array_equal(samples[0] + size, samples[1])
        if apart and samples[0].size and samples[0].max() < size:
            return np.asarray(samples[0], np.int64), place
    raise Unsupported("it mixes samples", "keep the batch as an axis of its own")


def _run(node: ir.Node, x: Integers) -> Integers:
    """What a node makes of numbers."""
    arrays: list[np.ndarray[Any, Any] | None] = [constant(value) for value in node.inputs]
    names = [f"input{number}" for number in range(len(arrays))]
    proto = ir.to_proto(node)
    del proto.input[:], proto.output[:]
    given = zip(names[1:], arrays[1:], strict=True)
    proto.input.extend(["x", *("" if array is None else name for name, array in given)])
    proto.output.append("y")
    info = onnx.helper.make_tensor_value_info
    tensors = zip(names[1:], arrays[1:], strict=True)
    graph = onnx.helper.make_graph(
        [proto],
        "moved",
        [info("x", onnx.TensorProto.INT64, None)],
        [info("y", onnx.TensorProto.INT64, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in tensors if array is not None],
    )
    version = 18 if node.graph is None else node.graph.opset_imports.get("", 18)
    opset = onnx.helper.make_opsetid("", version)
    model = onnx.helper.make_model(graph, opset_imports=[opset])
    (found,) = ReferenceEvaluator(model).run(None, {"x": x})
    return np.asarray(found)
