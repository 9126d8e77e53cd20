"""What the steps of a reduction ask of ONNX graphs, and the two ways to tidy one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

MOST_ELEMENTS = 1 << 20
"""Of a constant that stands for what a removed node computed."""


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy to be changed."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside it, outer ones first."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def reads(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Names that nodes read, those in their sub-graphs included."""
    found: set[str] = set()
    for node in nodes:
        found.update(node.input)
        for graph in subgraphs(node):
            found |= reads(graph.node)
            found.update(value.name for value in graph.output)
    return found - {""}


def rename_reads(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Let nodes, and what is in their sub-graphs, read other values."""
    for node in nodes:
        for at, name in enumerate(node.input):
            if name in names:
                node.input[at] = names[name]
        for graph in subgraphs(node):
            rename_reads(graph.node, names)
            for value in graph.output:
                value.name = names.get(value.name, value.name)


def types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """The inferred types of values, by name; of those that are known."""
    inferred = _inferred(model)
    found: dict[str, onnx.TypeProto] = {}
    for graph in all_graphs(inferred.graph):
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.HasField("tensor_type"):
                found[value.name] = value.type
        for tensor in graph.initializer:
            found[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return found


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with inferred shapes; without any if an operator is used wrongly."""
    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError):
        return model


def dims(kind: onnx.TypeProto) -> tuple[int | str, ...] | None:
    """The axes of a tensor, None where one of them or their number is not known."""
    if not kind.tensor_type.HasField("shape"):
        return None
    sizes = tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param
        for axis in kind.tensor_type.shape.dim
    )
    return None if "" in sizes else sizes


def constant(name: str, kind: onnx.TypeProto) -> onnx.TensorProto | None:
    """A tensor of ordinary values: standard normal numbers, or zeros of another type.

    Symbolic axes have one element. None where the shape is not known or too large.
    """
    shape = dims(kind)
    if shape is None:
        return None
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    if np.prod(sizes, dtype=np.float64) > MOST_ELEMENTS:
        return None
    try:
        dtype = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
        if np.issubdtype(dtype, np.floating):
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            return numpy_helper.from_array(generator.standard_normal(sizes).astype(dtype), name)
        return numpy_helper.from_array(np.zeros(sizes, dtype), name)
    except (KeyError, TypeError, ValueError):  # strings, and types that numpy has not
        return None


def without_dead_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the nodes and initializers that no output depends on."""
    result = copied(model)
    graph = result.graph
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= reads([node])
    if len(kept) < len(graph.node):
        kept = [copied_node(node) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(kept)
    _keep_named(graph.initializer, wanted)
    _keep_named(graph.value_info, wanted)
    used = {(node.domain, node.op_type) for g in all_graphs(graph) for node in g.node}
    if not used.intersection((f.domain, f.name) for f in result.functions):
        del result.functions[:]
    return result


def without_unused_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the inputs that nothing reads."""
    result = copied(model)
    wanted = reads(result.graph.node) | {value.name for value in result.graph.output}
    _keep_named(result.graph.input, wanted)
    return result


def with_output_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes that its outputs have by inference; no others are known."""
    result = copied(model)
    del result.graph.value_info[:]
    for value in result.graph.output:
        for axis in value.type.tensor_type.shape.dim:
            axis.Clear()
    inferred = _inferred(result)
    for value, found in zip(result.graph.output, inferred.graph.output, strict=True):
        value.CopyFrom(found)
    return result


def copied_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """A copy of a node."""
    result = onnx.NodeProto()
    result.CopyFrom(node)
    return result


def _keep_named(values: Any, names: set[str]) -> None:
    """Delete from a field of named messages those with other names."""
    for at in reversed(range(len(values))):
        if values[at].name not in names:
            del values[at]
