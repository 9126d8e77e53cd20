"""External tools and packages: find them, run them under limits, keep their log.

A command is looked for in the environment variable ACTC_<TOOL> first (``g++`` is
ACTC_GXX, ``nextpnr-ecp5`` is ACTC_NEXTPNR_ECP5), then on PATH. It runs as an argument
vector, never through a shell, in its own process group, so that a time limit
ends its children too. When this process is killed, a small guard that outlives it
ends those groups.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO

from actc import guarding
from actc.awaiting import MOST_PRINTED, TooMuchPrinted, wait
from actc.diagnostics import Diagnostic
from actc.errors import MissingTool, ToolFailed

ONNXRUNTIME_HELP = (
    "install one of the two: pip install 'actc[cpu]' for any machine, "
    "pip install 'actc[gpu]' for CUDA"
)
_OUTPUT_LIMIT = 1 << 20  # bytes of a log kept in memory; the end matters most
_TAIL_LINES = 20
_LEAST_FREE = 16 << 20  # bytes that compilers take for temporary files without a thought


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended with status 0.

    Attributes:
        argv: what ran.
        output: its stdout and stderr together, the last MiB.
        seconds: wall time.
    """

    argv: tuple[str, ...]
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status, -N if signal N killed it, None if it took too long.
        output: its stdout and stderr together, the last MiB.
    """

    status: int | None
    output: str


def variable(tool: str) -> str:
    """The environment variable that overrides where `tool` is: "g++" -> "ACTC_GXX"."""
    return "ACTC_" + re.sub(r"[^A-Z0-9]", "_", tool.upper().replace("+", "X"))


def locate(tool: str) -> Path | None:
    """Where `tool` is, None when it is not installed.

    Raises:
        MissingTool: ACTC_<TOOL> is set but names no executable file.
    """
    override = os.environ.get(variable(tool))
    if override is None:
        found = shutil.which(tool)
        return Path(found) if found else None
    found = shutil.which(override)
    if found is None:
        raise MissingTool(
            Diagnostic(
                "ACT0502",
                f"{variable(tool)} is set to '{override}', which is no executable file",
                help=f"correct {variable(tool)} or unset it to search PATH for {tool}",
            )
        )
    return Path(found)


def find(tool: str, how: str) -> Path:
    """Where `tool` is.

    Args:
        tool: command name.
        how: the command that installs it, for the message.

    Raises:
        MissingTool: not installed, or the override is wrong.
    """
    found = locate(tool)
    if found is None:
        raise MissingTool(
            Diagnostic(
                "ACT0501",
                f"the tool {tool} is not on PATH",
                help=f"install it ({how}), or set {variable(tool)} to its path",
            )
        )
    return found


def require_package(module: str, how: str) -> ModuleType:
    """Import `module`.

    Args:
        module: import name.
        how: the command that installs it, for the message.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        if problem.name is None or module.split(".")[0] != problem.name.split(".")[0]:
            raise  # something inside it is missing: not ours to explain
        raise missing_package(module, how) from problem


def missing_package(module: str, how: str) -> MissingTool:
    """The error for a Python package that is not installed."""
    if module.split(".")[0] == "onnxruntime":
        return MissingTool(
            Diagnostic(
                "ACT0504",
                "neither onnxruntime nor onnxruntime-gpu is installed",
                help=ONNXRUNTIME_HELP,
            )
        )
    return MissingTool(
        Diagnostic("ACT0503", f"the Python package {module} is not installed", help=how)
    )


def version(tool: Path, arguments: Sequence[str] = ("--version",)) -> str:
    """First line that the tool prints about itself.

    Raises:
        ToolFailed: it does not answer within 30 seconds, or fails.
    """
    lines = run([str(tool), *arguments], timeout=30).output.splitlines()
    return lines[0].strip() if lines else ""


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    memory: int | None = None,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Completed:
    """Run a command to its end.

    Args:
        argv: program and arguments.
        timeout: seconds after which the whole process group is killed.
        cwd: working directory.
        memory: limit on the address space of each of its processes, bytes.
        environment: variables added to this process's own.
        log: file that receives stdout and stderr; kept also on failure.

    Raises:
        ToolFailed: it cannot be started, ends with another status than 0, is
            killed by a signal, exceeds `timeout`, or prints without end; the end
            of the log is in the notes.
    """
    start = time.monotonic()
    with _log_file(log) as stream:
        code = _execute(argv, timeout, cwd, memory, environment, stream)
        output = _read_end(stream)
    if code is None:
        raise _failed("ACT0511", f"{argv[0]} was ended after {timeout:g} seconds", output)
    if code < 0:
        name = signal.Signals(-code).name
        raise _failed("ACT0512", f"{argv[0]} was killed by {name}", output)
    if code > 0:
        raise _failed("ACT0510", f"{argv[0]} failed with status {code}", output)
    return Completed(tuple(argv), output, time.monotonic() - start)


def attempt(argv: Sequence[str], *, timeout: float, memory: int | None = None) -> Ended:
    """Run a command to its end, whatever that is; see `run`.

    Raises:
        ToolFailed: it cannot be started, or prints without end.
    """
    with _log_file(None) as stream:
        status = _execute(argv, timeout, None, memory, None, stream)
        return Ended(status, _read_end(stream))


@contextlib.contextmanager
def _log_file(log: Path | None) -> Iterator[IO[bytes]]:
    if log is None:
        with tempfile.TemporaryFile() as stream:
            yield stream
    else:
        with log.open("w+b") as stream:
            yield stream


def _execute(
    argv: Sequence[str],
    timeout: float,
    cwd: Path | None,
    memory: int | None,
    environment: Mapping[str, str] | None,
    stream: IO[bytes],
) -> int | None:
    """Exit status, negative for a signal, None for a time-out.

    Raises:
        ToolFailed: ACT0513, ACT0514.
    """
    guarding.start_guard()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise _failed("ACT0513", f"{argv[0]} could not be started: {reason}", "") from problem
    try:
        guarding.guard(process.pid)
        if memory is not None:
            _limit_memory(process.pid, memory)
        return wait(process, timeout, stream)
    except TooMuchPrinted:
        _end(process)
        output = _read_end(stream)
        stream.truncate(_OUTPUT_LIMIT)
        message = f"{argv[0]} printed more than {MOST_PRINTED >> 20} MiB, and was ended"
        raise _failed("ACT0514", message, output) from None
    finally:
        _end(process)
        guarding.release(process.pid)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children, those too that outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _limit_memory(process: int, most: int) -> None:
    """Limit the address space of a process that runs, bytes.

    From outside, as code run between fork and exec can deadlock in a program with threads. The
    process may have ended already; it may have set a limit of its own, or have one from whoever
    started this one, which only administrators may raise.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        _, hard = resource.prlimit(process, resource.RLIMIT_AS)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(process, resource.RLIMIT_AS, (most, most))


def _read_end(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _OUTPUT_LIMIT))
    return stream.read().decode("utf-8", errors="replace")


def _little_room() -> tuple[str, ...]:
    """What to say where tools, whose logs may lie there too, have no room for temporary files."""
    with contextlib.suppress(OSError):
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if free < _LEAST_FREE:
            return (f"{free >> 10} KiB are free in {folder}: TMPDIR gives another place",)
    return ()


def _failed(code: str, message: str, output: str) -> ToolFailed:
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return ToolFailed(
        Diagnostic(
            code,
            message,
            notes=(*lines[-_TAIL_LINES:], *_little_room()),
            help="the notes are the end of its log; `actc doctor` shows what is installed",
        )
    )
