"""Reading a model: from an untrusted file to an `onnx_ir.Model` worth compiling.

All problems of a file are collected and raised at once as a ModelError.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx import inliner, numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import ModelError, UsageError
from actc.ir import (
    batch_normalization,
    definitions,
    external,
    limits,
    qonnx,
    qoperator,
    screen,
    texts,
)
from actc.ir.dialect import DOMAIN
from actc.ir.files import MOST_BYTES, open_regular
from actc.ir.limits import all_nodes

MINIMUM_OPSET = 21
IR_VERSION = 10
_STANDARD_DOMAINS = frozenset({"", "ai.onnx.ml"})
_SHOWN = 100
"""Problems of one code that are shown; a hostile model can have a million."""
_FLOATS = (np.float16, np.float32, np.float64)
_DIVERGED = "the training diverged or the export broke; fix the checkpoint"
_REFUSALS = (
    onnx.checker.ValidationError, onnx.shape_inference.InferenceError,
    ValueError, RuntimeError, IndexError,
)  # fmt: skip
"""By which ONNX's checker refuses a graph; the last three where it takes a field for granted."""

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


def load(model: ModelLike, any_real: bool = False) -> LoadedModel:
    """Read, check and bring a model to opset 21 or later.

    Args:
        model: path of an .onnx file, or a model in memory.
        any_real: it stays float: what only integers cannot take is no problem.

    Raises:
        UsageError: no such file, or not readable.
        ModelError: not ONNX, truncated, external data missing or outside the
            model's folder, invalid graph, unknown operators, NaN or infinite
            weights, or what `actc.ir.screen` lists.
    """
    sink = DiagnosticSink()
    if isinstance(model, (str, Path)):
        name, proto, content = read_file(Path(model), sink)
    else:
        name, proto = "<model>", _in_memory(model, sink)
        content = proto.SerializeToString(deterministic=True)
    _raise_if_broken(sink)
    limits.check_work(proto, name, sink)
    screen.check_declarations(proto, name, sink)
    _raise_if_broken(sink)
    proto = _with_domains(proto)
    opset = _opset(proto, name, sink)
    proto = definitions.with_axes(definitions.write_out(proto))
    _check_operators(proto, name, sink)
    _check_weights(proto, name, sink)
    _check_attributes(proto, name, sink)
    screen.screen(proto, opset, name, sink)
    _raise_if_broken(sink)
    qonnx.check(proto, name, sink)
    qoperator.check(proto, name, sink, standard=not any_real)
    batch_normalization.check(proto, name, sink)
    _raise_if_broken(sink)
    _check_graph(proto, name)
    limits.check_sizes(proto, name, sink)
    _raise_if_broken(sink)
    converted = _to_opset(proto, opset, name)
    return LoadedModel(converted, name, hashlib.sha256(content).hexdigest(), len(content), opset)


