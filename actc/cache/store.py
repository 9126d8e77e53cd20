"""A folder of entries that are named by their keys.

An entry is one file (:mod:`actc.cache.entry`), in ``v<format>/<kind>/<two digits>/<key>``. It is
written under another name and renamed, so that readers see all of it or nothing, on one disk and
without locks. What a crash of the system leaves cut short, its digest tells.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from actc.cache.entry import FORMAT, UNFINISHED, Damaged, content_of, parts_of, put, written
from actc.cache.notices import notice
from actc.diagnostics import Diagnostic, Place

_ABANDONED = 3600.0
"""Seconds after which an unfinished file is a dead process's: writing one takes seconds."""
_AHEAD = 3600 * 10**9
"""Nanoseconds by which the clocks of machines that share a disk may differ."""
_ROOM = 0.9
"""What is kept of the limit when it is exceeded, so that not every entry removes another."""
_KIND = re.compile(r"[a-z][a-z0-9-]*")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Kind:
    """What there is of one kind.

    Attributes:
        name: of the kind.
        entries: how many.
        bytes: that they take.
    """

    name: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed.

    Attributes:
        entries: how many.
        bytes: that they took.
        damaged: entries among them that were not as written.
        kept: bytes of what is left.
    """

    entries: int
    bytes: int
    damaged: int
    kept: int


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    bytes: int
    used: int


class Cache:
    """Entries in a folder, at most so many bytes; those that were not used longest go first.

    Nothing here raises for what disks, other processes or other users do: what cannot be read
    was never there, what cannot be written is not kept, and both are told by
    :func:`~actc.cache.notices.take_notices`.

    Args:
        root: the folder. It is made when something is kept, for this user alone, and refused
            when it is another user's or others may write there.
        limit: bytes of all entries.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self.limit = limit

    def read(self, kind: str, key: str) -> dict[str, bytes] | None:
        """The parts of an entry by name; None: there is none. It counts as used now.

        An entry that is not as it was written is removed.
        """
        path = self._path(kind, key)
        if not self._is_trusted():
            return None
        try:
            parts = parts_of(content_of(path), kind, key)
        except FileNotFoundError:
            return None
        except Damaged as problem:
            notice(_damaged(path, str(problem)))
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        except OSError as error:
            self._unusable(f"it cannot be read: {_reason(error)}")
            return None
        with contextlib.suppress(OSError):  # of others, or on a disk that is read only
            os.utime(path)
        return parts

    def write(self, kind: str, key: str, parts: Mapping[str, bytes]) -> bool:
        """Keep an entry; whether it is there now.

        Args:
            kind: lower-case letters, digits and hyphens.
            key: of :func:`~actc.cache.keys.key_of`.
            parts: what to keep, by names that the reader knows.
        """
        path = self._path(kind, key)
        content = written(kind, key, parts)
        if len(content) > self.limit:
            return False
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_trusted():
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            put(path, content)
        except OSError as error:
            self._unusable(f"nothing can be written: {_reason(error)}")
            return False
        self._make_room(self.limit, _ROOM)
        return path.exists()

    def kinds(self) -> list[Kind]:
        """What there is, by kind."""
        found: dict[str, list[_Entry]] = {}
        for entry in self._entries():
            found.setdefault(entry.path.parent.parent.name, []).append(entry)
        return [
            Kind(name, len(entries), sum(entry.bytes for entry in entries))
            for name, entries in sorted(found.items())
        ]

    def prune(self, limit: int | None = None) -> Pruned:
        """Remove what is damaged, unfinished or of other formats, and what exceeds a limit.

        Args:
            limit: bytes; None: the cache's own.
        """
        if not self._is_trusted():
            return Pruned(0, 0, 0, 0)
        broken = [entry for entry in self._entries() if not _is_whole(entry.path)]
        removed = [entry for entry in (*broken, *self._foreign()) if _remove(entry.path)]
        removed += self._make_room(self.limit if limit is None else limit, 1.0)
        size = sum(entry.bytes for entry in removed)
        kept = sum(entry.bytes for entry in self._entries())
        return Pruned(len(removed), size, len(broken), kept)

    def clear(self) -> Pruned:
        """Remove all entries, whole or not."""
        if not self._is_trusted():
            return Pruned(0, 0, 0, 0)
        everything = [*self._entries(), *self._foreign()]
        removed = [entry for entry in everything if _remove(entry.path)]
        left = sum(entry.bytes for entry in self._entries())
        return Pruned(len(removed), sum(entry.bytes for entry in removed), 0, left)

    def _path(self, kind: str, key: str) -> Path:
        if not _KIND.fullmatch(kind) or not _KEY.fullmatch(key):
            raise ValueError(f"no kind and key of an entry: {kind!r}, {key!r}")
        return self._own / kind / key[:2] / key

    @property
    def _own(self) -> Path:
        """The folder of this format; other versions of actc may keep others beside it."""
        return self.root / f"v{FORMAT}"

    def _is_trusted(self) -> bool:
        """Whether nobody else can have written there; a folder that is not there is."""
        try:
            found = self.root.stat()
        except FileNotFoundError:
            return True
        except OSError as error:
            self._unusable(f"it cannot be read: {_reason(error)}")
            return False
        if not stat.S_ISDIR(found.st_mode):
            self._unusable("it is not a directory")
        elif found.st_uid != os.geteuid():
            self._unusable("it belongs to another user")
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            self._unusable("other users may write there")
        else:
            return True
        return False

    def _unusable(self, reason: str) -> None:
        notice(
            Diagnostic(
                "ACT0251",
                f"the cache is not used: {reason}",
                "note",
                Place(str(self.root)),
                help="name another folder in ACTC_CACHE_DIR, or set ACTC_CACHE_SIZE=0",
            )
        )

    def _entries(self) -> Iterator[_Entry]:
        """What is there under the names of entries, in no order."""
        for kind in _folders(self._own):
            for group in _folders(kind):
                yield from (entry for entry in _files(group) if _KEY.fullmatch(entry.path.name))

    def _foreign(self) -> Iterator[_Entry]:
        """Unfinished files of processes that died, and entries of other formats."""
        now = time.time()
        for group in (group for kind in _folders(self._own) for group in _folders(kind)):
            for entry in _files(group):
                if entry.path.name.startswith(UNFINISHED) and _is_old(entry, now):
                    yield entry
        for version in _folders(self.root):
            if version != self._own and re.fullmatch(r"v\d+", version.name):
                for folder, _, names in os.walk(version):
                    yield from _found([Path(folder) / name for name in names])

    def _make_room(self, limit: int, share: float) -> list[_Entry]:
        """Remove entries, those used longest ago first, if they exceed a limit."""
        now = time.time_ns()
        entries = sorted(self._entries(), key=lambda entry: _age_order(entry, now))
        size = sum(entry.bytes for entry in entries)
        removed: list[_Entry] = []
        if size <= limit:
            return removed
        for entry in entries:
            if size <= limit * share:
                break
            size -= entry.bytes
            if _remove(entry.path):
                removed.append(entry)
        return removed


