"""Runs `actc` again and again, each time in a fork with hard limits.

A parent of its own imports actc and its libraries once, as far as a good compilation does, and
forks for each command: what runs is the real command line in a process of its own, without two
seconds of imports each time. The limits are the kernel's.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_FILE = 256 << 20  # bytes that a command may write into one file
_IMPORTED = (
    "onnxruntime",
    "actc.cli.application",
    "actc.compiler",
    "actc.recheck",
    "actc.report.plot",
    "actc.exploring",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status, negative for a signal.
        stdout, stderr: what it printed.
        peak: MiB of memory at most, with the program itself.
        seconds: of processor time.
    """

    status: int
    stdout: str
    stderr: str
    peak: float
    seconds: float


class Runner:
    """The parent of the forks; a context.

    Args:
        folder: for what commands print.
    """

    def __init__(self, folder: Path) -> None:
        self._printed = folder / "stdout", folder / "stderr"
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=20)

    def run(
        self,
        folder: Path,
        *arguments: str,
        seconds: int,
        mebibytes: int,
        environment: tuple[tuple[str, str], ...] = (),
    ) -> Ended:
        """Run a command in `folder`, with so much processor time and memory at most."""
        wish = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": dict(environment),
            "printed": [str(path) for path in self._printed],
            "seconds": seconds,
            "mebibytes": mebibytes,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = (path.read_text("utf-8", errors="replace") for path in self._printed)
        return Ended(answer["status"], out, err, answer["peak"], answer["seconds"])


def _address_space() -> int:
    """Bytes of this process's address space."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    return pages * resource.getpagesize()


def _limited(wish: dict[str, Any]) -> None:
    seconds, room = wish["seconds"], _address_space() + (wish["mebibytes"] << 20)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, _FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(10 * seconds + 20)  # of a command that waits and takes no processor time


def _run(wish: dict[str, Any]) -> int:
    """The command, in the fork."""
    from actc import cli

    os.chdir(wish["folder"])
    os.environ.update(wish["environment"])
    none = os.open(os.devnull, os.O_RDONLY)
    os.dup2(none, 0)
    for number, path in enumerate(wish["printed"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    _limited(wish)
    status = cli.main(wish["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _warm_up() -> None:
    """Import what commands import."""
    for module in _IMPORTED:
        __import__(module)
    from actc import cli

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        shown = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        cli.main(["compile", "nowhere.onnx"])
        os.dup2(shown, 2)
        os.close(shown)


def _serve() -> None:
    _warm_up()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 99
            try:
                status = _run(json.loads(line))
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        _, ended, used = os.wait4(child, 0)
        answer = {
            "status": os.waitstatus_to_exitcode(ended),
            "peak": used.ru_maxrss / 1024,
            "seconds": used.ru_utime + used.ru_stime,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
