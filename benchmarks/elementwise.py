"""Time activations alone against numpy's copy: 16 line pieces in float32, a table of 8 bits.

    python benchmarks/elementwise.py [--sizes 1000000 10000000] [--threads 1] [--repeat 40]

The kernels of the target `cpu` read one array and write another that is already there, and
so does numpy.copyto; they take turns. The table shows medians in ns per element, and the
median over the turns of the ratio to numpy's copy of the same type.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from cpu import align
from cpu_peers import set_threads

Array = npt.NDArray[Any]
SEGMENTS = 16


def pieces() -> tuple[list[float], list[float], list[float]]:
    """Breakpoints, slopes and intercepts of lines between points of SiLU."""
    x = np.linspace(-6, 6, SEGMENTS + 1)
    y = x / (1 + np.exp(-x))
    slopes = np.diff(y) / np.diff(x)
    intercepts = y[:-1] - slopes * x[:-1]
    return x[1:-1].tolist(), slopes.tolist(), intercepts.tolist()


def kernels(size: int) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """Title -> the kernel's call and numpy's copy of as many elements of its type."""
    import tvm

    from actc.targets.tvm.host import host_cpu
    from actc.targets.tvm.kernels.elementwise import elementwise_prim_func
    from actc.targets.tvm.kernels.float_spec import (
        PIECEWISE_LINEAR,
        Apply,
        ScalarFunction,
        Step,
        Value,
    )
    from actc.targets.tvm.kernels.operand import Operand
    from actc.targets.tvm.kernels.strided import Copy, Elementwise

    cpu = host_cpu()
    rng = np.random.default_rng(0)
    breakpoints, slopes, intercepts = pieces()
    line = Step(PIECEWISE_LINEAR, (Value(0), *breakpoints, *slopes, *intercepts))

    def operand(dtype: str) -> Operand:
        return Operand(dtype, (size,), True, (1,))

    def pair(spec: Elementwise, x: Array, *more: Array) -> tuple[Callable[[], None], Any]:
        function = elementwise_prim_func("activation", spec, cpu.features)
        module = tvm.compile(
            tvm.IRModule({"activation": function}), target=tvm.target.Target(cpu.target())
        )
        out = tvm.runtime.tensor(np.zeros_like(x))
        arguments = [tvm.runtime.tensor(array) for array in (x, *more)]
        run, copied = module["activation"], np.zeros_like(x)
        return lambda: run(*arguments, out), lambda: np.copyto(copied, x)

    lines = Apply(ScalarFunction(1, (line,)))
    real, code = operand("float32"), operand("uint8")
    return {
        f"float32, {SEGMENTS} pieces": pair(
            Elementwise(1, (size,), (real,), real, lines),
            rng.normal(scale=2, size=(1, size)).astype(np.float32),
        ),
        "uint8, table": pair(
            Elementwise(1, (size,), (code,), code, Copy(), table="shared", table_size=256),
            rng.integers(0, 256, (1, size)).astype(np.uint8),
            rng.permutation(256).astype(np.uint8),
        ),
    }


def measure(kernel: Callable[[], None], copy: Callable[[], None], repeat: int) -> Array:
    """Seconds of both (turn, contestant)."""
    found = []
    for _ in range(repeat + 3):
        row = []
        for call in (kernel, copy):
            start = time.perf_counter()
            call()
            row.append(time.perf_counter() - start)
        found.append(row)
    return np.asarray(found[3:])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="time activations alone against numpy's copy")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10**6, 10**7], metavar="N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    set_threads(options.threads)
    cells = [["activation", "elements", "ns per element", "numpy's copy", "ratio"]]
    for size in options.sizes:
        for title, (kernel, copy) in kernels(size).items():
            seconds = measure(kernel, copy, options.repeat)
            own, copied = (median(seconds[:, k].tolist()) / size * 1e9 for k in (0, 1))
            ratio = median((seconds[:, 0] / seconds[:, 1]).tolist())
            cells.append([title, str(size), f"{own:.3f}", f"{copied:.3f}", f"{ratio:.2f}"])
    print(align(cells))


if __name__ == "__main__":
    main()
