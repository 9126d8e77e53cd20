"""Simulation of designs as written: one sample per clock, by Verilator or Icarus Verilog.

Icarus interprets with four states, so undefined bits are seen. Verilator compiles to C++,
which takes longer to begin and then is faster by orders of magnitude; it has two states,
so everything that has no initial value begins with random bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.hdl.design import Bus, Design
from actc.targets.fpga.hdl.evaluate import Values
from actc.targets.fpga.hdl.hierarchy import Hierarchy, hierarchy
from actc.targets.fpga.hdl.names import Names
from actc.targets.fpga.hdl.verilog import CLOCK
from actc.targets.fpga.hdl.words import bus_bits, bus_values
from actc.targets.fpga.simulation import read_words
from actc.toolchain import find, locate, run

Simulator = Literal["icarus", "verilator"]

ICARUS_HELP = "apt-get install iverilog"
VERILATOR_HELP = "apt-get install verilator g++ make"
TIMEOUT = 600.0
"""Seconds that a compiler and a simulator have, each."""
MEMORY = 6 << 30
"""Bytes of address space that each of their processes may take."""

_COMPILED_FROM = 3_000_000
"""Wires times samples from which on compiling pays: Icarus takes 2 us for each,
Verilator some seconds to begin."""

_MAKE = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
"""Most of the time goes into g++, not into the samples: 20,000 of a network in 0.2 seconds."""

_SEED = 1
"""Of the random bits that Verilator's registers begin with: equal runs, equal results."""

_BENCH = """\
module {bench} (input clk);
  reg [{in_high}:0] stimuli [0:{last}];
  reg [{out_high}:0] responses [0:{last}];
  reg [31:0] step = 32'd0;
  wire [31:0] given = step < 32'd{count} ? step : 32'd{last};
  wire [{in_high}:0] sample = stimuli[given];
  wire [{out_high}:0] response;
  {top} unit (
{ports}
  );
  initial $readmemh("stimuli.hex", stimuli);
  always @(posedge clk) begin
    if (step >= 32'd{latency}) responses[step - 32'd{latency}] <= response;
    if (step == 32'd{steps}) begin
      $writememh("responses.hex", responses);
      $finish;
    end
    step <= step + 32'd1;
  end
endmodule
"""
# what is sampled at an edge is what the wires had before it
_ICARUS_TOP = """\
module {top};
  reg clk = 1'd0;
  {bench} bench (.clk(clk));
  always #1 clk = ~clk;
endmodule
"""
_MAIN = """\
#include <cstdint>
#include "verilated.h"
#include "V{bench}.h"

int main(int argc, char** argv) {{
  VerilatedContext context;
  context.commandArgs(argc, argv);
  V{bench} bench(&context);
  // the limit is never reached by a bench that works
  for (std::uint64_t clocks = 0; clocks < {clocks} && !context.gotFinish(); ++clocks) {{
    bench.clk = 0;
    bench.eval();
    bench.clk = 1;
    bench.eval();
  }}
  bench.final();
  return context.gotFinish() ? 0 : 1;
}}
"""


