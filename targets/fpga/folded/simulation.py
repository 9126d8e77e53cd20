"""Simulation of folded networks as Verilog, by Verilator or Icarus Verilog.

The bench offers the words of all samples one after the other, each as soon as it is taken, and
takes results at once; or it pauses now and then on both sides, to try the handshakes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.folded.costs.clocks import all_clocks
from actc.targets.fpga.folded.hardware.core import FoldedDesign
from actc.targets.fpga.folded.hardware.parts import Words
from actc.targets.fpga.folded.program import Integers, Stream
from actc.targets.fpga.rtl_simulation import ICARUS_HELP, VERILATOR_HELP, hex_words
from actc.targets.fpga.simulation import MEMORY, read_words
from actc.toolchain import find, locate, run

Simulator = Literal["icarus", "verilator"]

TIMEOUT = 1200.0
"""Seconds that the compiler and the simulation have, each, at least."""
_SLOWEST = 20_000
"""Clocks per second of the slowest simulation that is no failure."""
_COMPILED_FROM = 200_000
"""Clocks of stages from which on a compiled simulation is faster, its compilation included."""

_BENCH = """\
module bench (input clk);
  reg [{in_high}:0] words [0:{in_last}];
  reg [{out_high}:0] results [0:{out_last}];
  reg [63:0] clocks [0:{samples_last}];
  reg [31:0] taken = 32'd0, given = 32'd0;
  reg [63:0] clock = 64'd0;
  reg [15:0] chance = 16'hace1;
  wire pause_in = {pauses} & chance[0] & chance[3];
  wire pause_out = {pauses} & (chance[1] | chance[7]);
  wire in_ready, out_valid;
  wire [{out_high}:0] out_data;
  wire in_valid = taken < {in_count} && !pause_in;
  wire out_ready = !pause_out;
  reg [31:0] of_sample = 32'd0, sample = 32'd0;
  {top} core (
    .clk(clk), .reset(clock < 4),
    .in_valid(in_valid & (clock >= 4)), .in_ready(in_ready),
    .in_data(words[taken < {in_count} ? taken : 0]),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );
  initial $readmemh("words.hex", words);
  always @(posedge clk) begin
    clock <= clock + 1;
    chance <= {{chance[14:0], chance[15] ^ chance[13] ^ chance[12] ^ chance[10]}};
    if (in_valid && in_ready && clock >= 4) taken <= taken + 1;
    if (out_valid && out_ready && clock >= 4) begin
      if (given < {out_count}) results[given] <= out_data;
      given <= given + 1;
      of_sample <= of_sample == {out_words} - 1 ? 0 : of_sample + 1;
      if (of_sample == {out_words} - 1) begin
        clocks[sample] <= clock;
        sample <= sample + 1;
      end
    end
    if (given == {out_count}) begin
      $writememh("results.hex", results);
      $writememh("clocks.hex", clocks);
      $finish;
    end else if (clock == 64'd{limit}) $finish;  // what is missing has random bits in Verilator
  end
endmodule
"""
_ICARUS_TOP = """\
module clocks;
  reg clk = 1'd0;
  bench bench (.clk(clk));
  always #1 clk = ~clk;
endmodule
"""
_MAIN = """\
#include "verilated.h"
#include "Vbench.h"

int main(int argc, char** argv) {
  VerilatedContext context;
  context.commandArgs(argc, argv);
  Vbench bench(&context);
  while (!context.gotFinish()) {
    bench.clk = 0;
    bench.eval();
    bench.clk = 1;
    bench.eval();
  }
  bench.final();
  return 0;
}
"""


@dataclass(frozen=True)
class Run:
    """What a simulation gave.

    Attributes:
        outputs: int64 [samples, rows, columns, channels].
        clocks: in which each sample's last word came, from reset on; int64 [samples].
    """

    outputs: Integers
    clocks: Integers

    @property
    def interval(self) -> float:
        """Clocks from a sample's result to the next one's, on average; of one sample, all."""
        if len(self.clocks) < 2:
            return float(self.clocks[0])
        return float(self.clocks[-1] - self.clocks[0]) / (len(self.clocks) - 1)

    @property
    def latency(self) -> int:
        """Clocks from reset to the first sample's last word."""
        return int(self.clocks[0])


def simulate_folded(
    design: FoldedDesign,
    samples: npt.ArrayLike,
    *,
    files: Mapping[str, str] | None = None,
    pauses: bool = False,
    simulator: Simulator | None = None,
    limit: int | None = None,
    timeout: float | None = None,
) -> Run:
    """Send samples through the Verilog of a design.

    Args:
        samples: integers [samples, rows, columns, channels].
        files: the Verilog; by default the design's.
        pauses: whether input and output pause now and then.
        simulator: by default Verilator for long runs if it is there.
        timeout: seconds of the compiler and of the simulation, each; by default as many as the
            clocks may take.
        limit: clocks after which the simulation gives up.

    Raises:
        MissingTool: ACT0501. ToolFailed: ACT0510..0513; ACT0523, results are missing.
    """
    given = np.asarray(samples, np.int64)
    stream = design.program.entries[0]
    words = pack_words(given, stream, design.input)
    count, out_count = len(words), len(given) * design.output_words
    clocks = limit or _limit(design, len(given), pauses)
    timeout = timeout or max(TIMEOUT, clocks / _SLOWEST)
    work = clocks * len(design.program.stages)
    chosen = simulator or ("verilator" if work >= _COMPILED_FROM and _compiles() else "icarus")
    bench = _BENCH.format(
        top=design.name, in_high=design.input.bits - 1, out_high=design.output.bits - 1,
        in_last=count - 1, out_last=out_count - 1, samples_last=len(given) - 1,
        in_count=count, out_count=out_count, out_words=design.output_words,
        pauses="1'b1" if pauses else "1'b0", limit=clocks,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="actc-simulation-") as name:
        folder = Path(name)
        for file, text in (files or design.files).items():
            (folder / file).write_text(text, "ascii")
        (folder / "words.hex").write_text("\n".join(words) + "\n", "ascii")
        (folder / "sources").mkdir()
        (folder / "sources" / "bench.v").write_text(bench, "ascii")
        log = _run(chosen, folder, sorted(files or design.files), timeout)
        found = read_words(folder / "results.hex", out_count, design.name, log)
        ends = read_words(folder / "clocks.hex", len(given), design.name, log)
    output = design.program.stream(design.program.exits[0])
    return Run(
        unpack_words(found, output, design.output, len(given)),
        np.array([int(end, 16) for end in ends], np.int64),
    )


def _limit(design: FoldedDesign, count: int, pauses: bool) -> int:
    """Clocks that a design that works does not take: all stages one after the other, twice."""
    works = [
        all_clocks(stage, [folding])[0].work
        for stage, folding in zip(design.program.stages, design.foldings, strict=True)
    ]
    return (1000 + 2 * count * (sum(works) + design.input_words)) * (4 if pauses else 1)


def _compiles() -> bool:
    return all(locate(tool) is not None for tool in ("verilator", "g++", "make"))


def _run(simulator: Simulator, folder: Path, files: list[str], timeout: float) -> str:
    sources = [*files, "sources/bench.v"]
    if simulator == "icarus":
        compiler, program = find("iverilog", ICARUS_HELP), find("vvp", ICARUS_HELP)
        (folder / "sources" / "clocks.v").write_text(_ICARUS_TOP, "ascii")
        argv = [str(compiler), "-g2005", "-o", "bench.vvp", "-s", "clocks"]
        _call([*argv, *sources, "sources/clocks.v"], folder, timeout)
        return _call([str(program), "-n", "bench.vvp"], folder, timeout)
    verilator = find("verilator", VERILATOR_HELP)
    for tool in ("g++", "make"):
        find(tool, VERILATOR_HELP)
    (folder / "sources" / "main.cpp").write_text(_MAIN, "ascii")
    options = ["--cc", "--exe", "--build", "-O3", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
    options += ["--x-initial", "unique", "--x-assign", "unique", "-MAKEFLAGS", "OPT_FAST=-O2"]
    options += ["--top-module", "bench", "-Mdir", "built", "-o", "bench"]
    _call([str(verilator), *options, *sources, "sources/main.cpp"], folder, timeout)
    random = ["+verilator+rand+reset+2", "+verilator+seed+1"]
    return _call([str(folder / "built" / "bench"), *random], folder, timeout)


def _call(argv: list[str], folder: Path, timeout: float) -> str:
    return run(argv, timeout=timeout, memory=MEMORY, cwd=folder).output


def pack_words(samples: Integers, stream: Stream, words: Words) -> list[str]:
    """Words of a stream, hexadecimal, all samples one after the other.

    Raises:
        ToolFailed: ACT0523, an element is out of the stream's range.
    """
    flat = samples.reshape(-1, words.elements)
    if flat.size and not stream.range.low <= flat.min() <= flat.max() <= stream.range.high:
        raise ToolFailed(
            Diagnostic("ACT0523", f"samples leave the range {stream.range} of the stream")
        )
    return hex_words(element_bits(flat[None], words)[0])


def element_bits(samples: Integers, words: Words) -> npt.NDArray[np.uint8]:
    """Bits of words, the lowest first: uint8 [samples, words, bits].

    Args:
        samples: int64 [samples, ...], in the order of the stream.
    """
    flat = samples.reshape(len(samples), -1, words.elements)
    bits = (flat[..., None] >> np.arange(words.width)) & 1
    return bits.reshape(*flat.shape[:2], words.bits).astype(np.uint8)


def elements_of_bits(bits: npt.NDArray[np.uint8], stream: Stream, words: Words) -> Integers:
    """Elements of words: int64 [samples, rows, columns, channels].

    Args:
        bits: uint8 [samples, words, bits], the lowest first.
    """
    weights = 1 << np.arange(words.width, dtype=np.int64)
    if stream.range.signed:
        weights[-1] = -weights[-1]
    parts = bits.reshape(len(bits), -1, words.width).astype(np.int64)
    found: Integers = (parts @ weights).reshape(len(bits), *stream.shape)
    return found


def unpack_words(found: list[str], stream: Stream, words: Words, samples: int) -> Integers:
    """Elements of hexadecimal words: int64 [samples, rows, columns, channels]."""
    digits = 2 * -(-words.bits // 8)
    data = b"".join(bytes.fromhex(word.zfill(digits)) for word in found)
    rows = np.frombuffer(data, np.uint8).reshape(len(found), digits // 2)
    bits = np.unpackbits(rows, axis=1)[:, ::-1][:, : words.bits]
    return elements_of_bits(bits.reshape(samples, -1, words.bits), stream, words)
