"""Typed fields of a TOML table; what is wrong is said with the file and the field.

Texts of these files reach constraint files and command lines, so each is limited to the
characters that such texts have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.targets.fpga.boards.device import ROLES, Pin

_WORD = re.compile(r"[A-Za-z0-9_]{1,32}")
_TEXT = re.compile(r"[ -~]{0,200}")
_PIN_FIELDS = ("site", "standard", "pull", "inverted")
_PULLS = ("", "up", "down")


class Fields:
    """The fields of one table.

    Args:
        table: name -> value.
        path: the file that it is from.
        section: its section of that file; "" for the top.
    """

    def __init__(self, table: Any, path: Path, section: str) -> None:
        self._path = path
        self._section = section
        if not isinstance(table, dict):
            self._wrong(section, "a table", table)
        self._left: dict[str, Any] = dict(table)

    def text(self, name: str, *, default: str | None = None, among: Sequence[str] = ()) -> str:
        """A line of printable ASCII."""
        value = self._take(name, default)
        if not isinstance(value, str) or not _TEXT.fullmatch(value):
            self._wrong(name, "a line of text", value)
        if among and value not in among:
            self._wrong(name, f"one of {', '.join(among)}", value)
        return value

    def word(self, name: str, *, default: str | None = None) -> str:
        """Letters, digits and _, or nothing: what goes unquoted into files of the tools."""
        value = self.text(name, default=default)
        if value and not _WORD.fullmatch(value):
            self._wrong(name, "a word of letters, digits and _", value)
        return value

    def texts(self, name: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of lines."""
        value = self._take(name, default)
        if not isinstance(value, (list, tuple)) or not all(
            isinstance(v, str) and _TEXT.fullmatch(v) for v in value
        ):
            self._wrong(name, "a list of texts", value)
        return tuple(value)

    def count(self, name: str, *, default: int | None = None) -> int:
        """A number of things."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._wrong(name, "a number of 0 or more", value)
        return value

    def frequency(self, name: str) -> float:
        """MHz."""
        value = self._take(name, None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong(name, "a frequency in MHz", value)
        if not 0.001 <= value <= 10_000:
            self._wrong(name, "a frequency between 0.001 and 10000 MHz", value)
        return float(value)

    def pins(self, name: str) -> Mapping[str, Pin]:
        """A table: role -> site, or role -> table of a pin's fields."""
        table = self._take(name, {})
        if not isinstance(table, dict):
            self._wrong(name, "a table of pins", table)
        unknown = [role for role in table if role not in ROLES]
        if unknown:
            self._wrong(f"{name}.{unknown[0]}", f"one of the roles {', '.join(ROLES)}", unknown[0])
        return {role: self._pin(f"{name}.{role}", table[role]) for role in ROLES if role in table}

    def finish(self) -> None:
        """Refuse fields that nothing asked for."""
        for name in self._left:
            self._fail(f"there is no field {self._full(name)!r}")

    def _pin(self, name: str, value: Any) -> Pin:
        fields = {"site": value} if isinstance(value, str) else value
        if not isinstance(fields, dict) or any(field not in _PIN_FIELDS for field in fields):
            self._wrong(name, f"a site or a table of {', '.join(_PIN_FIELDS)}", value)
        site, standard = fields.get("site"), fields.get("standard", "")
        if not isinstance(site, str) or not _WORD.fullmatch(site):
            self._wrong(f"{name}.site", "the name of a pin", site)
        if standard != "" and not (isinstance(standard, str) and _WORD.fullmatch(standard)):
            self._wrong(f"{name}.standard", "an I/O standard", standard)
        pull, inverted = fields.get("pull", ""), fields.get("inverted", False)
        if pull not in _PULLS:
            self._wrong(f"{name}.pull", "up or down", pull)
        if not isinstance(inverted, bool):
            self._wrong(f"{name}.inverted", "true or false", inverted)
        return Pin(site, standard, pull, inverted)

    def _take(self, name: str, default: Any) -> Any:
        if name not in self._left and default is None:
            self._fail(f"the field {self._full(name)!r} is missing")
        return self._left.pop(name, default)

    def _full(self, name: str) -> str:
        return f"{self._section}.{name}" if self._section else name

    def _wrong(self, name: str, wanted: str, value: Any) -> NoReturn:
        self._fail(f"the field {self._full(name)!r} is {value!r}, not {wanted}")

    def _fail(self, message: str) -> NoReturn:
        raise UsageError(
            Diagnostic(
                "ACT0589",
                message,
                place=Place(str(self._path)),
                help="docs/boards.md describes these files",
            )
        )
