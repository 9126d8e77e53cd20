"""Writes constraints-hashes.txt: the pins of constraints.txt with the SHA-256 of their files.

    python tools/hashes.py UV

UV is the program uv, which asks the package index; nothing is downloaded but lists of files and
metadata. All files of a release are there: for every platform, and for the Pythons that a pin is
for. With each pin stands what brings it: extras of pyproject.toml, "always" for those of actc
itself, and groups that only the Makefile installs. `tools/locked.py` takes a part by them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from locked import FOR, HASHES, PIN, canonical
from packaging.markers import Marker
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints.txt"
WITHOUT = ("torch",)
"""Built apart for each kind of GPU, in indexes of its own: no list of hashes fits all."""
NOT_PINNED = ("gpu",)
"""The extra that cannot share an environment with `cpu`."""
GROUPS = {
    "build": ["editables", "hatchling"],
    "fuzz-guided": ["atheris"],
    "supply": ["cyclonedx-bom", "pip-audit", "uv"],
}
"""What the Makefile installs beside the extras."""
PYTHONS = ("3.10.12", "3.11.9", "3.12.3", "3.13.0")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PLATFORM = "x86_64-manylinux_2_28"
_HEAD = """\
# constraints.txt with the SHA-256 of every file, written by `make hashes`. With each pin stands
# what brings it; the part of some extras, verified:
#   python tools/locked.py always cpu tvm > locked.txt
#   pip install --require-hashes --no-deps -r locked.txt
# Without {without}: it comes from indexes of its own, one for each kind of GPU.
"""

Pin = tuple[str, str]
"""A distribution's canonical name and a version."""


def pins(text: str) -> dict[Pin, str]:
    """Name and version -> marker, "" for none, of what a list of requirements pins."""
    found = {}
    for line in text.splitlines():
        match = PIN.match(line)
        if match and canonical(match["name"]) not in WITHOUT:
            found[canonical(match["name"]), match["version"]] = match["marker"] or ""
    return found


