"""Prints the part of constraints-hashes.txt that some extras need: what `make` installs.

    python tools/locked.py [EXTRA ...] [NAME== ...] > locked.txt
    pip install --require-hashes --no-deps -r locked.txt

An EXTRA is one of pyproject.toml, "always", or a group of the Makefile's; `NAME==` is a single
package. Any Python will do: this runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HASHES = Path(__file__).resolve().parent.parent / "constraints-hashes.txt"
FOR = "    # for "
PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+?)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$"
)


def canonical(name: str) -> str:
    """A distribution's name in one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def blocks(text: str) -> Iterator[tuple[str, set[str], str]]:
    """Name, what brings it, and the lines of each pin."""
    lines: list[str] = []
    for line in text.splitlines():
        if PIN.match(line) and lines:
            yield from _block(lines)
            lines = []
        lines.append(line)
    yield from _block(lines)


def _block(lines: Sequence[str]) -> Iterator[tuple[str, set[str], str]]:
    match = PIN.match(lines[0])
    if match:  # not what stands above the pins
        brings = lines[-1].removeprefix(FOR).split(", ") if lines[-1].startswith(FOR) else []
        yield canonical(match["name"]), set(brings), "".join(f"{line}\n" for line in lines)


def part(text: str, wanted: Sequence[str]) -> str:
    """The pins of extras, groups and single packages.

    Raises:
        SystemExit: nothing has one of the names.
    """
    names = {canonical(word[:-2]) for word in wanted if word.endswith("==")}
    extras = {word for word in wanted if not word.endswith("==")}
    found = list(blocks(text))
    known = {name for name, _, _ in found} | {word for _, by, _ in found for word in by}
    unknown = sorted((names | extras) - known)
    if unknown:
        raise SystemExit(f"{HASHES.name} has nothing for {', '.join(unknown)}")
    return "".join(lines for name, by, lines in found if name in names or by & extras)


if __name__ == "__main__":
    sys.stdout.write(part(HASHES.read_text("utf-8"), sys.argv[1:]))
