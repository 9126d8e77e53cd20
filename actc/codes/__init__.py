"""The table of diagnostic codes: what `actc explain CODE` prints.

One entry per code, in the module of its range; a code is never reused for another
meaning.
"""

from __future__ import annotations

from actc.codes import (
    accuracy,
    approximation,
    cache,
    configuration,
    internal,
    model,
    operators,
    reproduction,
    targets,
    tools,
    training,
    usage,
)
from actc.codes.info import CodeInfo

__all__ = ["CODES", "CodeInfo"]

_RANGES = (
    model,
    operators,
    usage,
    cache,
    approximation,
    training,
    reproduction,
    targets,
    tools,
    accuracy,
    configuration,
    internal,
)
CODES: dict[str, CodeInfo] = {code: info for part in _RANGES for code, info in part.CODES.items()}
