"""The index of the largest output in place of the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, context_of
from actc.ir.graph import dims, is_op, remove_dead, unique_name
from actc.passes.base import Pass
from actc.passes.integer.order import FEW_DIGITS

AXIS = 1
"""Axis of the classes, as ONNX has channels."""
_RISING = ("Sigmoid", "Identity")
_ALONG = ("Softmax", "LogSoftmax")


@dataclass(frozen=True, slots=True)
class Choose(Pass):
    """Rules:

    1. Every float output [samples, classes, ...] becomes the place of its largest element
       along axis 1, of equal ones the first: ArgMax, int64 [samples, ...], under its name.
    2. Operators in front of it that keep the order go: Softmax and LogSoftmax along the
       classes, Sigmoid.
    3. Sums of different scales are compared in multiples that take few adders.
    """

    name: ClassVar[str] = "choose"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Append ArgMax to every float output.

        Raises:
            ModelError: ACT0549, an output has no classes to choose from, or there is no
                float output.
        """
        context = context_of(model)
        floats = [v for v in model.graph.outputs if v.dtype in (ir.DataType.FLOAT, None)]
        problems = [d for value in floats if (d := _problem(value, context)) is not None]
        if not floats:
            problems = [_refused(context, "the model has no float output to choose from")]
        if problems:
            raise ModelError(problems)
        for value in floats:
            _append(model.graph, value)
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=True)


def _problem(value: ir.Value, context: Context) -> Diagnostic | None:
    extents = dims(value)
    batch = getattr(context.dataset, "output_axes", {}).get(str(value.name), 0)
    if batch != 0:
        return _refused(context, f"the samples of output '{value.name}' lie along axis {batch}")
    if extents is None or len(extents) <= AXIS or extents[AXIS] in (None, 1):
        shape = "unknown shape" if extents is None else f"shape {_spelled(extents)}"
        return _refused(context, f"output '{value.name}' of {shape} has no classes along axis 1")
    return None


def _spelled(extents: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if extent is None else str(extent) for extent in extents)}]"


def _refused(context: Context, message: str) -> Diagnostic:
    return Diagnostic(
        "ACT0549",
        message,
        place=Place(context.file),
        help="leave --end argmax out, and choose on the host",
    )


def _append(graph: ir.Graph, output: ir.Value) -> None:
    name = str(output.name)
    output.name = unique_name(graph, f"{name}.scores")
    source = _scores(output)
    node = ir.node("ArgMax", [source], {"axis": AXIS, "keepdims": 0}, name=f"{name}/ArgMax")
    node.metadata_props[FEW_DIGITS] = "yes"
    index = node.outputs[0]
    index.name, index.type = name, ir.TensorType(ir.DataType.INT64)
    if output.shape is not None:
        index.shape = ir.Shape([d for axis, d in enumerate(output.shape) if axis != AXIS])
    graph.append(node)
    graph.outputs[graph.outputs.index(output)] = index


def _scores(output: ir.Value) -> ir.Value:
    """What has its largest element where an output has, before the operators between."""
    node = output.producer()
    if node is None or not node.inputs or node.inputs[0] is None:
        return output
    rank = len(output.shape or ())
    along = is_op(node, *_ALONG) and node.attributes.get_int("axis", -1) % max(rank, 1) == AXIS
    return _scores(node.inputs[0]) if along or is_op(node, *_RISING) else output
