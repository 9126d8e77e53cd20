"""inspect(): what a model holds and what would stop its compilation."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from actc.artifact import make_target
from actc.ir.context import Context, attach
from actc.ir.load import ModelLike, load
from actc.ir.sites import Site
from actc.passes.integerize import HANDLERS
from actc.passes.normalize import Normalize
from actc.passes.recognize import Recognize
from actc.passes.shapes import shape_arithmetic
from actc.passes.structure import Structure
from actc.prepare import input_infos


def inspect(model: ModelLike, target: str | None = None) -> dict[str, Any]:
    """Find the activations of a model, and the operators without an integer form.

    Args:
        model: path of an .onnx file, or a model in memory.
        target: also name what this target cannot take.

    Returns:
        JSON-ready: ``model``, ``activations`` [{id, function, nodes, input, output,
        channels}], ``unsupported`` [{node, op, reason}], ``diagnostics``.

    Raises:
        UsageError, ModelError: see `actc.errors`.
    """
    machine = make_target(target) if target is not None else None
    source = load(model)
    graph = ir.from_proto(source.proto)
    context = Context(file=source.name)
    attach(graph, context)
    infos = input_infos(graph, source.name)
    for value, info in zip(_data_inputs(graph), infos, strict=True):
        first = "N" if info.shape[0] is None else info.shape[0]
        rest = [f"d{k + 1}" if size is None else size for k, size in enumerate(info.shape[1:])]
        value.shape = ir.Shape([first, *rest])
    for value in graph.graph.outputs:
        if value.producer() is not None:
            value.shape = None
    for step in (Normalize(), Structure(), Recognize()):
        step(graph)
        attach(graph, context)
    operators = machine.capabilities().operators if machine is not None else None
    return {
        "model": {
            "name": source.name,
            "sha256": source.sha256,
            "bytes": source.size,
            "opset": source.opset,
            "inputs": [
                {
                    "name": i.name,
                    "shape": ["N" if s is None else s for s in i.shape],
                    "dtype": str(i.dtype),
                }
                for i in infos
            ],
            "outputs": [{"name": value.name} for value in graph.graph.outputs],
            "operators": len(source.proto.graph.node),
        },
        "activations": [_row(site) for site in context.sites.values() if not site.affine],
        "unsupported": _unsupported(graph, operators),
        "diagnostics": [d.to_json() for d in context.sink.items],
    }


def _data_inputs(model: ir.Model) -> list[ir.Value]:
    return [v for v in model.graph.inputs if v.name not in model.graph.initializers]


def _row(site: Site) -> dict[str, Any]:
    return {
        "id": site.id,
        "function": site.label,
        "nodes": list(site.nodes),
        "input": site.input,
        "output": site.output,
        "channels": site.function.channels,
    }


def _unsupported(model: ir.Model, operators: frozenset[str] | None) -> list[dict[str, str]]:
    """Operators without an integer form, by their kind alone (shapes may object later)."""
    rows = []
    on_shapes = set(shape_arithmetic(model.graph))  # constants once the data fixes the shapes
    for node in model.graph:
        if node in on_shapes:
            continue
        if (node.domain, node.op_type) not in HANDLERS:
            rows.append(
                {
                    "node": str(node.name or node.outputs[0].name),
                    "op": f"{node.domain}::{node.op_type}".removeprefix("::"),
                    "reason": "no integer form; --precision float32 keeps it",
                }
            )
    del operators  # golden's operators are checked once they exist, by the target itself
    return rows
