"""The activation functions of a model file, by the identifiers of `actc inspect`."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir

from actc.compiler import default_pipeline
from actc.ir.context import Context, attach, context_of
from actc.ir.load import LoadedModel, ModelLike, load
from actc.ir.sites import Site
from actc.pipeline import Pipeline, pass_name
from actc.prepare import input_infos

RECOGNIZE = "recognize"


def recognized_sites(
    model: ModelLike,
    *,
    passes: Sequence[ir.passes.PassBase] | None = None,
    shapes: onnx.ModelProto | None = None,
) -> dict[str, Site]:
    """Find the activation sites of a model, in the way of `actc.compile`.

    Args:
        model: path of an .onnx file, or a model in memory.
        passes: what to run, up to `recognize`; None: what `actc.compile` runs.
        shapes: a model whose inputs have the dimensions that the data gave.

    Returns:
        site id -> site, scales and biases (affine sites) among them.

    Raises:
        UsageError, ModelError: see `actc.ir.load`.
    """
    source = load(model)
    graph = ir.from_proto(source.proto)
    attach(graph, Context(file=source.name))
    _fix_shapes(graph, source, shapes)
    steps = default_pipeline("float32", "auto", "minmax").passes if passes is None else passes
    graph = Pipeline(until_recognize(steps)).run(graph)
    return context_of(graph).sites


def until_recognize(passes: Sequence[ir.passes.PassBase]) -> tuple[ir.passes.PassBase, ...]:
    """The first of `passes`, `recognize` being the last; all when it is not among them."""
    names = [pass_name(step) for step in passes]
    return tuple(passes[: names.index(RECOGNIZE) + 1] if RECOGNIZE in names else passes)


def _fix_shapes(graph: ir.Model, source: LoadedModel, shapes: onnx.ModelProto | None) -> None:
    """Name the open dimensions of inputs, or take those of `shapes`; outputs are inferred."""
    known = {} if shapes is None else {value.name: value for value in shapes.graph.input}
    inputs = {str(value.name): value for value in graph.graph.inputs}
    for info in input_infos(graph, source.name):
        sizes = list(info.shape)
        given = known.get(info.name)
        if given is not None and len(given.type.tensor_type.shape.dim) == len(sizes):
            dims = given.type.tensor_type.shape.dim
            sizes = [dim.dim_value or size for dim, size in zip(dims, sizes, strict=True)]
        first = "N" if sizes[0] is None else sizes[0]
        rest = [f"d{k}" if size is None else size for k, size in enumerate(sizes[1:], 1)]
        inputs[info.name].shape = ir.Shape([first, *rest])
    for value in graph.graph.outputs:
        if value.producer() is not None:
            value.shape = None
