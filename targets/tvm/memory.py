"""The memory that a kernel plan takes. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping

from actc.targets.tvm.arena import buffer_bytes, lay_out
from actc.targets.tvm.plan import KernelPlan


def memory(plan: KernelPlan) -> dict[str, int]:
    """Bytes of constants and of memory for values.

    Returns:
        "constants": weights, biases and tables, before they are packed for a CPU; "workspace":
        the arena of what lies between inputs and outputs, and the outputs, for one sample where
        the batch is free. A kernel's own scratch, such as a padded copy of some rows, comes on
        top.
    """
    used = {name for call in plan.calls for name in call.inputs}
    constants = sum(array.nbytes for name, array in plan.constants.items() if name in used)
    arena = lay_out(plan).size
    outputs = sum(buffer_bytes(plan.buffers[name]) for name in set(plan.outputs.values()))
    return {"constants": constants, "workspace": arena.fixed + arena.per_sample + outputs}


def text(found: Mapping[str, int]) -> str:
    """The same as lines of text."""
    return "".join(f"{name:12} {size} bytes\n" for name, size in found.items())
