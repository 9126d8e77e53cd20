"""What went wrong with the cache: never a reason to fail, but to be told, once."""

from __future__ import annotations

import threading

from actc.diagnostics import Diagnostic

_LOCK = threading.Lock()
_WAITING: list[Diagnostic] = []
_SAID: set[Diagnostic] = set()


def notice(diagnostic: Diagnostic) -> None:
    """Note something for the user, if this process has not done so before."""
    with _LOCK:
        if diagnostic not in _SAID:
            _SAID.add(diagnostic)
            _WAITING.append(diagnostic)


def take_notices() -> list[Diagnostic]:
    """What was noted since the last call. The command line shows it on stderr."""
    with _LOCK:
        found = list(_WAITING)
        _WAITING.clear()
    return found
