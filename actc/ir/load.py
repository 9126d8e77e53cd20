"""Reading a model: from an untrusted file to an `onnx_ir.Model` worth compiling.

All problems of a file are collected and raised at once as a ModelError.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import ModelError, UsageError

MINIMUM_OPSET = 21
IR_VERSION = 10
_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "actc"})

ModelLike = str | Path | onnx.ModelProto | ir.Model


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model as it came in.

    Attributes:
        proto: the checked model at opset >= 21, IR version 10, weights inside.
        name: file name for diagnostics ("<model>" for one in memory).
        sha256: of the file with its external data, or of the serialized model.
        size: bytes of the same.
        opset: the opset it came with.
    """

    proto: onnx.ModelProto
    name: str
    sha256: str
    size: int
    opset: int

    @property
    def stem(self) -> str:
        """The file name without its ending."""
        return Path(self.name).stem if not self.name.startswith("<") else "model"


def load(model: ModelLike) -> LoadedModel:
    """Read, check and bring a model to opset 21 or later.

    Args:
        model: path of an .onnx file, or a model in memory.

    Raises:
        UsageError: no such file, or not readable.
        ModelError: not ONNX, truncated, external data missing or outside the
            model's folder, invalid graph, unknown operators, NaN or infinite
            weights.
    """
    sink = DiagnosticSink()
    if isinstance(model, (str, Path)):
        name, proto, content = _read_file(Path(model), sink)
    else:
        name = "<model>"
        proto = model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)
        content = proto.SerializeToString(deterministic=True)
    _raise_if_broken(sink)
    opset = _opset(proto, name, sink)
    _check_operators(proto, name, sink)
    _check_weights(proto, name, sink)
    _raise_if_broken(sink)
    _check_graph(proto, name)
    converted = _to_opset(proto, opset, name)
    return LoadedModel(converted, name, hashlib.sha256(content).hexdigest(), len(content), opset)


def _raise_if_broken(sink: DiagnosticSink) -> None:
    if sink.errors:
        raise ModelError(sink.items)


