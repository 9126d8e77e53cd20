"""Networks as hls4ml projects."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actc.targets.hls4ml.extension import register
    from actc.targets.hls4ml.target import Hls4mlTarget

__all__ = ["Hls4mlTarget", "register"]
_HOMES = {
    "Hls4mlTarget": "actc.targets.hls4ml.target",
    "register": "actc.targets.hls4ml.extension",
}


def __getattr__(name: str) -> Any:
    # on first use: those who teach hls4ml the dialect need no compiler
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
