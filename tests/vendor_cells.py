"""The vendors' simulation models that yosys ships, run by Icarus Verilog: cells beside cells.

A case instantiates one cell with given parameters. It is simulated for a list of clocks: the
inputs of a clock are applied, the outputs are read, and then the clock port, if there is one,
rises and falls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates import GateNetlist, simulate
from actc.toolchain import find, run

Bits = npt.NDArray[np.uint8]
INSTALL = "apt-get install iverilog"


@dataclass(frozen=True)
class Case:
    """One cell.

    Attributes:
        cell: its type.
        parameters: name -> (bits, number) or text.
        inputs, outputs: width by port.
        clocks: ports that the clock drives.
        tied: more inputs, that are constant: (bits, number).
        masks: of some inputs the bits that change after the first clock, in which they are
            all 1; the others are 0 then.
        known: which part of the outputs the vendor's model defines, at least.
    """

    cell: str
    parameters: Mapping[str, tuple[int, int] | str]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    clocks: tuple[str, ...] = ()
    tied: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    masks: Mapping[str, int] = field(default_factory=dict)
    known: float = 0.9

    @property
    def input_bits(self) -> int:
        return sum(self.inputs.values())

    @property
    def output_bits(self) -> int:
        return sum(self.outputs.values())

    def masked(self, stimuli: Bits) -> Bits:
        """Rows of input bits with the masks applied."""
        bits = [
            self.masks.get(port, -1) >> bit & 1
            for port, width in self.inputs.items()
            for bit in range(width)
        ]
        rows = stimuli & np.array(bits, np.uint8)
        rows[0] |= 1 - np.array(bits, np.uint8)
        return rows

    def document(self) -> dict[str, Any]:
        """The same as yosys would write it, in a module named top."""
        bits = iter(range(2, 10000))
        wires = {port: [next(bits) for _ in range(width)] for port, width in self.inputs.items()}
        wires |= {port: [next(bits) for _ in range(width)] for port, width in self.outputs.items()}
        clock = next(bits)
        parameters = {
            name: value if isinstance(value, str) else f"{value[1]:0{value[0]}b}"
            for name, value in self.parameters.items()
        }
        constants = {
            port: list(f"{number:0{width}b}"[::-1]) for port, (width, number) in self.tied.items()
        }
        cell = {
            "type": self.cell,
            "parameters": parameters,
            "connections": wires | {port: [clock] for port in self.clocks} | constants,
        }
        ports = {port: {"direction": "input", "bits": wires[port]} for port in self.inputs}
        ports |= {port: {"direction": "output", "bits": wires[port]} for port in self.outputs}
        if self.clocks:
            ports["clk"] = {"direction": "input", "bits": [clock]}
        return {"modules": {"top": {"ports": ports, "cells": {"cell": cell}}}}

    def evaluate(self, family: str, stimuli: Bits) -> Bits:
        """Bits [clocks, output bits] by the models of actc."""
        netlist = GateNetlist.read(self.document(), "top", family)
        given, start = {}, 0
        for port, width in self.inputs.items():
            given[port] = stimuli[:, start : start + width]
            start += width
        if "clk" in netlist.inputs:  # nothing in the cell is clocked
            given["clk"] = np.zeros((len(stimuli), 1), np.uint8)
        found = simulate(netlist, given, len(stimuli))
        return np.concatenate([found[port] for port in self.outputs], axis=1)


def library(share: Path, family: str, folder: Path) -> list[str]:
    """Arguments of Icarus Verilog for the library of a family."""
    source = share / ("xilinx" if family == "xc7" else family)
    if family != "ecp5":
        return ["-DNO_ICE40_DEFAULT_ASSIGNMENTS", str(source / "cells_sim.v")]
    # its one elaboration task is not Verilog-2005
    for name in ("common_sim.vh", "ccu2c_sim.vh"):
        text = (source / name).read_text("utf-8")
        text = re.sub(r"\$error\([^;]*\);", "", text)
        (folder / name).write_text(text, "utf-8")
    both = "".join(f'`include "{name}"\n' for name in ("common_sim.vh", "ccu2c_sim.vh"))
    (folder / "cells.v").write_text(both, "utf-8")
    return ["-DNO_INCLUDES", "cells.v"]


def simulate_vendor(
    family: str, cases: list[Case], stimuli: list[Bits], share: Path, folder: Path
) -> list[npt.NDArray[np.str_]]:
    """Characters [clocks, output bits], 0, 1, x or z, of every case, in one run."""
    text = []
    for number, (case, rows) in enumerate(zip(cases, stimuli, strict=True)):
        lines = "".join("".join(map(str, row[::-1])) + "\n" for row in rows.tolist())
        (folder / f"in{number}").write_text(lines, "ascii")
        text.append(_bench(number, case, len(rows)))
    (folder / "bench.v").write_text("".join(text), "ascii")
    roots = [argument for number in range(len(cases)) for argument in ("-s", f"bench{number}")]
    compiler = str(find("iverilog", INSTALL))
    build = [compiler, "-g2012", "-o", "a.vvp", *roots, "bench.v", *library(share, family, folder)]
    run(build, timeout=120, cwd=folder)
    run([str(find("vvp", INSTALL)), "-n", "a.vvp"], timeout=120, cwd=folder)
    found = []
    for number in range(len(cases)):
        words = (folder / f"out{number}").read_text("ascii").split()
        found.append(np.array([list(word[::-1]) for word in words]))
    return found


def _bench(number: int, case: Case, clocks: int) -> str:
    parameters = ", ".join(f".{name}({_literal(v)})" for name, v in case.parameters.items())
    parts, start = [], 0
    for port, width in case.inputs.items():
        parts.append(f".{port}(x[{start} +: {width}])")
        start += width
    start = 0
    for port, width in case.outputs.items():
        parts.append(f".{port}(y[{start} +: {width}])")
        start += width
    parts += [f".{port}(clk)" for port in case.clocks]
    parts += [f".{port}({_literal(value)})" for port, value in case.tied.items()]
    return f"""
module bench{number};
  reg [{max(case.input_bits, 1) - 1}:0] stimuli [0:{clocks - 1}];
  reg [{max(case.input_bits, 1) - 1}:0] x;
  wire [{case.output_bits - 1}:0] y;
  reg clk = 1'd0;
  integer step, file;
  {case.cell} #({parameters}) cell_under_test ({", ".join(parts)});
  initial begin
    $readmemb("in{number}", stimuli);
    file = $fopen("out{number}", "w");
    for (step = 0; step < {clocks}; step = step + 1) begin
      x = stimuli[step];
      #5 clk = 1'd0;
      #5 $fdisplay(file, "%b", y);
      clk = 1'd1;
      #5;
    end
    $fclose(file);
  end
endmodule
"""


def _literal(value: tuple[int, int] | str) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value[0]}'b{value[1]:0{value[0]}b}"
