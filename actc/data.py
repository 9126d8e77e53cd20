"""Calibration and test data: arrays per model input, checked against the model.

DATA.npz holds one array per model input, named as the input (a single array may
have any name), the first axis counting samples, and optionally `labels`, one
integer class per sample. Samples of varying length are padded to a common shape
and come with an integer array `NAME.lengths`: sample i is cut to its first
`lengths[i]` entries along its first axis. Where the model has its batch on another axis
(the states of a recurrent layer, [layers, batch, units]), the array still counts samples
on its first: [samples, layers, units]. Where a model is taken whole, because its inputs have no
common batch axis, each array has one axis more than the input: [samples, *input]. No pickled
objects are read.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import UsageError
from actc.ir.files import open_regular

Array = np.ndarray[Any, Any]
DataLike = str | Path | Array | Mapping[str, Array]

LABELS = "labels"
_LENGTHS = ".lengths"


@dataclass(frozen=True, slots=True)
class InputInfo:
    """A model input: name, numpy dtype, dimensions (None = dynamic), batch first.

    Attributes:
        batch_axis: where the model itself has the batch.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    batch_axis: int = 0

    @property
    def batch(self) -> int | None:
        """The fixed batch size, None when it is dynamic."""
        return self.shape[0] if self.shape else 1

    @property
    def whole(self) -> tuple[int | None, ...]:
        """The dimensions as the model has them."""
        first, *rest = self.shape or (None,)
        return (*rest[: self.batch_axis], first, *rest[self.batch_axis :]) if self.shape else ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples for every model input.

    Attributes:
        inputs: input name -> array [samples, ...].
        labels: int64 [samples] or None.
        lengths: input name -> int64 [samples] for samples of varying length.
        synthetic: made by actc, not given by the user.
        batch: the model's fixed batch size, None when it is dynamic.
        axes: input name -> axis of the batch in the model, where it is not the first.
        output_axes: the same of outputs.
        whole: a sample is all that the model takes at once, with its batch if it has one: arrays
            are [samples, *input], and outputs get an axis of samples in front.
    """

    inputs: Mapping[str, Array]
    labels: Array | None = None
    lengths: Mapping[str, Array] = field(default_factory=dict)
    synthetic: bool = False
    batch: int | None = None
    axes: Mapping[str, int] = field(default_factory=dict)
    output_axes: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False

    @property
    def samples(self) -> int:
        """Number of samples; one of a model without inputs."""
        return len(next(iter(self.inputs.values()))) if self.inputs else 1

    def take(self, count: int) -> Dataset:
        """The first `count` samples."""
        return Dataset(
            {name: array[:count] for name, array in self.inputs.items()},
            None if self.labels is None else self.labels[:count],
            {name: array[:count] for name, array in self.lengths.items()},
            self.synthetic,
            self.batch,
            self.axes,
            self.output_axes,
            self.whole,
        )

    def batches(self, size: int = 64) -> Iterator[tuple[dict[str, Array], int]]:
        """Feeds of at most `size` samples, with the number of real samples in each.

        With a fixed batch size, the last batch is filled by repeating its last
        sample. Samples of varying length come one at a time, and so do whole ones. Each
        feed has its batch where the model has it.
        """
        if self.whole:
            for index in range(self.samples):
                yield {name: array[index, ...] for name, array in self.inputs.items()}, 1
            return
        step = 1 if self.lengths else (self.batch or size)
        for start in range(0, self.samples, step):
            feeds = {name: array[start : start + step] for name, array in self.inputs.items()}
            real = len(next(iter(feeds.values())))
            for name, lengths in self.lengths.items():
                feeds[name] = feeds[name][:, : int(lengths[start])]
            if self.batch is not None and real < self.batch:
                feeds = {name: _fill(array, self.batch) for name, array in feeds.items()}
            for name, axis in self.axes.items():
                feeds[name] = np.ascontiguousarray(np.moveaxis(feeds[name], 0, axis))
            yield feeds, real


def _fill(array: Array, size: int) -> Array:
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def load(data: DataLike, inputs: list[InputInfo], any_real: bool = False) -> Dataset:
    """Read data and check it against the model's inputs.

    Args:
        data: path of an .npz or .npy file, arrays by name, or the one array of a model
            with one input.
        inputs: the model's inputs.
        any_real: whether NaN and infinite values may occur, and samples may be whole.

    Raises:
        UsageError: with every problem of the data at once.
    """
    source, arrays = _read(data)
    sink = DiagnosticSink()
    labels = arrays.pop(LABELS, None)
    lengths = {
        name.removesuffix(_LENGTHS): arrays.pop(name)
        for name in sorted(arrays)
        if name.endswith(_LENGTHS)
    }
    if len(inputs) == 1 and len(arrays) == 1:
        given = next(iter(arrays))
        arrays = {inputs[0].name: arrays[given]}
        if len(lengths) == 1:
            lengths = {inputs[0].name: next(iter(lengths.values()))}
    _check_names(source, arrays, inputs, sink)
    whole = any_real and labels is None and not lengths and _is_whole(arrays, inputs)
    if whole:
        inputs = [InputInfo(info.name, info.dtype, (None, *info.whole)) for info in inputs]
    checked = {
        info.name: _check_array(source, arrays[info.name], info, sink, any_real)
        for info in inputs
        if info.name in arrays
    }
    counts = {len(array) for array in checked.values() if array.ndim}
    if len(counts) > 1:
        sink.add(_problem(source, "", "the arrays hold different numbers of samples", str(counts)))
    if 0 in counts:
        sink.add(_problem(source, "", "the data holds no samples", "give at least one"))
    samples = max(counts, default=0)
    label_array = None
    if labels is not None and counts:
        label_array = _check_labels(source, labels, samples, sink)
    for name, values in lengths.items():
        info = next((info for info in inputs if info.name == name), None)
        _check_lengths(source, name, values, checked.get(name), info, sink)
    if sink.errors:
        raise UsageError(sink.items)
    return Dataset(
        checked,
        label_array,
        {name: values.astype(np.int64) for name, values in lengths.items()},
        batch=_fixed_batch(inputs),
        axes=_axes(inputs),
        whole=whole,
    )


def _is_whole(arrays: Mapping[str, Array], inputs: list[InputInfo]) -> bool:
    """Whether each array has one axis more than its input, in front."""
    given = [(arrays[info.name], info.whole) for info in inputs if info.name in arrays]
    return all(array.ndim == len(shape) + 1 for array, shape in given)


def synthesize(inputs: list[InputInfo], samples: int = 64, whole: bool = False) -> Dataset:
    """Samples from a fixed seed: standard normal, uniform integers in 0..127, or booleans.

    Args:
        inputs: the model's inputs.
        samples: how many.
        whole: make whole samples.
    """
    if whole:
        inputs = [InputInfo(info.name, info.dtype, (None, *info.whole)) for info in inputs]
    generator = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for info in inputs:
        shape = (samples, *(1 if size is None else size for size in info.shape[1:]))
        if _is_real(info.dtype):
            arrays[info.name] = generator.standard_normal(shape).astype(info.dtype)
        elif info.dtype.kind == "b":
            arrays[info.name] = generator.integers(0, 2, shape).astype(info.dtype)
        else:
            arrays[info.name] = generator.integers(0, 128, shape).astype(info.dtype)
    batch, axes = _fixed_batch(inputs), _axes(inputs)
    return Dataset(arrays, synthetic=True, batch=batch, axes=axes, whole=whole)


def _is_real(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of this type are reals, also where numpy has the type from elsewhere."""
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _axes(inputs: list[InputInfo]) -> dict[str, int]:
    return {info.name: info.batch_axis for info in inputs if info.batch_axis}


