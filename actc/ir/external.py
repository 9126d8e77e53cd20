"""Weights that a model keeps in other files: brought into it, only from beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import onnx

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.ir.files import MOST_BYTES, open_inside, resolved_inside

_PACKED: dict[int, int] = {
    onnx.TensorProto.INT4: 2,
    onnx.TensorProto.UINT4: 2,
    onnx.TensorProto.FLOAT4E2M1: 2,
}
"""Element types that share a byte, and how many do."""
_SHOWN = 200
"""Characters of a place in a message."""


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the model: initializers and attributes, of sub-graphs too."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            graphs = [attribute.g] if attribute.HasField("g") else []
            for graph in [*graphs, *attribute.graphs]:
                yield from _graph_tensors(graph)


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the values of `tensor` are in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def bring_in(proto: onnx.ModelProto, path: Path, sink: DiagnosticSink) -> bytes:
    """Put the external weights of the model at `path` into it.

    Returns:
        the bytes of all weights that were read, in order.
    """
    outside = list(filter(is_external, tensors(proto)))
    total = sum(_byte_size(tensor) or 0 for tensor in outside)
    if total > MOST_BYTES:
        sink.add(
            Diagnostic(
                "ACT0060",
                f"the external weights take {total:,} bytes; a model takes 2 GiB at most",
                place=Place(path.name),
                help="compile the model in parts",
            )
        )
        return b""
    folder = path.resolve().parent
    content = []
    for tensor in outside:
        found = _read(tensor, folder, Place(path.name, tensor.name))
        if isinstance(found, Diagnostic):
            sink.add(found)
            continue
        del tensor.external_data[:]
        tensor.ClearField("data_location")
        tensor.raw_data = found
        content.append(found)
    return b"".join(content)


def _read(tensor: onnx.TensorProto, folder: Path, place: Place) -> bytes | Diagnostic:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) < len(tensor.external_data):
        return _unfit(tensor, "names its place twice", place)
    if _has_values(tensor):
        return _unfit(tensor, "has values in the model, too", place)
    location = entries.get("location", "")
    shown = location if len(location) <= _SHOWN else f"{location[:_SHOWN]}..."
    try:
        parts = resolved_inside(folder, location)
        if parts is None:
            return Diagnostic(
                "ACT0003",
                f"external data '{shown}' lies outside the model's folder",
                place=place,
                help="save the model with its weights beside it",
            )
        number = open_inside(folder, parts)
    except FileNotFoundError:
        return _missing(f"external data '{shown}' is missing", place)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return _missing(f"external data '{shown}' cannot be read: {reason}", place)
    with os.fdopen(number, "rb") as stream:
        return _read_slice(tensor, entries, stream, place, shown)


def _missing(message: str, place: Place) -> Diagnostic:
    return Diagnostic(
        "ACT0002",
        message,
        place=place,
        help="copy the weights file beside the model, or export with the weights inside",
    )


def _unfit(tensor: onnx.TensorProto, what: str, place: Place) -> Diagnostic:
    message = f"external data of '{tensor.name}' {what}"
    return Diagnostic("ACT0004", message, place=place, help="export the model again")


def _has_values(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor holds values itself."""
    fields = ("float_data", "int32_data", "int64_data", "uint64_data", "double_data")
    inside = tensor.raw_data or tensor.string_data or any(getattr(tensor, f) for f in fields)
    return bool(inside)


def _read_slice(
    tensor: onnx.TensorProto,
    entries: Mapping[str, str],
    stream: BinaryIO,
    place: Place,
    name: str,
) -> bytes | Diagnostic:
    size = os.fstat(stream.fileno()).st_size
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(max(0, size - offset))))
    except ValueError:
        offset = length = -1
    expected = _byte_size(tensor)
    if offset < 0 or length < 0 or (expected is not None and length != expected):
        return _unfit(tensor, "does not fit its shape and type", place)
    if offset + length > size:
        return Diagnostic(
            "ACT0002",
            f"external data '{name}' is truncated",
            place=place,
            help="copy the weights file again",
        )
    try:
        stream.seek(offset)
        return stream.read(length)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return _missing(f"external data '{name}' cannot be read: {reason}", place)


def _byte_size(tensor: onnx.TensorProto) -> int | None:
    """Bytes of the values in a file, None for a type whose size is not fixed."""
    if tensor.data_type not in onnx.helper.get_all_tensor_dtypes():
        return None
    count = 1
    for dimension in tensor.dims:
        count *= dimension
    if tensor.data_type in _PACKED:
        return -(-count // _PACKED[tensor.data_type])
    return count * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
