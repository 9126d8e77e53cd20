"""From a file and data to a model with known shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
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
from actc.numerics.compare import classes
from actc.run_time_inputs import without_data

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


def prepare(model: ModelLike, data: DataLike | None, any_real: bool = False) -> Prepared:
    """Load a model and its data, and fix what the data says about its shapes.

    Args:
        model: path of an .onnx file, or a model in memory.
        data: arrays by input name; None: synthetic samples.
        any_real: what float32 takes and integers do not: data with NaN or infinite values,
            inputs without a common batch axis (a sample is then all of them, whole), and models
            that only the onnx package's own evaluator runs.

    Raises:
        UsageError: the data does not fit the model.
        ModelError: the model is broken, does not run on the data, or has dynamic
            dimensions and no data.
    """
    source = load(model, any_real)
    graph = ir.from_proto(source.proto)
    context = Context(file=source.name)
    inputs = input_infos(graph, source.name, any_real)
    unbatched = _batch_problems(inputs, source.name)
    if data is None:
        unclear = without_data(graph, source.name)
        if unclear:
            raise ModelError(unclear)
        _require_known_shapes(inputs, source.name, bool(unbatched))
        dataset = data_module.synthesize(inputs, whole=bool(unbatched))
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
        dataset = data_module.load(data, inputs, any_real)
        if unbatched and not dataset.whole:
            raise ModelError(unbatched)
    feeds, _ = next(dataset.take(_TRIED).batches())
    results = require_runs(source.proto, feeds, source.name, fallback=any_real)
    if data is not None and dataset.labels is not None:
        file = Path(data).name if isinstance(data, (str, Path)) else "<data>"
        context.sink.extend(_strange_labels(dataset.labels, results, file))
    scalars = [name for name, array in results.items() if not array.ndim]
    if scalars and not dataset.whole:
        if data is not None or not any_real:
            raise ModelError(_scalar_outputs(scalars, source.name, any_real))
        _require_known_shapes(inputs, source.name, True)
        dataset = data_module.synthesize(inputs, whole=True)
    if not dataset.whole:
        dataset = replace(dataset, output_axes=output_axes(source.proto, dataset))
    context.dataset = dataset
    attach(graph, context)
    _fix_shapes(graph, dataset)
    return Prepared(source, graph, dataset, context)


def input_infos(model: ir.Model, file: str, any_shape: bool = False) -> list[InputInfo]:
    """The model's inputs.

    Args:
        model: the model.
        file: its name, for messages.
        any_shape: take inputs that have no batch axis in common, or none at all.

    Raises:
        ModelError: an input has no type or shape, or is no tensor of numbers.
    """
    infos, bad, axes = [], [], input_axes(model)
    for value in model.graph.inputs:
        if value.name in model.graph.initializers:
            continue
        problem = _input_problem(value, any_shape)
        if problem:
            bad.append(Diagnostic("ACT0009", problem, place=Place(file, str(value.name))))
            continue
        assert value.shape is not None
        assert value.dtype is not None
        if not len(value.shape):
            infos.append(InputInfo(str(value.name), value.dtype.numpy(), ()))
            continue
        extents = [d if isinstance(d, int) and d >= 0 else None for d in value.shape]
        axis = axes.get(str(value.name), 0)
        shape = (extents[axis], *extents[:axis], *extents[axis + 1 :])
        infos.append(InputInfo(str(value.name), value.dtype.numpy(), shape, axis))
    if not any_shape and (infos or not bad):
        bad += _batch_problems(infos, file)
    if bad:
        raise ModelError(bad)
    return infos


def _batch_problems(infos: list[InputInfo], file: str) -> list[Diagnostic]:
    """Why the inputs have no batch axis in common; nothing if they have."""
    if not infos:
        return [Diagnostic("ACT0009", "the model has no input", place=Place(file))]
    found = []
    for info in infos:
        if not info.shape:
            text = f"input '{info.name}' is a scalar; the first axis must be the batch"
            found.append(Diagnostic("ACT0009", text, place=Place(file, info.name)))
        elif 0 in info.shape:
            text = f"input '{info.name}' has an axis of length 0"
            found.append(Diagnostic("ACT0009", text, place=Place(file, info.name)))
    fixed = {info.batch for info in infos if info.shape} - {None}
    if len(fixed) > 1 and not found:
        found.append(
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
    return found


def _scalar_outputs(names: list[str], file: str, any_real: bool) -> list[Diagnostic]:
    """Why samples cannot be told apart in outputs without axes."""
    help_text = "keep the first axis of every output for the batch"
    if any_real:
        help_text = "give data with one axis more, [samples, ...]: a sample is then all inputs"
    return [
        Diagnostic(
            "ACT0009",
            f"output '{name}' is a scalar; the first axis must be the batch",
            place=Place(file, name),
            help=help_text,
        )
        for name in names
    ]


def _strange_labels(
    labels: np.ndarray, results: Mapping[str, np.ndarray], file: str
) -> list[Diagnostic]:
    """A warning where labels are no classes of the output that accuracy is measured on."""
    scored = ((n, a) for n, a in results.items() if a.ndim == 2 and classes(a) is not None)
    name, array = next(scored, ("", None))
    if array is None or not labels.size:
        return []
    last = max(array.shape[1], 2) - 1
    wrong = int(np.count_nonzero((labels < 0) | (labels > last)))
    if not wrong:
        return []
    message = f"{wrong} of {len(labels)} labels are no class of output '{name}', 0 to {last}"
    return [
        Diagnostic(
            "ACT0221",
            f"{message}; they count as wrong",
            severity="warning",
            place=Place(file, "labels"),
            help="give the index of each sample's class, counted from 0",
        )
    ]


def _moved_batches(infos: list[InputInfo]) -> tuple[str, ...]:
    names = [f"'{info.name}'" for info in infos if info.batch_axis]
    return (f"read along axis 1 of {', '.join(names)}",) if names else ()


def _input_problem(value: ir.Value, any_type: bool) -> str:
    if value.dtype is None or value.shape is None:
        return f"input '{value.name}' has no type or no shape"
    strange = value.dtype == ir.DataType.STRING or value.dtype.numpy().kind not in "fiub"
    if strange and not (any_type and _is_number(value.dtype)):
        return f"input '{value.name}' has type {value.dtype.name}, which actc does not take"
    return ""


def _is_number(dtype: ir.DataType) -> bool:
    """Whether elements are real or integer numbers, of any width."""
    return dtype.is_floating_point() or dtype.is_integer()


def _require_known_shapes(inputs: list[InputInfo], file: str, whole: bool) -> None:
    dynamic = [info for info in inputs if None in info.shape[0 if whole else 1 :]]
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
        if dataset.whole:
            value.shape = ir.Shape(array.shape[1:])
            continue
        axis = dataset.axes.get(str(value.name), 0)
        first = value.shape[axis]
        batch = first if isinstance(first, int) and first > 0 else BATCH
        if value.name in dataset.lengths:
            value.shape = ir.Shape([batch, *value.shape[1:]])
        else:
            extents = array.shape[1:]
            value.shape = ir.Shape([*extents[:axis], batch, *extents[axis:]])
    for value in model.graph.outputs if not (is_golden(model) or dataset.whole) else ():
        if value.producer() is not None:
            ranks = context_of(model).facts.setdefault("ranks", {})
            ranks[str(value.name)] = None if value.shape is None else len(value.shape)
            value.shape = None  # inferred again, from the dimensions that are now known
