"""Runs code in a copy of this process that is killed at a chosen access to the file system."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

# What Python tells audit hooks before it asks the system: opened, made, renamed, removed, listed,
# locked, linked, and programs that are started.
WATCHED = ("open", "os.", "shutil.", "fcntl.", "tempfile.", "subprocess.", "ctypes.dlsym")


def run_killed(body: Callable[[], object], moment: int) -> bool:
    """Run `body` in a forked process that is killed (SIGKILL) before its `moment`-th access.

    Args:
        moment: counted from 0.

    Returns:
        whether it was killed; else it came to its end.

    Raises:
        AssertionError: it failed instead.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _kill_at(moment)
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _kill_at(moment: int) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event.startswith(WATCHED):
            seen += 1
            if seen == moment + 1:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
