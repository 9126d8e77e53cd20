"""Programs of C++ that lies in a directory: compiled once, and again where it was changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from actc.tool_results import require_program

_DIGESTS = "sources.sha256sums"
"""As `sha256sum` writes and checks them."""


def compiled(sources: Path, program: Path, compile: Callable[[], None]) -> Path:
    """A program that is up to date.

    What was put beside the sources since the program was made is no part of it, and gives no
    reason to compile.

    Args:
        sources: folder of the C++; all files .cpp and .h in it count.
        program: file that `compile` makes; its folder has the digests of what it was made of.

    Returns:
        `program`.

    Raises:
        ToolFailed: ACT0515, there is no program after `compile`.
    """
    mark = program.parent / _DIGESTS
    if not (program.is_file() and mark.is_file() and _up_to_date(sources, mark)):
        program.parent.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)  # a compiler that is killed leaves a part of a program
        compile()
        require_program(program, "the C++ compiler")
        found = (path for path in sorted(sources.rglob("*")) if path.suffix in (".cpp", ".h"))
        names = [path.relative_to(sources).as_posix() for path in found]
        mark.write_text("".join(f"{_sha256(sources / n)}  {n}\n" for n in names), "utf-8")
    return program


def _up_to_date(sources: Path, mark: Path) -> bool:
    """Whether the sources are those that the lines of `mark` name."""
    lines = [line.partition("  ") for line in mark.read_text("utf-8").splitlines()]
    return bool(lines) and all(
        bool(name) and (sources / name).is_file() and _sha256(sources / name) == digest
        for digest, _, name in lines
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