def _read_file(path: Path, sink: DiagnosticSink) -> tuple[str, onnx.ModelProto, bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"cannot read the model: {reason.lower()}"
        raise UsageError(Diagnostic("ACT0202", message, place=Place(str(path)))) from error
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(_not_onnx(path, "it is not a complete ONNX protobuf")) from error
    if not proto.HasField("graph") or not proto.opset_import or proto.ir_version == 0:
        raise ModelError(_not_onnx(path, "it holds no ONNX graph"))
    return path.name, proto, content + _load_external(proto, path, sink)


def _not_onnx(path: Path, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0001",
        f"this is not an ONNX model: {reason}",
        place=Place(path.name),
        help="check the path, and that the file was exported and copied whole",
    )


def _tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Every tensor of the model: initializers and attributes, of sub-graphs too."""
    found: list[onnx.TensorProto] = []

    def visit(graph: onnx.GraphProto) -> None:
        found.extend(graph.initializer)
        visit_nodes(list(graph.node))

    def visit_nodes(nodes: list[onnx.NodeProto]) -> None:
        for node in nodes:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    found.append(attribute.t)
                found.extend(attribute.tensors)
                if attribute.HasField("g"):
                    visit(attribute.g)
                for graph in attribute.graphs:
                    visit(graph)

    visit(proto.graph)
    for function in proto.functions:
        visit_nodes(list(function.node))
    return found


def _load_external(proto: onnx.ModelProto, path: Path, sink: DiagnosticSink) -> bytes:
    """Bring external weights into the model; only from files beside it."""
    folder = path.resolve().parent
    content = b""
    for tensor in _tensors(proto):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = _inside(folder, location)
        place = Place(path.name, tensor.name)
        if file is None:
            sink.add(
                Diagnostic(
                    "ACT0003",
                    f"external data '{location}' lies outside the model's folder",
                    place=place,
                    help="save the model with its weights beside it",
                )
            )
            continue
        if not file.is_file():
            sink.add(
                Diagnostic(
                    "ACT0002",
                    f"external data '{location}' is missing",
                    place=place,
                    help="copy the weights file beside the model, or export them inside it",
                )
            )
            continue
        content += _read_slice(tensor, entries, file, place, sink)
    return content


def _inside(folder: Path, location: str) -> Path | None:
    """The file at `location` if it lies in `folder` itself or below, else None."""
    parts = PurePosixPath(location)
    if not location or parts.is_absolute() or ".." in parts.parts or "\0" in location:
        return None
    file = (folder / location).resolve()
    return file if file.is_relative_to(folder) else None


def _read_slice(
    tensor: onnx.TensorProto,
    entries: dict[str, str],
    file: Path,
    place: Place,
    sink: DiagnosticSink,
) -> bytes:
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(max(0, file.stat().st_size - offset))))
    except ValueError:
        offset = length = -1
    expected = _byte_size(tensor)
    if offset < 0 or length < 0 or (expected is not None and length != expected):
        sink.add(
            Diagnostic(
                "ACT0004",
                f"external data of '{tensor.name}' does not fit its shape and type",
                place=place,
                help="export the model again",
            )
        )
        return b""
    with file.open("rb") as stream:
        stream.seek(offset)
        raw = stream.read(length)
    if len(raw) != length:
        sink.add(
            Diagnostic(
                "ACT0002",
                f"external data '{file.name}' is truncated",
                place=place,
                help="copy the weights file again",
            )
        )
        return b""
    del tensor.external_data[:]
    tensor.ClearField("data_location")
    tensor.raw_data = raw
    return raw


def _byte_size(tensor: onnx.TensorProto) -> int | None:
    try:
        item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        return None
    size = item
    for dimension in tensor.dims:
        size *= dimension
    return size


def _opset(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> int:
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    sink.add(Diagnostic("ACT0005", "the model imports no ONNX opset", place=Place(name)))
    return 0


def _check_operators(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    functions = {(f.domain, f.name) for f in proto.functions}
    for node in proto.graph.node:
        if node.domain in _KNOWN_DOMAINS or (node.domain, node.op_type) in functions:
            continue
        sink.add(
            Diagnostic(
                "ACT0101",
                f"operator '{node.domain}::{node.op_type}' is not known to ONNX or actc",
                place=Place(name, node.name or node.output[0], node.op_type),
                help="export the model with standard operators or with a model-local function",
            )
        )


def _check_weights(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    for tensor in proto.graph.initializer:
        if tensor.data_type not in (
            onnx.TensorProto.FLOAT,
            onnx.TensorProto.DOUBLE,
            onnx.TensorProto.FLOAT16,
        ):
            continue
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            sink.add(
                Diagnostic(
                    "ACT0004",
                    f"the weights of '{tensor.name}' do not fit their shape: {error}",
                    place=Place(name, tensor.name),
                    help="export the model again",
                )
            )
            continue
        # A scalar infinity is a legal constant (the seed of a maximum); NaN never is.
        bad = np.isnan(values) if values.ndim == 0 else ~np.isfinite(values)
        if bad.any():
            sink.add(
                Diagnostic(
                    "ACT0006",
                    f"weight '{tensor.name}' holds {int(bad.sum())} NaN or infinite values",
                    place=Place(name, tensor.name),
                    help="the training diverged or the export broke; fix the checkpoint",
                )
            )


def _check_graph(proto: onnx.ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            Diagnostic(
                "ACT0007",
                f"the model is not valid ONNX: {reason}",
                place=Place(name),
                help="export the model again",
            )
        ) from error


def _to_opset(proto: onnx.ModelProto, opset: int, name: str) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    if opset < MINIMUM_OPSET:
        try:
            result = onnx.version_converter.convert_version(result, MINIMUM_OPSET)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                Diagnostic(
                    "ACT0008",
                    f"opset {opset} could not be converted to {MINIMUM_OPSET}: {error}",
                    place=Place(name),
                    help=f"export the model with opset {MINIMUM_OPSET}",
                )
            ) from error
    result.ir_version = IR_VERSION
    return result
