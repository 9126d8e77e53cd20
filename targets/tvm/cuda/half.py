"""Networks in half precision: activations as float16, sums and functions in float32. Pure Python.

A tensor between two kernels lies in memory as the bits of float16; kernels read it as float32 and
round what they store. Products of large layers take float16 operands on tensor cores and add up
in float32. What the model takes and gives keeps its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.targets.tvm.kernels.float_spec import (
    Apply,
    FloatConv,
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import Concat, Copy, Elementwise
from actc.targets.tvm.plan import Call, KernelPlan

HALF = "half"
"""Element type of buffers and operands that hold the bits of float16."""
LARGEST = 65504.0
"""The largest finite number of float16."""
ROUNDED_UP = 65520.0
"""From here on rounding to float16 gives infinity."""
HEADROOM = 4.0
"""How much larger than on the data a tensor may become before it leaves float16."""
UNIT = 2.0**-11
"""Largest relative error of one rounding to float16 (Higham 2002, section 2.1)."""
SPREAD = math.sqrt(2 * math.log(2 / 0.01))
"""How many times the root of their number independent errors of at most 1 add up to, but for one
case in a hundred (Hoeffding's inequality, as Higham and Mary 2019 use it for rounding errors)."""

_PRODUCTS = frozenset({"Mul", "Div", "Pow", "PRelu"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A kernel whose spec says nothing about types, with those of its buffers.

    Attributes:
        kernel: what is computed, in float32.
        x, out: element types in memory, "float32" or HALF.
        exact: whether x may be too large for float16, so that products are of float32.
    """

    kernel: FloatConv | FloatPool
    x: str
    out: str
    exact: bool = False

    @property
    def op(self) -> str:
        """What it is called."""
        return type(self.kernel).__name__


def halved(plan: KernelPlan, wide: frozenset[str]) -> KernelPlan:
    """The plan with the buffers between kernels in float16, but for those in `wide`.

    Args:
        plan: of a float32 network.
        wide: buffers that stay float32, beside inputs, outputs and what other kernels touch.
    """
    kept = {*wide, *plan.inputs, *plan.outputs.values()}
    for call in plan.calls:
        if not isinstance(call.kernel, _TAKES_HALVES):
            kept |= {*call.inputs, call.output}
        if call.output in kept and _copies(call.kernel):
            kept |= {*call.inputs}
    buffers = {
        name: replace(b, dtype=HALF) if b.dtype == "float32" and name not in kept else b
        for name, b in plan.buffers.items()
    }
    calls = tuple(_with_types(call, buffers, wide) for call in plan.calls)
    return KernelPlan(plan.inputs, plan.outputs, buffers, plan.constants, calls)


def too_wide(plan: KernelPlan, ranges: Mapping[str, Any]) -> frozenset[str]:
    """Buffers whose values on the data come near the end of float16, or beyond.

    Args:
        plan: of a float32 network.
        ranges: value -> what calibration saw, with `low` and `high`.
    """
    limit = LARGEST / HEADROOM
    return frozenset(
        name
        for name in plan.buffers
        if name in ranges and not (-limit <= ranges[name].low and ranges[name].high <= limit)
    )


def overflowing_weights(plan: KernelPlan) -> list[Diagnostic]:
    """A diagnostic for each layer with weights that float16 cannot hold."""
    found = []
    for call in plan.calls:
        if not isinstance(call.kernel, FloatConv):
            continue
        weight = plan.constants[call.inputs[1]]
        largest = weight.reshape(-1)[np.argmax(np.abs(weight))] if weight.size else 0.0
        if not abs(float(largest)) < ROUNDED_UP:
            found.append(
                Diagnostic(
                    "ACT0485",
                    f"the weight {float(largest):.6g} is beyond half precision, which ends at "
                    f"{LARGEST:g}",
                    place=Place(node=call.node),
                    help="scale the layer's weights down and what follows up, or compile with "
                    "--precision float32",
                )
            )
    return found


def roundings(plan: KernelPlan) -> int:
    """Roundings to float16 in front of an output, the most of all outputs.

    A tensor that is stored counts once, however many ways lead from it to the output; so do the
    weights of a layer, and an operand in float32 that is rounded as it is read. To first order,
    and where no layer amplifies relative errors, each moves the output by at most `UNIT`, or twice
    that behind a product of two tensors, both of which it may have reached: it counts for four
    then, as squares of independent errors add up.
    """
    before: dict[str, dict[tuple[int, str], int]] = {name: {} for name in plan.inputs}
    for step, call in enumerate(plan.calls):
        found = before.setdefault(call.output, {})
        for name in call.inputs:
            for event, weight in before.get(name, {}).items():
                own = 4 if _multiplies(call) else weight
                found[event] = max(own, found.get(event, 0))
        found.update({(step, what): 1 for what in _rounded(call, plan)})
    return max((sum(before[name].values()) for name in plan.outputs.values()), default=0)


def _multiplies(call: Call) -> bool:
    kernel = call.kernel
    if isinstance(kernel, Elementwise) and isinstance(kernel.operation, Apply):
        return any(step.op in _PRODUCTS for step in kernel.operation.function.steps)
    return isinstance(kernel, FloatMatMul)


def _rounded(call: Call, plan: KernelPlan) -> list[str]:
    """What a call rounds."""
    found: list[str] = []
    held: object = call.kernel
    if isinstance(held, Stored) and isinstance(held.kernel, FloatConv) and not held.exact:
        found += ["weights"] if held.x == HALF else ["weights", "x"]
    if plan.buffers[call.output].dtype == HALF:
        found.append("output")
    return found


def statement(plan: KernelPlan, wide: frozenset[str], least: float) -> dict[str, Any]:
    """How far outputs may be off, and what stays float32, as float16.json says it.

    Args:
        plan: the halved plan.
        wide: buffers that stay float32 for the size of their values.
        least: the tolerance of float32.
    """
    count = roundings(plan)
    return {
        "roundings": count,
        "tolerance": max(UNIT * min(count, SPREAD * math.sqrt(count)), least),
        "float32": sorted(wide),
    }


def notes(stated: Mapping[str, Any]) -> list[str]:
    """The statement as sentences."""
    found = [
        f"float16: {stated['roundings']} roundings of 2^-11 in front of an output, so 99 percent "
        f"of the values should be off by at most {stated['tolerance']:.2g} of their RMS"
    ]
    if stated["float32"]:
        found.append(f"float32 for the size of their values: {', '.join(stated['float32'])}")
    return found


def _copies(kernel: object) -> bool:
    return isinstance(kernel, Elementwise) and isinstance(kernel.operation, Copy)


def _with_types(call: Call, buffers: Mapping[str, Any], wide: frozenset[str]) -> Call:
    change = _CHANGES.get(type(call.kernel))
    if change is None:
        return call
    types = [buffers[name].dtype if name in buffers else None for name in call.inputs]
    kernel = change(call.kernel, types, buffers[call.output].dtype)
    if isinstance(kernel, Stored) and call.inputs[0] in wide:
        kernel = replace(kernel, exact=True)
    return replace(call, kernel=kernel)


def _typed(operand: Operand, dtype: str | None) -> Operand:
    return operand if dtype != HALF else replace(operand, dtype=HALF)


def _all_typed(operands: Sequence[Operand], types: Sequence[str | None]) -> tuple[Operand, ...]:
    return tuple(_typed(o, t) for o, t in zip(operands, types, strict=False))


def _stored(kernel: Any, types: Sequence[str | None], out: str) -> Any:
    return Stored(kernel, types[0] or "float32", out)


def _of_one(kernel: Any, types: Sequence[str | None], out: str) -> Any:
    return replace(kernel, x=_typed(kernel.x, types[0]), out=_typed(kernel.out, out))


def _of_two(kernel: Any, types: Sequence[str | None], out: str) -> Any:
    a, b = _all_typed((kernel.a, kernel.b), types)
    return replace(kernel, a=a, b=b, out=_typed(kernel.out, out))


def _of_many(kernel: Any, types: Sequence[str | None], out: str) -> Any:
    rest = kernel.inputs[len(types) :]
    inputs = (*_all_typed(kernel.inputs, types), *rest)
    return replace(kernel, inputs=inputs, out=_typed(kernel.out, out))


def _of_parts(kernel: Concat, types: Sequence[str | None], out: str) -> Any:
    pairs = zip(kernel.parts, types, strict=True)
    return replace(kernel, parts=tuple(_of_many(part, [t], out) for part, t in pairs))


_CHANGES: dict[type, Callable[[Any, Sequence[str | None], str], Any]] = {
    FloatConv: _stored,
    FloatPool: _stored,
    FloatReduce: _of_one,
    FloatSoftmax: _of_one,
    FloatMatMul: _of_two,
    FloatLayerNorm: _of_many,
    Elementwise: _of_many,
    Concat: _of_parts,
}
_TAKES_HALVES = tuple(_CHANGES)
