"""External data that lies elsewhere, or lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto

from hostile.case import Case
from hostile.networks import good, save

_BYTES = 72


def _external(location: str, **entries: object) -> onnx.ModelProto:
    model = good()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return model


def _at(location: str, size: int = _BYTES, **entries: object) -> Callable[[Path], object]:
    """A model with its weights at `location`, and w.bin of `size` bytes beside it."""

    def make(folder: Path) -> None:
        (folder / "w.bin").write_bytes(b"\0" * size)
        save(_external(location, **entries), folder)

    return make


def _with(
    prepare: Callable[[Path], object], location: str = "w.bin", **entries: object
) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        prepare(folder)
        save(_external(location, **entries), folder)

    return make


def _folder_link(folder: Path) -> None:
    outside = folder.parent / (folder.name + "-outside")
    outside.mkdir(exist_ok=True)
    (outside / "w.bin").write_bytes(b"\0" * _BYTES)
    (folder / "sub").symlink_to(outside)


def _inner_link(folder: Path) -> None:
    (folder / "real.bin").write_bytes(b"\0" * _BYTES)
    (folder / "w.bin").symlink_to("real.bin")


def _hard_link(folder: Path) -> None:
    outside = folder.parent / (folder.name + "-secret")
    outside.write_bytes(b"\0" * _BYTES)
    os.link(outside, folder / "w.bin")


def _twice(folder: Path) -> None:
    model = _external("w.bin")
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    (folder / "w.bin").write_bytes(b"\0" * _BYTES)
    save(model, folder)


def _both(folder: Path) -> None:
    model = _external("w.bin")
    model.graph.initializer[0].raw_data = b"\0" * _BYTES
    (folder / "w.bin").write_bytes(b"\0" * _BYTES)
    save(model, folder)


def _sparse(folder: Path) -> None:
    """A weight of 4 TiB, all of it in a hole of the file."""
    model = _external("w.bin")
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend([1 << 20, 1 << 20])
    with (folder / "w.bin").open("wb") as stream:
        stream.truncate(4 << 40)
    save(model, folder)


def _shared(folder: Path) -> None:
    """1000 weights of 64 MiB in one file of 64 MiB."""
    model = _external("w.bin")
    tensor = model.graph.initializer[0]
    for number in range(1000):
        other = model.graph.initializer.add()
        other.CopyFrom(tensor)
        other.name = f"w{number}"
        del other.dims[:]
        other.dims.append(16 << 20)
    with (folder / "w.bin").open("wb") as stream:
        stream.truncate(64 << 20)
    save(model, folder)


def _case(
    name: str,
    title: str,
    make: Callable[[Path], object],
    *codes: str,
    status: int = 3,
    says: str = "",
) -> Case:
    return Case(f"external-{name}", title, make, status, codes, says)


CASES = (
    _case("absolute", "at /etc/passwd", _at("/etc/passwd"), "ACT0003"),
    _case("parent", "at ../../etc/passwd", _at("../../etc/passwd"), "ACT0003"),
    _case("parent-inside", "at sub/../../w.bin", _at("sub/../../w.bin"), "ACT0003"),
    _case("empty", "at no place", _at(""), "ACT0003"),
    _case("folder", "at the folder itself", _at("."), "ACT0002"),
    _case("nul", "at a name with a NUL", _at("w.bin\0.txt"), "ACT0003"),
    _case("long", "at a name of 100,000 characters", _at("a" * 100_000), "ACT0002"),
    _case("deep", "at a path 5000 folders deep", _at("a/" * 5000 + "w.bin"), "ACT0002"),
    _case("device", "at /dev/zero", _at("/dev/zero"), "ACT0003"),
    _case("stdin", "at /dev/stdin", _at("/dev/stdin"), "ACT0003"),
    _case("proc", "at /proc/self/environ", _at("/proc/self/environ"), "ACT0003"),
    _case("uri", "at file:///etc/passwd", _at("file:///etc/passwd"), "ACT0002"),
    _case(
        "fifo", "in a pipe that nobody writes", _with(lambda f: os.mkfifo(f / "w.bin")), "ACT0002"
    ),
    _case(
        "link",
        "behind a link to /etc/passwd",
        _with(lambda f: (f / "w.bin").symlink_to("/etc/passwd")),
        "ACT0003",
    ),
    _case(
        "link-device",
        "behind a link to /dev/zero",
        _with(lambda f: (f / "w.bin").symlink_to("/dev/zero")),
        "ACT0003",
    ),
    _case(
        "link-folder",
        "in a folder that is a link to outside",
        _with(_folder_link, "sub/w.bin"),
        "ACT0003",
    ),
    _case("link-inside", "behind a link to beside it", _with(_inner_link), status=0),
    _case(
        "link-loop",
        "behind a link to itself",
        _with(lambda f: (f / "w.bin").symlink_to("w.bin")),
        "ACT0002",
    ),
    _case("hard-link", "a hard link to another file", _with(_hard_link), status=0),
    _case("missing", "that is missing", _with(lambda f: None), "ACT0002"),
    _case("short", "that is too short", _at("w.bin", _BYTES - 1, length=_BYTES), "ACT0002"),
    _case("longer", "that is longer than the weight", _at("w.bin", _BYTES + 1), "ACT0004"),
    _case(
        "offset",
        "with an offset behind its end",
        _at("w.bin", offset=1 << 40, length=_BYTES),
        "ACT0002",
    ),
    _case("offset-negative", "with an offset of -4", _at("w.bin", offset=-4), "ACT0004"),
    _case(
        "offset-huge",
        "with an offset of 10^4000",
        _at("w.bin", offset=10**4000, length=_BYTES),
        "ACT0002",
    ),
    _case(
        "offset-digits",
        "with an offset of 10,000 digits",
        _at("w.bin", offset="9" * 10_000),
        "ACT0004",
    ),
    _case("length-negative", "with a length of -1", _at("w.bin", length=-1), "ACT0004"),
    _case("length-huge", "with a length of 2^62", _at("w.bin", length=1 << 62), "ACT0004"),
    _case("length-text", "with a length that is a text", _at("w.bin", length="$(id)"), "ACT0004"),
    _case("twice", "with two places", _twice, "ACT0004"),
    _case("both", "beside values inside", _both, "ACT0004"),
    _case("sparse", "of 4 TiB in a sparse file", _sparse, "ACT0060"),
    _case("shared", "1000 weights in the same 64 MiB", _shared, "ACT0060"),
)
