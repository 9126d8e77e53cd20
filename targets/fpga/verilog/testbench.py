"""A testbench that checks itself, with samples of the data: for any simulator."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.base import Rung
from actc.targets.fpga.assembly import RTL, Assembly
from actc.targets.fpga.hdl.design import Bus
from actc.targets.fpga.hdl.words import bus_bits
from actc.targets.fpga.interfaces import stream_ports
from actc.targets.fpga.ladder import random_feeds
from actc.targets.fpga.rtl_simulation import ICARUS_HELP, MEMORY, TIMEOUT, hex_words
from actc.toolchain import find, run

SIM = "sim"
"""Folder of the testbench."""
OF_DATA, RANDOM = 96, 32
"""Samples of the data, and random ones, the first of which are all least and all greatest."""
PAUSE = 7
"""Every so many clocks no sample is given, so that valid bits are tested too."""

_BENCH = """\
// Tests {top} with {count} samples: {of_data} of the data, {random} random ones.
// Its last line begins with PASS or FAIL. To run it in this folder:
//   $ iverilog -g2005 -o tb.vvp -s {bench} *.v ../rtl/*.v
//   $ vvp -n tb.vvp
// or, with Verilator 5,
//   $ verilator --binary --timing --top-module {bench} *.v ../rtl/*.v
//   $ obj_dir/V{bench}
// or, with Vivado,
//   $ xvlog *.v ../rtl/*.v
//   $ xelab {bench} -s tb
//   $ xsim tb -runall
// or, with Questa or ModelSim,
//   $ vlog *.v ../rtl/*.v
//   $ vsim -c {bench} -do "run -all; quit"
// In another folder, name the file of vectors by the parameter VECTORS.
/* verilator lint_off WIDTH */  // counters are integers
module {bench} #(
  // a word per sample: the expected outputs, then, in the lower bits, the inputs
  parameter VECTORS = "{bench}.mem"
);
  localparam COUNT = {count};
  localparam LAST = {last};  // clock in which everything is over
  localparam SHOWN = 10;  // differences that are printed

  reg [{word_high}:0] vectors [0:COUNT-1];
  integer clocks = 0, sent = 0, received = 0, errors = 0;
  reg in_valid = 1'b0;
  reg [{in_high}:0] inputs = {in_bits}'d0;
  wire out_valid;
  wire [{out_high}:0] outputs;

  reg clk = 1'b0;
  always #5 clk = ~clk;
  {top} dut (
    .clk(clk), .in_valid(in_valid), .out_valid(out_valid),
{ports}
  );

  // in_valid as it was {latency} clocks ago
{due}

  wire [{word_high}:0] next = vectors[sent < COUNT ? sent : 0];
  wire [{word_high}:0] answer = vectors[received < COUNT ? received : 0];
  wire [{out_high}:0] expected = answer[{word_high}:{in_bits}];
  wire wrong = out_valid !== due || (due && (received == COUNT || outputs !== expected));

  initial begin
    $readmemh(VECTORS, vectors);
    if (^vectors[0] === 1'bx) begin
      $display("FAIL: there are no vectors in %0s", VECTORS);
      $finish;
    end
  end

  always @(posedge clk) begin
    clocks <= clocks + 1;
    in_valid <= 1'b0;
    inputs <= {in_bits}'bx;  // may not matter
    if (sent < COUNT && clocks % {pause} != 0) begin
      in_valid <= 1'b1;
      inputs <= next[{in_high}:0];
      sent <= sent + 1;
    end
    if (due) received <= received + 1;
    if (wrong) begin
      errors <= errors + 1;
      if (errors < SHOWN && out_valid !== due)
        $display("clock %0d: out_valid is %b, not %b", clocks, out_valid, due);
      else if (errors < SHOWN) begin
        $display("clock %0d: sample %0d differs", clocks, received);
{shown}
      end
    end
    if (clocks == LAST) begin
      if (errors == 0 && received == COUNT) $display("PASS: %0d samples", COUNT);
      else $display("FAIL: %0d errors, %0d of %0d samples", errors, received, COUNT);
      $finish;
    end
  end
endmodule
"""


def bench_name(assembly: Assembly) -> str:
    """The testbench's module; its file and that of the vectors are called after it."""
    return f"{assembly.top}_tb"


def write_testbench(assembly: Assembly, data: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    """The testbench of a stream and its vectors.

    What is expected comes from the hardware description, which is compared with golden on these
    samples and many more.

    Args:
        assembly: of the kind "stream".
        data: input name -> samples, of which the first ones are taken.

    Returns:
        file name -> text, ASCII.
    """
    network, info = assembly.network, assembly.info
    random = random_feeds(network, RANDOM)
    feeds = random
    if data:
        feeds = {k: np.concatenate([np.asarray(data[k])[:OF_DATA], random[k]]) for k in random}
    codes = network.prologue(feeds)
    expected = network.design.evaluate(codes)
    words = [bus_bits(bus, codes[bus.name]) for bus in assembly.design.inputs]
    words += [bus_bits(bus, expected[bus.name]) for bus in assembly.design.outputs]
    count = len(words[0])
    latency, bench = info.latency, bench_name(assembly)
    inputs, outputs = stream_ports(assembly.top, info)
    ports = assembly.hierarchy.ports
    given = _slices([(inputs[ports[bus.name]], bus) for bus in assembly.design.inputs])
    found = _slices([(outputs[ports[bus.name]], bus) for bus in assembly.design.outputs])
    text = _BENCH.format(
        top=assembly.top,
        bench=bench,
        count=count,
        of_data=count - RANDOM,
        random=RANDOM,
        last=count + count // (PAUSE - 1) + latency + 4,
        pause=PAUSE,
        in_bits=info.input_bits,
        in_high=info.input_bits - 1,
        out_high=info.output_bits - 1,
        word_high=info.input_bits + info.output_bits - 1,
        latency=latency,
        ports=",\n".join(
            [f"    .{port}(inputs[{part}])" for port, part in given]
            + [f"    .{port}(outputs[{part}])" for port, part in found]
        ),
        due="\n".join(_due(latency)),
        shown="\n".join(
            f'        $display("  {port} is %h, not %h", outputs[{part}], expected[{part}]);'
            for port, part in found
        ),
    )
    vectors = "\n".join(hex_words(np.concatenate(words, axis=1))) + "\n"
    return {f"{bench}.v": text, f"{bench}.mem": vectors}


def run_testbench(assembly: Assembly, directory: Path) -> Rung:
    """Run the testbench that was written, on the Verilog that was written, in Icarus Verilog.

    Raises:
        MissingTool: ACT0501, Icarus Verilog is not installed.
        ToolFailed: ACT0510..0513, it refuses the files or exceeds a limit.
    """
    compiler, simulator = find("iverilog", ICARUS_HELP), find("vvp", ICARUS_HELP)
    bench, folder = bench_name(assembly), directory / SIM
    sources = [f"{bench}.v", *(f"../{RTL}/{name}" for name in assembly.files)]
    with tempfile.TemporaryDirectory(prefix="actc-testbench-") as name:
        program = str(Path(name) / "tb.vvp")
        compiled = [str(compiler), "-g2005", "-o", program, "-s", bench, *sources]
        run(compiled, timeout=TIMEOUT, memory=MEMORY, cwd=folder)
        printed = run(
            [str(simulator), "-n", program], timeout=TIMEOUT, memory=MEMORY, cwd=folder
        ).output
    passed = re.search(r"^PASS: (\d+) samples$", printed, re.MULTILINE)
    if passed is None or re.search("^FAIL", printed, re.MULTILINE):
        lines = printed.strip().splitlines() or ["it printed nothing"]
        return Rung("testbench", "differs", "; ".join(lines[:3]))
    count = int(passed[1])
    how = f"{SIM}/{bench}.v in Icarus Verilog, with pauses; {count - RANDOM} samples of the data, "
    return Rung("testbench", "equal", f"{how}{RANDOM} random ones", count)


def _slices(ports: Sequence[tuple[str, Bus]]) -> list[tuple[str, str]]:
    """Ports and their bits in a vector of all, the first in the lowest bits."""
    found, low = [], 0
    for port, bus in ports:
        found.append((port, f"{low + bus.bits - 1}:{low}"))
        low += bus.bits
    return found


def _due(latency: int) -> list[str]:
    """`in_valid` as many clocks later; there is always a register (ACT0557)."""
    shifted = f"{{history[{latency - 2}:0], in_valid}}" if latency > 1 else "in_valid"
    return [
        f"  reg [{latency - 1}:0] history = {latency}'d0;",
        f"  always @(posedge clk) history <= {shifted};",
        f"  wire due = history[{latency - 1}];",
    ]
