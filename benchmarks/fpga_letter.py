"""The letter data on an ECP5: an MLP beside a network of splines, each edge a table.

    python benchmarks/fpga_letter.py            # logic, and LUT6 for 7 series by synth_xilinx
    python benchmarks/fpga_letter.py --route    # and the routed clock

16 numbers of 4 bits, 26 classes: of the size of the jet data that published networks for
triggers are measured on, which no package holds. Their published figures stand below the
table as quoted; they are of another data set, other (UltraScale+) devices and other tools,
and say no more than what order of size such networks have.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fpga import EXAMPLES, INPUT, arrays
from fpga_flow import accuracy, measure, unrolled, xilinx_lut6s

import actc
from actc.ir.execute import Session

NETWORKS: dict[str, dict[str, Any]] = {
    "letter_mlp": {"weights": "4", "activations": "4", "rounding": "nearest"},
    "letter_kan": {"weights": "4", "activations": "4"},
}
EDGE_BITS = 6
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


def golden_of(name: str, folder: Path) -> Path:
    """Compile a network on its training samples; edges of splines get bits of their own."""
    path = EXAMPLES / f"{name}.onnx"
    nodes = onnx.load(path).graph.node if name.endswith("kan") else []
    edges = {node.input[0]: EDGE_BITS for node in nodes if node.op_type == "ReduceSum"}
    actc.compile(
        path,
        "onnx",
        data=arrays("letter_train"),
        output=folder / name,
        max_drop=1.0,
        overrides={"activations": edges},
        **NETWORKS[name],
    )
    return folder / name / "golden.onnx"


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="the letter networks on an ECP5")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--board", default="ecp5-45k", help="a device of the ECP5 family")
    parser.add_argument("--clock", type=float, default=150.0, help="MHz to pipeline for")
    parser.add_argument("--route", action="store_true", help="place and route too")
    options = parser.parse_args()
    held = arrays("letter")
    names = "network", "float", "golden", "LUT4 + 2 CCU2C", "FF", "latency", "MHz", "ns", "LUT6 xc7"
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            golden = golden_of(name, Path(folder))
            network = unrolled(golden, name)
            (found,) = network.run({INPUT: held[INPUT]}).values()
            float_scores, wanted = (
                next(iter(Session(onnx.load(path), threads=1).run({INPUT: held[INPUT]}).values()))
                for path in (EXAMPLES / f"{name}.onnx", golden)
            )
            if not np.array_equal(found, wanted):
                raise SystemExit(f"{name} differs from golden")
            row = measure(network, options.board, options.clock, Path(folder), route=options.route)
            both = (accuracy(s.argmax(axis=1), held["labels"]) for s in (float_scores, found))
            cells = [name, *(f"{value:.4f}" for value in both), row.lut4s, row.ffs, row.latency]
            cells += [f"{row.fmax:.0f}", f"{row.nanoseconds:.0f}"] if row.fmax else ["", ""]
            cells.append(xilinx_lut6s(network, options.clock))
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(QUOTED)


if __name__ == "__main__":
    main()
