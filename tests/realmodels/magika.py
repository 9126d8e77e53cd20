"""The file type model inside the package magika, and labelled documents for it.

tf2onnx export with tanh-GELU and a hand-written softmax and LayerNorm: the first and
last 1024 bytes of a file to 214 types. Half of the documents are made here, half
are files of packages that actc needs, so that every machine has the same.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realmodels.documents import make_document
from realmodels.locate import package_file, package_folder

PACKAGE = "magika"
VERSION = "1.0.3"
MODEL = "models/standard_v3_3/model.onnx"
INPUT = "bytes"
BLOCK = 4096
PART = 1024
PADDING = 256

PACKAGES = ("numpy", "onnx", "matplotlib", "scipy")
TYPES = {
    ".cc": "cpp",
    ".css": "css",
    ".csv": "csv",
    ".f": "fortran",
    ".f90": "fortran",
    ".html": "html",
    ".js": "javascript",
    ".npy": "npy",
    ".npz": "npz",
    ".pdf": "pdf",
    ".png": "png",
    ".proto": "proto",
    ".py": "python",
    ".pyi": "python",
    ".svg": "svg",
    ".ttf": "ttf",
    ".wav": "wav",
}
LEAST_BYTES = 64
PER_TYPE = 24
"""At most so many files of one type: nearly all files of a package are Python."""

Arrays = dict[str, npt.NDArray[Any]]


def model_path() -> Path | None:
    """Find the model; None when magika is not installed."""
    return package_file(PACKAGE, MODEL)


def labels() -> list[str]:
    """Return the names of the 214 outputs, from the model's own configuration.

    Raises:
        FileNotFoundError: magika is not installed.
    """
    path = model_path()
    if path is None:
        raise FileNotFoundError(f"{PACKAGE}=={VERSION} is not installed")
    config = json.loads((path.parent / "config.min.json").read_text())
    return [str(name) for name in config["target_labels_space"]]


def make_data(n: int, seed: int) -> Arrays:
    """Make `n` labelled documents: half files of packages, as far as these go, half made.

    Seeds of different parity share no file, and different seeds no made document.

    Returns:
        "bytes" int32 [n, 2048] as magika computes it, "labels" int64 [n].
    """
    rng = np.random.default_rng(seed)
    index = {name: i for i, name in enumerate(labels())}
    files = [entry for i, entry in enumerate(packaged_files()) if i % 2 == seed % 2]
    chosen = [files[i] for i in rng.permutation(len(files))[: n // 2]]
    documents = [(path.read_bytes(), label) for path, label in chosen]
    documents += [make_document(rng) for _ in range(n - len(documents))]
    return {
        INPUT: np.stack([features(content) for content, _ in documents]),
        "labels": np.array([index[label] for _, label in documents], np.int64),
    }


@cache
def packaged_files() -> tuple[tuple[Path, str], ...]:
    """Files of the packages with their types, in an order that every machine agrees on.

    Raises:
        FileNotFoundError: one of the packages is not installed.
    """
    found: dict[str, list[tuple[int, Path]]] = {}
    for package in PACKAGES:
        root = package_folder(package)
        if root is None:
            raise FileNotFoundError(f"the package {package} is not installed")
        for path in root.rglob("*"):
            if path.suffix in TYPES and path.stat().st_size >= LEAST_BYTES:
                key = zlib.crc32(path.relative_to(root.parent).as_posix().encode())
                found.setdefault(TYPES[path.suffix], []).append((key, path))
    chosen = [(key, path) for files in found.values() for key, path in sorted(files)[:PER_TYPE]]
    return tuple((path, TYPES[path.suffix]) for _, path in sorted(chosen))


def features(content: bytes) -> npt.NDArray[np.int32]:
    """Compute magika's features (version 2) of a file; int32 [2048].

    The first 1024 bytes behind leading white space and the last 1024 before trailing
    white space, each out of a block of 4096 bytes, padded with 256 behind and before.
    """
    begin = content[:BLOCK].lstrip()[:PART]
    end = content[-BLOCK:].rstrip()[-PART:]
    result = np.full(2 * PART, PADDING, np.int32)
    result[: len(begin)] = np.frombuffer(begin, np.uint8)
    result[2 * PART - len(end) :] = np.frombuffer(end, np.uint8)
    return result