def _fixed_batch(inputs: list[InputInfo]) -> int | None:
    """The batch size that some input fixes; one with a dynamic batch axis takes it too."""
    return max((info.batch for info in inputs if info.batch is not None), default=None)


def _read(data: DataLike) -> tuple[str, dict[str, Array]]:
    if isinstance(data, np.ndarray):
        return "<data>", {"data": data}
    if not isinstance(data, (str, Path)):
        return "<data>", {name: np.asarray(array) for name, array in data.items()}
    path = Path(data)
    try:
        # Opened here, because numpy leaves a damaged file open.
        with os.fdopen(open_regular(path), "rb") as stream:
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return path.name, {"data": content}
            return path.name, {name: _array(name, content[name]) for name in content.files}
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            Diagnostic("ACT0220", f"cannot read the data: {reason}", place=Place(str(path)))
        ) from error
    except MemoryError as error:
        message = "the data takes more memory than there is"
        help_text = "give fewer samples; a small file can claim to hold many"
        raise UsageError(
            Diagnostic("ACT0220", message, place=Place(path.name), help=help_text)
        ) from error
    except Exception as error:  # numpy and zipfile read it, and raise what their parsers do
        raise UsageError(
            Diagnostic(
                "ACT0220",
                f"the data is not an .npz archive of plain arrays: {_unreadable(error)}",
                place=Place(path.name),
                help="write it with numpy.savez_compressed; object arrays are not read",
            )
        ) from error


def _array(name: str, found: object) -> Array:
    """A member of an archive, whose bytes numpy gives where they are no array."""
    if not isinstance(found, np.ndarray):
        raise ValueError(f"'{name}' in it is none")
    return found


