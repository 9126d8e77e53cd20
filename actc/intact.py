"""Whether a directory holds what its manifest says, before anything of it is loaded or run.

The manifest has the SHA-256 of every file that a compilation wrote. It is no signature: whoever
can change a file can change that too. What it shows is damage, a copy that lacks something, and a
file of one result in another.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.files import open_regular
from actc.output import MANIFEST
from actc.replacing import restore

_LARGEST = 64 << 20
_LARGEST_FILE = 8 << 30
_CHUNK = 1 << 20
_MOST_SHOWN = 20
_READ = (
    "approximated.onnx",
    "certificates.json",
    "float.onnx",
    "formats.json",
    "golden.onnx",
    "interface.json",
    "report.json",
)
"""Files that commands read wherever they are."""
_SHA256 = re.compile("[0-9a-f]{64}")
_HELP = (
    "compile again, or copy the whole directory from where it was built; the manifest is no "
    "signature: it finds what was damaged or mixed up, not what somebody forged"
)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a regular file of 64 MB at most.

    Raises:
        OSError: it cannot be read. ValueError: it is no such object.
    """
    with os.fdopen(open_regular(path), "rb") as stream:
        text = stream.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise ValueError(f"more than {_LARGEST >> 20} MB")
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("brackets in brackets, without end") from error
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def read_intact(directory: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The manifest of a directory whose files are what it says.

    Args:
        directory: what `actc compile` wrote.
        names: of the files that matter, which the manifest must have; None: all of its files.

    Raises:
        UsageError: ACT0204, there is no manifest of actc; ACT0067, files are missing, were changed,
            lie elsewhere, or would be read although the manifest does not have them; all of them.
        OSError: the directory cannot be opened.
    """
    restore(directory)
    try:
        manifest = read_object(directory / MANIFEST)
        files = _files(manifest)
    except (OSError, ValueError) as error:
        raise not_compiled(directory) from error
    wanted = files if names is None else {name: files.get(name, "") for name in names}
    problems = ((name, _problem(directory, name, wanted[name])) for name in sorted(wanted))
    _refuse(directory, [(name, problem) for name, problem in problems if problem])
    if names is None:
        require_listed(directory, manifest, _READ)
    return manifest


def require_listed(directory: Path, manifest: Mapping[str, Any], patterns: Iterable[str]) -> None:
    """Refuse files that would be read, but that the manifest does not have.

    Args:
        manifest: what :func:`read_intact` gave.
        patterns: of names in the directory; those of folders, which end in "/", are passed over.

    Raises:
        UsageError: ACT0067.
    """
    shown = [pattern for pattern in patterns if not pattern.endswith("/")]
    there = {path.relative_to(directory).as_posix() for p in shown for path in directory.glob(p)}
    extra = sorted(there - set(manifest["files"]) - set(manifest.get("not_reproducible", ())))
    _refuse(directory, [(name, "it is not in the manifest") for name in extra])


def not_compiled(directory: Path) -> UsageError:
    """ACT0204, of a directory that is none of actc's."""
    return UsageError(
        Diagnostic(
            "ACT0204",
            "this is not a directory that actc compiled",
            place=Place(str(directory)),
            help="give the directory that `actc compile -o DIR` wrote",
        )
    )


def _files(manifest: Mapping[str, Any]) -> dict[str, str]:
    files, others = manifest.get("files"), manifest.get("not_reproducible", [])
    if "actc" not in manifest or not isinstance(files, dict):
        raise ValueError("no manifest of actc")
    if not all(isinstance(digest, str) for digest in files.values()):
        raise ValueError("a digest is no text")
    if not (isinstance(others, list) and all(isinstance(name, str) for name in others)):
        raise ValueError("names are no texts")
    return files


def _problem(directory: Path, name: str, digest: str) -> str:
    """What is wrong with a file of the manifest; "" where nothing is."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        return "this names no file of the directory"
    if not _SHA256.fullmatch(digest):
        return "the manifest has no SHA-256 of it"
    try:
        # behind a link, too: what lies there is compared as well
        found = _sha256(open_regular(directory / path))
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return str(error.strerror or type(error).__name__).lower()
    except ValueError:  # a NUL, or half a surrogate
        return "there can be no file of this name"
    return "" if found == digest else "its SHA-256 is another"


def _sha256(descriptor: int) -> str:
    state = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as stream:
        if os.fstat(descriptor).st_size > _LARGEST_FILE:
            raise OSError(errno.EFBIG, "it is larger than anything that actc writes")
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _refuse(directory: Path, problems: list[tuple[str, str]]) -> None:
    if problems:
        raise UsageError(_diagnostics(directory, problems))


def _diagnostics(directory: Path, problems: list[tuple[str, str]]) -> Iterator[Diagnostic]:
    for name, problem in problems[:_MOST_SHOWN]:
        message = f"'{name}' is not what {MANIFEST} says: {problem}"
        yield Diagnostic("ACT0067", message, place=Place(str(directory)), help=_HELP)
    more = len(problems) - _MOST_SHOWN
    if more > 0:
        message = f"{more} more files are not what {MANIFEST} says"
        yield Diagnostic("ACT0067", message, place=Place(str(directory)), help=_HELP)
