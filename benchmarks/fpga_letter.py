"""The letter data on an ECP5: an MLP beside a KAN, each of whose edges is a table.

    python benchmarks/fpga_letter.py            # logic, and LUT6 of Xilinx by synth_xilinx
    python benchmarks/fpga_letter.py --route    # and the routed clock

16 numbers of 4 bits, 26 classes: of the size of the jet data that published networks for
triggers are measured on, which no package holds. Their published figures stand below the
table as quoted; they are of another data set, placed and routed by the vendor's tools, and say
no more than what order of size such networks have. Every network must give golden's outputs on
each held-out sample, bit for bit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fpga import EXAMPLES, INPUT, arrays
from fpga_flow import Array, accuracy, measure, unrolled, xilinx

import actc
from actc.ir.execute import Session
from actc.targets.fpga.network import Network

NETWORKS = ("letter_mlp", "letter_kan")
_START = time.perf_counter()
SERIES = ("xc7", "xcup")
COLUMNS = (
    *("network", "float", "golden", "LUT4 + 2 CCU2C", "FF", "clocks", "MHz", "ns"),
    *("LUT6 7 series", "LUT6 UltraScale+"),
)
QUOTED = """
Published for jet tagging (5 classes, 16 inputs), vendor tools, UltraScale+; quoted from tables in
the literature, not measured here:

| network | accuracy | LUT6 | ns |
|---|---|---|---|
| hls4ml | 76.2 | 63251 (and 38 DSP) | 45 |
| da4ml | 76.9 | 12250 | 18.9 |
| DWN | 76.3 | 4972 | 7.3 |
| TreeLUT | 75.6 | 2234 | 2.7 |
| NeuraLUT-Assemble | 76.0 | 1780 | 2.1 |
| KANELE | 76.0 | 1232 | 7.1 |
"""


@dataclass(frozen=True)
class Built:
    """A network that equals golden, and accuracies on the held-out samples.

    Attributes:
        network: combinational.
        given: of the model in float arithmetic.
        golden: of golden.onnx, and so of the network.
    """

    network: Network
    given: float
    golden: float


def progress(message: str) -> None:
    """Say what is going on, and when it began."""
    print(f"{time.perf_counter() - _START:5.0f} s  {message}", file=sys.stderr, flush=True)


def golden_of(name: str, folder: Path) -> Path:
    """Compile a network, which is quantized already."""
    data = arrays("letter_train")
    path = EXAMPLES / f"{name}.onnx"
    actc.compile(path, "onnx", data=data, output=folder / name, max_drop=1.0)
    return folder / name / "golden.onnx"


def scores(path: Path, samples: Array) -> Array:
    """The outputs of a model."""
    (found,) = Session(onnx.load(path), threads=1).run({INPUT: samples}).values()
    return found


def build(name: str, folder: Path) -> Built:
    """Unroll a network and compare it with golden.

    Raises:
        SystemExit: an output differs.
    """
    progress(f"{name}: compiling")
    golden, held = golden_of(name, folder), arrays("letter")
    progress(f"{name}: unrolling")
    network = unrolled(golden, name)
    (found,) = network.run({INPUT: held[INPUT]}).values()
    wanted = scores(golden, held[INPUT])
    if not np.array_equal(found, wanted):
        raise SystemExit(f"{name} differs from golden")
    given = scores(EXAMPLES / f"{name}.onnx", held[INPUT])
    right = (accuracy(each.argmax(axis=1), held["labels"]) for each in (given, wanted))
    return Built(network, *right)


def row(name: str, options: argparse.Namespace, folder: Path) -> list[Any]:
    """What stands in the table for a network."""
    built = build(name, folder)
    progress(f"{name}: {options.board}, {'placed and routed' if options.route else 'synthesis'}")
    found = measure(built.network, options.board, options.clock, folder, route=options.route)
    routed = [f"{found.fmax:.0f}", f"{found.nanoseconds:.0f}"] if found.fmax else ["", ""]
    cells: list[Any] = [name, f"{built.given:.4f}", f"{built.golden:.4f}"]
    cells += [found.lut4s, found.ffs, found.latency, *routed]
    for family in SERIES:
        progress(f"{name}: synth_xilinx for {family}")
        cells.append(xilinx(built.network, options.clock, family).luts)
    return cells


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="the letter networks on an ECP5")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--board", default="ecp5-25k", help="a device of the ECP5 family")
    parser.add_argument("--clock", type=float, default=150.0, help="MHz to pipeline for")
    parser.add_argument("--route", action="store_true", help="place and route too")
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            cells = row(name, options, Path(folder) / name)
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    progress("done")
    print(QUOTED)


if __name__ == "__main__":
    main()
