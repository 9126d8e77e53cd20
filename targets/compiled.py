"""Programs of C++ that lies in a directory: compiled once, and again where it was changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_DIGEST = "sources.sha256"


def compiled(sources: Path, program: Path, compile: Callable[[], None]) -> Path:
    """A program that is up to date.

    Args:
        sources: folder of the C++; all files .cpp and .h in it count.
        program: file that `compile` makes; its folder has the digest of what it was made of.

    Returns:
        `program`.
    """
    state = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.suffix in (".cpp", ".h"):
            state.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    digest, mark = state.hexdigest(), program.parent / _DIGEST
    if not (program.is_file() and mark.is_file() and mark.read_text("ascii") == digest):
        program.parent.mkdir(parents=True, exist_ok=True)
        compile()
        mark.write_text(digest, "ascii")
    return program
