"""Cases in a process of their own, which serves many of them and is killed at their limits."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from fuzz.judged import Finding, Verdict, judge
from fuzz.oracles import Case, Oracle

MEMORY = 4 << 30
"""Bytes of data that a case may allocate."""
_SERVED = 500
"""Cases, after which a process is replaced: its caches grow."""
_START = 120.0
"""Seconds that a new process has for its first case, beyond the oracle's: it imports."""


class Contained:
    """A server of cases, started when the first one comes and again after each that killed it.

    Processes are forked from a server in which the modules are imported already, before any
    library has started a thread.
    """

    def __init__(self, modules: Sequence[str] = ("fuzz.compared",)) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(modules))
        self._process: Any = None
        self._connection: Connection[Any, Any] | None = None
        self._served = 0
        self._folder = ""

    def judge(self, case: Case, oracle: Oracle) -> Verdict:
        """The verdict on a case."""
        start = time.perf_counter()
        limit = oracle.seconds
        if self._connection is None or self._served >= _SERVED:
            self.close()
            self._start()
            limit += _START
        self._served += 1
        assert self._connection is not None
        what = ""
        try:
            self._connection.send((case, oracle))
            if self._connection.poll(limit):
                found: Verdict = self._connection.recv()
                return found
            what = f"no end after {oracle.seconds:g} s"
        except (EOFError, OSError):
            self._process.join(10)
            code = self._process.exitcode
            what = f"the process died: signal {-code}" if code and code < 0 else f"exit {code}"
        self.close()
        seconds = time.perf_counter() - start
        return Verdict(oracle.name, finding=Finding(oracle.name, what, ""), seconds=seconds)

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="fuzz-")
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(other, self._folder))
        self._process.start()
        other.close()
        self._served = 0

    def close(self) -> None:
        """End the process and the tools that it started, and remove what they wrote."""
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join(10)
        shutil.rmtree(self._folder, ignore_errors=True)


def _serve(connection: Connection[Any, Any], folder: str) -> None:
    """Judge cases until there are no more."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with contextlib.suppress(EOFError):
        while True:
            case, oracle = connection.recv()
            tempfile.tempdir = tempfile.mkdtemp(dir=folder)
            connection.send(judge(case, oracle))
            shutil.rmtree(tempfile.tempdir, ignore_errors=True)
