"""Putting one directory in the place of another, whenever a process may be killed.

Beside an output directory ``out`` lie, while it is written:

- ``.out.actc-stage-XXXXXXXX``: what is being written. Its writer holds a lock (flock) on it, which
  ends with the process, however that ends; a stage that nobody holds is removed by the next run.
- ``.out.actc-lock``: held for the moments in which stages are made, swept and put in place.
- ``.out.actc-old-XXXXXXXX``: the earlier result, for a moment, where the file system cannot
  exchange two directories at once. Where ``out`` is missing, the next run puts it back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_STAGE, _OLD, _LOCK = "actc-stage-", "actc-old-", "actc-lock"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL}
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_LONGEST_NAME = 64  # of an output, before what is put behind it
_WAIT_SECONDS = 60.0
_ASK_SECONDS = 1.0
_PAUSE_SECONDS = 0.01


class Busy(Exception):
    """Another process works in the directory, or on its place."""


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[bool]:
    """Hold the lock of an output's name; False where the file system has no locks.

    Args:
        directory: absolute; its parent exists.

    Raises:
        Busy: another process held the lock for a minute. OSError: no file can be made there.
    """
    path = _beside(directory, _LOCK)
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            locked = _lock(descriptor, fcntl.LOCK_EX, end)
            # whoever held it before has removed it: this is no lock of that name any more
            if locked and not _is(path, descriptor):
                continue
            try:
                yield locked
            finally:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def held(directory: Path, *, alone: bool) -> Iterator[None]:
    """Hold an existing directory, so that nobody replaces it.

    Args:
        directory: to hold.
        alone: nobody else may hold it at the time.

    Raises:
        Busy: somebody else holds it. OSError: it cannot be opened.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    end = time.monotonic() + _ASK_SECONDS
    while True:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, kind, end)
            if not _is(directory, descriptor):
                continue
            yield
            return
        finally:
            os.close(descriptor)


class Stage:
    """A directory that is being written, held by this process.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(Busy):  # nobody knows of it yet
            _lock(self._descriptor, fcntl.LOCK_EX, time.monotonic())

    def release(self) -> None:
        """Hold it no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def new_stage(directory: Path) -> Stage:
    """Make a directory that will take the place of `directory`; sweep what killed runs left.

    Raises:
        Busy, OSError: as :func:`exclusive`.
    """
    with exclusive(directory) as locked:
        if locked:
            _sweep(directory)
        prefix = _beside(directory, _STAGE).name
        stage = Stage(Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent)))
    stage.path.chmod(0o755)
    return stage


def restore(directory: Path) -> None:
    """Put an earlier result back whose replacement was killed between two renames."""
    with contextlib.suppress(OSError, Busy):
        directory = directory.absolute()
        prefix = _beside(directory, _OLD).name
        if not directory.exists() and _with_prefix(directory.parent, prefix):
            with exclusive(directory) as locked:
                if locked:
                    _sweep(directory)


def put_in_place(
    stage: Path, directory: Path, kept: Iterable[str], *, holding: bool = False
) -> None:
    """Make `stage` be `directory`; the caller holds the lock of its name.

    At every moment there is the old directory or the new one, whole, and each holds what is kept;
    where two directories cannot be exchanged at once, :func:`restore` makes that true.

    Args:
        stage: on the same file system.
        directory: absolute; it need not exist.
        kept: names in `directory` that shall be in the new one too.
        holding: the caller holds `directory`.

    Raises:
        Busy: somebody works in `directory`. OSError: `directory` is as it was.
    """
    if not directory.exists():
        stage.rename(directory)
        return
    kept = list(kept)
    with contextlib.nullcontext() if holding else held(directory, alone=False):
        for name in kept:
            _link(directory / name, stage / name)
        old = stage if _exchanged(stage, directory) else _replaced(stage, directory)
    for name in kept:  # what came beneath meanwhile
        if not (directory / name).exists() and not (directory / name).is_symlink():
            (old / name).rename(directory / name)
    shutil.rmtree(old, ignore_errors=True)


def _replaced(stage: Path, directory: Path) -> Path:
    """Two renames; where the old directory is then."""
    prefix = _beside(directory, _OLD).name
    old = Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent))
    try:
        directory.rename(old)  # over the empty one
        stage.rename(directory)
    except BaseException:
        if directory.exists():
            old.rmdir()
        else:
            old.rename(directory)
        raise
    return old


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two directories at once (Linux's renameat2); False where that is not possible."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(second))


def _sweep(directory: Path) -> None:
    """Remove what killed runs left beside `directory`; the caller holds the lock of its name."""
    for old in _with_prefix(directory.parent, _beside(directory, _OLD).name):
        if directory.exists() or not any(old.iterdir()):
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(directory)
    for stage in _with_prefix(directory.parent, _beside(directory, _STAGE).name):
        with contextlib.suppress(Busy, OSError), _abandoned(stage):
            shutil.rmtree(stage, ignore_errors=True)


@contextlib.contextmanager
def _abandoned(stage: Path) -> Iterator[None]:
    descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _lock(descriptor, fcntl.LOCK_EX, time.monotonic()):
            raise Busy
        yield
    finally:
        os.close(descriptor)


def _with_prefix(folder: Path, prefix: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith(prefix))


def _lock(descriptor: int, kind: int, end: float) -> bool:
    """Lock an open file; False where the file system has no locks.

    Raises:
        Busy: somebody else holds it until `end`, a time of `time.monotonic`.
    """
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Busy from None
            threading.Event().wait(_PAUSE_SECONDS)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return False
        else:
            return True


def _is(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _beside(directory: Path, kind: str) -> Path:
    name = directory.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return directory.parent / f".{name}.{kind}"


def _link(source: Path, place: Path) -> None:
    """The same files in another folder: hard links, or copies where there are none."""
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        if source.is_mount():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(source))
        place.mkdir()
        for inner in sorted(source.iterdir()):
            _link(inner, place / inner.name)
        shutil.copystat(source, place)
        return
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise
        shutil.copy2(source, place, follow_symlinks=False)
