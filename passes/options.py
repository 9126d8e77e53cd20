"""Options of a pass, as users spell them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from actc.diagnostics import Diagnostic


def read_options(
    name: str, known: Mapping[str, Any], items: Iterable[str]
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The values of options of a pass.

    Args:
        name: of the pass.
        known: option -> its default, whose type the value must have.
        items: `option=value` each, as written; an empty one counts for nothing.

    Returns:
        the values that can be read, and ACT0223 for everything that cannot.
    """
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for item in filter(None, map(str.strip, items)):
        key, equals, text = (part.strip() for part in item.partition("="))
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            message = f"pass '{name}' has no option '{key}'"
            problems.append(_problem(message, f"{hint}its options: {', '.join(known) or 'none'}"))
        elif not equals:
            message = f"option '{key}' of pass '{name}' has no value"
            problems.append(_problem(message, _like(known[key])))
        elif key in values:
            message = f"option '{key}' of pass '{name}' is given twice"
            problems.append(_problem(message, "give it once"))
        else:
            try:
                values[key] = _converted(text, type(known[key]))
            except (ValueError, KeyError):
                message = f"option '{key}' of pass '{name}' cannot be '{text}'"
                problems.append(_problem(message, _like(known[key])))
    return values, problems


def _converted(text: str, kind: type) -> Any:
    return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)


def _like(default: Any) -> str:
    return f"give a value like {default!r}"


def _problem(message: str, help: str) -> Diagnostic:
    return Diagnostic("ACT0223", message, help=help)
