"""Hostile artefacts: directories that `actc compile` wrote, and somebody changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

import actc
from hostile.case import Case
from hostile.networks import good, save

_CHECK = ("check", "out", "--data", "data.npz")
_VERIFY = ("verify", "out")

Spoil = Callable[[Path], object]


@lru_cache(maxsize=1)
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """A good artefact, compiled once."""
    folder = tempfile.TemporaryDirectory(prefix="actc-hostile-")
    actc.compile(save(good(), Path(folder.name)), target="onnx", output=Path(folder.name) / "out")
    return folder


def _artefact(spoil: Spoil) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        shutil.copytree(Path(_compiled().name) / "out", folder / "out")
        np.savez(folder / "data.npz", x=np.zeros((4, 6), np.float32))
        spoil(folder / "out")

    return make


def _file(name: str, content: bytes) -> Spoil:
    return lambda out: (out / name).write_bytes(content)


def _instead(name: str, put: Spoil) -> Spoil:
    """Something else in the place of a file."""

    def spoil(out: Path) -> None:
        (out / name).unlink()
        put(out / name)

    return spoil


def _case(
    name: str, title: str, spoil: Spoil, status: int, *codes: str, command: tuple[str, ...] = _CHECK
) -> Case:
    return Case(f"artefact-{name}", title, _artefact(spoil), status, codes, command=command)


_DEEP = b"[" * 200_000
CASES = (
    _case("good", "nothing changed", lambda out: None, 0),
    _case("manifest-text", "manifest.json is no JSON", _file("manifest.json", b"{"), 2, "ACT0204"),
    _case("manifest-list", "manifest.json is a list", _file("manifest.json", b"[]"), 2, "ACT0204"),
    _case(
        "manifest-deep",
        "manifest.json, brackets 200,000 deep",
        _file("manifest.json", _DEEP),
        2,
        "ACT0204",
    ),
    _case("report-text", "report.json is no JSON", _file("report.json", b"\xff"), 2, "ACT0204"),
    _case("report-empty", "report.json holds nothing", _file("report.json", b"{}"), 2, "ACT0204"),
    _case(
        "report-deep",
        "report.json, brackets 200,000 deep",
        _file("report.json", _DEEP),
        2,
        "ACT0204",
    ),
    _case("report-fifo", "report.json is a pipe", _instead("report.json", os.mkfifo), 2, "ACT0204"),
    _case("golden-text", "golden.onnx is a text", _file("golden.onnx", b"hello"), 2, "ACT0204"),
    _case("golden-empty", "golden.onnx is empty", _file("golden.onnx", b""), 2, "ACT0204"),
    _case("golden-fifo", "golden.onnx is a pipe", _instead("golden.onnx", os.mkfifo), 2, "ACT0204"),
    _case(
        "golden-device",
        "golden.onnx is a link to /dev/zero",
        _instead("golden.onnx", lambda p: p.symlink_to("/dev/zero")),
        2,
        "ACT0204",
    ),
    _case(
        "certificates-fifo",
        "certificates.json is a pipe",
        _instead("certificates.json", os.mkfifo),
        2,
        "ACT0341",
        command=_VERIFY,
    ),
    _case(
        "certificates-text",
        "certificates.json is no JSON",
        _file("certificates.json", b"{"),
        2,
        "ACT0341",
        command=_VERIFY,
    ),
    _case(
        "certificates-deep",
        "certificates.json, brackets 200,000 deep",
        _file("certificates.json", _DEEP),
        2,
        "ACT0341",
        command=_VERIFY,
    ),
)
