"""Golden models through the FPGA flow, measured: logic, registers, clock, latency."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import place_and_route, synthesize_design
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design
from actc.targets.fpga.network import Network, NetworkOptions, build_network
from actc.targets.fpga.pipeline import find_timing, pipeline
from actc.targets.fpga.synthesis import Resources, synthesize

Array = npt.NDArray[Any]

HARNESS = "harness"


@dataclass(frozen=True)
class Row:
    """A measured design.

    Attributes:
        luts, carries, ffs: cells of the synthesized core.
        latency: clocks.
        fmax: MHz of the routed core between shift registers; 0: not routed.
        seconds: wall time of synthesis and routing.
    """

    luts: int
    carries: int
    ffs: int
    latency: int
    fmax: float = 0.0
    seconds: float = 0.0

    @property
    def lut4s(self) -> int:
        """LUT4-equivalents: a CCU2C holds two."""
        return self.luts + 2 * self.carries

    @property
    def nanoseconds(self) -> float:
        """Latency at the routed clock."""
        return self.latency * 1e3 / self.fmax if self.fmax else 0.0


def unrolled(golden: Path, name: str, options: NetworkOptions | None = None) -> Network:
    """The network of a golden model."""
    return build_network(ir.load(golden), name, options)


def predictions(network: Network, samples: Array, name: str = "image") -> Array:
    """Class of each sample, computed by the hardware's graph."""
    (scores,) = network.run({name: samples}).values()
    found: Array = scores.argmax(axis=1)
    return found


def measure(
    network: Network, board: str, clock_mhz: float, work: Path, *, route: bool, seed: int = 1
) -> Row:
    """Pipeline, write, synthesize and perhaps route a network.

    Args:
        network: combinational.
        board: name of a device of the ECP5 family.
        clock_mhz: that the pipeline is made for.
        work: folder for netlists and logs.
        route: whether to place and route too.
        seed: of the placement.
    """
    start = time.monotonic()
    found = find_board(board)
    design = pipeline(network.design, find_timing("ecp5-6"), clock_mhz=clock_mhz)
    files = write_design(design)
    core = synthesize_design(files, design.name, found.device, work / "core")
    fmax = 0.0
    if route:
        wrapped = {**files, f"{HARNESS}.v": harness(design)}
        whole = synthesize_design(wrapped, HARNESS, found.device, work / "whole")
        routed = place_and_route(whole, found, work / "whole", clock_mhz=clock_mhz, seeds=[seed])
        fmax = routed.fmax_mhz
    assert design.latency is not None
    return Row(
        luts=core.total.luts,
        carries=core.total.carries,
        ffs=core.total.ffs,
        latency=design.latency,
        fmax=fmax,
        seconds=time.monotonic() - start,
    )


def xilinx(network: Network, clock_mhz: float, family: str) -> Resources:
    """Cells of the pipelined core by `synth_xilinx`; families "xc7" and "xcup"."""
    design = pipeline(network.design, find_timing(family), clock_mhz=clock_mhz)
    text = "\n".join(write_design(design).values())
    return synthesize(text, design.name, family)


def harness(design: Design) -> str:
    """The core between two shift registers, so that two pins serve all of its ports."""
    inputs = sum(bus.width * len(bus.wires) for bus in design.inputs)
    outputs = sum(bus.width * len(bus.wires) for bus in design.outputs)
    names, top = hierarchy(design).ports, hierarchy(design).top
    ports, low = [".clk(clk)"], 0
    for bus in design.inputs:
        high = low + bus.width * len(bus.wires)
        ports.append(f".{names[bus.name]}(given[{high - 1}:{low}])")
        low = high
    low = 0
    for bus in design.outputs:
        high = low + bus.width * len(bus.wires)
        ports.append(f".{names[bus.name]}(found[{high - 1}:{low}])")
        low = high
    return f"""module {HARNESS} (input wire clk, input wire take, input wire in, output wire out);
  reg [{inputs - 1}:0] given;
  reg [{outputs - 1}:0] kept;
  wire [{outputs - 1}:0] found;
  always @(posedge clk) given <= {{given[{inputs - 2}:0], in}};
  always @(posedge clk) kept <= take ? found : {{1'b0, kept[{outputs - 1}:1]}};
  assign out = kept[0];
  {top} core ({", ".join(ports)});
endmodule
"""


def accuracy(found: Array, labels: Array) -> float:
    """The part of the samples that are classified right."""
    return float(np.mean(found == labels))
