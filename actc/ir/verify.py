"""Invariants of a model that hold between any two passes."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.dialect import DOMAIN, OPERATORS, OWN_BODIES


def problems(model: ir.Model) -> list[str]:
    """What is wrong with the structure of `model`; empty when nothing is.

    Checked: values are made before they are used and have unique names, every
    initializer has a value, outputs have a producer, nodes of the domain `actc` are
    known and sites have their body.
    """
    graph = model.graph
    given = set(graph.inputs) | set(graph.initializers.values())
    made = [value for node in graph for value in node.outputs]
    found = _order(graph, given)
    names: dict[str, ir.Value] = {}
    for value in [*given, *made]:
        _name(value, names, found)
    for node in graph:
        if node.domain == DOMAIN:
            found += _dialect(node, model)
    available = given.union(made)
    found += [f"output '{v.name}' is never made" for v in graph.outputs if v not in available]
    found += [
        f"initializer '{name}' has no value"
        for name, value in graph.initializers.items()
        if value.const_value is None
    ]
    return found


def _order(graph: ir.Graph, given: set[ir.Value]) -> list[str]:
    available, found = set(given), []
    for node in graph:
        for source in node.inputs:
            if source is not None and source not in available:
                found.append(f"node '{node.name}' reads '{source.name}' before it is made")
        available.update(node.outputs)
    return found


def _name(value: ir.Value, names: dict[str, ir.Value], found: list[str]) -> None:
    if not value.name:
        if value.uses() or value.is_graph_output():
            found.append("a value has no name")
        return
    if names.setdefault(value.name, value) is not value:
        found.append(f"two values are called '{value.name}'")


def _dialect(node: ir.Node, model: ir.Model) -> list[str]:
    if node.op_type in OWN_BODIES:
        known = node.op_identifier() in model.functions
        return [] if known else [f"{node.op_type} '{node.name}' has lost its function"]
    return [] if node.op_type in OPERATORS else [f"unknown operator actc::{node.op_type}"]
