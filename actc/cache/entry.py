"""The file of an entry: a line with the SHA-256 of all that follows, a line of JSON with kind, key,
and names and sizes of the parts, and the parts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
UNFINISHED = ".new-"
"""How the name of a file begins that is being written."""
_MAGIC = b"actc-cache"
_LONGEST_LINE = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Damaged(Exception):
    """An entry is not as it was written; its text says how."""


def put(path: Path, content: bytes) -> None:
    """Write a file that appears as a whole; unfinished ones lie beside it."""
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def written(kind: str, key: str, parts: Mapping[str, bytes]) -> bytes:
    """All of an entry's file."""
    sizes = [[name, len(content)] for name, content in parts.items()]
    header = json.dumps({"kind": kind, "key": key, "parts": sizes}).encode()
    body = b"\n".join((header, b"".join(parts.values())))
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"%b %d %b\n%b" % (_MAGIC, FORMAT, digest, body)


def content_of(path: Path) -> bytes:
    """All of a plain file of this user's.

    Raises:
        Damaged: it is something else. OSError: it cannot be read.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if path.is_symlink():
            raise Damaged("it is a link") from error
        raise
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise Damaged("it is no plain file of this user's")
        return stream.read()


def parts_of(content: bytes, kind: str, key: str) -> dict[str, bytes]:
    """The parts of an entry.

    Raises:
        Damaged: it is not as it was written, or another one.
    """
    first, _, body = content.partition(b"\n")
    expected = b"%b %d %b" % (_MAGIC, FORMAT, hashlib.sha256(body).hexdigest().encode())
    if first != expected:
        raise Damaged("its SHA-256 is not that of its contents")
    end = body.find(b"\n", 0, _LONGEST_LINE)
    try:
        header: dict[str, Any] = json.loads(body[: max(end, 0)])
        if (header["kind"], header["key"]) != (kind, key):
            raise Damaged("it is that of another key")
        sizes = [(str(name), int(size)) for name, size in header["parts"]]
        if any(size < 0 for _, size in sizes):
            raise Damaged("its parts are not as long as it says")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise Damaged("it does not say what it holds") from problem
    found, start = {}, end + 1
    for name, size in sizes:
        found[name] = body[start : start + size]
        start += size
    if start != len(body):
        raise Damaged("its parts are not as long as it says")
    return found
