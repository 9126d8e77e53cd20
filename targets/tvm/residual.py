"""Elementwise operators on what a convolution gives, moved into the convolution. Pure Python.

A residual block ends in a sum of two tensors. Where one of them is what a convolution (or matrix
product) wrote and nobody else reads, and the others lie in memory like it, the convolution
can compute the sum before it stores: that saves a kernel that does little but read and write.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from actc.targets.tvm.kernels.float_spec import Apply, FloatConv, ScalarFunction, Step, Value
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import ConvSpec, Residual
from actc.targets.tvm.kernels.strided import Add, Elementwise
from actc.targets.tvm.plan import Call, KernelPlan

_MOST_RESIDUALS = 4
"""More tensors than this are not read side by side."""


def fuse_residuals(plan: KernelPlan) -> KernelPlan:
    """The same plan with elementwise kernels computed by the convolutions in front of them.

    The convolution runs where the elementwise kernel ran, when everything that it reads is
    there; of two convolutions that are added, the later one takes the sum.
    """
    fusion = _Fusion(plan)
    calls: list[Call | None] = list(plan.calls)
    for at, call in enumerate(plan.calls):
        fused = fusion.fused(call)
        if fused is not None:
            calls[fusion.place[fused.gone]] = None
            calls[at] = call = fused.call
        fusion.done(at, call)
    left = tuple(call for call in calls if call is not None)
    written = {call.output for call in plan.calls} - {call.output for call in left}
    buffers = {name: buffer for name, buffer in plan.buffers.items() if name not in written}
    return KernelPlan(plan.inputs, plan.outputs, buffers, plan.constants, left)


@dataclass(frozen=True, slots=True)
class _Fused:
    """A convolution that computes what follows it.

    Attributes:
        call: in place of the elementwise kernel's.
        gone: the buffer that is no longer written.
    """

    call: Call
    gone: str


class _Fusion:
    """What is known about the plan's buffers up to some call.

    Attributes:
        place: buffer -> number of the call that writes it.
    """

    def __init__(self, plan: KernelPlan) -> None:
        self.place: dict[str, int] = {}
        self._plan = plan
        self._calls: dict[str, Call] = {}
        self._readers = Counter(name for call in plan.calls for name in set(call.inputs))
        self._writers = Counter(call.output for call in plan.calls)
        self._outputs = set(plan.outputs.values())

    def done(self, at: int, call: Call) -> None:
        """Take note of a call."""
        self.place[call.output], self._calls[call.output] = at, call

    def fused(self, call: Call) -> _Fused | None:
        """`call` and the latest convolution that can compute it, as one call."""
        kernel = call.kernel
        if not isinstance(kernel, Elementwise):
            return None
        names = [name for name in dict.fromkeys(call.inputs) if self._only_read_here(name)]
        for name in sorted(names, key=self.place.__getitem__, reverse=True):
            conv = self._calls[name]
            found = None
            if isinstance(conv.kernel, ConvSpec):
                found = self._integer(conv, conv.kernel, call, kernel)
            elif isinstance(conv.kernel, FloatConv):
                found = _float(conv, conv.kernel, call, kernel)
            if found is not None and self._as_large(conv, call) and self._written(found):
                return _Fused(found, name)
        return None

    def _only_read_here(self, name: str) -> bool:
        once = self._readers[name] == self._writers[name] == 1
        return once and name in self._calls and name not in self._outputs

    def _as_large(self, conv: Call, call: Call) -> bool:
        """Whether two calls write buffers of the same size."""
        a, b = (self._plan.buffers[c.output] for c in (conv, call))
        sizes = (math.prod(a.shape), math.prod(b.shape))
        return (a.dtype, a.batch, sizes[0]) == (b.dtype, b.batch, sizes[1])

    def _written(self, call: Call) -> bool:
        """Whether each buffer that a call reads has one writer: it may then run later.

        What comes behind the input was written by a kernel: a model's input need not be aligned.
        """
        return all(
            self._writers[name] == 1
            for place, name in enumerate(call.inputs)
            if name in self._plan.buffers and (place or name not in self._plan.inputs)
        )

    def _integer(self, conv: Call, spec: ConvSpec, call: Call, kernel: Elementwise) -> Call | None:
        sums, rounding = kernel.operation, kernel.requantize
        if not isinstance(sums, Add) or rounding is None or spec.residual is not None:
            return None
        shared = kernel.table == "none" or (kernel.table, kernel.table_size) == ("shared", 256)
        if spec.epilogue.out_dtype != "uint8" or not shared:
            return None
        if not _alike(kernel, 2) or len(kernel.inputs) != 3 or call.inputs[0] == call.inputs[1]:
            return None
        multiplier = self._plan.constants[call.inputs[2]]
        if multiplier.size != 1:
            return None
        own = call.inputs.index(conv.output)
        factors = (sums.a_mul, sums.b_mul)
        residual = Residual(
            factors[own], factors[1 - own], sums.bias, int(multiplier.reshape(())),
            replace(rounding, kind="requantize+table" if kernel.table_size else "requantize"),
        )  # fmt: skip
        inputs = (*conv.inputs, call.inputs[1 - own], *call.inputs[3:])
        return Call(replace(spec, residual=residual), inputs, call.output, call.node)


def _float(conv: Call, spec: FloatConv, call: Call, kernel: Elementwise) -> Call | None:
    if not isinstance(kernel.operation, Apply) or not _alike(kernel, len(kernel.inputs)):
        return None
    others = [name for name in dict.fromkeys(call.inputs) if name != conv.output]
    residuals = [*conv.inputs[3:], *(name for name in others if name not in conv.inputs[3:])]
    if len(residuals) > _MOST_RESIDUALS:
        return None
    places = {name: 1 + residuals.index(name) for name in others}
    operands = [0 if name == conv.output else places[name] for name in call.inputs]
    first = spec.function or ScalarFunction(1, ())
    function = joined(first, kernel.operation.function, operands, 1 + len(residuals))
    fused = replace(spec, function=function)
    return Call(fused, (*conv.inputs[:3], *residuals), call.output, call.node)


def _alike(kernel: Elementwise, count: int) -> bool:
    """Whether the first `count` inputs and the result are walked through from end to end."""

    def whole(operand: Operand) -> bool:
        along = operand.batched and operand.strides == (1,) and operand.offset == 0
        return along and operand.size == kernel.dims[0]

    single = len(kernel.dims) == 1 and all(
        o.dtype == kernel.out.dtype for o in kernel.inputs[:count]
    )
    return single and all(whole(o) for o in (*kernel.inputs[:count], kernel.out))


def joined(
    first: ScalarFunction, then: ScalarFunction, operands: list[int], count: int
) -> ScalarFunction:
    """``then`` of the result of ``first`` and of other operands.

    Args:
        first: of operand 0, and of further ones where it has any.
        then: what follows.
        operands: for each operand of `then`, an operand of the whole; 0: the result of `first`.
        count: operands of the whole.
    """
    result: Value = Value(count + len(first.steps) - 1 if first.steps else 0)
    before = {index: Value(index) for index in range(first.operands)}
    before |= {first.operands + k: Value(count + k) for k in range(len(first.steps))}
    after = {k: Value(place) if place else result for k, place in enumerate(operands)}
    start = count + len(first.steps)
    after |= {then.operands + k: Value(start + k) for k in range(len(then.steps))}
    steps = [_renamed(step, before) for step in first.steps]
    steps += [_renamed(step, after) for step in then.steps]
    return ScalarFunction(count, tuple(steps))


def _renamed(step: Step, values: Mapping[int, Value]) -> Step:
    inputs = (values[v.index] if isinstance(v, Value) else v for v in step.inputs)
    return replace(step, inputs=tuple(inputs))
