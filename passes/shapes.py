"""Shape inference, and constants in place of arithmetic on shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from actc.ir.execute import Session
from actc.ir.graph import add_constant, constant, dims, is_op

Int64Array = npt.NDArray[np.int64]

_SHAPE_USERS = {"Reshape": 1, "Expand": 1}
_PROBES = (2, 3, 5)
"""Batch sizes at which shapes are read off; three tell an affine law from a constant."""


def infer_shapes(model: ir.Model) -> None:
    """Fill in types and shapes by ONNX's own inference, with data propagation."""
    ir.passes.common.ShapeInferencePass(check_type=True, strict_mode=False, data_prop=True)(model)


def freeze_shape_arithmetic(model: ir.Model) -> None:
    """Replace computed target shapes of Reshape and Expand by constants.

    Exporters compute them from Shape nodes. Such a target depends on the input
    shapes alone, so it is read off by running the shape arithmetic at three
    batch sizes: an entry that stays is a constant, one that equals a multiple
    of the batch becomes -1 (Reshape) or 1 (Expand along an existing axis).
    Targets that are not of this kind stay as they are.
    """
    targets = _computed_targets(model.graph)
    if not targets:
        return
    readings = _read_at_batches(model, [value for _, value in targets])
    if readings is None:
        return
    for (node, value), series in zip(targets, readings, strict=True):
        frozen = _law(node, series)
        if frozen is not None:
            fixed = add_constant(model.graph, f"{value.name}_fixed", frozen)
            node.replace_input_with(1, fixed)


def shape_arithmetic(graph: ir.Graph) -> list[ir.Node]:
    """Nodes whose results depend on the shapes of tensors alone."""
    values: set[ir.Value] = set()
    nodes = []
    for node in graph:
        inputs = [value for value in node.inputs if value is not None]
        if is_op(node, "Shape", "Size") or (
            inputs and all(v in values or constant(v) is not None for v in inputs)
        ):
            values.update(node.outputs)
            nodes.append(node)
    return nodes


def _computed_targets(graph: ir.Graph) -> list[tuple[ir.Node, ir.Value]]:
    shape_only = {value for node in shape_arithmetic(graph) for value in node.outputs}
    found = []
    for node in graph:
        position = _SHAPE_USERS.get(node.op_type) if node.domain == "" else None
        if position is not None:
            target = node.inputs[position]
            if target is not None and constant(target) is None and target in shape_only:
                found.append((node, target))
    return found


def _read_at_batches(model: ir.Model, values: list[ir.Value]) -> list[list[Int64Array]] | None:
    shapes = [dims(value) for value in model.graph.inputs]
    if any(shape is None or None in shape[1:] for shape in shapes):
        return None
    proto = ir.to_proto(model)
    del proto.graph.output[:]
    names = list(dict.fromkeys(str(value.name) for value in values))
    for name in names:
        proto.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
        )
    session = Session(proto)
    series: dict[str, list[Int64Array]] = {n: [] for n in names}
    for batch in _PROBES:
        feeds: dict[str, np.ndarray[Any, Any]] = {}
        for value, shape in zip(model.graph.inputs, shapes, strict=True):
            assert shape is not None
            assert value.dtype is not None
            concrete = [batch if size is None else size for size in shape]
            feeds[str(value.name)] = np.zeros(concrete, value.dtype.numpy())
        found = session.run(feeds)
        for name in names:
            series[name].append(found[name])
    return [series[str(value.name)] for value in values]


def _law(node: ir.Node, series: list[Int64Array]) -> Int64Array | None:
    """The constant target that stands for `series`, None when there is none."""
    if len({array.shape for array in series}) > 1:
        return None
    table = np.stack(series)
    varying = [i for i in range(table.shape[1]) if len(set(table[:, i].tolist())) > 1]
    for i in varying:
        per_batch = table[:, i] / np.array(_PROBES)
        if len(set(per_batch.tolist())) > 1:
            return None
    frozen: Int64Array = series[0].copy()
    if node.op_type == "Reshape":
        if len(varying) > 1 or (varying and -1 in np.delete(frozen, varying)):
            return None
        frozen[varying] = -1
        return frozen
    if varying and not _expands_along(dims(node.inputs[0]), varying, frozen.size):
        return None
    frozen[varying] = 1
    return frozen


def _expands_along(
    source: tuple[int | None, ...] | None, varying: list[int], target_rank: int
) -> bool:
    """Whether the axes `varying` of an Expand's target are dynamic axes of its source."""
    aligned = source is not None and len(source) == target_rank
    return aligned and source is not None and all(source[i] is None for i in varying)


def name_batch_axis(model: ir.Model) -> None:
    """Call the dynamic first axis of every value "N", where the inputs' is the only dynamic one.

    ONNX's inference invents a new symbol behind each Reshape; with all other input
    dimensions known, a dynamic first axis can only be the batch.
    """
    shapes = [dims(value) for value in model.graph.inputs]
    if any(shape is None or None in shape[1:] for shape in shapes):
        return
    for value in [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]:
        if value.shape is not None and len(value.shape) and not isinstance(value.shape[0], int):
            value.shape = ir.Shape(["N", *value.shape[1:]])