def _age_order(entry: _Entry, now: int) -> tuple[bool, int, str]:
    """What sorts entries by when they were used, the longest ago first.

    Those used in the future, by a clock that went back since, come before all others: they would
    push out whatever is new, for as long as the clock was wrong.
    """
    return entry.used <= now + _AHEAD, entry.used, entry.path.name


def _is_old(entry: _Entry, now: float) -> bool:
    """Also of a clock that went back since."""
    return abs(now - entry.used / 1e9) > _ABANDONED


def _is_whole(path: Path) -> bool:
    """Whether an entry is as it was written; one that is gone has no fault."""
    try:
        parts_of(content_of(path), path.parent.parent.name, path.name)
    except FileNotFoundError:
        return True
    except (Damaged, OSError):
        return False
    return True


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return [Path(item.path) for item in found if item.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _files(folder: Path) -> Iterator[_Entry]:
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        yield from _found([Path(item.path) for item in found])


def _found(paths: list[Path]) -> Iterator[_Entry]:
    for path in paths:
        with contextlib.suppress(OSError):  # another process removed it
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                yield _Entry(path, status.st_size, status.st_mtime_ns)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _damaged(path: Path, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0250",
        f"an entry of the cache was damaged and is computed again: {reason}",
        "note",
        Place(str(path)),
        help="if this happens again, the disk or its memory may be failing",
    )


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