def hashes(text: str) -> dict[Pin, list[str]]:
    """Name and version -> SHA-256 of its files, of a list of requirements with them."""
    found: dict[Pin, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        match = PIN.match(line)
        if match:
            current = found.setdefault((canonical(match["name"]), match["version"]), [])
        current += _HASH.findall(line)
    return found


def groups(text: str) -> dict[Pin, list[str]]:
    """Name and version -> what brings it, of constraints-hashes.txt."""
    found: dict[Pin, list[str]] = {}
    pin: Pin = ("", "")
    for line in text.splitlines():
        match = PIN.match(line)
        if match:
            pin = canonical(match["name"]), match["version"]
        elif line.startswith(FOR):
            found[pin] = line[len(FOR) :].split(", ")
    return found


def _environment(python: str) -> dict[str, str]:
    """What markers are evaluated with."""
    return {"python_version": python.rpartition(".")[0], "python_full_version": python}


def wanted(python: str) -> dict[str, list[Requirement]]:
    """The direct requirements of each group, for a version of Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = {"always": project["dependencies"], **project["optional-dependencies"], **GROUPS}
    environment = _environment(python)
    found = {}
    for name in texts.keys() - NOT_PINNED:
        every = [Requirement(text) for text in texts[name]]
        found[name] = [r for r in every if r.marker is None or r.marker.evaluate(environment)]
    return found


def brought(text: str) -> dict[str, set[str]]:
    """Canonical name -> names of what needs it, of a list that uv wrote with annotations."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in text.splitlines():
        match = PIN.match(line)
        if match:
            current = found.setdefault(canonical(match["name"]), set())
        elif line.startswith("    #"):
            name = line.lstrip(" #").removeprefix("via ").split(" ")[0]
            current.add(canonical(name))
    return found


def members(needed_by: Mapping[str, set[str]], direct: Iterable[str], pinned: Set[str]) -> set[str]:
    """What direct requirements bring, with all that those need in turn.

    What is not pinned is there, but not what it needs: torch brings CUDA, which is apart with it.
    """
    found: set[str] = set()
    waiting = set(direct)
    while waiting:
        found |= waiting
        through = waiting & {*pinned, *WITHOUT}
        waiting = {name for name, users in needed_by.items() if users & through} - found
    return found - {*WITHOUT}


def ask(uv: str, requirements: Iterable[str], python: str, *options: str) -> str:
    """The list that uv resolves requirements to, for one version of Python."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.txt"
        source.write_text("".join(f"{text}\n" for text in requirements), "utf-8")
        command = [uv, "pip", "compile", "--quiet", "--no-header", "--annotation-style", "split"]
        done = subprocess.run(
            [*command, "--python-version", python, *options, str(source)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return done.stdout


def bringing(uv: str, pinned: Set[str]) -> dict[str, dict[str, set[str]]]:
    """Python version -> canonical name -> the groups that bring it."""
    found: dict[str, dict[str, set[str]]] = {}
    for python in PYTHONS:
        direct = wanted(python)
        every = sorted({str(r).split(";")[0] for each in direct.values() for r in each})
        text = ask(uv, every, python, "--python-platform", _PLATFORM, "--constraints", str(PINS))
        graph = brought(text)
        found[python] = {name: set() for name in graph}
        for group, requirements in direct.items():
            names = {canonical(requirement.name) for requirement in requirements}
            for name in members(graph, names, pinned):
                found[python][name].add(group)
    return found


def _here(markers: Mapping[Pin, str], python: str) -> list[Pin]:
    """The pins for a version of Python."""
    environment = _environment(python)
    return [
        p for p, marker in markers.items() if not marker or Marker(marker).evaluate(environment)
    ]


def problems(markers: Mapping[Pin, str], found: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """Where the pins are not what extras bring, for each version of Python.

    torch alone may bring what is not pinned: parts of CUDA, with it apart.
    """
    said = []
    brought_by = {name for each in found.values() for name in each if each[name]}
    for python, names in found.items():
        here = {name for name, _ in _here(markers, python)}
        needed = {name for name, by in names.items() if by - {"torch"}}
        said += [f"{name} is not pinned for Python {python}" for name in sorted(needed - here)]
        unused = (here & brought_by) - names.keys()
        said += [f"{name} is pinned for Python {python} for nothing" for name in sorted(unused)]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    idle = sorted({n for n, _ in markers if n not in brought_by and f" {n}==" not in makefile})
    return said + [f"{name} is pinned for nothing" for name in idle]


def write(
    markers: Mapping[Pin, str],
    found: Mapping[Pin, Sequence[str]],
    brings: Mapping[Pin, Sequence[str]],
) -> str:
    """The list, one pin after the other."""
    lines = [_HEAD.format(without=", ".join(WITHOUT)).rstrip("\n")]
    for (name, version), marker in markers.items():
        digests = sorted(set(found[name, version]))
        if not digests:
            raise SystemExit(f"the index gives no hash of {name} {version}")
        lines.append(f"{name}=={version}" + (f" ; {marker}" if marker else "") + " \\")
        lines += [f"    --hash=sha256:{digest} \\" for digest in digests[:-1]]
        lines.append(f"    --hash=sha256:{digests[-1]}")
        if brings.get((name, version)):
            lines.append(FOR + ", ".join(sorted(brings[name, version])))
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Ask for the hashes of all pins and for what brings them, and write them."""
    uv = arguments[0]
    markers = pins(PINS.read_text("utf-8"))
    found = bringing(uv, {name for name, _ in markers})
    said = problems(markers, found)
    if said:
        raise SystemExit("constraints.txt is not what is needed:\n  " + "\n  ".join(said))
    digests: dict[Pin, list[str]] = {}
    brings: dict[Pin, set[str]] = {}
    for python in PYTHONS:
        here = _here(markers, python)
        exact = [f"{name}=={version}" for name, version in here if (name, version) not in digests]
        digests |= hashes(ask(uv, exact, python, "--no-deps", "--generate-hashes"))
        for name, version in here:
            brings.setdefault((name, version), set()).update(found[python].get(name, ()))
    HASHES.write_text(write(markers, digests, {p: sorted(by) for p, by in brings.items()}), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/hashes.py UV")
    main(sys.argv[1:])
