"""Writing an output directory: all of it or nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from actc.diagnostics import Diagnostic, Place
from actc.errors import DISK_ERRORS, UsageError
from actc.ir.files import NotRegular, read_regular
from actc.replacing import Busy, Stage, exclusive, held, new_stage, put_in_place, restore
from actc.report.document import strict

MANIFEST = "manifest.json"


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A fresh directory beside `directory` that takes its place on success.

    On an exception it is removed and `directory` is as it was before; when the process is killed,
    the next run removes it (see `actc.replacing`). What the user put beside the files of an
    earlier result stays. Of several processes at a time, the last one's result stays, whole.

    Raises:
        UsageError: the place is not writable, holds no result of actc's but something else, or
            a file that is not actc's where one would be written; its disk became full; another
            process works there.
    """
    try:
        directory = directory.absolute()
        _check_place(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        stage = new_stage(directory)
    except Busy as problem:
        raise _busy(directory) from problem
    except OSError as error:
        raise _not_writable(directory, error) from error
    try:
        yield stage.path
        try:
            _swap(stage, directory)
        except Busy as problem:
            raise _busy(directory) from problem
        except OSError as error:
            raise _not_writable(directory, error) from error
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise _not_writable(directory, error) from error
    finally:
        stage.release()
        shutil.rmtree(stage.path, ignore_errors=True)


def require_place(directory: Path) -> None:
    """See that `staged` may write there, before time is spent on what will be written.

    Raises:
        UsageError: something else is there, the place cannot be read or written, or another
            process works there.
    """
    try:
        directory = directory.absolute()
        restore(directory)
        _check_place(directory)
        above = next(path for path in directory.parents if path.exists())
        if above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write in {above}")
        if directory.is_mount():
            raise OSError(errno.EBUSY, "a disk is mounted there: name a directory in it")
        if directory.is_dir():
            with held(directory, alone=False):
                pass
    except Busy as problem:
        raise _busy(directory) from problem
    except OSError as error:
        raise _not_writable(directory, error) from error


@contextmanager
def working_in(directory: Path) -> Iterator[None]:
    """Keep others from replacing a result, or from working in it, for a while.

    Raises:
        UsageError: another process does so already.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(directory, alone=True))
        except Busy as problem:
            raise _busy(directory) from problem
        yield


@contextmanager
def amended(directory: Path) -> Iterator[Path]:
    """A fresh directory whose files take the place of those of the same names, all at once.

    The others stay. The caller works in the directory: :func:`working_in`.

    Raises:
        UsageError: the directory or what is beside it cannot be written.
    """
    directory = directory.resolve()
    try:
        stage = new_stage(directory)
        try:
            yield stage.path
            with exclusive(directory):
                stage.release()
                fresh = {path.name for path in stage.path.iterdir()}
                names = sorted(path.name for path in directory.iterdir())
                kept = [name for name in names if name not in fresh]
                put_in_place(stage.path, directory, kept, holding=True)
        finally:
            stage.release()
            shutil.rmtree(stage.path, ignore_errors=True)
    except Busy as problem:
        raise _busy(directory) from problem
    except OSError as error:
        raise _not_writable(directory, error) from error


@contextmanager
def unchanged(directory: Path) -> Iterator[None]:
    """Read several files of a directory as those of one result.

    Raises:
        UsageError: ACT0207, another one took its place meanwhile, whatever else went wrong.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # whoever reads it says so better
        yield
        return
    try:
        yield
    except Exception:
        _require_same(directory, descriptor)
        raise
    else:
        _require_same(directory, descriptor)
    finally:
        os.close(descriptor)


def _require_same(directory: Path, descriptor: int) -> None:
    try:
        if os.path.samestat(os.fstat(descriptor), directory.stat()):
            return
    except OSError:
        pass
    raise UsageError(
        Diagnostic(
            "ACT0207",
            "the directory was replaced while it was read",
            place=Place(str(directory)),
            help="run this again when nothing compiles into it",
        )
    )


def _check_place(directory: Path) -> None:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        message = "the output is a file or a link, not a directory"
    elif directory.exists() and any(directory.iterdir()) and _written(directory) is None:
        message = "the output directory holds files that actc did not write"
    else:
        return
    raise _not_ours(directory, message)


def _not_ours(directory: Path, message: str) -> UsageError:
    return UsageError(
        Diagnostic("ACT0240", message, place=Place(str(directory)), help="give another -o DIR")
    )


def _written(directory: Path) -> set[str] | None:
    """Names in `directory` that actc wrote, by its manifest; None where there is none of actc's.

    What lies deeper belongs to the folder that it is in.
    """
    try:
        manifest = json.loads(read_regular(directory / MANIFEST))
        names = [MANIFEST, *manifest["files"], *manifest.get("not_reproducible", ())]
        return {Path(name).parts[0] for name in names} if "actc" in manifest else None
    except (FileNotFoundError, NotADirectoryError, NotRegular):
        return None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError):
        return None


def _is_foreign(path: Path, known: set[str]) -> bool:
    """Whether something beside a result is the user's; folders of logs alone are no loss."""
    if path.is_symlink() or not path.is_dir():
        return path.name not in known
    files = (file.relative_to(path).parts for file in path.rglob("*") if not file.is_dir())
    return path.name not in known and any(known.isdisjoint(parts[:-1]) for parts in files)


def _busy(directory: Path) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0205",
            "another process works in this directory",
            place=Place(str(directory)),
            help="wait until it has ended (`actc build` takes long), or give another directory",
        )
    )


def _not_writable(directory: Path, error: OSError) -> UsageError:
    reason = (error.strerror or type(error).__name__).lower()
    return UsageError(
        Diagnostic(
            "ACT0241",
            f"cannot write the output: {reason}",
            place=Place(str(directory)),
            notes=_disks() if error.errno in DISK_ERRORS else (),
            help="give another place with -o DIR",
        )
    )


def _disks() -> tuple[str, ...]:
    """Where temporary files are: their disk may be the one that is full."""
    return (f"temporary files are in {tempfile.gettempdir()}: TMPDIR gives another place",)


def _swap(stage: Stage, directory: Path) -> None:
    """Put `stage` in the place of `directory`; on failure, what was there is there again."""
    with exclusive(directory):
        stage.release()  # whoever holds the name may leave it
        if not directory.exists():
            put_in_place(stage.path, directory, ())
            return
        _check_place(directory)
        known = _written(directory) or set()
        foreign = [path.name for path in sorted(directory.iterdir()) if _is_foreign(path, known)]
        lost = [name for name in foreign if (stage.path / name).exists()]
        if lost:
            raise _not_ours(directory, f"actc did not write {', '.join(lost)} there, but would now")
        put_in_place(stage.path, directory, foreign)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON with sorted keys and a final newline: NaN as null, infinity as a text."""
    text = json.dumps(
        strict(content), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False
    )
    path.write_text(text + "\n", encoding="utf-8")


def file_hashes(directory: Path, without: frozenset[str]) -> dict[str, str]:
    """SHA-256 of each file below `directory`, by relative path.

    Args:
        without: names of files and folders that are left out.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and without.isdisjoint(path.relative_to(directory).parts):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
