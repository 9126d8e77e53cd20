"""Netlists for tests: synthesis, placement and routing of small modules."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates import GateNetlist, simulate
from actc.toolchain import run

Bits = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_YOSYS = "from pyosys import libyosys; libyosys.run_pass('script run.ys', libyosys.Design())"
_COMMANDS = {
    "ice40": ("synth_ice40", "-dsp", ""),
    "ecp5": ("synth_ecp5", "", "-nodsp"),
    "gowin": ("synth_gowin -noiopads -family gw2a", "", "-nodsp"),
    "xc7": ("synth_xilinx -family xc7 -flatten -noiopad -noclkbuf", "", "-nodsp"),
    "xcup": ("synth_xilinx -family xcup -flatten -noiopad -noclkbuf", "", "-nodsp"),
}


def synthesized(verilog: str, top: str, family: str, *, dsp: bool = False) -> dict[str, Any]:
    """What yosys' write_json writes for a module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.v").write_text(verilog, "utf-8")
        command, with_dsp, without = _COMMANDS[family]
        script = [
            "read_verilog top.v",
            f"{command} {with_dsp if dsp else without} -top {top}",
            "write_json netlist.json",
        ]
        (folder / "run.ys").write_text("\n".join(script) + "\n", "utf-8")
        run([sys.executable, "-c", _YOSYS], timeout=300, cwd=folder)
        found: dict[str, Any] = json.loads((folder / "netlist.json").read_text("utf-8"))
        return found


SUM = """module sums(
  input clk, input [15:0] x, input en, input rst, output [9:0] y, output [3:0] n
);
  wire signed [7:0] a = x[7:0], b = x[15:8];
  reg signed [9:0] s; reg signed [8:0] d; reg signed [9:0] q; reg [3:0] c = 4'd5;
  always @(posedge clk) begin
    s <= a + 3 * b; d <= a - b; q <= (s > d) ? s ^ d : s + d;
    if (rst) c <= 4'd5; else if (en) c <= c + 1;
  end
  assign y = q;
  assign n = c;
endmodule
"""


def sums(x: Numbers, en: Numbers, rst: Numbers) -> tuple[Numbers, Numbers]:
    """What the module does, registers and all; y from the third clock on."""
    a, b = ((x & 255) ^ 128) - 128, ((x >> 8) ^ 128) - 128
    s, d = a + 3 * b, a - b
    q = np.where(s > d, s ^ d, s + d) % 1024
    y = np.concatenate([[0, 0], q[:-2]])
    n, count = [], 5
    for enabled, reset in zip(en, rst, strict=True):
        n.append(count)
        count = 5 if reset else (count + enabled) % 16
    return y, np.array(n)


def number(bits: Bits) -> Numbers:
    return np.asarray(bits.astype(np.int64) @ (1 << np.arange(bits.shape[1])))


def sums_differ(netlist: GateNetlist, clocks: int = 500, floating: int = 0) -> bool:
    """Whether a netlist of SUM does something else on random inputs."""
    rng = np.random.default_rng(2)
    x, en = rng.integers(0, 1 << 16, clocks), rng.integers(0, 2, clocks)
    rst = (rng.integers(0, 9, clocks) == 8).astype(np.int64)
    y, n = sums(x, en, rst)
    found = simulate(netlist, {"x": x, "en": en, "rst": rst}, floating=floating)
    same = np.array_equal(number(found["y"])[2:], y[2:]) and np.array_equal(number(found["n"]), n)
    return not same
