"""Runs programs of the flow in a folder of their own, under limits, with their logs kept."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from actc import toolchain
from actc.diagnostics import Diagnostic, Place
from actc.errors import ToolFailed
from actc.targets.fpga.flow.failures import explain
from actc.targets.fpga.flow.programs import Program

Progress = Callable[[str], None]
LOGS = "logs"
"""Folder of the output folder that keeps the logs."""
_LOCK = "actc.lock"
_LEAST_FREE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run of a program may take.

    Attributes:
        seconds: wall time.
        memory: bytes of address space. WebAssembly reserves 8 GiB of it and can use 4.
    """

    seconds: float
    memory: int


def execute(
    program: Program, arguments: Sequence[str], folder: Path, *, limits: Limits, log: Path
) -> float:
    """Run a program in a folder; it sees no other files if it is WebAssembly.

    Args:
        program: what runs.
        arguments: paths among them are relative to `folder`.
        folder: working directory.
        limits: of time and memory.
        log: file that receives its output.

    Returns:
        wall time, seconds.

    Raises:
        ToolFailed: ACT0510..0513, ACT0584, ACT0585.
    """
    # one order of sets in programs that are Python; yosys splits the name of a temporary folder
    # at its spaces
    environment = {"PYTHONHASHSEED": "0", "TMPDIR": "."}
    if program.wasm and ":" not in str(folder):  # which separates mounts
        environment["YOWASP_MOUNT"] = f"/={folder}"
    try:
        done = toolchain.run(
            [*program.argv, *arguments],
            timeout=limits.seconds,
            cwd=folder,
            memory=limits.memory,
            environment=environment,
            log=log,
        )
    except ToolFailed as problem:
        raise explain(problem, program.name, log) from problem
    return done.seconds


@contextlib.contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A fresh folder on the disk of `work`, removed at the end.

    Raises:
        ToolFailed: ACT0585, the disk is full; an OSError of the body too.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".actc-", dir=work) as folder:
            yield Path(folder).resolve()
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ToolFailed(
            Diagnostic(
                "ACT0585",
                "no space is left on the disk",
                place=Place(str(work)),
                help="free some space, or write to another disk with -o DIR",
            )
        ) from problem


def end_all(folder: Path) -> None:
    """End the programs that run in a folder or below it, at once."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = (process / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue  # it has ended, or is another user's
        if inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)


def log_file(work: Path, name: str) -> Path:
    """Path of a log in `work`, whose folder exists then."""
    folder = work / LOGS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def require(folder: Path, names: Sequence[str], program: Program, log: Path) -> None:
    """Refuse outputs that are missing or empty though the program says it succeeded.

    Programs do not always notice that the disk is full, and leave files that are cut short.

    Raises:
        ToolFailed: ACT0510; ACT0585, less than 1 MiB is left on the disk.
    """
    if shutil.disk_usage(folder).free < _LEAST_FREE:
        raise ToolFailed(
            Diagnostic(
                "ACT0585",
                f"the disk is full: what {program.name} wrote may be cut short",
                notes=(f"its log is {log}",),
                help="free some space, or write to another disk with -o DIR",
            )
        )
    for name in names:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            raise _bad_output(f"{program.name} wrote no {name}", log)


def damaged(name: str, program: Program, log: Path) -> ToolFailed:
    """The error for an output that is there, but not as it should be."""
    return _bad_output(f"{program.name} wrote a {name} that cannot be read", log)


def _bad_output(message: str, log: Path) -> ToolFailed:
    return ToolFailed(
        Diagnostic(
            "ACT0510",
            message,
            notes=(f"its log is {log}",),
            help="read the log; this is an error of the tool or of actc",
        )
    )


def prepare(programs: Sequence[Program], progress: Progress | None = None) -> None:
    """Compile the WebAssembly of programs that have not run on this machine yet.

    Each takes 2 to 20 seconds once. Two processes that compiled the same program at a time
    would write the same file of the cache, so the first one locks the cache.

    Args:
        programs: what will run.
        progress: called with a line for each program that is not ready.

    Raises:
        ToolFailed: ACT0565, the cache cannot be written.
    """
    for program in programs:
        if is_prepared(program):
            continue
        with _locked_cache():
            if not is_prepared(program):  # another process may have done it meanwhile
                if progress is not None:
                    progress(f"preparing {program.name} for its first run: up to 20 seconds")
                _compile(program)


@contextlib.contextmanager
def _locked_cache() -> Iterator[None]:
    cache = _cache()
    with contextlib.ExitStack() as stack:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((cache / _LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as problem:
            reason = (problem.strerror or type(problem).__name__).lower()
            raise ToolFailed(
                Diagnostic(
                    "ACT0565",
                    f"the cache of compiled programs cannot be written: {reason}",
                    place=Place(str(cache)),
                    help="set YOWASP_CACHE_DIR to a folder that you may write, on a disk with "
                    "100 MB of space",
                )
            ) from problem
        yield


def _compile(program: Program) -> None:
    # packers know no --version and fail: what counts is that the program was compiled
    with tempfile.TemporaryDirectory(prefix="actc-") as folder, contextlib.suppress(ToolFailed):
        toolchain.run([*program.argv, "--version"], timeout=300, cwd=Path(folder))


def _cache() -> Path:
    """The folder that yowasp-runtime keeps compiled programs in."""
    chosen = os.environ.get("YOWASP_CACHE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs  # comes with yowasp-runtime

    return Path(platformdirs.user_cache_dir("YoWASP", appauthor=False))


def is_prepared(program: Program) -> bool:
    """Whether nothing has to be compiled before a program runs."""
    if not program.wasm:
        return True
    found = importlib.util.find_spec(program.package)
    if found is None or found.origin is None:
        return False
    name = f"{program.binary or program.name}.wasm"
    source = Path(found.origin).parent / name
    if not source.is_file():
        return False
    digest = hashlib.sha1(source.read_bytes(), usedforsecurity=False).hexdigest()
    return (_cache() / program.package / name / digest).is_file()
