"""Writing an output directory: all of it or nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.report.document import strict

MANIFEST = "manifest.json"


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A fresh directory beside `directory` that takes its place on success.

    On an exception it is removed and `directory` is as it was before. What the user put beside
    the files of an earlier result stays.

    Raises:
        UsageError: the place is not writable, holds no result of actc's but something else, or
            a file that is not actc's where one would be written; or its disk became full.
    """
    directory = directory.absolute()
    try:
        _check_place(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        stage.chmod(0o755)
    except OSError as error:
        raise _not_writable(directory, error) from error
    try:
        yield stage
        try:
            _swap(stage, directory)
        except OSError as error:
            raise _not_writable(directory, error) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _not_writable(directory, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def require_place(directory: Path) -> None:
    """See that `staged` may write there, before time is spent on what will be written.

    Raises:
        UsageError: something else is there, or the place cannot be read.
    """
    try:
        _check_place(directory.absolute())
    except OSError as error:
        raise _not_writable(directory, error) from error


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
        manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
        names = [MANIFEST, *manifest["files"], *manifest.get("not_reproducible", ())]
        return {Path(name).parts[0] for name in names} if "actc" in manifest else None
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, IndexError):
        return None


def _is_foreign(path: Path, known: set[str]) -> bool:
    """Whether something beside a result is the user's; folders of logs alone are no loss."""
    if path.is_symlink() or not path.is_dir():
        return path.name not in known
    files = (file.relative_to(path).parts for file in path.rglob("*") if not file.is_dir())
    return path.name not in known and any(known.isdisjoint(parts[:-1]) for parts in files)


def _not_writable(directory: Path, error: OSError) -> UsageError:
    reason = (error.strerror or type(error).__name__).lower()
    return UsageError(
        Diagnostic(
            "ACT0241",
            f"cannot write the output: {reason}",
            place=Place(str(directory)),
            help="give another place with -o DIR",
        )
    )


def _swap(stage: Path, directory: Path) -> None:
    """Put `stage` in the place of `directory`; on failure, what was there is there again."""
    if not directory.exists():
        stage.rename(directory)
        return
    known = _written(directory) or set()
    foreign = [path.name for path in sorted(directory.iterdir()) if _is_foreign(path, known)]
    lost = [name for name in foreign if (stage / name).exists()]
    if lost:
        raise _not_ours(directory, f"actc did not write {', '.join(lost)} there, but would now")
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.rename(old / "old")
    try:
        stage.rename(directory)
    except BaseException:
        (old / "old").rename(directory)
        old.rmdir()
        raise
    for name in foreign:
        (old / "old" / name).rename(directory / name)
    shutil.rmtree(old, ignore_errors=True)


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
