"""Names of the model as names and comments of C."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = frozenset(
    {
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double"),
        *("else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long"),
        *("main", "register", "restrict", "return", "short", "signed", "sizeof", "static"),
        *("struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    }
)
_LONGEST = 40


def identifier(text: str) -> str:
    """A name of letters, digits and underscores that is no word of C."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_LONGEST].strip("_")
    if not name or name[0].isdigit() or name.lower() in _WORDS:
        name = f"x_{name}".rstrip("_")
    return name


def identifiers(texts: Iterable[str]) -> list[str]:
    """Names that differ, also in capitals."""
    found: list[str] = []
    taken: set[str] = set()
    for text in texts:
        base, count = identifier(text), 1
        name = base
        while name.lower() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.lower())
        found.append(name)
    return found


def comment(text: str) -> str:
    """Text that ends no comment and starts no trigraph."""
    return re.sub(r"[^A-Za-z0-9 _.,:()\[\]<>-]", "_", text)[:120]
