"""What follows the totals of a folded stage: one function per channel, in shared hardware."""

from __future__ import annotations

from actc.targets.fpga.folded.functions.choose import lane_function
from actc.targets.fpga.folded.functions.lane import LaneFunction, plain_function

__all__ = ["LaneFunction", "lane_function", "plain_function"]
