"""Where a model has its batch on another axis than the first.

ONNX's recurrent operators take sequences as [steps, batch, features] and states as
[directions, batch, units], and torch exports the states of a network so. Whether the
batch of an input is on axis 1 can be told from the graph; which axis of an output it
is, from two runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.data import Dataset
from actc.ir.execute import Session
from actc.ir.graph import is_op

Array = np.ndarray[Any, Any]

_RECURRENT = ("GRU", "LSTM", "RNN")
_SEQUENCE, _STATES = 0, (5, 6)
"""Inputs of a recurrent operator: the sequence; its first states."""
_CUTS = ("Gather", "Identity", "Slice", "Split", "Squeeze", "Unsqueeze")
"""What exporters cut the state of one layer with out of the states of all, along axis 0."""
_SAMPLES = (2, 3)


def input_axes(model: ir.Model) -> dict[str, int]:
    """Names of the inputs whose batch is on axis 1.

    Those of rank 3 that feed nothing but states of recurrent operators, as they are or
    cut along axis 0, or nothing but their sequences as they are.
    """
    if not any(is_op(node, *_RECURRENT) for node in model.graph):
        return {}
    return {
        str(value.name): 1
        for value in model.graph.inputs
        if value.shape is not None and len(value.shape) == 3 and _is_recurrent(value)
    }


def _is_recurrent(value: ir.Value) -> bool:
    roles = {_role(use.node, use.idx) for use in value.uses()}
    return roles == {"sequence"} or (roles == {"state"} and not value.is_graph_output())


def _role(node: ir.Node, position: int) -> str:
    """What an input of `node` is for the recurrent operators behind it."""
    if is_op(node, *_RECURRENT):
        first = "layout" not in node.attributes or node.attributes["layout"].as_int() == 0
        if first and position == _SEQUENCE:
            return "sequence"
        return "state" if first and position in _STATES else "other"
    if not is_op(node, *_CUTS) or position != 0:
        return "other"
    roles = {_role(use.node, use.idx) for output in node.outputs for use in output.uses()}
    return "state" if roles == {"state"} else "other"


def output_axes(model: onnx.ModelProto, dataset: Dataset) -> dict[str, int]:
    """Names of the outputs whose batch is not on axis 0, and where it is.

    Told by the shapes of the outputs for two samples and for three; of a model that fixes
    its batch, by the first axis of that extent. None for a model without recurrent
    operators and for samples of varying length.
    """
    recurrent = any(node.op_type in _RECURRENT for node in model.graph.node)
    counts = _SAMPLES if dataset.batch is None else (dataset.batch,)
    if not recurrent or dataset.lengths:
        return {}
    session = Session(model)
    filled = [replace(dataset, batch=count).take(count) for count in counts]
    runs = [session.run(next(samples.batches())[0]) for samples in filled]
    axes = {name: _grown([found[name].shape for found in runs], counts) for name in runs[0]}
    return {name: axis for name, axis in axes.items() if axis}


def _grown(shapes: list[tuple[int, ...]], counts: tuple[int, ...]) -> int | None:
    """The first axis along which there are as many entries as samples."""
    if len({len(shape) for shape in shapes}) != 1:
        return None
    extents = list(zip(*shapes, strict=True))
    return extents.index(counts) if counts in extents else None
