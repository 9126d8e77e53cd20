"""Files that are no model, or one whose protobuf lies."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zipfile
from pathlib import Path

import onnx
from onnx import TensorProto

from hostile.case import MODEL, Case
from hostile.networks import good, save, spoiled, written

_NODE, _ATTRIBUTE, _GRAPH = b"\x0a", b"\x2a", b"\x32"


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _nested(depth: int) -> bytes:
    """A graph in a node's attribute, `depth` times: written by hand, as onnx would not."""
    content = b""
    for _ in range(depth):
        for tag in (_GRAPH, _ATTRIBUTE, _NODE):
            content = tag + _varint(len(content)) + content
    head = b"\x08\x0a" + b"\x42\x02\x10\x12"
    return head + b"\x3a" + _varint(len(content)) + content


def _groups(depth: int) -> bytes:
    """Groups of protobuf, of a field that nobody knows, in each other."""
    return b"\x08\x0a" + b"\xfb\x3e" * depth


def _pickled() -> bytes:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch owned",)

    return pickle.dumps(Evil())


def _zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model.onnx", good().SerializeToString())
    return stream.getvalue()


def _sparse_file(size: int) -> object:
    def make(folder: Path) -> None:
        path = save(good(), folder)
        with path.open("r+b") as stream:
            stream.truncate(size)

    return make


def _claims(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add()
    tensor.name, tensor.data_type = "v", TensorProto.FLOAT
    tensor.dims.extend([1 << 20, 1 << 20])
    tensor.raw_data = b"\0" * 4


def _many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([onnx.NodeProto()] * 300_000)


_WHOLE = good().SerializeToString()
CASES = (
    Case("empty", "an empty file", written(b""), 3, ("ACT0001",)),
    Case("text", "a text", written(b"#!/bin/sh\nrm -rf /\n"), 3, ("ACT0001",)),
    Case("zip", "a zip archive", written(_zipped()), 3, ("ACT0001",)),
    Case("gzip", "a gzip file", written(gzip.compress(_WHOLE)), 3, ("ACT0001",)),
    Case("pickle", "a pickle that runs a command", written(_pickled()), 3, ("ACT0001",)),
    Case("truncated", "a model cut in its weights", written(_WHOLE[:-60]), 3, ("ACT0001",)),
    Case("zeros", "64 MiB of zeros", written(b"\0" * (64 << 20)), 3, ("ACT0001",)),
    Case("nested", "graphs 5000 deep in each other", written(_nested(5000)), 3, ("ACT0001",)),
    Case("groups", "protobuf groups, a million deep", written(_groups(1 << 20)), 3, ("ACT0001",)),
    Case(
        "length-lies",
        "a length of 2^31 in a short file",
        written(b"\x08\x0a\x3a" + _varint(1 << 31) + b"\x0a"),
        3,
        ("ACT0001",),
    ),
    Case(
        "length-lies-more",
        "a length of 2^63 in a short file",
        written(b"\x08\x0a\x3a" + _varint(1 << 63) + b"\x0a"),
        3,
        ("ACT0001",),
    ),
    Case("sparse-2g", "a file of 2 GiB and one byte", _sparse_file((2 << 30) + 1), 3, ("ACT0001",)),
    Case("sparse-1t", "a sparse file of 1 TiB", _sparse_file(1 << 40), 3, ("ACT0001",)),
    Case("directory", "a directory", lambda folder: (folder / MODEL).mkdir(), 2, ("ACT0202",)),
    Case("missing", "no file", lambda folder: None, 2, ("ACT0202",)),
    Case("fifo", "a pipe that nobody writes", lambda f: os.mkfifo(f / MODEL), 2, ("ACT0202",)),
    Case(
        "device",
        "a link to /dev/zero",
        lambda f: (f / MODEL).symlink_to("/dev/zero"),
        2,
        ("ACT0202",),
    ),
    Case("loop", "a link to itself", lambda f: (f / MODEL).symlink_to(MODEL), 2, ("ACT0202",)),
    Case("dims-lie", "a weight of 2^40 values in four bytes", spoiled(_claims), 3, ("ACT0004",)),
    Case("many-nodes", "300,000 empty nodes", spoiled(_many_nodes), 3, ("ACT0061",)),
)
