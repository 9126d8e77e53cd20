"""The versions of hls4ml that the target is made for."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TypeAlias

from actc.diagnostics import Diagnostic

Version: TypeAlias = tuple[int, int]

FIRST: Version = (1, 3)
"""The oldest one; `pyproject.toml` has it, too."""
LAST: Version = (1, 3)
"""The newest one that tests/test_hls4ml_versions.py holds with."""
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?!\d)")
_HELP = "pip install 'actc[hls4ml]' 'hls4ml>={}.{},<{}.{}'"


def remark() -> Diagnostic | None:
    """What is to be said about the installed version; None: nothing, or there is none."""
    try:
        text = metadata.version("hls4ml")
    except metadata.PackageNotFoundError:
        return None
    return judged(text)


def judged(text: str) -> Diagnostic | None:
    """What is to be said about a version: an error where it is too old, or None."""
    match = _VERSION.match(text)
    version = (int(match[1]), int(match[2])) if match else None
    if version is not None and FIRST <= version <= LAST:
        return None
    old = version is not None and version < FIRST
    known = _spelled(FIRST) if FIRST == LAST else f"{_spelled(FIRST)} to {_spelled(LAST)}"
    return Diagnostic(
        "ACT0443",
        f"hls4ml is version {text[:40]}; the target hls4ml is tested with {known}",
        severity="error" if old else "warning",
        help=_HELP.format(*FIRST, LAST[0], LAST[1] + 1),
    )


def _spelled(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
