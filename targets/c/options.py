"""The options of the target `c`, as written behind the colon: ``c:name=keywords,seconds=10``."""

from __future__ import annotations

from dataclasses import dataclass

from actc.errors import UsageError
from actc.targets.c.arena.plan import SECONDS
from actc.targets.c.names import identifier
from actc.targets.written_options import Reader, read_options, whole_number

NAME = "model"
_CODE = "ACT0473"

DESCRIBED = {
    "name": "name of the files and prefix of the functions, letters, digits and _; default model",
    "seconds": f"limit of the integer program for the arena, 0 to 86400; default {SECONDS:g}",
}


def _name(text: str) -> str:
    if not text or identifier(text) != text or text != text.lower():
        raise ValueError("a name in C: small letters, digits and single underscores, no keyword")
    return text


_READERS: dict[str, Reader] = {"name": _name, "seconds": whole_number(0, 86400)}


@dataclass(frozen=True, slots=True)
class Options:
    """How the C code is written.

    Attributes:
        name: of the files and functions.
        seconds: limit of the integer program for the arena; 0: rules only.
    """

    name: str = NAME
    seconds: float = SECONDS

    def __str__(self) -> str:
        """The text that :func:`parse` reads, without defaults."""
        found = [f"name={self.name}"] if self.name != NAME else []
        found += [f"seconds={self.seconds:g}"] if self.seconds != SECONDS else []
        return ",".join(found)


def parse(text: str) -> Options:
    """Read the options; "" has none.

    Raises:
        UsageError: ACT0473, all that is wrong.
    """
    values, problems = read_options(text, _READERS, _CODE)
    if problems:
        raise UsageError(problems)
    return Options(**values)
