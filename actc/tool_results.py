"""Files that tools wrote, which may be missing or cut short though the tool saw no error.

A library that is cut short would end this process with a signal where it is loaded.
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed

_ELF = b"\x7fELF"
_HEADERS = {
    # bits of the class: struct of what follows the identification, in the order of ELF's
    # specification: type, machine, version, entry, program headers, section headers, flags,
    # size of this header, size and number of program headers, size and number of section headers
    1: "HHIIIIIHHHHHH",
    2: "HHIQQQIHHHHHH",
}
_SEGMENTS = {1: "IIIIIIII", 2: "IIQQQQQQ"}
_IDENTIFICATION = 16


def content(path: Path, tool: str) -> bytes:
    """All of a file that a tool wrote.

    Args:
        path: the file.
        tool: its name, for the message.

    Raises:
        ToolFailed: ACT0515, it is missing.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as problem:
        raise damaged(path, tool, "is missing") from problem


def require_program(path: Path, tool: str) -> None:
    """Refuse a program, a library or an object that is not whole.

    Raises:
        ToolFailed: ACT0515, it is missing, cut short, or no ELF file.
    """
    found = content(path, tool)
    wrong = _wrong_elf(found)
    if wrong:
        raise damaged(path, tool, wrong)


def load_library(path: Path, tool: str) -> ctypes.CDLL:
    """Load a shared library that a tool made for this machine.

    Raises:
        ToolFailed: ACT0515, it is no such library.
    """
    require_program(path, tool)
    try:
        return ctypes.CDLL(str(path))
    except OSError as problem:
        raise damaged(path, tool, "cannot be loaded", str(problem)) from problem


def damaged(path: Path, tool: str, wrong: str, *notes: str) -> ToolFailed:
    """The error for a result that is not what a tool is to write.

    Args:
        path: the file.
        tool: its name.
        wrong: "is missing", "is cut short".
        notes: details.
    """
    return ToolFailed(
        Diagnostic(
            "ACT0515",
            f"{tool} reported no error, but what it made is of no use: {path.name} {wrong}",
            notes=notes,
            help="look whether the disk or TMPDIR is full, and run it again; "
            "`actc doctor` shows which tools are taken",
        )
    )


def _wrong_elf(found: bytes) -> str:
    """What is wrong with an ELF file; "" if nothing is.

    Its headers say where its parts are: all of them are inside the file.
    """
    if not found:
        return "is empty"
    if found[:4] != _ELF:
        return "is no program"
    kind, order = (found[4], found[5]) if len(found) > _IDENTIFICATION else (0, 0)
    if kind not in _HEADERS or order not in (1, 2):
        return "is cut short"
    sign = "<" if order == 1 else ">"
    try:
        fields = struct.unpack_from(sign + _HEADERS[kind], found, _IDENTIFICATION)
        _, _, _, _, segments, sections, _, _, size, count, section_size, section_count, _ = fields
        ends = [sections + section_size * section_count, segments + size * count]
        for number in range(count):
            segment = struct.unpack_from(sign + _SEGMENTS[kind], found, segments + size * number)
            offset, taken = (segment[1], segment[4]) if kind == 1 else (segment[2], segment[5])
            ends.append(offset + taken)
    except struct.error:
        return "is cut short"
    return "is cut short" if max(ends) > len(found) else ""
