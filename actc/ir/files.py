"""Opening untrusted files: regular ones only, without waiting, and never outside a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

MOST_BYTES = 2**31 - 1
"""Of a protobuf, and so of a model with its weights."""
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class NotRegular(OSError):
    """What is there is a pipe, a device, a socket or a folder."""


def open_regular(path: Path) -> int:
    """A descriptor of the regular file at `path`, behind links too.

    Raises:
        NotRegular: it is something else, which could block or never end.
        OSError: it cannot be opened.
    """
    return _regular(os.open(path, _OPEN))


def read_regular(path: Path) -> bytes:
    """The contents of the regular file at `path`.

    Raises:
        NotRegular, OSError: as :func:`open_regular`.
    """
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read()


def _regular(number: int) -> int:
    kind = os.fstat(number).st_mode
    if not stat.S_ISREG(kind):
        os.close(number)
        raise NotRegular(0, "it is a directory" if stat.S_ISDIR(kind) else "it is no regular file")
    return number


def resolved_inside(folder: Path, location: str) -> tuple[str, ...] | None:
    """Where a file of a model lies below the model's folder, links followed.

    Args:
        folder: resolved.
        location: as the model says it.

    Returns:
        the names on the way from `folder`; None where it leads out of it.

    Raises:
        OSError: a name is too long, or links lead round in circles.
    """
    parts = PurePosixPath(location)
    if not location or parts.is_absolute() or ".." in parts.parts or "\0" in location:
        return None
    try:
        file = (folder / location).resolve()
    except RuntimeError as error:  # of Python up to 3.12
        raise OSError(0, "a loop of links") from error
    return file.relative_to(folder).parts if file.is_relative_to(folder) else None


def open_inside(folder: Path, parts: tuple[str, ...]) -> int:
    """A descriptor of a regular file below `folder`, whose `parts` hold no link.

    Each name is opened in the folder before it, and a link is refused: so a link that somebody
    puts there after `resolved_inside` leads nowhere.

    Raises:
        NotRegular: it is no regular file.
        OSError: it cannot be opened, or a name is a link now.
    """
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        flags = _OPEN if last else os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
        try:
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=number)
        finally:
            os.close(number)
        number = inner
    return _regular(number)
