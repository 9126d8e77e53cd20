"""Named, lazily imported plug-ins: passes and targets.

A registry is an explicit table "name" -> "module:attribute"; other packages add
to it through an entry point group. Nothing is imported until it is asked for,
and a name claimed twice is an error that names both owners.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError


class Registry:
    """Lazy table of classes.

    Args:
        kind: what an entry is, for messages ("target", "pass").
        group: the entry point group that extends the table.
        builtin: name -> "module:attribute".
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    def references(self) -> dict[str, str]:
        """All names with their "module:attribute", sorted by name.

        Raises:
            UsageError: a plug-in claims a name that is taken.
        """
        table = dict(self._builtin)
        for point in entry_points(group=self.group):
            owner = table.get(point.name)
            if owner is not None and owner != point.value:
                raise UsageError(
                    Diagnostic(
                        "ACT0210",
                        f"two {_plural(self.kind)} are called '{point.name}': "
                        f"{owner} and {point.value}",
                        help="uninstall one of the two packages",
                    )
                )
            table[point.name] = point.value
        return dict(sorted(table.items()))

    def get(self, name: str) -> Any:
        """Import and return the class called `name`.

        Raises:
            UsageError: no such name; the message suggests the nearest one.
        """
        table = self.references()
        if name not in table:
            near = difflib.get_close_matches(name.lower(), table, n=1, cutoff=0.5)
            known = ", ".join(table)
            suggestion = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                Diagnostic(
                    "ACT0201",
                    f"unknown {self.kind} '{name}'",
                    help=f"{suggestion}known {_plural(self.kind)}: {known}",
                )
            )
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


def _plural(kind: str) -> str:
    return kind + ("es" if kind.endswith("s") else "s")
