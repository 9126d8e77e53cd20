"""Hostile data, configurations and artefacts: what other files than models can hold."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hostile.case import COMPILE, Case
from hostile.networks import good, save

_DATA = (*COMPILE, "--data", "data.npz")
_INPUT = np.zeros((4, 6), np.float32)

Make = Callable[[Path], object]


def _with_model(write: Make) -> Make:
    def make(folder: Path) -> None:
        save(good(), folder)
        write(folder)

    return make


def _arrays(**arrays: Any) -> Make:
    return lambda folder: np.savez_compressed(folder / "data.npz", **arrays)


def _bytes(content: bytes, name: str = "data.npz") -> Make:
    return lambda folder: (folder / name).write_bytes(content)


def _header(shape: str, kind: str = "<f4", version: int = 1) -> bytes:
    """An .npy file that is all header."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


def _archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _bomb(folder: Path) -> None:
    """240 MiB of zeros in 1 MiB, as a zip file's member."""
    with (
        zipfile.ZipFile(folder / "data.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(_header(f"({(240 << 20) // 24}, 6)"))
        for _ in range(15):
            member.write(b"\0" * (16 << 20))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def _toml(text: str | bytes) -> Make:
    content = text if isinstance(text, bytes) else text.encode()
    return _with_model(_bytes(content, "actc.toml"))


def _data(name: str, title: str, write: Make, *codes: str, mebibytes: int = 512) -> Case:
    return Case(
        f"data-{name}",
        f"data: {title}",
        _with_model(write),
        2,
        codes,
        command=_DATA,
        mebibytes=mebibytes,
    )


def _config(name: str, title: str, text: str | bytes, *codes: str, status: int = 2) -> Case:
    return Case(f"toml-{name}", f"actc.toml: {title}", _toml(text), status, codes)


DATA = (
    _data("pickle", "an array of Python objects", _arrays(x=np.array([_Evil()])), "ACT0220"),
    _data("empty", "an empty file", _bytes(b""), "ACT0220"),
    _data("text", "a text", _bytes(b"hello"), "ACT0220"),
    _data("directory", "a directory", lambda f: (f / "data.npz").mkdir(), "ACT0220"),
    _data("fifo", "a pipe that nobody writes", lambda f: os.mkfifo(f / "data.npz"), "ACT0220"),
    _data(
        "device",
        "a link to /dev/zero",
        lambda f: (f / "data.npz").symlink_to("/dev/zero"),
        "ACT0220",
    ),
    _data("bomb", "240 MiB of zeros in 1 MiB", _bomb, "ACT0220", mebibytes=128),
    _data(
        "header",
        "an array of 2^40 samples, all header",
        _bytes(_archive(x=_header("(1099511627776, 6)"))),
        "ACT0220",
    ),
    _data(
        "header-npy",
        "the same, not in an archive",
        _bytes(_header("(1099511627776, 6)")),
        "ACT0220",
    ),
    _data(
        "overflow",
        "an array whose size overflows",
        _bytes(_archive(x=_header("(4611686018427387904, 6)"))),
        "ACT0220",
    ),
    _data("negative", "an array of -1 samples", _bytes(_archive(x=_header("(-1, 6)"))), "ACT0220"),
    _data(
        "header-code",
        "a header that is code",
        _bytes(_archive(x=_header("(__import__('os').system('touch owned'),)"))),
        "ACT0220",
    ),
    _data(
        "header-deep",
        "a header of 5000 brackets",
        _bytes(_archive(x=_header("(" * 5000 + ")" * 5000))),
        "ACT0220",
    ),
    _data(
        "header-long",
        "a header of 16 MiB",
        _bytes(_archive(x=_header("(1,)" + " " * (16 << 20), version=2))),
        "ACT0220",
    ),
    _data("type", "an array of texts", _arrays(x=np.full((4, 6), "$(id)")), "ACT0221"),
    _data("records", "an array of records", _arrays(x=np.zeros((4, 6), [("a", "f4")])), "ACT0221"),
    _data(
        "names", "1000 arrays", _arrays(**{f"x{k}": np.zeros(1) for k in range(1000)}), "ACT0221"
    ),
    _data(
        "path",
        "an array called ../../x",
        _bytes(_archive(**{"../../x": _header("(1,)") + bytes(4)})),
        "ACT0221",
    ),
    _data(
        "escape",
        "an array whose name steers terminals",
        _arrays(**{"\x1b[2J\nerror[ACT9999]: \u202e": _INPUT, "x": _INPUT}),
        "ACT0221",
    ),
    _data("nan", "NaN", _arrays(x=np.full((4, 6), np.nan, np.float32)), "ACT0221"),
    _data("none", "no samples", _arrays(x=_INPUT[:0]), "ACT0221"),
)
CONFIGURATIONS = (
    _config("binary", "bytes that are no text", b"\xff\xfe\0\0", "ACT0234"),
    _config("brackets", "a million brackets", "a = " + "[" * (1 << 20), "ACT0234"),
    _config("deep", "tables 20,000 deep", "[" + ".".join(["a"] * 20_000) + "]\n", "ACT0234"),
    _config("numbers", "a number of 5000 digits", f"[compile]\ntune = {'9' * 5000}\n", "ACT0234"),
    _config(
        "keys",
        "200 unknown options",
        "[compile]\n" + "".join(f"k{k} = 1\n" for k in range(200)),
        "ACT0234",
    ),
    _config(
        "escape",
        "a key that steers terminals",
        '[compile]\n"\\u001b[2J\\nerror[ACT9999]: \\u202e" = 1\n',
        "ACT0234",
    ),
)
CASES = (*DATA, *CONFIGURATIONS)
