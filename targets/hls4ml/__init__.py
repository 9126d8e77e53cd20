"""Networks as hls4ml projects."""

from __future__ import annotations

from actc.targets.hls4ml.extension import register
from actc.targets.hls4ml.target import Hls4mlTarget

__all__ = ["Hls4mlTarget", "register"]
