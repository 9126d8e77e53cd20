"""Standard streams that are closed, full, or whose reader went away."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from typing import Any, TextIO

from actc.diagnostics import Diagnostic, Place
from actc.errors import DISK_ERRORS

_REFUSED = DISK_ERRORS | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}


class Lossy:
    """A stream of which text is lost, without an error, when nobody takes it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or lose it."""
        try:
            return self._stream.write(text)
        except OSError:
            discard(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or lose it."""
        try:
            self._stream.flush()
        except OSError:
            discard(self._stream)


def open_streams() -> None:
    """Open standard streams that are closed, so that no file of ours takes their numbers.

    What is said on stderr is lost where that does not take it, as it is no result.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free is this one
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if not isinstance(sys.stderr, Lossy):
        sys.stderr = Lossy(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let a stream's descriptor lead nowhere: what is in its buffer is lost quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def no_output(error: OSError) -> Diagnostic:
    """What to say when stdout takes no text."""
    return Diagnostic(
        "ACT0206",
        f"the result cannot be written to standard output: {_reason(error)}",
        help="what the command wrote to files is there; --output chooses where",
    )


def refused(error: BaseException) -> Diagnostic | None:
    """What to say of an error that is the machine's; None where it may be actc's."""
    if not isinstance(error, OSError):
        return None
    if error.errno not in _REFUSED and not _no_temporary(error):
        return None
    return Diagnostic(
        "ACT0206",
        f"the machine refuses: {_reason(error)}",
        place=Place(str(error.filename or "")),
        notes=(f"temporary files are in {_temporary()}: TMPDIR gives another place",),
        help="make room, or write to another place, and run it again",
    )


def _no_temporary(error: OSError) -> bool:
    return error.errno == errno.ENOENT and error.filename is None and not _temporary(none="")


def _temporary(none: str = "no folder that takes a file") -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return none


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
