"""The C functions that kernels call: parts of a file, each behind its name and what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parent / "templates" / "library.c"
_MARK = "/// "


@dataclass(frozen=True, slots=True)
class Part:
    """A helper.

    Attributes:
        name: of the function or type.
        needs: names of the helpers that it uses.
        text: C.
    """

    name: str
    needs: tuple[str, ...]
    text: str


@lru_cache(maxsize=1)
def parts() -> dict[str, Part]:
    """All helpers, each behind those that it needs."""
    found: dict[str, Part] = {}
    for block in _FILE.read_text(encoding="utf-8").split(_MARK)[1:]:
        head, _, text = block.partition("\n")
        name, _, needs = head.partition(":")
        found[name] = Part(name, tuple(needs.split()), text.strip() + "\n")
    return found


def used(names: Iterable[str]) -> list[Part]:
    """The helpers of these names with all that they need, in an order that C takes."""
    known, wanted, queue = parts(), set[str](), list(names)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += known[name].needs
    return [part for name, part in known.items() if name in wanted]
