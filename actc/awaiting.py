"""Waiting for a program, as long as it may run and as much as it may print."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO

MOST_PRINTED = 1 << 28
"""Bytes that a program may print: those that talk most, synthesizers, take a tenth of it."""
_LOOK_SECONDS = 0.25


class TooMuchPrinted(Exception):
    """A program printed more than `MOST_PRINTED`."""


def wait(process: subprocess.Popen[bytes], timeout: float, printed: IO[bytes]) -> int | None:
    """Exit status of a program, negative for a signal; None, it has not ended in time.

    Args:
        process: the program.
        timeout: seconds.
        printed: the file that receives what it prints.

    Raises:
        TooMuchPrinted: it runs on and fills the disk.
    """
    end = time.monotonic() + timeout
    with _looking(process) as has_ended:
        while True:
            left = end - time.monotonic()
            if has_ended(max(0.0, min(left, _LOOK_SECONDS))):
                return process.wait()
            if os.fstat(printed.fileno()).st_size > MOST_PRINTED:
                raise TooMuchPrinted
            if left <= 0:
                return None


@contextlib.contextmanager
def _looking(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """What waits so many seconds for the end of a program, and says whether it has ended.

    ``Popen.wait`` looks every twentieth of a second, longer than many programs run: it is asked
    only where the system does not tell of a program's end.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # no such call in this system or container; too many files
        yield lambda seconds: _ended(process, seconds)
        return
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        yield lambda seconds: bool(ended.poll(1000 * seconds))
    finally:
        os.close(descriptor)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
