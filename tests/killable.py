"""Commands of `actc` that are watched, or killed (SIGKILL), at changes of the file system."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from actc.output import MANIFEST

SERVER = Path(__file__).with_name("kill_server.py")
KILLED = -9
KILLS = os.environ.get("ACTC_TEST_KILLS") == "all"
"""Whether commands are killed at every change."""


@dataclass(frozen=True, slots=True)
class State:
    """What an output was at a moment.

    Attributes:
        change: number of the change before which it was seen first.
        event: name of that change.
        hashes: SHA-256 of its files, by names relative to the folder that it is in.
        manifest: text of its manifest; "" where there is none.
    """

    change: int
    event: str
    hashes: Mapping[str, str]
    manifest: str

    def require_whole(self, output: str) -> None:
        """All files are those that the manifest names, with its hashes."""
        manifest = json.loads(self.manifest)
        named = {f"{output}/{name}": digest for name, digest in manifest["files"].items()}
        assert {name: self.hashes.get(name) for name in named} == named, self.change
        found = {part for name in self.hashes for part in name.split("/")}
        assert {MANIFEST, *manifest["not_reproducible"]} <= found, self.change


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended.

    Attributes:
        status: exit status; `KILLED` where it was killed.
        changes: of the file system; 0 where it was killed.
        states: of its output, in the order in which they were seen; none where it was killed.
        said: stdout and stderr.
    """

    status: int
    changes: int
    states: tuple[State, ...]
    said: str


class Server:
    """Runs commands in copies of a process that has loaded the libraries.

    Args:
        process: `kill_server.py`, ready.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        directory: Path,
        output: str,
        *arguments: str | Path,
        moment: int | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Run:
        """Run a command.

        Args:
            directory: where it runs.
            output: its output, a name there.
            moment: number of the change before which it is killed; None: it is watched.
            environment: variables beside this process's.
            seconds: that each tool has at most.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        log = directory.parent / f"{directory.name}.log"
        request = {
            "arguments": list(map(str, arguments)),
            "directory": str(directory),
            "place": str(directory / output),
            "log": str(log),
            "environment": dict(environment or {}),
            "moment": moment,
            "seconds": seconds,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        states = tuple(State(*state) for state in found.get("states", ()))
        said = log.read_text("utf-8", errors="replace")
        return Run(found["status"], found.get("changes", 0), states, said)


@contextmanager
def serving() -> Iterator[Server]:
    """A server; one thread for each library, so that it may be copied."""
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with subprocess.Popen(
        [sys.executable, str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **single, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"threads": 1}
        try:
            yield Server(process)
        finally:
            process.kill()


def state_of(place: Path) -> State:
    """What an output is now."""
    hashes = {
        path.relative_to(place.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (place, *sorted(place.rglob("*")))
        if path.is_file()
    }
    manifest = place / MANIFEST
    return State(0, "now", hashes, manifest.read_text("utf-8") if manifest.is_file() else "")


def moments(run: Run, count: int | None) -> list[int]:
    """Numbers of changes at which to kill a command.

    They are the last one before its new result was there, the next one, and others: one at random
    of each equal part of the rest; all changes where `KILLS` is set.

    Args:
        run: of the command, watched.
        count: how many others; None: it is not killed at all.
    """
    if KILLS:
        return list(range(run.changes))
    if count is None:
        return []
    generator = random.Random(run.changes)
    ends = [round(part * run.changes / max(count, 1)) for part in range(count + 1)]
    others = {generator.randrange(low, high) for low, high in pairwise(ends)}
    first = run.states[-1].change
    return sorted({first - 1, first, *others})
