"""Hostile artefacts: directories that `actc compile` wrote, and somebody changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from sealed import sealed

import actc
from hostile.case import MODEL, Case
from hostile.networks import good, save

CHECK = ("check", "out", "--data", "data.npz")
VERIFY = ("verify", "out")
REPORT = ("report", "out")
BISECT = ("bisect", "out", "--data", "data.npz")
REPRODUCE = ("reproduce", "out", "--model", MODEL)

Spoil = Callable[[Path], object]


@lru_cache(maxsize=1)
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """A good artefact, compiled once, with its model beside it."""
    folder = tempfile.TemporaryDirectory(prefix="actc-hostile-")
    actc.compile(save(good(), Path(folder.name)), target="onnx", output=Path(folder.name) / "out")
    return folder


def artefact(spoil: Spoil) -> Callable[[Path], object]:
    """Writes the good artefact, its model and data, and spoils the artefact."""

    def make(folder: Path) -> None:
        shutil.copytree(_compiled().name, folder, dirs_exist_ok=True)
        np.savez(folder / "data.npz", x=np.zeros((4, 6), np.float32))
        spoil(folder / "out")

    return make


def content(name: str, text: bytes) -> Spoil:
    """Gives a file other bytes."""
    return lambda out: (out / name).write_bytes(text)


def instead(name: str, put: Spoil) -> Spoil:
    """Something else in the place of a file."""

    def spoil(out: Path) -> None:
        (out / name).unlink()
        put(out / name)

    return spoil


def forged(*spoils: Spoil) -> Spoil:
    """The same, and the manifest has the digests of what is there."""

    def spoil(out: Path) -> None:
        for each in spoils:
            each(out)
        sealed(out)

    return spoil


def case(
    name: str,
    title: str,
    spoil: Spoil,
    status: int,
    *codes: str,
    command: tuple[str, ...] = CHECK,
) -> Case:
    """A case with the artefact in the folder `out`."""
    return Case(f"artefact-{name}", title, artefact(spoil), status, codes, command=command)


_DEEP = b"[" * 200_000
_ZEROS = Path("/dev/zero")
_DAMAGED = (
    case("good", "nothing changed", lambda out: None, 0),
    case("manifest-text", "manifest.json is no JSON", content("manifest.json", b"{"), 2, "ACT0204"),
    case("manifest-list", "manifest.json is a list", content("manifest.json", b"[]"), 2, "ACT0204"),
    case(
        "manifest-deep",
        "manifest.json, brackets 200,000 deep",
        content("manifest.json", _DEEP),
        2,
        "ACT0204",
    ),
    case("golden-text", "golden.onnx is a text", content("golden.onnx", b"hello"), 2, "ACT0067"),
    case("golden-fifo", "golden.onnx is a pipe", instead("golden.onnx", os.mkfifo), 2, "ACT0067"),
    case(
        "golden-device",
        "golden.onnx is a link to /dev/zero",
        instead("golden.onnx", lambda path: path.symlink_to(_ZEROS)),
        2,
        "ACT0067",
    ),
    case(
        "golden-gone",
        "golden.onnx is missing",
        lambda o: (o / "golden.onnx").unlink(),
        2,
        "ACT0067",
    ),
)
_FORGED = (
    case(
        "report-text",
        "report.json is no JSON, with its digest",
        forged(content("report.json", b"\xff")),
        2,
        "ACT0204",
    ),
    case(
        "report-empty",
        "report.json holds nothing, with its digest",
        forged(content("report.json", b"{}")),
        2,
        "ACT0204",
    ),
    case(
        "report-deep",
        "report.json, brackets 200,000 deep, with its digest",
        forged(content("report.json", _DEEP)),
        2,
        "ACT0204",
    ),
    case(
        "report-shown-empty",
        "report.json holds nothing, with its digest",
        forged(content("report.json", b"{}")),
        2,
        "ACT0204",
        command=REPORT,
    ),
    case(
        "golden-forged",
        "golden.onnx is a text, with its digest",
        forged(content("golden.onnx", b"hello")),
        2,
        "ACT0204",
    ),
    case(
        "golden-empty",
        "golden.onnx is empty, with its digest",
        forged(content("golden.onnx", b"")),
        2,
        "ACT0204",
    ),
)
_CERTIFICATES = (
    case(
        "certificates-fifo",
        "certificates.json is a pipe",
        instead("certificates.json", os.mkfifo),
        2,
        "ACT0341",
        command=VERIFY,
    ),
    case(
        "certificates-text",
        "certificates.json is no JSON",
        content("certificates.json", b"{"),
        2,
        "ACT0341",
        command=VERIFY,
    ),
    case(
        "certificates-deep",
        "certificates.json, brackets 200,000 deep",
        content("certificates.json", _DEEP),
        2,
        "ACT0341",
        command=VERIFY,
    ),
)
CASES = (*_DAMAGED, *_FORGED, *_CERTIFICATES)
