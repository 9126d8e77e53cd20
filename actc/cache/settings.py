"""Where the cache is, how large it gets, and whether it is used."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from actc.cache.notices import notice
from actc.cache.store import Cache
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

DIRECTORY = "ACTC_CACHE_DIR"
SIZE = "ACTC_CACHE_SIZE"
DEFAULT_SIZE = 2 * 10**9
"""Bytes: some dozens of placements of large FPGAs, thousands of small ones."""
_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20,
    "GIB": 1 << 30,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_DISABLED: ContextVar[bool] = ContextVar("actc_cache_disabled", default=False)


def directory() -> Path | None:
    """``$ACTC_CACHE_DIR``, or ``actc`` in XDG's cache folder; None: this user has no home."""
    given = os.environ.get(DIRECTORY)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "actc"
    try:
        return Path.home() / ".cache" / "actc"
    except RuntimeError:
        return None


def limit() -> int:
    """Bytes that the cache takes at most: ``$ACTC_CACHE_SIZE``, 2 GB by default.

    Raises:
        UsageError: ACT0252, the variable holds no size.
    """
    given = os.environ.get(SIZE)
    return parse_size(given, SIZE) if given else DEFAULT_SIZE


def parse_size(text: str, name: str) -> int:
    """Bytes of "500MB", "2GB", "1.5GiB", "0".

    Args:
        name: of the option or variable, for the message.

    Raises:
        UsageError: ACT0252, it is no size.
    """
    found = _SIZE.fullmatch(text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise UsageError(
            Diagnostic(
                "ACT0252",
                f"{name} is '{text}', which is no size",
                help="write it as 500MB, 2GB or 1.5GiB; 0 keeps nothing",
            )
        )
    return int(float(found[1]) * unit)


def default() -> Cache | None:
    """The user's cache; None where it is switched off or there is no place for it.

    Raises:
        UsageError: ACT0252, the size in ``$ACTC_CACHE_SIZE`` is none.
    """
    most = limit()
    if _DISABLED.get() or most == 0:
        return None
    place = directory()
    if place is None:
        notice(
            Diagnostic(
                "ACT0251",
                "nothing is kept in the cache: this user has no home directory",
                "note",
                help=f"name a folder in {DIRECTORY}, or set {SIZE}=0",
            )
        )
        return None
    return Cache(place, most)


@contextlib.contextmanager
def disabled(switch: bool = True) -> Iterator[None]:
    """Neither read nor write the cache within this context.

    Args:
        switch: False leaves things as they are.

    Threads that are started within see it if they run in a copy of the context.
    """
    token = _DISABLED.set(_DISABLED.get() or switch)
    try:
        yield
    finally:
        _DISABLED.reset(token)
