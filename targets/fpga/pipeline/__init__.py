"""Pipelining of designs: stages by linear programming; see docs/pipelining.md."""

from __future__ import annotations

from actc.targets.fpga.pipeline.pipelining import pipeline
from actc.targets.fpga.pipeline.report import PipelineReport, Stage, report
from actc.targets.fpga.pipeline.timing import TIMINGS, Timing, find_timing

__all__ = [
    "TIMINGS",
    "PipelineReport",
    "Stage",
    "Timing",
    "find_timing",
    "pipeline",
    "report",
]
