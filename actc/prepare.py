"""From a file and data to a model with known shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from actc import data as data_module
from actc.batch_axes import input_axes, output_axes
from actc.data import DataLike, Dataset, InputInfo
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, attach, context_of
from actc.ir.execute import require_runs
from actc.ir.golden import is_golden
from actc.ir.graph import BATCH
from actc.ir.load import LoadedModel, ModelLike, load

_TRIED = 3
"""Samples on which a model must run; an odd number, for batches fixed inside it are even."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A loaded model with its data.

    Attributes:
        source: the file as it came in.
        model: the same as onnx_ir, its inputs' dimensions fixed by the data.
        dataset: the user's data, or synthetic samples.
        context: shared state of the passes; holds the diagnostics.
    """

    source: LoadedModel
    model: ir.Model
    dataset: Dataset
    context: Context


def prepare(model: ModelLike, data: DataLike | None) -> Prepared:
    """Load a model and its data, and fix what the data says about its shapes.

    Raises:
        UsageError: the data does not fit the model.
        ModelError: the model is broken, does not run on the data, or has dynamic
            dimensions and no data.
    """
    source = load(model)
    graph = ir.from_proto(source.proto)
    context = Context(file=source.name)
    inputs = input_infos(graph, source.name)
    if data is None:
        _require_known_shapes(inputs, source.name)
        dataset = data_module.synthesize(inputs)
        context.sink.add(
            Diagnostic(
                "ACT0230",
                "no data: calibrated on synthetic samples, the accuracy is not known",
                severity="warning",
                place=Place(source.name),
                help="pass --data DATA.npz with samples of what the network will see",
            )
        )
    else:
        dataset = data_module.load(data, inputs)
    feeds, _ = next(dataset.take(_TRIED).batches())
    require_runs(source.proto, feeds, source.name)
    dataset = replace(dataset, output_axes=output_axes(source.proto, dataset))
    context.dataset = dataset
    attach(graph, context)
    _fix_shapes(graph, dataset)
    return Prepared(source, graph, dataset, context)


def input_infos(model: ir.Model, file: str) -> list[InputInfo]:
    """The model's inputs.

    Raises:
        ModelError: an input has no type or shape, or is no tensor of numbers.
    """
    infos, bad, axes = [], [], input_axes(model)
    for value in model.graph.inputs:
        if value.name in model.graph.initializers:
            continue
        problem = _input_problem(value)
        if problem:
            bad.append(Diagnostic("ACT0009", problem, place=Place(file, str(value.name))))
            continue
        assert value.shape is not None
        assert value.dtype is not None
        extents = [d if isinstance(d, int) and d > 0 else None for d in value.shape]
        axis = axes.get(str(value.name), 0)
        shape = (extents[axis], *extents[:axis], *extents[axis + 1 :])
        infos.append(InputInfo(str(value.name), value.dtype.numpy(), shape, axis))
    if bad or not infos:
        raise ModelError(bad or Diagnostic("ACT0009", "the model has no input", place=Place(file)))
    _require_one_batch(infos, file)
    return infos


def _require_one_batch(infos: list[InputInfo], file: str) -> None:
    fixed = {info.batch for info in infos} - {None}
    if len(fixed) > 1:
        raise ModelError(
            Diagnostic(
                "ACT0009",
                "the inputs have different batch sizes: "
                + ", ".join(f"'{info.name}' {info.batch}" for info in infos),
                place=Place(file),
                notes=_moved_batches(infos),
                help="the first axis of every input must be the batch (the second, of states and "
                "sequences that only recurrent layers read); export it dynamic",
            )
        )


def _moved_batches(infos: list[InputInfo]) -> tuple[str, ...]:
    names = [f"'{info.name}'" for info in infos if info.batch_axis]
    return (f"read along axis 1 of {', '.join(names)}",) if names else ()


def _input_problem(value: ir.Value) -> str:
    if value.dtype is None or value.shape is None:
        return f"input '{value.name}' has no type or no shape"
    if 0 in value.shape:
        return f"input '{value.name}' has an axis of length 0"
    if len(value.shape) == 0:
        return f"input '{value.name}' is a scalar; the first axis must be the batch"
    if value.dtype == ir.DataType.STRING or value.dtype.numpy().kind not in "fiub":
        return f"input '{value.name}' has type {value.dtype.name}, which actc does not take"
    return ""


def _require_known_shapes(inputs: list[InputInfo], file: str) -> None:
    dynamic = [info for info in inputs if None in info.shape[1:]]
    if dynamic:
        raise ModelError(
            Diagnostic(
                "ACT0010",
                f"input '{info.name}' has dynamic dimensions {list(info.shape)}",
                place=Place(file, info.name),
                notes=("None stands for a dynamic dimension; the first axis is the batch",),
                help="pass --data DATA.npz: its arrays give the dimensions",
            )
            for info in dynamic
        )


def _fix_shapes(model: ir.Model, dataset: Dataset) -> None:
    for value in model.graph.inputs:
        array = dataset.inputs.get(str(value.name))
        if array is None or value.shape is None:
            continue
        axis = dataset.axes.get(str(value.name), 0)
        first = value.shape[axis]
        batch = first if isinstance(first, int) and first > 0 else BATCH
        if value.name in dataset.lengths:
            value.shape = ir.Shape([batch, *value.shape[1:]])
        else:
            extents = array.shape[1:]
            value.shape = ir.Shape([*extents[:axis], batch, *extents[axis:]])
    for value in model.graph.outputs if not is_golden(model) else ():
        if value.producer() is not None:
            ranks = context_of(model).facts.setdefault("ranks", {})
            ranks[str(value.name)] = None if value.shape is None else len(value.shape)
            value.shape = None  # inferred again, from the dimensions that are now known
