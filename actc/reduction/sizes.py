"""Models with shorter axes.

Every axis of one size is shortened at once, as what has one size usually has it for one reason:
in inputs, constants, shapes that are constants, and the attributes that count channels. Sizes
that are multiples may go along, and weights of a product follow what they are multiplied with.
What does not fit together any more then is no valid model, and is not tried.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from actc.reduction import graphs
from actc.reduction.search import Search

_COUNTS = ("group", "hidden_size", "num_groups")
"""Attributes that hold the size of an axis."""
_LONGEST_SHAPE = 8
"""Elements of a constant that may be a shape."""
_WEIGHTS = {"MatMul": "", "Gemm": "transB"}
"""Operators with weights that follow their input, and the attribute that transposes them."""


def shorter_axes(search: Search) -> bool:
    """Shorten axes as far as possible, the longest first."""
    changed, sizes = False, _sizes(search.model)
    while sizes:
        size = sizes.pop()
        if any(search.attempt(candidate) for candidate in _shorter(search.model, size)):
            changed = True
            sizes = [other for other in _sizes(search.model) if other <= size]
    return changed


def _sizes(model: onnx.ModelProto) -> list[int]:
    """The sizes above 1 of inputs and constants, in increasing order."""
    found = {size for tensor in model.graph.initializer for size in tensor.dims}
    for value in model.graph.input:
        found.update(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    return sorted(size for size in found if size > 1)


def _shorter(model: onnx.ModelProto, size: int) -> Iterator[onnx.ModelProto]:
    for new in sorted({1, 2, size // 4, size // 2} - {0, size}):
        if new < size:
            yield _resized(model, functools.partial(_replaced, size, new))
            yield _resized(model, functools.partial(_scaled, size, new))


def _replaced(old: int, new: int, size: int) -> int:
    return new if size == old else size


def _scaled(old: int, new: int, size: int) -> int:
    return size // old * new if size % old == 0 else size


def _resized(model: onnx.ModelProto, resize: Callable[[int], int]) -> onnx.ModelProto:
    result = graphs.copied(model)
    graph = result.graph
    del graph.value_info[:]
    for value in graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_value"):
                axis.dim_value = resize(axis.dim_value) if axis.dim_value else 0
    for tensor in graph.initializer:
        _resize_tensor(tensor, resize)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _COUNTS and attribute.i > 1:
                attribute.i = resize(attribute.i)
    return graphs.with_output_shapes(_with_weights(graphs.with_output_shapes(result)))


def _resize_tensor(tensor: onnx.TensorProto, resize: Callable[[int], int]) -> None:
    array = numpy_helper.to_array(tensor)
    changed = array[tuple(slice(resize(n) if n else 0) for n in array.shape)]
    if array.dtype == np.int64 and array.ndim == 1 and array.size <= _LONGEST_SHAPE:
        numbers = [resize(int(n)) if n > 1 else int(n) for n in changed]
        changed = np.array(numbers, np.int64)
    if changed.shape != array.shape or not np.array_equal(changed, array):
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name))


def _with_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, with as many rows of weights as what they are multiplied with has columns."""
    types = graphs.types(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in _WEIGHTS or node.input[1] not in weights:
            continue
        kind = types.get(node.input[0])
        columns = (graphs.dims(kind) or (0,))[-1] if kind is not None else 0
        tensor = weights[node.input[1]]
        turned = any(a.name == _WEIGHTS[node.op_type] and a.i for a in node.attribute)
        array = numpy_helper.to_array(tensor)
        if array.ndim != 2 or not isinstance(columns, int) or not columns:
            continue
        rows = array.T if turned else array
        if rows.size and len(rows) != columns:
            fitting = np.resize(rows, (columns, rows.shape[1]))
            fitting = np.ascontiguousarray(fitting.T if turned else fitting)
            tensor.CopyFrom(numpy_helper.from_array(fitting, tensor.name))
    return model
