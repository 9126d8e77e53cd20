"""Constants in place of arithmetic on shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir.context import is_whole
from actc.ir.execute import ExecutionError, Session
from actc.ir.graph import BATCH, add_constant, constant, dims, has_graphs, is_op
from actc.passes.fold import fold_constants
from actc.passes.inference import infer_shapes
from actc.passes.repeated import one_row, put_row

Int64Array = npt.NDArray[np.int64]

_TARGETS = {"Reshape": 1, "Expand": 1}
"""Operators with an input that is the shape of their output, and its position."""
_PROBES = ((2, 6), (3, 10), (5, 14))
"""Batch sizes, and lengths of all other open axes, at which shapes are read off; three tell a
law from a coincidence."""

Array = np.ndarray[Any, Any]
Use = tuple[ir.Node, int]


def fold_known_shapes(model: ir.Model) -> None:
    """Replace Shape and Size of values of known shape by constants, and what follows from them.

    For a model that is taken whole: shapes that are not known then depend on data.
    """
    found = True
    while found:
        found = False
        for node in [n for n in model.graph if is_op(n, "Shape", "Size")]:
            shape = dims(node.inputs[0])
            if shape is None or None in shape or node.outputs[0].is_graph_output():
                continue
            extents = np.array(shape, np.int64)
            array = np.array(extents.prod(), np.int64) if node.op_type == "Size" else extents
            if node.op_type == "Shape":
                start, end = (
                    node.attributes[key].as_int() if key in node.attributes else default
                    for key, default in (("start", 0), ("end", len(shape)))
                )
                array = extents[start:end]
            name = f"{node.outputs[0].name}_known"
            known = add_constant(model.graph, name, array)
            ir.convenience.replace_all_uses_with(node.outputs[0], known)
            model.graph.remove(node, safe=True)
            found = True
        fold_constants(model)
        infer_shapes(model)


def freeze_shape_arithmetic(model: ir.Model) -> None:
    """Replace what is computed from shapes by constants.

    Exporters compute the targets of Reshape and Expand, the bounds of Slice, the
    halves of a chunk and whole ranges of positions from Shape nodes. Such a value
    depends on the input shapes alone, so it is read off by running the model at
    three batch sizes and lengths: one that stays is a constant. In the target of a
    Reshape an entry that varies becomes -1 or, where there are several, 0 (as in the
    input); in that of an Expand along an existing axis 1. A value that repeats one
    row over the batch becomes that row, where broadcasting does the same. Values that
    are not of this kind stay as they are. Where there was something to replace, shapes are
    inferred again.
    """
    if is_whole(model):
        fold_known_shapes(model)
        return
    uses = _computed_uses(model.graph)
    if uses:
        _freeze(model, uses)


def _freeze(model: ir.Model, uses: list[Use]) -> None:
    values = [_reading(use) for use in uses]
    sources = [_moved(use) or value for use, value in zip(uses, values, strict=True)]
    readings = read_at_sizes(model, values + sources)
    if readings is None:
        return
    rows = zip(uses, readings[: len(uses)], readings[len(uses) :], strict=True)
    repeated: list[tuple[ir.Node, int, Array | None]] = []
    for (node, position), series, given in rows:
        if _is_target((node, position)):
            frozen = _law(node, _shapes(series), _shapes(given))
            if frozen is not None and 0 in frozen:
                node.attributes.pop("allowzero", None)
        else:
            frozen = series[0] if all(np.array_equal(series[0], a) for a in series) else None
        if frozen is not None:
            value = node.inputs[position]
            assert value is not None
            fixed = add_constant(model.graph, f"{value.name}_fixed", frozen)
            node.replace_input_with(position, fixed)
        elif not _is_target((node, position)):
            repeated.append((node, position, one_row(series)))
    infer_shapes(model)  # rows are put where the shapes around them fit
    for node, position, row in repeated:
        if row is not None:
            put_row(model, node, position, row)
    infer_shapes(model)


def shape_arithmetic(graph: ir.Graph) -> list[ir.Node]:
    """Nodes whose results depend on the shapes of tensors alone."""
    values: set[ir.Value] = set()
    nodes = []
    for node in graph:
        inputs = [value for value in node.inputs if value is not None]
        known = inputs and all(v in values or constant(v) is not None for v in inputs)
        if is_op(node, "Shape", "Size") or (known and not has_graphs(node)):
            values.update(node.outputs)
            nodes.append(node)
    return nodes


def _computed_uses(graph: ir.Graph) -> list[Use]:
    """Where a value computed from shapes alone enters another operator."""
    nodes = set(shape_arithmetic(graph))
    return [
        (node, position)
        for node in graph
        if node not in nodes
        for position, value in enumerate(node.inputs)
        if value is not None and value.producer() in nodes
    ]


def _is_target(use: Use) -> bool:
    node, position = use
    return node.domain == "" and _TARGETS.get(node.op_type) == position


def _reading(use: Use) -> ir.Value:
    """The value to read for a use: its own, or the output whose shape it is."""
    node, position = use
    value = node.outputs[0] if _is_target(use) else node.inputs[position]
    assert value is not None
    return value


def _moved(use: Use) -> ir.Value | None:
    """What a Reshape or Expand moves; None for a constant and for other uses."""
    value = use[0].inputs[0] if _is_target(use) else None
    return None if value is None or constant(value) is not None else value


def _shapes(series: list[Array]) -> list[Int64Array]:
    return [np.array(array.shape, np.int64) for array in series]


def read_at_sizes(model: ir.Model, values: list[ir.Value]) -> list[list[Array]] | None:
    """What each value is, for feeds of zeros, at three sizes of the batch and all open axes.

    None where the model cannot run at them.
    """
    shapes = [dims(value) for value in model.graph.inputs]
    if any(shape is None for shape in shapes):
        return None
    inputs = set(model.graph.inputs)
    names = list(dict.fromkeys(str(value.name) for value in values if value not in inputs))
    series: dict[str, list[Array]] = {str(value.name): [] for value in values}
    try:
        session = Session(ir.to_proto(model), names)
        for batch, length in _PROBES:
            feeds = _zeros(model, batch, length)
            found = {**feeds, **session.run(feeds)}
            for name, arrays in series.items():
                arrays.append(found[name])
    except ExecutionError:  # the network fixes its batch size, so nothing is to be learnt
        return None
    return [series[str(value.name)] for value in values]


def _zeros(model: ir.Model, batch: int, length: int) -> dict[str, Array]:
    """Feeds of zeros, the open axes but the batch of one length."""
    feeds: dict[str, Array] = {}
    for value in model.graph.inputs:
        shape = dims(value)
        assert shape is not None
        assert value.dtype is not None
        is_batch = [axis == 0 or _is_batch(value, axis) for axis in range(len(shape))]
        concrete = [
            size if size is not None else batch if first else length
            for size, first in zip(shape, is_batch, strict=True)
        ]
        feeds[str(value.name)] = np.zeros(concrete, value.dtype.numpy())
    return feeds


def _law(node: ir.Node, series: list[Int64Array], sources: list[Int64Array]) -> Int64Array | None:
    """The constant target that gives the output shapes `series` for inputs of shapes `sources`.

    None when there is none.
    """
    if len({array.shape for array in series}) > 1 or any(0 in array for array in series):
        return None
    table, given = np.stack(series), np.stack(sources)
    varying = [i for i in range(table.shape[1]) if len(set(table[:, i].tolist())) > 1]
    copied = [i for i in varying if i < given.shape[1] and np.array_equal(table[:, i], given[:, i])]
    frozen: Int64Array = series[0].copy()
    if node.op_type == "Expand":
        frozen[varying] = 1
        aligned = given.shape[1] == frozen.size and copied == varying
        return frozen if aligned or not varying else None
    if len(varying) > 1:  # Reshape takes an entry 0 from its input
        frozen[copied] = 0
        varying = [i for i in varying if i not in copied]
    if len(varying) > 1:
        return None
    frozen[varying] = -1
    return frozen


def name_batch_axis(model: ir.Model) -> None:
    """Call the dynamic first axis of every value "N", where the inputs' is the only dynamic one.

    ONNX's inference invents a new symbol behind each Reshape; with all other input
    dimensions known, a dynamic first axis can only be the batch. A model that is taken whole has
    no batch.
    """
    if is_whole(model):
        return
    for value in model.graph.inputs:
        shape = dims(value)
        if shape is None:
            return
        if any(
            size is None and axis and not _is_batch(value, axis) for axis, size in enumerate(shape)
        ):
            return
    for value in [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]:
        if value.shape is not None and len(value.shape) and not isinstance(value.shape[0], int):
            value.shape = ir.Shape([BATCH, *value.shape[1:]])


def _is_batch(value: ir.Value, axis: int) -> bool:
    """Whether an open axis of an input behind its first is the batch: of a recurrent state."""
    size = None if value.shape is None else value.shape[axis]
    return isinstance(size, ir.SymbolicDim) and size.value == BATCH
