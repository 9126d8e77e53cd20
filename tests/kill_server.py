"""A process that runs commands of `actc` in copies of itself, watched or killed at a chosen moment.

It has loaded the libraries and has no threads, so that it may fork: what it runs begins at once.
It reads a request and writes an answer per line, both JSON; see `killable.Server`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What changes files, of what Python tells audit hooks before it asks the system.
CHANGES = (
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "fcntl.flock",
    "ctypes.dlsym",
    "subprocess.Popen",
)
LIBRARIES = ("actc.cli", "actc.compiler", "actc.fitting", "actc.reducing", "scipy.optimize")
SECONDS = 900
"""After which a command that hangs is ended."""
Hashes = dict[str, str]


def changes_files(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a call that is about to happen may change files, or starts a program."""
    if event != "open":
        return event in CHANGES
    path, mode, flags = arguments
    writes = set(mode) & set("wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
    return bool(writes) and path != os.devnull


class Watch:
    """Calls `at` with the number and name of each change before it happens."""

    def __init__(self, at: Callable[[int, str], None]) -> None:
        self.count = 0
        self._at = at
        self._lock = threading.Lock()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if changes_files(event, arguments) and self._lock.acquire(blocking=False):
            try:
                self._at(self.count, event)
                self.count += 1
            finally:
                self._lock.release()


class States:
    """Which states of a file or directory were seen.

    Attributes:
        seen: of each, the number and name of the change before which it was there first; SHA-256
            by name, relative to the folder that the place is in; and the manifest's text.
    """

    def __init__(self, place: Path) -> None:
        self.seen: list[tuple[int, str, Hashes, str]] = []
        self._place = place
        self._hashes: dict[tuple[int, int, int], str] = {}

    def look(self, number: int, event: str) -> None:
        """Note the state, if it is another one than the last."""
        found = {}
        for path in (self._place, *sorted(self._place.rglob("*"))):
            if path.is_file():
                found[path.relative_to(self._place.parent).as_posix()] = self._hash(path)
        if not self.seen or self.seen[-1][2] != found:
            manifest = self._place / "manifest.json"
            text = manifest.read_text("utf-8") if manifest.is_file() else ""
            self.seen.append((number, event, found, text))

    def _hash(self, path: Path) -> str:
        status = path.stat()
        key = (status.st_ino, status.st_mtime_ns, status.st_size)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._hashes[key]


def kill_at(moment: int) -> Callable[[int, str], None]:
    """What ends this process, and nothing else, at one of the changes."""

    def at(number: int, event: str) -> None:
        if number == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def limit_tools(seconds: float) -> None:
    """Let tools end after some seconds, whatever time they would have."""
    toolchain = importlib.import_module("actc.toolchain")
    execute = toolchain._execute

    def limited(argv: object, timeout: float, *others: object) -> object:
        return execute(argv, min(timeout, seconds), *others)

    vars(toolchain)["_execute"] = limited


def run(request: dict[str, Any], answer: int) -> int:
    """Run the command of a request in this process; its exit status."""
    signal.alarm(SECONDS)
    os.chdir(request["directory"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, log, log)):
        os.dup2(descriptor, number)
    os.environ.update(request["environment"])
    if request["seconds"] is not None:
        limit_tools(request["seconds"])
    states = States(Path(request["place"]))
    moment = request["moment"]
    watch = Watch(states.look if moment is None else kill_at(moment))
    status = int(importlib.import_module("actc.cli").main(request["arguments"]))
    states.look(watch.count, "end")
    document = {"status": status, "changes": watch.count, "states": states.seen}
    os.write(answer, json.dumps(document).encode())
    return status


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a copy of this process.

    Returns:
        its exit status, -9 where it was killed; where it was not: changes, states.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            run(request, writing)
        finally:
            os._exit(70)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        content = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"status": -os.WTERMSIG(status)}
    found: dict[str, Any] = json.loads(content) if content else {"status": 70}
    return found


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    print(json.dumps({"threads": len([*Path("/proc/self/task").iterdir()])}), flush=True)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
