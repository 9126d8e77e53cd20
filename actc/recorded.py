"""manifest.json as read back: what `actc reproduce` does again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from actc.compile_options import Options
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.files import open_regular
from actc.output import MANIFEST

_LARGEST = 64 << 20
_TEXTS = ("actc", "target")
_TABLES = ("input", "options", "versions", "files", "request")
_OPTIONAL_TEXTS = ("budget", "binarize")


@dataclass(frozen=True)
class Recorded:
    """A manifest that a compilation can be repeated from.

    Attributes:
        path: the file.
        content: all of it.
        model: name and SHA-256 of the model.
        data: name and SHA-256 of the data; None: none were given.
        options: of `actc.compile`, with ``passes``.
        versions: name -> version.
        files: relative path -> SHA-256.
    """

    path: Path
    content: Mapping[str, Any]
    model: tuple[str, str]
    data: tuple[str, str] | None
    options: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]


def read_manifest(path: Path) -> Recorded:
    """Read a manifest, or that of a directory.

    Raises:
        UsageError: ACT0395, it is none that a compilation can be repeated from; all reasons.
    """
    path = path / MANIFEST if path.is_dir() else path
    content = _read(path)
    problems = _shape_problems(content)
    if not problems:
        problems = _option_problems(content["request"])
    if problems:
        raise UsageError(_refused(path, problem) for problem in problems)
    data, request = content["data"], content["request"]
    return Recorded(
        path=path,
        content=content,
        model=(content["input"]["name"], content["input"]["sha256"]),
        data=None if data is None else (data["name"], data["sha256"]),
        options={**request["options"], "passes": request["passes"]},
        versions=content["versions"],
        files=content["files"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            text = stream.read(_LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(_refused(path, f"it cannot be read: {reason}")) from error
    if len(text) > _LARGEST:
        raise UsageError(_refused(path, f"it has more than {_LARGEST >> 20} MB"))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(_refused(path, "it is no JSON")) from error
    if not isinstance(content, dict):
        raise UsageError(_refused(path, "it holds no object"))
    return content


def _shape_problems(content: Mapping[str, Any]) -> list[str]:
    """What the manifest lacks."""
    if "actc" in content and "request" not in content:
        return ["it is of an older actc, which did not record how the compilation was asked for"]
    found = [f"'{name}' is no text" for name in _TEXTS if not isinstance(content.get(name), str)]
    found += [f"'{name}' is no table" for name in _TABLES if not _is_table(content.get(name))]
    found += [
        f"'{name}' holds other things than texts"
        for name in ("input", "versions", "files")
        if _is_table(content.get(name)) and not _is_texts(content[name])
    ]
    names = {"name", "sha256"}
    if _is_table(content.get("input")) and not names <= set(content["input"]):
        found.append("'input' has no name or no sha256")
    data = content.get("data", "")
    if data is not None and not (_is_texts(data) and names <= set(data)):
        found.append("'data' has no name or no sha256")
    return found


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _option_problems(request: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options: `actc.compile` judges their values, but takes their types."""
    options, passes = request.get("options"), request.get("passes")
    if not isinstance(options, dict) or "passes" not in request:
        return ["'request' holds no options or no passes"]
    if not isinstance(passes, (str, type(None))):
        return ["the passes of 'request' are no text"]
    known = {field.name for field in fields(Options)}
    found = [f"option '{name}' is not known" for name in sorted(set(options) - known)]
    found += [f"option '{name}' is missing" for name in sorted(known - set(options))]
    usual = Options("")
    for name in sorted(known & set(options)):
        kind: tuple[type, ...] = (type(getattr(usual, name)),)
        if name in _OPTIONAL_TEXTS:
            kind = (str, type(None))
        elif kind == (float,):
            kind = (float, int)
        if not isinstance(options[name], kind) or isinstance(options[name], bool):
            found.append(f"option '{name}' has the wrong type")
    return found + (_override_problems(options["overrides"]) if not found else [])


def _override_problems(overrides: Mapping[str, Any]) -> list[str]:
    found = []
    for name, table in overrides.items():
        if name not in ("activations", "sites", "weights") or not isinstance(table, dict):
            found.append(f"overrides of '{name}' are not known")
        elif name == "sites" and not all(_is_site(entry) for entry in table.values()):
            found.append("overrides of 'sites' are no options by name")
        elif name != "sites" and not all(_is_bits(bits) for bits in table.values()):
            found.append(f"overrides of '{name}' are no bits by name")
    return found


def _is_bits(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_site(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(item, float) or _is_bits(item) for item in value.values()
    )


def _refused(path: Path, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0395",
        f"no compilation can be repeated from this: {reason}",
        place=Place(str(path)),
        help="give the directory that `actc compile` wrote, or its manifest.json as it was",
    )
