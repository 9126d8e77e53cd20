"""Small helpers over onnx_ir graphs that several passes share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.subgraphs import detach

Array = np.ndarray[Any, Any]

BATCH = "N"
"""Name of an open batch axis."""


def constant(value: ir.Value | None) -> Array | None:
    """The array behind an initializer or a Constant node, else None."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def scalar(value: ir.Value | None) -> float | None:
    """The number behind a constant of one element, else None."""
    array = constant(value)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def is_op(node: ir.Node | None, *op_types: str, domain: str = "") -> bool:
    """Whether `node` is one of the operators of `domain` ("" is ONNX's own)."""
    return node is not None and node.domain == domain and node.op_type in op_types


def is_given(value: ir.Value) -> bool:
    """Whether the model itself says which integers stand for `value`."""
    return is_op(value.producer(), "FakeQuantize", domain="actc")


def name_nodes(graph: ir.Graph) -> None:
    """Call a node without a name after what it gives, so that a user finds it."""
    for node in graph:
        if not node.name and node.outputs:
            node.name = node.outputs[0].name


def has_graphs(node: ir.Node) -> bool:
    """Whether `node` holds sub-graphs, which may read values that are not its inputs."""
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(a.type in kinds for a in node.attributes.values() if isinstance(a, ir.Attr))


def only_user(value: ir.Value | None) -> ir.Node | None:
    """The one node that uses `value`, None when there are several or it is an output."""
    if value is None or value.is_graph_output():
        return None
    users = [use.node for use in value.uses()]
    inside = len(users) == 1 and users[0].graph is value.graph  # not in a sub-graph
    return users[0] if inside else None


def unique_name(graph: ir.Graph, base: str) -> str:
    """`base`, or `base_2`, `base_3`...: a value name not yet used in `graph`."""
    taken = set(graph.initializers) | {v.name for v in graph.inputs}
    taken |= {v.name for node in graph for v in node.outputs}
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return name


def add_constant(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """Add an initializer with a fresh name derived from `name`."""
    fresh = name
    count = 1
    while fresh in graph.initializers:
        count += 1
        fresh = f"{name}_{count}"
    value = ir.Value(
        name=fresh,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
        const_value=ir.tensor(array, name=fresh),
    )
    graph.register_initializer(value)
    return value


def replace_node(old: ir.Node, new: Sequence[ir.Node], result: ir.Value) -> None:
    """Put `new` in the place of the single-output node `old`; `result` replaces its output.

    The result takes over the name, type and shape of the old output, so that
    names in reports stay those of the model.
    """
    graph = old.graph
    assert isinstance(graph, ir.Graph)
    output = old.outputs[0]
    graph.insert_before(old, new)
    if result.type is None:
        result.type = output.type
    if result.shape is None:
        result.shape = output.shape
    if output.is_graph_output() and (result.is_graph_input() or result.is_graph_output()):
        kept = ir.node("Identity", [result], name=f"{old.name}_same")  # it has a name of its own
        graph.insert_before(old, kept)
        kept.outputs[0].type, kept.outputs[0].shape = result.type, result.shape
        result = kept.outputs[0]
    name = output.name
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    graph.remove(old, safe=True)
    output.name = None
    result.name = name


def dims(value: ir.Value | None) -> tuple[int | None, ...] | None:
    """Dimensions of a value, None for a dynamic one; None when the rank is unknown."""
    if value is None or value.shape is None:
        return None
    return tuple(d if isinstance(d, int) else None for d in value.shape)


def rank(value: ir.Value | None) -> int | None:
    """Rank of a value, None when unknown."""
    return None if value is None or value.shape is None else len(value.shape)


def channel_vector(array: Array, value_rank: int, axis: int, size: int | None) -> Array | None:
    """`array` as a vector along `axis` of a tensor of `value_rank`, None if it is no such vector.

    A constant of one element is not a channel vector (unless the axis has size one).
    """
    if array.ndim > value_rank:
        return None
    shape = (1,) * (value_rank - array.ndim) + array.shape
    others = [extent for position, extent in enumerate(shape) if position != axis]
    if any(extent != 1 for extent in others):
        return None
    if size is not None and shape[axis] != size:
        return None
    if shape[axis] == 1 and size != 1:
        return None
    return array.reshape(-1)


def remove_dead(graph: ir.Graph) -> bool:
    """Remove nodes without users and initializers that nothing uses."""
    changed = False
    for node in reversed(list(graph)):
        if not any(o.uses() or o.is_graph_output() for o in node.outputs):
            detach(node)
            graph.remove(node, safe=True)
            changed = True
    for name in [
        n for n, v in graph.initializers.items() if not v.uses() and not v.is_graph_output()
    ]:
        del graph.initializers[name]
        changed = True
    return changed


def attribute_ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """An integer list attribute with its default."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else [int(v) for v in attribute.as_ints()]


def copy_metadata(
    source: ir.Value | ir.Node, target: ir.Value | ir.Node, keys: Iterable[str]
) -> None:
    """Copy some metadata entries."""
    for key in keys:
        if key in source.metadata_props:
            target.metadata_props[key] = source.metadata_props[key]
