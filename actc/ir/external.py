"""Weights that a model keeps in other files: brought into it, only from beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import onnx

from actc.diagnostics import Diagnostic, DiagnosticSink, Place

_PACKED: dict[int, int] = {
    onnx.TensorProto.INT4: 2,
    onnx.TensorProto.UINT4: 2,
    onnx.TensorProto.FLOAT4E2M1: 2,
}
"""Element types that share a byte, and how many do."""


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
    folder = path.resolve().parent
    content = []
    for tensor in filter(is_external, tensors(proto)):
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
    location = entries.get("location", "")
    file = _inside(folder, location)
    if file is None:
        return Diagnostic(
            "ACT0003",
            f"external data '{location}' lies outside the model's folder",
            place=place,
            help="save the model with its weights beside it",
        )
    if not file.is_file():
        return Diagnostic(
            "ACT0002",
            f"external data '{location}' is missing",
            place=place,
            help="copy the weights file beside the model, or export with the weights inside",
        )
    return _read_slice(tensor, entries, file, place)


def _inside(folder: Path, location: str) -> Path | None:
    """The file at `location` if it lies in `folder` itself or below, else None."""
    parts = PurePosixPath(location)
    if not location or parts.is_absolute() or ".." in parts.parts or "\0" in location:
        return None
    file = (folder / location).resolve()
    return file if file.is_relative_to(folder) else None


def _read_slice(
    tensor: onnx.TensorProto, entries: dict[str, str], file: Path, place: Place
) -> bytes | Diagnostic:
    size = file.stat().st_size
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(max(0, size - offset))))
    except ValueError:
        offset = length = -1
    expected = _byte_size(tensor)
    if offset < 0 or length < 0 or (expected is not None and length != expected):
        return Diagnostic(
            "ACT0004",
            f"external data of '{tensor.name}' does not fit its shape and type",
            place=place,
            help="export the model again",
        )
    if offset + length > size:
        return Diagnostic(
            "ACT0002",
            f"external data '{file.name}' is truncated",
            place=place,
            help="copy the weights file again",
        )
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        message = f"external data '{file.name}' cannot be read: {reason}"
        return Diagnostic("ACT0002", message, place=place, help="check its permissions")


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
