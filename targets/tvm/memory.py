"""The memory that a kernel plan takes. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from actc.targets.tvm.plan import Buffer, KernelPlan


def memory(plan: KernelPlan) -> dict[str, int]:
    """Bytes of constants, and of the values that live at once, at most.

    Returns:
        "constants": weights, biases and tables, before they are packed for a CPU; "workspace":
        what lies between inputs and outputs, and the outputs, for one sample where the batch is
        free. A kernel's own scratch, such as a padded copy of some rows, comes on top.
    """
    used = {name for call in plan.calls for name in call.inputs}
    constants = sum(array.nbytes for name, array in plan.constants.items() if name in used)
    return {"constants": constants, "workspace": _peak(plan)}


def text(found: Mapping[str, int]) -> str:
    """The same as lines of text."""
    return "".join(f"{name:12} {size} bytes\n" for name, size in found.items())


def _peak(plan: KernelPlan) -> int:
    made = {call.output: step for step, call in enumerate(plan.calls)}
    last = dict(made)
    for step, call in enumerate(plan.calls):
        for name in call.inputs:
            if name in made:
                last[name] = step
    for name in plan.outputs.values():
        last[name] = len(plan.calls)
    return max(
        (
            sum(_bytes(plan.buffers[name]) for name in made if made[name] <= step <= last[name])
            for step in range(len(plan.calls))
        ),
        default=0,
    )


def _bytes(buffer: Buffer) -> int:
    return np.dtype(buffer.dtype).itemsize * math.prod(extent or 1 for extent in buffer.extents)
