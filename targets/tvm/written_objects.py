"""Object files that LLVM writes, which ends the whole process where a file cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path


def require_room(assembly: Iterable[str]) -> None:
    """Refuse a limit of file sizes that objects may exceed.

    Args:
        assembly: their instructions and data as text, which takes several times their bytes; not
            asked for where there is no limit.

    Raises:
        OSError: EFBIG.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most != resource.RLIM_INFINITY and sum(map(len, assembly)) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


@contextlib.contextmanager
def in_memory(paths: Iterable[Path]) -> Iterator[None]:
    """Let files be written to memory."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            number = os.memfd_create(path.name)
            stack.callback(os.close, number)
            path.symlink_to(f"/proc/self/fd/{number}")
            stack.callback(_remove_link, path)
        yield


def _remove_link(path: Path) -> None:
    if path.is_symlink():
        path.unlink()


def to_disk(path: Path) -> None:
    """Write a file that was written to memory to its disk.

    Raises:
        OSError: the disk is full.
    """
    if path.is_symlink():
        content = path.read_bytes()
        _remove_link(path)
        path.write_bytes(content)
