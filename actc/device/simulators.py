"""Programs that simulate a board: they read levels of its pins, clock by clock, and answer.

The text on their standard input is a character per clock, a digit whose bits are the pins,
and a line end behind some of them; then they write as many characters, "0" or "1".

Icarus Verilog begins at once and knows undefined levels. Verilator takes many seconds to
begin, and is then faster by one or two orders of magnitude; it is for networks that take
thousands of clocks for a sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from actc.device.document import require_files
from actc.device.interface import Interface, Simulation
from actc.toolchain import find, locate, run

Simulator = Literal["icarus", "verilator"]

INSTALL = "apt-get install iverilog"
VERILATOR_INSTALL = "apt-get install verilator g++ make"
COMPILE_SECONDS = 600.0
MEMORY = 8 << 30
"""Bytes of address space that compiler and simulator may take, each."""

PORTS = {
    "uart": ".uart_rx(pins[0]), .uart_tx(out)",
    "spi": ".spi_sck(pins[0]), .spi_mosi(pins[1]), .spi_cs(pins[2]), .spi_miso(out)",
}
"""Kinds of interfaces that have a wire."""

# 32'h8000_0000 and _0001 are standard input and output.
_ICARUS_BENCH = """\
`timescale 1ns/1ns
module actc_bench;
  reg clk = 1'b0;
  reg [2:0] pins = 3'd{idle};
  wire out;
  integer character;
  {top} board (.clk(clk), {ports});
  initial begin
    character = $fgetc(32'h8000_0000);
    while (character >= 0) begin
      if (character == 10) $fflush(32'h8000_0001);
      else begin
        pins = character[2:0];
        #1 clk = 1'b1;
        #1 clk = 1'b0;
        $fwrite(32'h8000_0001, "%b", out);
      end
      character = $fgetc(32'h8000_0000);
    end
    $finish;
  end
endmodule
"""
_VERILATOR_BENCH = """\
module actc_bench (input clk, input [2:0] pins, output out);
  {top} board (.clk(clk), {ports});
endmodule
"""
_CLOCK = """\
module {module} (input reference, output clk, output locked);
  assign clk = reference;
  assign locked = 1'b1;
endmodule
"""
_MAIN = """\
#include <cstdio>
#include <string>
#include "verilated.h"
#include "Vactc_bench.h"

int main(int argc, char** argv) {{
  VerilatedContext context;
  context.commandArgs(argc, argv);
  Vactc_bench bench(&context);
  std::string levels;
  bench.pins = {idle};
  for (int character = getchar_unlocked(); character != EOF; character = getchar_unlocked()) {{
    if (character == '\\n') {{
      std::fwrite(levels.data(), 1, levels.size(), stdout);
      std::fflush(stdout);
      levels.clear();
      continue;
    }}
    bench.clk = 0;
    bench.pins = character & 7;
    bench.eval();
    bench.clk = 1;
    bench.eval();
    levels += bench.out ? '1' : '0';
  }}
  bench.final();
  return 0;
}}
"""
_MAKE = "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
_SEED = 1
"""Of the random bits that Verilator's registers begin with: equal runs, equal results."""


def usual_simulator(interface: Interface) -> Simulator:
    """Verilator, where a board keeps requests for a network that takes long, and if it is
    installed; otherwise Icarus.
    """
    there = all(locate(tool) is not None for tool in ("verilator", "g++", "make"))
    return "verilator" if interface.in_flight is not None and there else "icarus"


def simulator_command(
    simulator: Simulator, directory: Path, interface: Interface, idle: int, folder: Path
) -> list[str]:
    """Compile a board; the command that simulates it, to be started in the same folder.

    Args:
        simulator: which one.
        directory: where the files of the design are.
        interface: of the design; has a simulation.
        idle: levels of the pins in the beginning.
        folder: receives all that is made.

    Raises:
        MissingTool: ACT0501, it is not installed.
        UsageError: ACT0599, files of the design are missing.
        ToolFailed: the design does not compile.
    """
    simulation = interface.simulation
    if simulation is None:
        raise ValueError("the interface has no simulation")
    make = _verilator if simulator == "verilator" else _icarus
    return make(directory, simulation, interface.kind, idle, folder)


def _icarus(
    directory: Path, simulation: Simulation, kind: str, idle: int, folder: Path
) -> list[str]:
    compiler = find("iverilog", INSTALL)
    text = _ICARUS_BENCH.format(top=simulation.top, ports=PORTS[kind], idle=idle)
    sources = _sources(directory, simulation, text, folder)
    command = [str(compiler), "-g2005", "-s", "actc_bench", "-o", "board.vvp", *sources]
    run(command, timeout=COMPILE_SECONDS, memory=MEMORY, cwd=folder)
    return [str(find("vvp", INSTALL)), "-n", "board.vvp"]


def _verilator(
    directory: Path, simulation: Simulation, kind: str, idle: int, folder: Path
) -> list[str]:
    compiler = find("verilator", VERILATOR_INSTALL)
    for tool in ("g++", "make"):
        find(tool, VERILATOR_INSTALL)
    text = _VERILATOR_BENCH.format(top=simulation.top, ports=PORTS[kind])
    sources = _sources(directory, simulation, text, folder)
    (folder / "main.cpp").write_text(_MAIN.format(idle=idle), "ascii")
    options = ["--cc", "--exe", "--build", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
    options += ["--x-initial", "unique", "--x-assign", "unique", "-MAKEFLAGS", _MAKE]
    options += ["--top-module", "actc_bench", "-Mdir", "built", "-o", "board"]
    command = [str(compiler), *options, *sources, "main.cpp"]
    run(command, timeout=COMPILE_SECONDS, memory=MEMORY, cwd=folder)
    random = ["+verilator+rand+reset+2", f"+verilator+seed+{_SEED}"]
    return [str(folder / "built" / "board"), *random]


def _sources(directory: Path, simulation: Simulation, bench: str, folder: Path) -> list[str]:
    """Verilog files to compile: the bench with the clock, and those of the design."""
    if simulation.clock_module:
        bench += _CLOCK.format(module=simulation.clock_module)
    (folder / "actc_bench.v").write_text(bench, "ascii")
    require_files(directory, simulation.files)
    return ["actc_bench.v", *(str((directory / name).resolve()) for name in simulation.files)]
