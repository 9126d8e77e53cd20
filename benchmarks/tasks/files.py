"""Real files of known type for magika: what packages of many languages hold.

The Python packages that actc's tests need, and the archives that `make accuracy` unpacks: the
example files of pygments, sounds and pictures of mutagen, puremagic and filetype, and the
sources and fonts of eight npm packages. A file's type is what its name ends with; endings of
several types are left out.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from realmodels import magika

from tasks.base import Arrays, Evaluation, downloaded, labelled, package_folder

Array = npt.NDArray[Any]

PACKAGES = ("matplotlib", "numpy", "onnx", "scipy", "sklearn")
ARCHIVES = "files"
TYPES = {
    "asm": "asm", "awk": "awk", "bat": "batch", "bmp": "bmp", "bz2": "bzip", "c": "c",
    "cc": "cpp", "clj": "clojure", "cmake": "cmake", "coffee": "coffeescript", "cpp": "cpp",
    "cs": "cs", "css": "css", "csv": "csv", "dart": "dart", "doc": "doc", "docx": "docx",
    "erl": "erlang", "exs": "elixir", "f": "fortran", "f90": "fortran", "flac": "flac",
    "flv": "flv", "gif": "gif", "go": "go", "gradle": "gradle", "groovy": "groovy",
    "gz": "gzip", "hs": "haskell", "html": "html", "ico": "ico", "ini": "ini", "iso": "iso",
    "java": "java", "jl": "julia", "jpg": "jpeg", "js": "javascript", "json": "json",
    "kt": "kotlin", "lsp": "lisp", "lua": "lua", "m4": "m4", "map": "json", "md": "markdown",
    "mid": "midi", "mjs": "javascript", "mkv": "mkv", "ml": "ocaml", "mm": "objectivec",
    "mp3": "mp3", "mp4": "mp4", "npy": "npy", "npz": "npz", "odp": "odp", "ods": "ods",
    "odt": "odt", "ogg": "ogg", "otf": "otf", "pas": "pascal", "pdf": "pdf", "php": "php",
    "plist": "appleplist", "png": "png", "podspec": "ruby", "ppt": "ppt", "pptx": "pptx",
    "proto": "proto", "ps1": "powershell", "psd": "psd", "py": "python", "pyi": "python",
    "r": "r", "rar": "rar", "rb": "ruby", "rs": "rust", "rst": "rst", "scala": "scala",
    "scss": "scss", "sh": "shell", "sol": "solidity", "sql": "sql", "svg": "svg", "swf": "swf",
    "swift": "swift", "tar": "tar", "tcl": "tcl", "tga": "tga", "tif": "tiff", "toml": "toml",
    "ts": "typescript", "tsx": "typescript", "ttf": "ttf", "vhdl": "vhdl", "vue": "vue",
    "wasm": "wasm", "wav": "wav", "webp": "webp", "woff": "woff", "woff2": "woff2",
    "xls": "xls", "xlsx": "xlsx", "xml": "xml", "xz": "xz", "yaml": "yaml", "yml": "yaml",
    "zig": "zig", "zip": "zip",
}  # fmt: skip
"""magika's name of a type by the end of a file's name."""
LEAST_BYTES = 64
PER_TYPE = 80
"""At most so many files of one type."""
CALIBRATION_FILES = 128
QUICK_FILES = 100


def calibration(count: int) -> Arrays:
    """The first files; int32 [at most 128, 2048]."""
    return {magika.INPUT: samples()[magika.INPUT][: min(count, CALIBRATION_FILES)]}


def evaluation(quick: bool) -> Evaluation:
    """The files behind those of calibration."""
    last = CALIBRATION_FILES + QUICK_FILES if quick else None
    part = slice(CALIBRATION_FILES, last)
    return labelled({name: array[part] for name, array in samples().items()})


@cache
def samples() -> Arrays:
    """All files that differ in what magika reads, in an order that their names decide.

    Returns:
        "bytes" int32 [files, 2048] as magika computes it, "labels" int64 [files].
    """
    index = {name: i for i, name in enumerate(magika.labels())}
    seen: set[bytes] = set()
    count: dict[str, int] = {}
    rows, labels = [], []
    for path, kind in files():
        row = magika.features(path.read_bytes())
        if count.get(kind, 0) < PER_TYPE and row.tobytes() not in seen:
            seen.add(row.tobytes())
            count[kind] = count.get(kind, 0) + 1
            rows.append(row)
            labels.append(index[kind])
    return {magika.INPUT: np.stack(rows), "labels": np.array(labels, np.int64)}


def files() -> list[tuple[Path, str]]:
    """Files with their types, in an order that every machine agrees on."""
    roots = [*map(package_folder, PACKAGES), *sorted(downloaded(ARCHIVES).iterdir())]
    found = []
    for root in roots:
        for path in root.rglob("*.*"):
            kind = TYPES.get(path.suffix[1:].lower())
            if kind and path.is_file() and path.stat().st_size >= LEAST_BYTES:
                key = path.relative_to(root.parent).as_posix()
                found.append((zlib.crc32(key.encode()), key, path, kind))
    return [(path, kind) for _, _, path, kind in sorted(found)]