def _with_domains(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model, with the domains of QONNX imported where it uses them."""
    if not any(map(qonnx.is_qonnx, proto.graph.node)):
        return proto
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    qonnx.import_domains(result)
    return result


def _raise_if_broken(sink: DiagnosticSink) -> None:
    """Raise what was found; of very many problems of one kind the first."""
    if not sink.errors:
        return
    counts = Counter(item.code for item in sink.items)
    kept, seen = [], Counter[str]()
    for item in sink.items:
        seen[item.code] += 1
        rest = counts[item.code] - _SHOWN
        if seen[item.code] == _SHOWN and rest > 0:
            item = replace(item, notes=(*item.notes, f"and {rest:,} more of this kind"))
        if seen[item.code] <= _SHOWN:
            kept.append(item)
    raise ModelError(kept)


def read_file(path: Path, sink: DiagnosticSink) -> tuple[str, onnx.ModelProto, bytes]:
    """The name of a model's file, the model with its weights inside, and all its bytes.

    Args:
        sink: receives what is wrong with its external data.

    Raises:
        UsageError: ACT0202, it cannot be read, or is no regular file. ModelError: ACT0001, it has
            more than 2 GiB, or is no model.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MOST_BYTES:
                raise ModelError(_not_onnx(path, f"it has {size:,} bytes, more than 2 GiB"))
            content = stream.read(size)
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
    if not texts.all_are_text(proto):
        raise ModelError(_not_onnx(path, "a name in it is not UTF-8"))
    return path.name, proto, content + external.bring_in(proto, path, sink)


def _in_memory(model: onnx.ModelProto | ir.Model, sink: DiagnosticSink) -> onnx.ModelProto:
    """The model as a proto with all weights inside."""
    if isinstance(model, ir.Model):
        return ir.to_proto(ir.external_data.load_to_model(model.clone()))
    for tensor in filter(external.is_external, external.tensors(model)):
        sink.add(
            Diagnostic(
                "ACT0002",
                f"the weights of '{tensor.name}' are in another file, its place is not known",
                place=Place("<model>", tensor.name),
                help="give the path of the model, or load it with its external data",
            )
        )
    return model


def _not_onnx(path: Path, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0001",
        f"this is not an ONNX model: {reason}",
        place=Place(path.name),
        help="check the path, and that the file was exported and copied whole",
    )


def _opset(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> int:
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    if all(_domain(node.domain) for node in all_nodes(proto.graph.node)):
        return MINIMUM_OPSET  # it uses none
    sink.add(Diagnostic("ACT0005", "the model imports no ONNX opset", place=Place(name)))
    return 0


def _check_operators(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report every operator that neither ONNX, actc nor the model itself defines."""
    functions = {(f.domain, f.name) for f in proto.functions}
    scopes = [(proto.graph.node, proto.opset_import)]
    scopes += [(function.node, function.opset_import) for function in proto.functions]
    for nodes, imports in scopes:
        versions = {_domain(entry.domain): int(entry.version) for entry in imports}
        for node in all_nodes(nodes):
            if (node.domain, node.op_type) in functions or _is_known(node, versions):
                continue
            if qonnx.is_qonnx(node) or qoperator.is_qoperator(node):
                continue  # their own checks say which are read
            sink.add(
                Diagnostic(
                    "ACT0101",
                    f"operator '{node.domain or 'ai.onnx'}::{node.op_type}' is not known"
                    f" {_version_text(node, versions)}",
                    place=Place(name, node.name or (node.output or [""])[0], node.op_type),
                    help="export the model with standard operators, with a newer opset, or with"
                    " a model-local function",
                )
            )


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _is_known(node: onnx.NodeProto, versions: dict[str, int]) -> bool:
    domain = _domain(node.domain)
    if domain not in _STANDARD_DOMAINS:
        return domain == DOMAIN
    try:
        onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return False
    return True


def _version_text(node: onnx.NodeProto, versions: dict[str, int]) -> str:
    if node.domain == "" and onnx.defs.has(node.op_type):
        return f"in opset {versions.get('', 1)}"
    return "to ONNX or actc"


def _check_weights(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    for tensor in external.tensors(proto):
        place = Place(name, tensor.name)
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            reason = error if not isinstance(error, KeyError) else "their type does not exist"
            sink.add(
                Diagnostic(
                    "ACT0004",
                    f"the weights of '{tensor.name}' do not fit their shape: {reason}",
                    place=place,
                    help="export the model again",
                )
            )
            continue
        if values.dtype.name == "bfloat16":  # no type of numpy's own
            values = values.astype(np.float32)
        if values.dtype not in _FLOATS:
            continue
        # Infinity is a legal constant beside zeros alone (a mask); NaN never is.
        infinite = np.isinf(values)
        with np.errstate(invalid="ignore"):  # signalling NaNs
            alone = not values[~infinite].any()
        bad = np.isnan(values) if alone else ~np.isfinite(values)
        if bad.any():
            what = f"weight '{tensor.name}'" if tensor.name else "a constant"
            message = f"{what} holds {int(bad.sum())} NaN or infinite values"
            sink.add(Diagnostic("ACT0006", message, place=place, help=_DIVERGED))


def _check_attributes(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report NaN among attributes, such as a slope: the data need not reach it."""
    nodes = [*proto.graph.node, *(node for f in proto.functions for node in f.node)]
    for node in all_nodes(nodes):
        for attribute in node.attribute:
            if any(math.isnan(value) for value in (attribute.f, *attribute.floats)):
                message = f"attribute '{attribute.name}' is NaN"
                place = Place(name, node.name or (node.output or [""])[0], node.op_type)
                sink.add(Diagnostic("ACT0006", message, place=place, help=_DIVERGED))


def _check_graph(proto: onnx.ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(proto, full_check=True)
    except _REFUSALS as error:
        reason = " ".join(str(error).partition("==> Context")[0].split()).rstrip(".")
        reason = reason.removeprefix("[ShapeInferenceError] ").removeprefix("Inference error(s): ")
        raise ModelError(
            Diagnostic(
                "ACT0007",
                f"the model is not valid ONNX: {reason}",
                place=Place(name),
                help="export the model again",
            )
        ) from error


def _require_same_inputs(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    """ValueError where the converter changed what a model takes (it writes Scan of opset 8 so)."""
    for old, new in zip(before.graph.input, after.graph.input, strict=True):
        if old.type != new.type:
            raise ValueError(f"the converter changes input '{old.name}'")


def _to_opset(proto: onnx.ModelProto, opset: int, name: str) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    if not any(entry.domain in ("", "ai.onnx") for entry in result.opset_import):
        result.opset_import.append(onnx.helper.make_opsetid("", opset))
    if opset < MINIMUM_OPSET:
        try:
            if result.functions:  # the converter leaves their bodies as they are
                result = inliner.inline_local_functions(result, convert_version=True)
            result = onnx.version_converter.convert_version(result, MINIMUM_OPSET)
            _require_same_inputs(proto, result)
        except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
            raise ModelError(
                Diagnostic(
                    "ACT0008",
                    f"opset {opset} could not be converted to {MINIMUM_OPSET}: {error}",
                    place=Place(name),
                    help=f"export the model with opset {MINIMUM_OPSET}",
                )
            ) from error
    qonnx.to_standard(result)
    qoperator.to_standard(result)
    screen.number_equal_names(result.graph)
    result.ir_version = IR_VERSION
    return result
