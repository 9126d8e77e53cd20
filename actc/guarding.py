"""A small shell that outlives this process, and ends the groups of processes that it left."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import subprocess
import threading

# Reads "+ GROUP" and "- GROUP"; at the end of its input, which comes when whoever writes it has
# ended in whatever way, it kills the groups that are left. The texts are numbers of ours alone.
_GUARD = """
while read -r sign group; do
    rest=
    for other in $groups; do [ "$other" = "$group" ] || rest="$rest $other"; done
    groups=$rest
    [ "$sign" = + ] && groups="$groups $group"
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""


def start_guard() -> None:
    """Start the guard before a program, so that it learns of that at once."""
    with contextlib.suppress(OSError):
        _guard_of(os.getpid())


def guard(group: int) -> None:
    """See that a process group ends when this process is killed, until it is released."""
    _tell_guard(f"+ {group}\n")


def release(group: int) -> None:
    """The process group has ended."""
    _tell_guard(f"- {group}\n")


def _tell_guard(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # somebody ended it: nothing is guarded
        stream = _guard_of(os.getpid()).stdin
        assert stream is not None
        with _telling:
            stream.write(line.encode("ascii"))
            stream.flush()


_telling = threading.Lock()


@functools.cache
def _guard_of(pid: int) -> subprocess.Popen[bytes]:
    """The guard of the process with this number, which is the running one: a fork has its own."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_dismiss, process)
    return process


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.wait()
