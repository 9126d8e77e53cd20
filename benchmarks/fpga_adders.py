"""Constant matrix products on FPGAs: actc's adder graphs, plain `*` and da4ml, in one flow.

    python benchmarks/fpga_adders.py --matrix trained --family ecp5 --flow stock sums
    python benchmarks/fpga_adders.py --matrix 16x16x5 16x16x8 --family ecp5 ice40 xc7

needs `pip install 'actc[fpga]' scikit-learn`; da4ml (LGPL-3) is measured where it is found:
`pip install --target DIR da4ml==0.6.0` and `--da4ml DIR`. All modules are combinational. The
flow `stock` is yosys' own synth_* command, `sums` the same with actc.targets.fpga.techmap
for every contestant. Printed are LUTs of any size, carry cells, and both as logic cells
(LUT4 + 2 per CCU2C on ECP5).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from actc import toolchain
from actc.targets.fpga.adders import AdderOptions, linear
from actc.targets.fpga.families import find_family
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, write_verilog
from actc.targets.fpga.netlist import Netlist
from actc.targets.fpga.synthesis import Resources, count
from actc.targets.fpga.techmap import techmap_files, with_sums

Matrix = npt.NDArray[np.int64]
TOP = "product"
COMMANDS = {
    "ecp5": "synth_ecp5 -nodsp",
    "ice40": "synth_ice40",
    "gowin": "synth_gowin -noiopads -nodsp -family gw2a",
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -nodsp",
}
PARTS = ("shift_adder", "negative")
"""Modules of da4ml that products take."""

DA4ML = """
import json, sys
import numpy as np
from da4ml.codegen import VerilogModel
from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
matrix, low, high = (np.array(part, float) for part in json.load(sys.stdin))
x = FixedVariableArray.from_lhs(low, high, np.ones(len(low)), HWConfig(1, -1, -1))
VerilogModel(comb_trace(x, x @ matrix.T), "product", "written").write()
"""


def matrices(name: str) -> tuple[Matrix, list[Range]]:
    """A random matrix "OUTPUTSxINPUTSxBITS" of signed bytes, or "trained"."""
    if name == "trained":
        return trained()
    outputs, inputs, bits = map(int, name.split("x"))
    half = 1 << (bits - 1)
    weights = np.random.default_rng(1).integers(1 - half, half, (outputs, inputs))
    return weights.astype(np.int64), [Range(-128, 127)] * inputs


def trained() -> tuple[Matrix, list[Range]]:
    """The first layer of a 64-16-10 network for scikit-learn's digits, weights of 5 bits."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    data = load_digits()
    model = MLPClassifier((16,), max_iter=300, random_state=0).fit(data.data / 16, data.target)
    weights = model.coefs_[0].T
    integers = np.round(weights * 15 / np.abs(weights).max()).astype(np.int64)
    return integers, [Range(0, 16)] * 64


def module(wires: list[Wire], inputs: list[Wire]) -> str:
    """The Verilog of a product."""
    outputs = tuple(Output(f"y{o}", wire, wire.width) for o, wire in enumerate(wires))
    return write_verilog(Module(TOP, tuple(inputs), outputs))


def actc(matrix: Matrix, ranges: list[Range], family: str, effort: int) -> str:
    """Shared adders of actc."""
    graph = Graph()
    inputs = [graph.input(f"x{i}", r) for i, r in enumerate(ranges)]
    options = AdderOptions(effort=effort, family=family)
    return module(linear(matrix, inputs, [0] * len(matrix), options), inputs)


def plain(matrix: Matrix, ranges: list[Range]) -> str:
    """Products by `*` and their sum."""
    graph = Graph()
    inputs = [graph.input(f"x{i}", r) for i, r in enumerate(ranges)]
    return module(
        [sum((x * int(w) for x, w in zip(inputs, row, strict=True)), graph.constant(0))
         for row in matrix], inputs
    )  # fmt: skip


def da4ml(matrix: Matrix, ranges: list[Range], folder: str) -> str:
    """What da4ml writes, in a process of its own."""
    with tempfile.TemporaryDirectory() as work:
        case = [matrix.tolist(), [r.low for r in ranges], [r.high for r in ranges]]
        environment = {**os.environ, "PYTHONPATH": folder}
        subprocess.run([sys.executable, "-c", DA4ML], input=json.dumps(case), text=True,
                       cwd=work, env=environment, check=True)  # fmt: skip
        source = Path(work, "written", "src")
        parts = [source / "product.v", *(source / "static" / f"{n}.v" for n in PARTS)]
        return "".join(part.read_text() for part in parts)


def synthesize(verilog: str, family: str, flow: str) -> Resources:
    """The cells of a module."""
    command = f"{COMMANDS[family]} -top {TOP}"
    lines = with_sums(command, family) if flow == "sums" else [command]
    script = ["read_verilog source.v", *lines, "write_json netlist.json"]
    with tempfile.TemporaryDirectory() as work:
        for name, text in {"source.v": verilog, **techmap_files(family)}.items():
            Path(work, name).write_text(text)
        Path(work, "run.ys").write_text("\n".join(script) + "\n")
        run = "from pyosys import libyosys; libyosys.run_pass('script run.ys', libyosys.Design())"
        toolchain.run([sys.executable, "-c", run], timeout=3600, cwd=Path(work), memory=12 << 30)
        document = json.loads(Path(work, "netlist.json").read_text())
    return count(Netlist.read(document, TOP, find_family(family)), document["creator"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", nargs="+", default=["16x16x5"])
    parser.add_argument("--family", nargs="+", default=["ecp5"], choices=sorted(COMMANDS))
    parser.add_argument("--flow", nargs="+", default=["sums"], choices=["stock", "sums"])
    parser.add_argument("--effort", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=["actc", "plain", "da4ml"])
    parser.add_argument("--da4ml", help="folder that da4ml is installed in")
    options = parser.parse_args()
    print(f"{'matrix':10} {'family':6} {'flow':6} {'by':6} {'LUT':>6} {'carry':>6} {'cells':>6}")
    for name in options.matrix:
        for family in options.family:
            for contestant in options.only:
                compare(name, family, contestant, options)


def compare(name: str, family: str, contestant: str, options: argparse.Namespace) -> None:
    """Print the lines of a contestant."""
    if contestant == "da4ml" and options.da4ml is None:
        print(f"{name:10} {family:6} {'':6} da4ml  not installed")
        return
    matrix, ranges = matrices(name)
    start = time.process_time()
    if contestant == "actc":
        verilog = actc(matrix, ranges, family, options.effort)
    elif contestant == "plain":
        verilog = plain(matrix, ranges)
    else:
        verilog = da4ml(matrix, ranges, options.da4ml)
    seconds = time.process_time() - start
    for flow in options.flow:
        got = synthesize(verilog, family, flow)
        print(
            f"{name:10} {family:6} {flow:6} {contestant:6} {got.luts:6} {got.carries:6} "
            f"{got.logic_cells:6}  ({seconds:.1f} s to build)",
            flush=True,
        )


if __name__ == "__main__":
    main()
