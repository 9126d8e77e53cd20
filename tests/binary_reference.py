"""What a binary network computes: node by node in float64, independently of actc's passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
Attributes = dict[str, Any]


def reference(model: onnx.ModelProto, feeds: Mapping[str, Array], *names: str) -> dict[str, Array]:
    """Outputs of a float model (also with QONNX BipolarQuant) in float64.

    Args:
        model: operators of `_HANDLERS` only.
        feeds: inputs by name; the first axis counts samples.
        names: inner values to be given besides the outputs.
    """
    values: dict[str, Array] = {"": np.array([])}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        values[tensor.name] = array.astype(np.float64) if array.dtype == np.float32 else array
    values |= {name: array.astype(np.float64) for name, array in feeds.items()}
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = np.asarray(_HANDLERS[node.op_type](inputs, attributes))
    return {name: values[name] for name in [*names, *(o.name for o in model.graph.output)]}


def _windows(x: Array, attributes: Attributes, kernel: list[int], fill: float) -> Array:
    """[N, C, H, W, kernel] of an image."""
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    down, along = attributes.get("strides", [1, 1])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    return windows[:, :, ::down, ::along]


def _conv(inputs: list[Array], attributes: Attributes) -> Array:
    x, weights = inputs[:2]
    group = attributes.get("group", 1)
    windows = _windows(x, attributes, list(weights.shape[2:]), 0.0)
    split = np.split(windows, group, axis=1)
    rows = np.split(weights, group)
    parts = [np.einsum("nchwij,ocij->nohw", a, b) for a, b in zip(split, rows, strict=True)]
    result = np.concatenate(parts, axis=1)
    return np.asarray(result if len(inputs) < 3 else result + inputs[2].reshape(1, -1, 1, 1))


def _max_pool(inputs: list[Array], attributes: Attributes) -> Array:
    windows = _windows(inputs[0], attributes, attributes["kernel_shape"], -np.inf)
    return np.asarray(windows.max(axis=(-2, -1)))


def _batch_norm(inputs: list[Array], attributes: Attributes) -> Array:
    """The mean comes off first, so that a tie there is one."""
    shape = (1, -1, *([1] * (inputs[0].ndim - 2)))
    gamma, beta, mean, variance = (array.reshape(shape) for array in inputs[1:])
    factor = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return np.asarray((inputs[0] - mean) * factor + beta)


def _cast(inputs: list[Array], attributes: Attributes) -> Array:
    assert attributes["to"] == onnx.TensorProto.FLOAT
    return np.asarray(inputs[0], np.float64)


def _mean(inputs: list[Array], attributes: Attributes) -> Array:
    axes = tuple(int(axis) for axis in inputs[1]) if len(inputs) > 1 else None
    return np.asarray(inputs[0].mean(axis=axes, keepdims=bool(attributes.get("keepdims", 1))))


_HANDLERS: dict[str, Callable[[list[Array], Attributes], Any]] = {
    "Abs": lambda v, a: np.abs(v[0]),
    "Add": lambda v, a: v[0] + v[1],
    "BatchNormalization": _batch_norm,
    "BipolarQuant": lambda v, a: v[1] * np.where(v[0] >= 0, 1.0, -1.0),
    "Cast": _cast,
    "Clip": lambda v, a: np.clip(v[0], v[1], v[2]),
    "Conv": _conv,
    "Flatten": lambda v, a: v[0].reshape(len(v[0]), -1),
    "Greater": lambda v, a: v[0] > v[1],
    "GreaterOrEqual": lambda v, a: v[0] >= v[1],
    "Less": lambda v, a: v[0] < v[1],
    "LessOrEqual": lambda v, a: v[0] <= v[1],
    "MatMul": lambda v, a: v[0] @ v[1],
    "MaxPool": _max_pool,
    "Mul": lambda v, a: v[0] * v[1],
    "PRelu": lambda v, a: np.where(v[0] < 0, v[1] * v[0], v[0]),
    "ReduceMean": _mean,
    "Sign": lambda v, a: np.sign(v[0]),
    "Sin": lambda v, a: np.sin(v[0]),
    "Sub": lambda v, a: v[0] - v[1],
    "Where": lambda v, a: np.where(v[0], v[1], v[2]),
}
