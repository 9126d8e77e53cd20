"""Choices that were timed before, by what they depend on. Pure Python.

A choice is a file of its own, named by a hash of the kernel, the CPU, the versions of the
code generators and the number of candidates: equal work is never timed twice, and what
changes any of these finds nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from actc.targets.tvm.host import Cpu
from actc.targets.tvm.plan import Kernel
from actc.targets.tvm.tuning.choice import Choice, from_json

VARIABLE = "ACTC_CACHE"
_FORMAT = 1
_LARGEST = 1 << 14
"""Bytes that an entry takes at most."""


def folder() -> Path:
    """Where choices are kept: ``$ACTC_CACHE/tuning``, or ``actc/tuning`` in XDG's cache folder."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given) / "tuning"
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "actc" / "tuning"


def key(kernel: Kernel, cpu: Cpu, candidates: int, threads: int) -> str:
    """What a choice depends on, as a name."""
    parts = [
        str(_FORMAT),
        repr(kernel),
        cpu.mcpu,
        cpu.triple,
        ",".join(sorted(cpu.features)),
        ",".join(cpu.exact),
        *_versions(),
        str(candidates),
        str(threads),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _versions() -> tuple[str, ...]:
    """Versions of TVM, and a hash of the source files that kernels are written by."""
    base = Path(__file__).parents[1]
    names = ["codegen.py", "entry.py"]
    names += sorted(p.relative_to(base).as_posix() for p in base.glob("kernels/*.py"))
    names += sorted(p.relative_to(base).as_posix() for p in base.glob("tuning/*.py"))
    state = hashlib.sha256()
    for name in names:
        content = (base / name).read_bytes()
        state.update(f"{name}\0{len(content)}\0".encode() + content)
    return (*map(metadata.version, ("apache-tvm", "apache-tvm-ffi")), state.hexdigest())


class Cache:
    """The files of a folder.

    Args:
        place: the folder; it is made when the first choice is written.

    Attributes:
        problems: what could not be read or written, in words.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.problems: list[str] = []

    def read(self, name: str) -> Choice | None:
        """The choice of that name, None where there is none that can be read."""
        path = self._path(name)
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise ValueError("too large")
            found = json.loads(content.decode())
            if not isinstance(found, dict):
                raise ValueError("no object")
            if (found.get("format"), found.get("key")) != (_FORMAT, name):
                raise ValueError("of another kernel or format")
            return from_json(found.get("choice"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.refuse(name, _reason(error))
            return None

    def refuse(self, name: str, reason: str) -> None:
        """Note that a file is not used."""
        self.problems.append(f"the cache's {name[:12]}....json is not used: {reason}")

    def write(self, name: str, choice: Choice) -> None:
        """Keep a choice; another process sees all of its file or nothing."""
        content = {"format": _FORMAT, "key": name, "choice": choice.to_json()}
        text = json.dumps(content, indent=1) + "\n"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix=f".{name[:12]}.", dir=self.place)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                Path(path).replace(self._path(name))
            except BaseException:
                Path(path).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.problems.append(f"a choice cannot be kept in the cache: {_reason(error)}")

    def _path(self, name: str) -> Path:
        return self.place / f"{name}.json"


def _reason(error: Exception) -> str:
    """Why, without places of this machine."""
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    unreadable = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
    return "it is not JSON" if isinstance(error, unreadable) else str(error)
