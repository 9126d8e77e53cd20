"""Estimated clocks of pipelined networks against those that nextpnr reaches.

    python benchmarks/fpga_timing.py                        # every timing
    python benchmarks/fpga_timing.py --timing ecp5-7 gowin  # some of them
    python benchmarks/fpga_timing.py --network wide --clock 120 --timing ecp5-25k
    python benchmarks/fpga_timing.py --json rows.json

Small networks are pipelined for some clocks, put between shift registers, synthesized, placed
and routed, one seed each. `ratio` is what is reached over what was estimated: 1 means that the
estimate is right, more that stages could be saved, less that it is too hopeful. `met` counts
runs that reach the clock asked for at the first try. The delays of the slowest path show which
constants of actc/targets/fpga/pipeline/timing.py are off: `edge` is what registers take,
`cells` and `wires` what is between them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from fpga_flow import HARNESS, harness
from onnx import numpy_helper, parser

import actc
from actc.errors import ActcError
from actc.targets.fpga.adders.options import EFFORT
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.flow import place_and_route, synthesize_design
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.network import Network, build_network
from actc.targets.fpga.on_board import network_options, timing_name
from actc.targets.fpga.pipeline import find_timing, pipeline, report

CASES = {
    "ice40-hx8k": (60.0, 100.0, 130.0),
    "ice40-up5k": (20.0, 30.0, 45.0),
    "ecp5-25k": (80.0, 120.0, 180.0),
    "ecp5-25k/7": (100.0, 140.0, 200.0),
    "orangecrab-25f": (110.0, 160.0, 220.0),
    "gowin-gw1n9": (50.0, 75.0, 110.0),
    "gowin-gw2a18": (60.0, 100.0, 150.0),
}
"""Board, with a speed grade behind a slash where it is not its own -> MHz to ask for."""

NETWORKS = {
    "relu": (12, 6, "active = Relu(biased)"),
    "silu": (8, 5, "gate = Sigmoid(biased) active = Mul(biased, gate)"),
    "tanh": (6, 4, "active = Tanh(biased)"),
    "wide": (40, 10, "active = Relu(biased)"),
}
"""Name -> inputs, hidden units, activation of a network of two layers with 4 outputs."""
SMALL = ("relu", "silu", "tanh")


@dataclass(frozen=True)
class Row:
    """One routed network; times in ns."""

    timing: str
    network: str
    asked_mhz: float
    estimated_mhz: float
    reached_mhz: float
    latency: int
    cells: int
    edge_ns: float
    cells_ns: float
    wires_ns: float
    levels: int

    @property
    def ratio(self) -> float:
        """Reached over estimated."""
        return self.reached_mhz / self.estimated_mhz

    @property
    def met(self) -> bool:
        """Whether the clock asked for is reached."""
        return self.reached_mhz >= self.asked_mhz


def model(name: str) -> onnx.ModelProto:
    """A dense network of two layers with random weights."""
    inputs, hidden, activation = NETWORKS[name]
    found = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]>\n'
        f"net (float[N,{inputs}] x) => (float[N,4] y) {{\n"
        f"first = MatMul(x, a) biased = Add(first, b) {activation} y = MatMul(active, c)\n}}"
    )
    generator = np.random.default_rng(3)
    for weight, shape in {"a": (inputs, hidden), "b": (hidden,), "c": (hidden, 4)}.items():
        array = generator.standard_normal(shape).astype(np.float32)
        found.graph.initializer.append(numpy_helper.from_array(array, weight))
    return found


def golden(name: str, folder: Path) -> Path:
    """The integer form of a network, weights and tensors of 4 bits."""
    generator = np.random.default_rng(4)
    data = {"x": generator.standard_normal((200, NETWORKS[name][0])).astype(np.float32)}
    actc.compile(
        model(name),
        "onnx",
        data=data,
        output=folder / name,
        weights="4",
        activations="4",
        max_drop=1.0,
    )
    return folder / name / "golden.onnx"


def board_of(case: str) -> Board:
    """A board at its own or another speed grade."""
    name, _, speed = case.partition("/")
    board = find_board(name)
    if not speed:
        return board
    return Board(
        board.name, board.title, board.device, board.package, speed, board.clock_mhz, board.pins
    )


def measure(network: Network, name: str, board: Board, clock_mhz: float, work: Path) -> Row:
    """Pipeline, synthesize and route one network."""
    timing = find_timing(timing_name(board))
    design = pipeline(network.design, timing, clock_mhz=clock_mhz)
    files = {**write_design(design), f"{HARNESS}.v": harness(design)}
    whole = synthesize_design(files, HARNESS, board.device, work)
    pins = [pin.site for role, pin in board.pins.items() if role != "led"]
    constraints = ""
    if board.device.family == "gowin":  # its placer wants all pins to be given
        ports = ("clk", "take", "in", "out")
        constraints = "".join(
            f'IO_LOC "{port}" {site};\n' for port, site in zip(ports, pins, strict=False)
        )
    routed = place_and_route(whole, board, work, constraints=constraints, clock_mhz=clock_mhz)
    path = routed.critical_path
    steps = () if path is None else path.steps

    def spent(*kinds: str) -> float:
        return sum(step.delay_ns for step in steps if step.kind in kinds)

    return Row(
        timing=timing.name,
        network=name,
        asked_mhz=clock_mhz,
        estimated_mhz=report(design, timing).clock_mhz,
        reached_mhz=routed.fmax_mhz,
        latency=design.latency or 0,
        cells=whole.total.logic_cells,
        edge_ns=spent("clk-to-q", "setup"),
        cells_ns=spent("logic"),
        wires_ns=spent("routing"),
        levels=sum(step.kind == "routing" for step in steps),
    )


def rows(cases: dict[str, tuple[float, ...]], names: list[str], folder: Path) -> Iterator[Row]:
    """All networks at all clocks of some boards, as they are done."""
    models = {name: golden(name, folder) for name in names}
    for case, clocks in cases.items():
        board = board_of(case)
        for name, path in models.items():
            network = build_network(ir.load(path), name, network_options(board, EFFORT))
            for clock in clocks:
                try:
                    yield measure(network, name, board, clock, folder / "work")
                except ActcError as problem:
                    print(f"{case} {name} {clock:g} MHz: {problem.diagnostics[0].message}")


def summary(found: list[Row]) -> Iterator[str]:
    """One line for each timing."""
    for timing in dict.fromkeys(row.timing for row in found):
        mine = [row for row in found if row.timing == timing]
        ratios = [row.ratio for row in mine]
        error = statistics.median(abs(1 - ratio) for ratio in ratios)
        yield (
            f"{timing}: {sum(row.met for row in mine)} of {len(mine)} met; reached / estimated "
            f"{min(ratios):.2f} to {max(ratios):.2f}, median {statistics.median(ratios):.2f}; "
            f"median error {100 * error:.0f} %"
        )


def main() -> None:
    """Measure, print each row and a summary."""
    reader = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    reader.add_argument("--timing", nargs="*", default=[], help="beginnings of boards' names")
    reader.add_argument("--network", nargs="*", default=list(SMALL), choices=list(NETWORKS))
    reader.add_argument("--clock", nargs="*", type=float, help="MHz instead of the usual ones")
    reader.add_argument("--json", type=Path)
    options = reader.parse_args()
    chosen = {
        case: options.clock or clocks
        for case, clocks in CASES.items()
        if not options.timing or case.startswith(tuple(options.timing))
    }
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(chosen, options.network, Path(folder)):
            found.append(row)
            print(
                f"{row.timing:22} {row.network:5} asked {row.asked_mhz:4.0f} estimated "
                f"{row.estimated_mhz:4.0f} reached {row.reached_mhz:4.0f} MHz, {row.latency:2} "
                f"clocks, {row.cells:4} cells; edge {row.edge_ns:.2f} cells {row.cells_ns:.2f} "
                f"wires {row.wires_ns:.2f} ns over {row.levels} wires",
                flush=True,
            )
    print(*summary(found), sep="\n")
    if options.json is not None:
        options.json.write_text(
            json.dumps([asdict(row) for row in found], indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
