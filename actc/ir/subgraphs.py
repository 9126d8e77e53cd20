"""Sub-graphs of control-flow operators: what they read, and copies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import onnx_ir as ir

Values = Mapping[ir.Value, ir.Value]


def graphs_of(node: ir.Node) -> list[ir.Graph]:
    """The sub-graphs that `node` holds itself, in the order of its attributes."""
    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found += attribute.as_graphs()
    return found


def nodes_inside(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes of all sub-graphs of `node`, at any depth."""
    for graph in graphs_of(node):
        yield from with_inner(graph)


def with_inner(nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """Nodes, each followed by those of its sub-graphs."""
    for node in nodes:
        yield node
        yield from nodes_inside(node)


def values_of(graph: ir.Graph) -> list[ir.Value]:
    """Inputs, initializers and what nodes give, in `graph` and in the graphs inside it."""
    found = [*graph.inputs, *graph.initializers.values()]
    for node in graph:
        found += node.outputs
        for inner in graphs_of(node):
            found += values_of(inner)
    return found


def captured(node: ir.Node) -> list[ir.Value]:
    """Values from outside that the sub-graphs of `node` read without being its inputs."""
    own = {value for graph in graphs_of(node) for value in values_of(graph)}
    read = (value for inner in nodes_inside(node) for value in inner.inputs if value is not None)
    return list(dict.fromkeys(value for value in read if value not in own))


def sources_of(node: ir.Node) -> list[ir.Value]:
    """All values that `node` depends on: its inputs and what its sub-graphs capture."""
    given = [value for value in node.inputs if value is not None]
    return list(dict.fromkeys([*given, *captured(node)]))


def copy_graph(graph: ir.Graph, outer: Values, rename: Callable[[str], str]) -> ir.Graph:
    """A copy of a sub-graph.

    Args:
        graph: the sub-graph; not changed.
        outer: what replaces the values that it captures; others stay.
        rename: old value name -> the name in the copy.
    """
    copy = graph.clone(allow_outer_scope_values=True)
    for value in values_of(copy):
        value.name = rename(str(value.name))
    for node in with_inner(copy):
        for index, source in enumerate(node.inputs):
            if source is not None and source in outer:
                node.replace_input_with(index, outer[source])
    return copy


def copy_attributes(
    node: ir.Node, outer: Values, rename: Callable[[str], str]
) -> dict[str, ir.Attr]:
    """The attributes of `node`, sub-graphs as :func:`copy_graph` makes them."""
    found: dict[str, ir.Attr] = {}
    for name, attribute in node.attributes.items():
        if attribute.type == ir.AttributeType.GRAPH:
            copy = copy_graph(attribute.as_graph(), outer, rename)
            attribute = ir.AttrGraph(name, copy)
        elif attribute.type == ir.AttributeType.GRAPHS:
            copies = [copy_graph(graph, outer, rename) for graph in attribute.as_graphs()]
            attribute = ir.AttrGraphs(name, copies)
        found[name] = attribute
    return found


def detach(node: ir.Node) -> None:
    """Let the sub-graphs of a node that is about to go read nothing any more."""
    for inner in nodes_inside(node):
        for index in range(len(inner.inputs)):
            inner.replace_input_with(index, None)