def simulate_design(
    files: Mapping[str, str],
    design: Design,
    inputs: Mapping[str, npt.ArrayLike],
    *,
    simulator: Simulator | None = None,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
) -> dict[str, Values]:
    """Outputs of the Verilog files of a design, a new sample every clock.

    Args:
        files: as :func:`~actc.targets.fpga.hdl.hierarchy.write_design` gave them.
        design: what they were written from; gives names, widths and latency.
        inputs: name of each input bus -> integers [samples, *shape], samples >= 1.
        simulator: by default Verilator if it is installed and there is enough to do,
            otherwise Icarus.
        timeout: seconds for the compiler and for the simulation, each.
        memory: bytes of address space of each process.

    Returns:
        name of each output bus -> integers [samples, *shape], what it shows `latency` clocks
        after each sample.

    Raises:
        ValueError: paths of different latency, or inputs that are missing, no integers, out
            of their range or of the wrong shape.
        MissingTool: ACT0501, the simulator is not installed.
        ToolFailed: ACT0510..0513, a tool refused the source or exceeded a limit; ACT0523,
            outputs are missing or have undefined bits.
    """
    if design.latency is None:
        raise ValueError(f"paths through {design.name} differ in latency")
    stimuli = _stimuli(design, inputs)
    work = len(stimuli) * len(design.module().wires())
    chosen = simulator or ("verilator" if work >= _COMPILED_FROM and _compiles() else "icarus")
    job = _Job(hierarchy(design), files, len(stimuli), timeout, memory)
    with tempfile.TemporaryDirectory(prefix="actc-simulation-") as name:
        folder = Path(name)
        job.write(folder, stimuli)
        log = (job.verilator if chosen == "verilator" else job.icarus)(folder)
        words = read_words(folder / "responses.hex", len(stimuli), design.name, log)
    return _outputs(design, _response_bits(design, words))


def _compiles() -> bool:
    """Whether Verilator and what it needs are installed."""
    return all(locate(tool) is not None for tool in ("verilator", "g++", "make"))


