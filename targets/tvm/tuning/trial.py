"""A kernel compiled by itself, and how long it takes.

Importing this module imports TVM.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from actc.targets.tvm.codegen import compile_plan
from actc.targets.tvm.host import Cpu
from actc.targets.tvm.kernels.conv_tiling import across_samples
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.plan import Array, Buffer, Call, KernelPlan
from actc.targets.tvm.tuning.candidates import Tunable, geometry, products

JOINED_BATCH, LARGE_BATCH = 64, 16
"""Timed beside 1 where only a call tells the batch: for kernels that take pixels of several
samples together, and others in which what is done once per call counts."""

_LARGE = 4_000_000
"""Products of a sample beside which nothing else counts."""

_CALLS = 8
"""Calls of a small kernel in one run, next to which what runs them takes no time."""

_SLICE_SECONDS = 1e-3
_SEED = 9


def batches(kernel: Tunable) -> tuple[int, ...]:
    """The batches that a kernel is timed with."""
    spec = geometry(kernel)
    if spec.batch is not None:
        return (spec.batch,)
    if products(kernel) >= _LARGE:
        return (1,)
    return (1, JOINED_BATCH if across_samples(spec) else LARGE_BATCH)


def kernel_plan(kernel: Tunable, calls: int = 1) -> KernelPlan:
    """A plan that calls a kernel several times, with random constants."""
    spec, is_float = geometry(kernel), isinstance(kernel, FloatConv)
    random = np.random.default_rng(_SEED)
    shape = (spec.out_c, spec.in_c // spec.group, *spec.kernel)
    channels = padded(spec.out_c)
    constants: dict[str, Array] = {}
    if is_float:
        constants["weight"] = random.uniform(-1, 1, shape).astype(np.float32)
        constants["bias"] = random.uniform(-1, 1, channels).astype(np.float32)
    else:
        constants["weight"] = random.integers(-8, 9, shape).astype(np.int8)
        constants["bias"] = random.integers(-99, 100, spec.out_c).astype(np.int32)
        if spec.epilogue.kind != "accumulator":
            most = 1 << max(spec.epilogue.shift - 4, 1)
            constants["multiplier"] = random.integers(0, most, channels).astype(np.int32)
        size = spec.epilogue.table_size(channels)
        if size:
            constants["table"] = random.integers(0, 256, size).astype(np.uint8)
        if spec.residual is not None and spec.residual.epilogue.table_size(channels):
            constants["residual_table"] = random.integers(0, 256, 256).astype(np.uint8)
    kind = "float32" if is_float else spec.epilogue.out_dtype
    count = kernel.residuals if isinstance(kernel, FloatConv) else int(spec.residual is not None)
    x_shape, out_shape = (spec.in_h, spec.in_w, spec.in_c), (spec.out_h, spec.out_w, spec.out_c)
    x = Buffer("float32" if is_float else "uint8", spec.batch, _physical(x_shape))
    out = Buffer(kind, spec.batch, _physical(out_shape))
    others = {f"residual{index}": out for index in range(count)}
    tables = [name for name in constants if name == "residual_table"]
    names = [name for name in constants if name not in tables]
    call = Call(kernel, ("x", *names, *others, *tables), "out", "tuned")
    inputs = {"x": x, **others}
    return KernelPlan(inputs, {"out": "out"}, {**inputs, "out": out}, constants, (call,) * calls)


class Trial:
    """A kernel with one schedule.

    Args:
        kernel: what is computed.
        cpu: this machine's.
        schedule: None: as modelled.
    """

    def __init__(self, kernel: Tunable, cpu: Cpu, schedule: Schedule | None) -> None:
        self._repeated = 1 if products(kernel) >= _LARGE else _CALLS
        plan = kernel_plan(kernel, self._repeated)
        schedules = None if schedule is None else {kernel: schedule}
        library = compile_plan(plan, cpu, schedules).jit()
        self._machine = relax.VirtualMachine(library, tvm.cpu())
        self._inputs = [
            [_input(buffer, batch) for buffer in plan.inputs.values()] for batch in batches(kernel)
        ]
        self._calls = [self._enough(given) for given in self._inputs]

    def seconds(self) -> list[float]:
        """One short measurement of one call for each batch."""
        return [
            self._time(given, calls) for given, calls in zip(self._inputs, self._calls, strict=True)
        ]

    def output(self) -> list[Array]:
        """What it computes for each batch."""
        results = [self._machine["main"](*given)[0] for given in self._inputs]
        return [np.array(result.numpy()) for result in results]

    def _time(self, given: list[Any], calls: int) -> float:
        evaluate = self._machine.time_evaluator("main", tvm.cpu(), number=calls, repeat=1)
        return float(evaluate(*given).results[0]) / self._repeated

    def _enough(self, given: list[Any]) -> int:
        """Runs that take about as long as a measurement shall."""
        seconds = min(self._time(given, 1) for _ in range(3)) * self._repeated
        return max(1, round(_SLICE_SECONDS / max(seconds, 1e-7)))


def _physical(shape: tuple[int, int, int]) -> tuple[int, ...]:
    return (*shape[:2], padded(shape[2]))


def _input(buffer: Buffer, batch: int) -> Any:
    random = np.random.default_rng(_SEED)
    shape = (batch, *buffer.shape)
    if buffer.dtype == "uint8":
        return tvm.runtime.tensor(random.integers(0, 256, shape).astype(np.uint8))
    return tvm.runtime.tensor(random.uniform(-1, 1, shape).astype(np.float32))
