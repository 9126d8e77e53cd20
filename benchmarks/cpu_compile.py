"""Compile one model with actc and print what it took, as JSON: seconds and peak memory.

    python benchmarks/cpu_compile.py MODEL.onnx TARGET PRECISION DATA.npz DIR [APPROX]

`cpu.py` calls it, so that the memory is that of one compilation.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

import actc


def cpu_seconds() -> float:
    """CPU time of this process and of what it started."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(
    model: str, target: str, precision: str, data: str, folder: str, approx: str = "auto"
) -> None:
    """Compile and print."""
    with np.load(data, allow_pickle=False) as arrays:
        samples = dict(arrays)
    start, used = time.perf_counter(), cpu_seconds()
    actc.compile(
        Path(model), target=target, precision=precision, approx=approx, data=samples,
        output=Path(folder),
    )  # fmt: skip
    seconds, used = time.perf_counter() - start, cpu_seconds() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "cpu_seconds": used, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
