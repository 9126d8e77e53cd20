"""Options of targets as they are written behind the colon: ``clock=120,seeds=4``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from actc.diagnostics import Diagnostic

Reader: TypeAlias = Callable[[str], Any]
"""The value behind a text; ValueError: what is possible instead."""


def whole_number(low: int, high: int) -> Reader:
    """Reads whole numbers."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number, {low} to {high}")
        return int(text)

    return read


def real_number(low: float, high: float, what: str) -> Reader:
    """Reads numbers.

    Args:
        what: they are, in words.
    """

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(what)
        return value

    return read


def one_of(choices: Sequence[str]) -> Reader:
    """Reads words."""

    def read(text: str) -> str:
        if text not in choices:
            near = difflib.get_close_matches(text, choices, n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"one of {', '.join(choices)}{hint}")
        return text

    return read


def part(text: str) -> str:
    """Reads names of parts."""
    if not re.fullmatch("[a-zA-Z0-9-]{4,40}", text):
        raise ValueError("the name of a part, such as xc7z020clg400-1")
    return text


per_second = real_number(0.001, 1e9, "samples per second, 0.001 to 1e9")
"""Reads rates."""
megahertz = real_number(0.1, 1000, "MHz, 0.1 to 1000")
"""Reads frequencies."""


def read_options(
    text: str, readers: Mapping[str, Reader], code: str, words: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Read options; "" has none.

    Args:
        readers: of each option.
        code: of problems.
        words: that stand for an option without its name: word -> option.

    Returns:
        values by option; and all that is wrong: options that are not known, written twice, or
        have no such value.
    """
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    words = words or {}
    for item in filter(None, text.split(",")):
        name, separator, value = item.partition("=")
        if not separator and name in words:
            name, separator, value = words[name], "=", name
        if name not in readers or not separator:
            problems.append(_unknown(item, name, [*words, *readers], code))
        elif name in values:
            message = f"the option {name} is given twice"
            problems.append(Diagnostic(code, message, help="give it once"))
        else:
            try:
                values[name] = readers[name](value)
            except ValueError as error:
                message = f"{name}={value} is not possible"
                problems.append(Diagnostic(code, message, help=f"give {error}"))
    return values, problems


def _unknown(item: str, name: str, known: Sequence[str], code: str) -> Diagnostic:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near and near[0] != name else ""
    help = f"{hint}known: {', '.join(known)}"
    return Diagnostic(code, f"there is no option {item!r}", help=help)
