"""Instructions of a sample on Cortex-M cores: the target `c` on QEMU's boards.

    python benchmarks/cortex_m.py examples/digits/cnn.onnx examples/digits/digits.npz

QEMU counts each instruction as one nanosecond (`-icount shift=0`), and the boards' SysTick timer is
read around the call. Instructions are no cycles: a core may take several for one, or two at once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import actc
from actc.targets.c import emulator
from actc.targets.c.host import SIGNATURE
from actc.targets.cortex_m.board import (
    CORTEX_M3,
    CORTEX_M4,
    CORTEX_M7,
    CORTEX_M55,
    HELIUM_M55,
    Core,
)

Array = np.ndarray[Any, Any]
CORES = {
    "Cortex-M3, plain C": CORTEX_M3,
    "Cortex-M4, SMLAD": CORTEX_M4,
    "Cortex-M7, SMLAD": CORTEX_M7,
    "Cortex-M55, SMLAD": CORTEX_M55,
    "Cortex-M55, Helium": HELIUM_M55,
}
NANOSECONDS = {"mps2-an385": 40.0, "mps2-an386": 40.0, "mps2-an500": 40.0, "mps3-an547": 31.25}
"""A tick of SysTick at each board's clock: what is counted is exact to that many instructions."""
_COUNTER = """
static uint32_t ticks;
static int status;
static int begin(void)
{
    volatile uint32_t *timer = (volatile uint32_t *)0xE000E010u;
    timer[1] = 0xFFFFFFu;
    timer[2] = 0u;
    timer[0] = 5u;
    return 0;
}
static uint32_t passed(void)
{
    return 0xFFFFFFu - ((volatile uint32_t *)0xE000E010u)[2];
}
#define @NAME@_run(...) ((void)begin(), status = @NAME@_run(__VA_ARGS__), ticks = passed(), \\
    (void)move(WRITE, result, &ticks, 4u), status)
"""


def instructions(directory: Path, feeds: Mapping[str, Array], core: Core) -> Array:
    """Instructions of each sample, int64 [samples].

    Args:
        directory: of the C code. feeds: input name -> samples.

    Raises:
        MissingTool, ToolFailed: of Arm's gcc or the emulator.
    """
    signature = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    arrays = [np.ascontiguousarray(feeds[item["name"]]) for item in signature["inputs"]]
    counted = {"name": "ticks", "dtype": "uint32", "shape": [None, 1]}
    with tempfile.TemporaryDirectory(prefix="actc-count-") as folder:
        counter = _COUNTER.replace("@NAME@", signature["name"])
        program = emulator.build(directory, Path(folder), core, counter)
        outputs = [counted, *signature["outputs"]]
        found = emulator.run(program, core, arrays, outputs, ("-icount", "shift=0"))
    ticks = found["ticks"].reshape(-1) * NANOSECONDS[core.board.name]
    return np.rint(ticks).astype(np.int64)


def main() -> None:
    """Print a line for each core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    with np.load(options.data, allow_pickle=False) as given:
        data = {name: given[name][:100] for name in given.files}
    with tempfile.TemporaryDirectory() as folder:
        actc.compile(options.model, "c", data=data, output=Path(folder) / "out", max_drop=1.0)
        directory = Path(folder) / "out"
        names = [i["name"] for i in json.loads((directory / SIGNATURE).read_text())["inputs"]]
        feeds = {name: data[name][:4].astype(np.float32) for name in names}
        for title, core in CORES.items():
            print(f"{title:20} {instructions(directory, feeds, core).max():>12,}")


if __name__ == "__main__":
    main()
