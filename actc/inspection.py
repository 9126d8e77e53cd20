"""inspect(): what a model holds and what would stop its compilation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnx_ir as ir

from actc.compiler import default_pipeline
from actc.data import InputInfo, synthesize
from actc.errors import ModelError
from actc.ir.context import Context, attach, context_of
from actc.ir.execute import ExecutionError
from actc.ir.formats import parameters_of
from actc.ir.graph import is_given
from actc.ir.load import ModelLike, load
from actc.ir.sites import Site
from actc.passes.approximate import Approximate
from actc.passes.calibrate import Calibrate
from actc.passes.control_flow import REASON
from actc.passes.integerize import HANDLERS, Integerize
from actc.passes.quantize import Quantize
from actc.passes.shapes import shape_arithmetic
from actc.pipeline import Pipeline
from actc.prepare import input_infos
from actc.site_functions import until_recognize
from actc.targets.base import Target
from actc.targets.named import make_target

_INT8 = (Calibrate(), Approximate(), Quantize(), Integerize())
_NO_INTEGER_FORM = ("ACT0103", "ACT0104")
_SAMPLES = 2


def inspect(model: ModelLike, target: str | None = None) -> dict[str, Any]:
    """Find the activations of a model, and the operators without an integer form.

    Args:
        model: path of an .onnx file, or a model in memory.
        target: also name what this target cannot take.

    Returns:
        JSON-ready: ``model``, ``activations`` [{id, function, nodes, input, output,
        channels}], ``unsupported`` [{node, op, reason}], ``diagnostics``, ``quantized``
        (None, or what a model that is quantized already quantizes: the number of
        ``activations`` and of layers' ``weights`` by their bits).

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
    for step in until_recognize(default_pipeline("int8", "auto", "minmax").passes):
        step(graph)
        attach(graph, context)
    activations = [_row(site) for site in context.sites.values() if not site.affine]
    quantized = _quantized(graph)
    unsupported = _unsupported(graph)
    diagnostics = [d.to_json() for d in context.sink.items]
    if machine is not None and not unsupported:
        unsupported = _refused(machine, graph, infos)
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
        "activations": activations,
        "unsupported": unsupported,
        "diagnostics": diagnostics,
        "quantized": quantized,
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


def _quantized(model: ir.Model) -> dict[str, dict[str, int]] | None:
    """How many tensors and layers have which bits by the model's own choice."""
    values = [value for node in model.graph for value in node.outputs if is_given(value)]
    formats = [parameters_of(value) for value in values]
    activations = Counter(str(p.bits) for p in formats if p is not None)
    weights = Counter(str(w.form) for w in context_of(model).facts.get("given", {}).values())
    if not activations and not weights:
        return None
    found = {"activations": activations, "weights": weights}
    return {what: dict(sorted(counts.items())) for what, counts in found.items()}


def _unsupported(model: ir.Model) -> list[dict[str, str]]:
    """Operators without an integer form, by their kind alone (shapes may object later)."""
    rows = []
    on_shapes = set(shape_arithmetic(model.graph))  # constants once the data fixes the shapes
    for node in model.graph:
        if node in on_shapes:
            continue
        if (node.domain, node.op_type) not in HANDLERS:
            reason = node.metadata_props.get(REASON, "")
            why = f": {reason}" if reason else ""
            rows.append(
                {
                    "node": str(node.name or node.outputs[0].name),
                    "op": f"{node.domain}::{node.op_type}".removeprefix("::"),
                    "reason": f"no integer form{why}; --target onnx keeps it in float",
                }
            )
    return rows


def _refused(machine: Target, model: ir.Model, infos: list[InputInfo]) -> list[dict[str, str]]:
    """What `machine` cannot take, found by compiling for it on made-up samples.

    Nothing where dimensions are open: `compile` says it once data gives them. Ranges
    play no role here, so that a value which is no number on such samples is no finding.
    """
    if any(None in info.shape[1:] for info in infos):
        return []
    context = context_of(model)
    context.dataset = synthesize(infos, _SAMPLES)
    try:
        golden = Pipeline(tuple(_INT8)).run(model)
        found = machine.validate(golden, "int8")
    except ExecutionError:
        return []  # such samples do not fit the model (row numbers beyond a table, say)
    except ModelError as error:
        found = [d for d in error.diagnostics if d.code in _NO_INTEGER_FORM]
    return [
        {"node": d.place.node, "op": d.place.op, "reason": d.message}
        for d in found
        if d.severity == "error"
    ]
