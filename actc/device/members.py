"""Members of JSON objects, of the types that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

_WIDEST = 62


class Wrong(Exception):
    """What is wrong with a document, as a sentence without a period."""


def require(condition: bool, message: str) -> None:
    """Refuse what does not hold.

    Raises:
        Wrong: with the message.
    """
    if not condition:
        raise Wrong(message)


@dataclass(frozen=True, slots=True)
class Members:
    """One object.

    Every method raises Wrong where the member is missing or of another type; a default
    stands for what is missing. Lists may be given as their only entry.

    Attributes:
        document: the object.
        what: it is, for messages.
    """

    document: Mapping[str, Any]
    what: str

    def text(self, key: str) -> str:
        """A string."""
        value = self.document.get(key)
        require(isinstance(value, str), f"'{key}' of {self.what} is no text")
        return str(value)

    def boolean(self, key: str) -> bool:
        """True or false."""
        value = self.document.get(key)
        require(isinstance(value, bool), f"'{key}' of {self.what} is not true or false")
        return bool(value)

    def whole(self, key: str, default: int | None = None) -> int:
        """An integer of at most 62 bits."""
        value = self.document.get(key, default)
        require(_is_whole(value), f"'{key}' of {self.what} is no whole number of 62 bits")
        return int(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.document.get(key, default)
        require(_is_number(value), f"'{key}' of {self.what} is no number")
        return float(value)

    def wholes(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Integers."""
        values = self._items(key, default)
        require(all(map(_is_whole, values)), f"'{key}' of {self.what} is no list of integers")
        return tuple(values)

    def numbers(self, key: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        """Finite numbers."""
        values = self._items(key, default)
        require(all(map(_is_number, values)), f"'{key}' of {self.what} is no list of numbers")
        return tuple(map(float, values))

    def texts(self, key: str) -> tuple[str, ...]:
        """Strings."""
        values = self._items(key)
        require(all(isinstance(v, str) for v in values), f"'{key}' of {self.what} is no texts")
        return tuple(values)

    def objects(self, key: str) -> tuple[Mapping[str, Any], ...]:
        """Objects."""
        values = self._items(key)
        require(all(isinstance(v, dict) for v in values), f"'{key}' of {self.what} has no objects")
        return tuple(values)

    def _items(self, key: str, default: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        value = self.document.get(key, default)
        if isinstance(value, (list, tuple)):
            return tuple(value)
        require(isinstance(value, (int, float)), f"'{key}' of {self.what} is no list")
        return (value,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << _WIDEST


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300 and isfinite(value)
