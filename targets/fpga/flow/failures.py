"""What went wrong in a program, in words: memory, disk, its own errors, where its log is."""

from __future__ import annotations

import re
from pathlib import Path

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed

_DISK = re.compile(r"No space left on device|Disk quota exceeded|os error 28\b")
_MEMORY = re.compile(
    r"bad_alloc|[Oo]ut of memory|Cannot allocate memory|MemoryError|memory allocation of \d+ bytes"
    r"|failed to reserve virtual memory|mmap failed"
)
_ERROR = re.compile(r"\bERROR\b|^(?:error|Error|Assertion failure|terminate called)\b")
_MOST_ERRORS = 8
_READ = 1 << 22
"""Bytes of a log that are read: its end."""


def read_log(log: Path) -> str:
    """The end of a log; "" if there is none."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _READ))
            return stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def errors_of(text: str) -> tuple[str, ...]:
    """The lines of a log that say what is wrong, the first ones."""
    lines = (line.strip() for line in text.splitlines())
    return tuple([line for line in lines if _ERROR.search(line)][:_MOST_ERRORS])


def explain(problem: ToolFailed, name: str, log: Path) -> ToolFailed:
    """The failure of a program in words.

    Args:
        problem: as :func:`actc.toolchain.run` raised it.
        name: of the program.
        log: its log.
    """
    found = problem.diagnostics[0]
    text = read_log(log)
    where = f"its log is {log}"
    if _DISK.search(text):
        return ToolFailed(
            Diagnostic(
                "ACT0585",
                f"{name} could not write: no space is left on the disk",
                notes=(where,),
                help="free some space, or write to another disk with -o DIR",
            )
        )
    if _MEMORY.search(text):
        return ToolFailed(
            Diagnostic(
                "ACT0584",
                f"{name} ran out of memory",
                notes=(*errors_of(text), where),
                help="make the network smaller, end other programs, or install a native "
                f"{name}: the one from PyPI is limited to 4 GiB",
            )
        )
    notes = errors_of(text) or found.notes
    return ToolFailed(
        Diagnostic(
            found.code,
            _message(found, name),
            notes=(*notes, where),
            help=_HELP.get(found.code, found.help),
        )
    )


_HELP = {
    "ACT0510": "the notes are its errors; the log has everything",
    "ACT0511": "try another seed, a slower clock or a larger device, or a smaller network",
    "ACT0512": "systems kill programs when memory runs out: end other programs and try again",
}


def _message(found: Diagnostic, name: str) -> str:
    """The message with the program's name for the path of its interpreter."""
    for verb in (" failed ", " was ", " could "):
        _, separator, rest = found.message.partition(verb)
        if separator:
            return f"{name}{separator}{rest}"
    return found.message
