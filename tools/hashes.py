"""Writes constraints-hashes.txt: the pins of constraints.txt with the SHA-256 of their files.

    python tools/hashes.py UV

UV is the program uv, which asks the package index; nothing is downloaded but lists of files. All
files of a release are there: for every platform, and for the Pythons that a pin is for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints.txt"
HASHES = ROOT / "constraints-hashes.txt"
WITHOUT = ("torch",)
"""Built apart for each kind of GPU, in indexes of its own: no list of hashes fits all."""
_OLD = '< "3.11"'
_HEAD = """\
# constraints.txt with the SHA-256 of every file, written by `make hashes`. All of it, verified:
#   pip install --require-hashes --no-deps -r constraints-hashes.txt
# Without {without}: it comes from indexes of its own, one for each kind of GPU.
"""
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+?)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def canonical(name: str) -> str:
    """A distribution's name in one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[tuple[str, str], str]:
    """Name and version -> marker, "" for none, of what a list of requirements pins."""
    found = {}
    for line in text.splitlines():
        match = _PIN.match(line)
        if match and canonical(match["name"]) not in WITHOUT:
            found[canonical(match["name"]), match["version"]] = match["marker"] or ""
    return found


def hashes(text: str) -> dict[tuple[str, str], list[str]]:
    """Name and version -> SHA-256 of its files, of a list of requirements with them."""
    found: dict[tuple[str, str], list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        match = _PIN.match(line)
        if match:
            current = found.setdefault((canonical(match["name"]), match["version"]), [])
        current += _HASH.findall(line)
    return found


def ask(
    uv: str, wanted: Iterable[tuple[str, str]], python: str
) -> dict[tuple[str, str], list[str]]:
    """The hashes that the index gives for releases, for one version of Python."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.txt"
        source.write_text("".join(f"{name}=={version}\n" for name, version in wanted), "utf-8")
        command = [uv, "pip", "compile", "--quiet", "--no-deps", "--generate-hashes", "--no-header"]
        done = subprocess.run(
            [*command, "--no-annotate", "--python-version", python, str(source)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return hashes(done.stdout)


def write(markers: dict[tuple[str, str], str], found: dict[tuple[str, str], list[str]]) -> str:
    """The list, one pin after the other."""
    lines = [_HEAD.format(without=", ".join(WITHOUT)).rstrip("\n")]
    for (name, version), marker in markers.items():
        digests = sorted(set(found[name, version]))
        if not digests:
            raise SystemExit(f"the index gives no hash of {name} {version}")
        lines.append(f"{name}=={version}" + (f" ; {marker}" if marker else "") + " \\")
        lines += [f"    --hash=sha256:{digest} \\" for digest in digests[:-1]]
        lines.append(f"    --hash=sha256:{digests[-1]}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Ask for the hashes of all pins, and write them."""
    markers = pins(PINS.read_text("utf-8"))
    old = [pin for pin, marker in markers.items() if _OLD in marker]
    new = [pin for pin, marker in markers.items() if _OLD not in marker]
    here = ".".join(map(str, sys.version_info[:3]))
    found = {**ask(arguments[0], new, here), **ask(arguments[0], old, "3.10")}
    HASHES.write_text(write(markers, found), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.version_info < (3, 11):
        sys.exit("usage, with Python 3.11 or newer: python tools/hashes.py UV")
    main(sys.argv[1:])