def _unreadable(error: Exception) -> str:
    """Why numpy reads no arrays; its advice to unpickle what it does not know is left out."""
    text = str(error)
    if "pickled (object) data" in text:
        return "it is no such file"
    # Of the texts of parsers some hold an address, or are another in each version of Python.
    if "max_header_size" in text or "malformed node" in text or isinstance(error, RecursionError):
        return "the header of an array is none"
    return "it holds Python objects" if "allow_pickle" in text else text


def _problem(source: str, name: str, message: str, help_text: str) -> Diagnostic:
    return Diagnostic("ACT0221", message, place=Place(source, name), help=help_text)


def _check_names(
    source: str, arrays: Mapping[str, Array], inputs: list[InputInfo], sink: DiagnosticSink
) -> None:
    known = [info.name for info in inputs]
    for name in known:
        if name not in arrays:
            near = difflib.get_close_matches(name, arrays, n=1)
            hint = f"is it called '{near[0]}' in the data? " if near else ""
            help_text = f"{hint}the data holds: {', '.join(sorted(arrays)) or 'nothing'}"
            sink.add(_problem(source, name, f"no array for the model input '{name}'", help_text))
    for name in sorted(set(arrays) - set(known)):
        help_text = f"the model's inputs are: {', '.join(known)}"
        sink.add(_problem(source, name, f"array '{name}' is not an input of the model", help_text))


def _check_array(
    source: str, array: Array, info: InputInfo, sink: DiagnosticSink, any_real: bool
) -> Array:
    expected = "[samples" + "".join(f", {'?' if s is None else s}" for s in info.shape[1:]) + "]"
    fits = array.ndim == len(info.shape) and all(
        size is None or size == got
        for size, got in zip(info.shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        message = f"array '{info.name}' has shape {list(array.shape)}, the model wants {expected}"
        sink.add(_problem(source, info.name, message, _samples_first(info)))
    if array.dtype == info.dtype and any_real:
        return array
    castable = array.dtype.kind == info.dtype.kind or (
        array.dtype.kind in "iub" and info.dtype.kind in "iuf"
    )
    if not castable:
        message = f"array '{info.name}' has type {array.dtype}, the model wants {info.dtype}"
        sink.add(_problem(source, info.name, message, f"convert it with .astype('{info.dtype}')"))
        return array
    with np.errstate(over="ignore", invalid="ignore"):  # signalling NaNs
        result = array.astype(info.dtype)
    if info.dtype.kind == "f" and not np.isfinite(result).all():
        message = f"array '{info.name}' holds NaN or infinite values"
        if array.dtype.kind != "f" or np.isfinite(array).all():
            message = f"array '{info.name}' holds values beyond the range of {info.dtype}"
        sink.add(_problem(source, info.name, message, "remove these samples"))
    elif info.dtype.kind in "iu" and not np.array_equal(result, array):
        message = f"array '{info.name}' holds values beyond the range of {info.dtype}"
        sink.add(_problem(source, info.name, message, "the model cannot read these values"))
    return result


def _samples_first(info: InputInfo) -> str:
    text = "the first axis counts samples"
    if not info.batch_axis:
        return text
    moved = f"numpy.moveaxis(array, {info.batch_axis}, 0)"
    return f"{text}, though the model's input has its batch on axis {info.batch_axis}: {moved}"


def _check_labels(source: str, labels: Array, samples: int, sink: DiagnosticSink) -> Array:
    if labels.ndim != 1 or len(labels) != samples:
        message = f"'labels' has shape {list(labels.shape)}, expected [{samples}]"
        sink.add(_problem(source, LABELS, message, "give one class per sample"))
    if labels.dtype.kind not in "iu":
        message = f"'labels' has type {labels.dtype}, expected integers"
        sink.add(_problem(source, LABELS, message, "give the class index of each sample"))
        return labels
    return labels.astype(np.int64)


def _check_lengths(
    source: str,
    name: str,
    values: Array,
    array: Array | None,
    info: InputInfo | None,
    sink: DiagnosticSink,
) -> None:
    if array is None or info is None or array.ndim < 2 or len(info.shape) < 2:
        sink.add(_problem(source, name, f"'{name}.lengths' belongs to no array", "remove it"))
        return
    if info.shape[1] is not None:
        message = f"'{name}.lengths' is given, but the model's '{name}' has a fixed length"
        sink.add(_problem(source, name, message, f"remove it; samples are {info.shape[1]} long"))
        return
    good = values.dtype.kind in "iu" and values.shape == (len(array),)
    if not good or not values.size or values.min() < 1 or values.max() > array.shape[1]:
        message = f"'{name}.lengths' must hold {len(array)} integers in 1..{array.shape[1]}"
        sink.add(_problem(source, name, message, "give the length of each sample"))
