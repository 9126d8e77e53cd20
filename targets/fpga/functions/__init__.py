"""Integer functions of wires in their cheapest hardware; see docs/integer-functions.md."""

from __future__ import annotations

from actc.targets.fpga.functions.apply import (
    composite,
    integer_function,
    preferred_offset,
    requantize,
)
from actc.targets.fpga.functions.bias import without_bias
from actc.targets.fpga.functions.compare import argmax, maximum, softmax_terms
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.products import multiply
from actc.targets.fpga.functions.stages import Requantization, Stage, steps_stage, table_stage
from actc.targets.fpga.functions.steps import StepFunction

__all__ = [
    "FunctionOptions",
    "Requantization",
    "Stage",
    "StepFunction",
    "argmax",
    "composite",
    "integer_function",
    "maximum",
    "multiply",
    "preferred_offset",
    "requantize",
    "softmax_terms",
    "steps_stage",
    "table_stage",
    "without_bias",
]
