"""What the cache saves: commands with an empty cache and again, in seconds.

    python benchmarks/cache.py            # the small FPGA and a fit
    python benchmarks/cache.py --all      # and a larger FPGA

Time is that of processors, of actc and of all that it starts, as other work on a machine
changes the clock on the wall more than the cache does; that is shown, too.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FPGA = ROOT / "examples" / "fpga"
STAGES = ("plan", "build", "verify")
SMALL = {
    "fit GELU, 16 bits": ["fit", "GELU", "--input", "s16.12", "--output", "s16.12"],
    "digits_small, iCE40 HX8K": [
        "compile", str(FPGA / "digits_small.onnx"), "--target", "ice40-hx8k",
        "--weights", "3", "--activations", "4", "--data", str(FPGA / "digits_train.npz"),
    ],
}  # fmt: skip
LARGE = {
    "digits_sparse, ECP5-25K": [
        "compile", str(FPGA / "digits_sparse.onnx"), "--target", "ecp5-25k",
        "--weights", "5", "--activations", "4", "--rounding", "nearest",
        "--data", str(FPGA / "digits_train.npz"),
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds of processors, on the wall, and of each stage."""

    processor: float
    wall: float
    stages: dict[str, float] = field(default_factory=dict)


def run(arguments: list[str], output: Path | None, cache: Path) -> Run:
    """Run actc with a cache of its own."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    own = [] if output is None else ["-o", str(output)]
    subprocess.run(
        [sys.executable, "-m", "actc", *arguments, *own],
        env={**os.environ, "ACTC_CACHE_DIR": str(cache), "ACTC_CACHE_SIZE": "2GB"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times = {} if output is None else stage_times(output)
    return Run(used, time.monotonic() - start, times)


def stage_times(output: Path) -> dict[str, float]:
    """What timings.js says: a script that sets a variable to JSON."""
    text = (output / "timings.js").read_text("utf-8")
    found: dict[str, float] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return {stage: found[stage] for stage in STAGES if stage in found}


def differing(first: Path, second: Path) -> list[str]:
    """Files of two artefacts that are not the same, but for those that hold times."""
    names = [p.relative_to(first) for p in sorted(first.rglob("*")) if p.is_file()]
    return [
        str(name)
        for name in names
        if name.name != "timings.js" and not filecmp.cmp(first / name, second / name, shallow=False)
    ]


def main() -> int:
    """Print a table; the status says whether all artefacts were the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also the larger FPGA")
    cases = {**SMALL, **(LARGE if parser.parse_args().all else {})}
    print(f"{'':26}{'stage':10}{'cold':>9}{'warm':>9}{'ratio':>8}")
    different = 0
    for name, arguments in cases.items():
        with tempfile.TemporaryDirectory(prefix="actc-") as folder:
            work = Path(folder)
            compiles = arguments[0] == "compile"
            outputs = [work / turn if compiles else None for turn in ("cold", "warm")]
            cold, warm = (run(arguments, output, work / "cache") for output in outputs)
            rows = [("processor", cold.processor, warm.processor), ("wall", cold.wall, warm.wall)]
            rows += [(stage, cold.stages[stage], warm.stages[stage]) for stage in cold.stages]
            for stage, first, second in rows:
                print(f"{name:26}{stage:10}{first:9.1f}{second:9.1f}{first / second:8.1f}")
            if outputs[0] is not None and outputs[1] is not None:
                wrong = differing(outputs[0], outputs[1])
                different += len(wrong)
                print(f"{name:26}{'files that differ: ' + (', '.join(wrong) or 'none')}")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