@dataclass(frozen=True)
class _Job:
    """A simulation to run in a folder.

    Attributes:
        written: names of the modules and ports.
        files: the Verilog by file name.
        count: samples.
        timeout, memory: limits of each tool.
    """

    written: Hierarchy
    files: Mapping[str, str]
    count: int
    timeout: float
    memory: int

    @property
    def _names(self) -> tuple[str, str]:
        """Names of the bench and of the module around it that no other module has."""
        names = Names()
        for module in (self.written.top, *(part.module for part in self.written.parts)):
            names.reserve(module)
        return names.new("bench"), names.new("clocks")

    def write(self, folder: Path, stimuli: list[str]) -> None:
        """The files that both simulators take."""
        for name, text in self.files.items():
            (folder / name).write_text(text, "ascii")
        (folder / "stimuli.hex").write_text("\n".join(stimuli) + "\n", "ascii")
        design, latency = self.written.design, int(self.written.design.latency or 0)
        ports = [*_slices(self.written, design.inputs, "sample")]
        ports += [*_slices(self.written, design.outputs, "response")]
        ports = [f".{CLOCK}(clk)", *ports] if self.written.clocked else ports
        text = _BENCH.format(
            bench=self._names[0],
            top=self.written.top,
            in_high=max(sum(bus.bits for bus in design.inputs), 1) - 1,
            out_high=sum(bus.bits for bus in design.outputs) - 1,
            count=self.count,
            last=self.count - 1,
            latency=latency,
            steps=self.count + latency,
            ports=",\n".join(f"    {port}" for port in ports),
        )
        # not among the design's files, which could be called the same
        (folder / "sources").mkdir()
        (folder / "sources" / "bench.v").write_text(text, "ascii")

    def icarus(self, folder: Path) -> str:
        """Run by Icarus; its log."""
        compiler, simulator = find("iverilog", ICARUS_HELP), find("vvp", ICARUS_HELP)
        bench, top = self._names
        clocks = folder / "sources" / "clocks.v"
        clocks.write_text(_ICARUS_TOP.format(bench=bench, top=top), "ascii")
        sources = [*self.files, "sources/bench.v", "sources/clocks.v"]
        self._run([str(compiler), "-g2005", "-o", "bench.vvp", "-s", top, *sources], folder)
        return self._run([str(simulator), "-n", "bench.vvp"], folder)

    def verilator(self, folder: Path) -> str:
        """Run by Verilator; its log."""
        compiler = find("verilator", VERILATOR_HELP)
        for tool in ("g++", "make"):
            find(tool, VERILATOR_HELP)
        bench, _ = self._names
        clocks = 2 * (self.count + int(self.written.design.latency or 0) + 2)
        main = folder / "sources" / "main.cpp"
        main.write_text(_MAIN.format(bench=bench, clocks=clocks), "ascii")
        options = ["--cc", "--exe", "--build", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
        options += ["--x-initial", "unique", "--x-assign", "unique", "-MAKEFLAGS", _MAKE]
        options += ["--top-module", bench, "-Mdir", "built", "-o", "bench"]
        sources = [*self.files, "sources/bench.v", "sources/main.cpp"]
        self._run([str(compiler), *options, *sources], folder)
        random = ["+verilator+rand+reset+2", f"+verilator+seed+{_SEED}"]
        return self._run([str(folder / "built" / "bench"), *random], folder)

    def _run(self, argv: list[str], folder: Path) -> str:
        return run(argv, timeout=self.timeout, memory=self.memory, cwd=folder).output


def _slices(written: Hierarchy, buses: tuple[Bus, ...], vector: str) -> list[str]:
    """Connections of ports to parts of a vector, the first bus in the lowest bits."""
    connections, low = [], 0
    for bus in buses:
        part = f"{vector}[{low + bus.bits - 1}:{low}]"
        connections.append(f".{written.ports[bus.name]}({part})")
        low += bus.bits
    return connections


# -- samples as text -----------------------------------------------------------------------


def _stimuli(design: Design, inputs: Mapping[str, npt.ArrayLike]) -> list[str]:
    """The samples as hexadecimal words, the first bus in the lowest bits."""
    if set(inputs) != {bus.name for bus in design.inputs}:
        raise ValueError(f"{design.name} takes {[bus.name for bus in design.inputs]}")
    columns = [_checked_bits(bus, np.asarray(inputs[bus.name])) for bus in design.inputs]
    if len({len(column) for column in columns}) != 1 or not len(columns[0]):
        raise ValueError("all inputs have the same number of samples, at least one")
    return hex_words(np.concatenate(columns, axis=1))


def hex_words(bits: npt.NDArray[np.uint8]) -> list[str]:
    """Words as $readmemh takes them of bits [words, bits], the lowest one first."""
    digits = -(-bits.shape[1] // 4)
    padded = np.pad(bits[:, ::-1], ((0, 0), (-bits.shape[1] % 8, 0)))
    return [row.tobytes().hex()[-digits:] for row in np.packbits(padded, axis=1)]


def _checked_bits(bus: Bus, given: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bits of a bus, uint8 [samples, bits], the lowest one first."""
    if given.shape[1:] != bus.shape:
        raise ValueError(f"{bus.name} takes samples of {bus.shape}, not {given.shape[1:]}")
    if given.dtype.kind not in "iuO":
        raise ValueError(f"{bus.name} takes integers, not {given.dtype}")
    rows = given.reshape(len(given), len(bus.wires))
    for wire, column in zip(bus.wires, rows.T, strict=True):
        if column.size and not wire.range.low <= column.min() <= column.max() <= wire.range.high:
            raise ValueError(f"{bus.name} takes {wire.range}")
    return bus_bits(bus, given)


def _response_bits(design: Design, words: list[str]) -> npt.NDArray[np.uint8]:
    """Bits of the outputs, uint8 [samples, bits], the lowest one first."""
    width = sum(bus.bits for bus in design.outputs)
    digits = 2 * (-(-width // 8))
    data = b"".join(bytes.fromhex(word.zfill(digits)) for word in words)
    rows = np.frombuffer(data, np.uint8).reshape(len(words), digits // 2)
    return np.unpackbits(rows, axis=1)[:, ::-1][:, :width]


def _outputs(design: Design, bits: npt.NDArray[np.uint8]) -> dict[str, Values]:
    outputs: dict[str, Values] = {}
    low = 0
    for bus in design.outputs:
        outputs[bus.name] = bus_values(bus, bits[:, low : low + bus.bits])
        low += bus.bits
    return outputs
