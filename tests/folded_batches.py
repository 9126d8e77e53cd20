"""The Verilog of many folded networks in one simulation by Icarus Verilog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actc.errors import ToolFailed
from actc.targets.fpga.folded.costs.clocks import all_clocks
from actc.targets.fpga.folded.folding import Folding, foldings
from actc.targets.fpga.folded.hardware.core import FoldedDesign
from actc.targets.fpga.folded.program import FoldedProgram, Stage
from actc.targets.fpga.folded.simulation import pack_words, unpack_words
from actc.targets.fpga.rtl_simulation import ICARUS_HELP
from actc.targets.fpga.simulation import read_words
from actc.toolchain import find, run

Array = np.ndarray[Any, Any]

_SECONDS = 1200.0
_REST = 24
"""Clocks behind the last word in which nothing may come."""

# A bench offers words until all are taken, and keeps what comes; both sides may pause.
_BENCH = """\
module bench_of_{name} (input clk, output reg done);
  reg [{in_bits}-1:0] words [0:{taken}-1];
  reg [{out_bits}-1:0] results [0:{given}-1];
  integer clock = 0, from = 0, to = 0, rest = 0;
  reg [15:0] chance = 16'h{seed:04x};
  wire reset = clock < 4;
  wire in_ready, out_valid;
  wire [{out_bits}-1:0] out_data;
  wire in_valid = !reset && from < {taken} && !({pauses} && chance[0] && chance[3]);
  wire out_ready = !reset && !({pauses} && (chance[1] || chance[7]));
  {name} core (
    .clk(clk), .reset(reset),
    .in_valid(in_valid), .in_ready(in_ready), .in_data(words[from < {taken} ? from : 0]),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );
  initial begin
    done = 1'b0;
    $readmemh("{name}.in", words);
  end
  always @(posedge clk) begin
    clock <= clock + 1;
    chance <= {{chance[14:0], chance[15] ^ chance[13] ^ chance[12] ^ chance[10]}};
    if (in_valid && in_ready === 1'b1) from <= from + 1;
    if (out_ready && out_valid === 1'b1) begin
      if (to < {given}) results[to] <= out_data;
      to <= to + 1;
    end
    // no word may come behind the last one
    if (to == {given} && from == {taken}) rest <= rest + 1;
    if (rest == {rest} && to == {given}) $writememh("{name}.out", results);
    if (rest == {rest} || to > {given} || clock == {limit}) done <= 1'b1;
  end
endmodule
"""
# One after the other: all at once are slower by far, as they share the machine's caches.
_TOP = """\
module benches;
{benches}
  initial begin
{clocks}
  end
endmodule
"""
_INSTANCE = """\
  reg clk_{number} = 1'b0;
  wire done_{number};
  bench_of_{name} bench_{number} (.clk(clk_{number}), .done(done_{number}));"""
_CLOCKS = "    while (!done_{number}) begin #1 clk_{number} = 1'b1; #1 clk_{number} = 1'b0; end"


@dataclass(frozen=True)
class RtlJob:
    """A design to be simulated.

    Attributes:
        design: its name is no other's, nor the beginning of another's.
        samples: codes, int64 [samples, rows, columns, channels].
        files: its Verilog; that of the design, or changed.
        pauses: whether both sides of it pause now and then.
    """

    design: FoldedDesign
    samples: Array
    files: Mapping[str, str]
    pauses: bool = False

    @property
    def name(self) -> str:
        """Of the design."""
        return self.design.name

    @property
    def words(self) -> tuple[int, int]:
        """That it takes, and that it gives, of all samples."""
        count = len(self.samples)
        return count * self.design.input_words, count * self.design.output_words

    def bench(self) -> str:
        """A module that drives the design."""
        works = [
            all_clocks(stage, [folding])[0].work
            for stage, folding in zip(self.design.program.stages, self.design.foldings, strict=True)
        ]
        # twice what they take one after the other
        clocks = 1000 + 2 * len(self.samples) * (sum(works) + self.design.input_words)
        taken, given = self.words
        return _BENCH.format(
            name=self.name, in_bits=self.design.input.bits, out_bits=self.design.output.bits,
            taken=taken, given=given, pauses=int(self.pauses),
            limit=clocks * (4 if self.pauses else 1), seed=1 + sum(map(ord, self.name)),
            rest=_REST,
        )  # fmt: skip


def random_foldings(
    program: FoldedProgram, rng: np.random.Generator, most: int = 100
) -> list[Folding]:
    """One of each stage.

    Args:
        most: clocks per sample, where stages can be so fast.
    """
    return [_one(list(foldings(stage)), stage, rng, most) for stage in program.stages]


def _one(every: list[Folding], stage: Stage, rng: np.random.Generator, most: int) -> Folding:
    works = [clocks.work for clocks in all_clocks(stage, every)]
    bound = max(most, min(works))
    chosen = [folding for folding, work in zip(every, works, strict=True) if work <= bound]
    return chosen[int(rng.integers(len(chosen)))]


def run_rtl(jobs: Sequence[RtlJob], folder: Path) -> list[Array | ToolFailed]:
    """What the designs give: codes, int64 [samples, rows, columns, channels] of each.

    Returns:
        of a design that gave too few words, too many, or undefined ones, the error.

    Raises:
        ToolFailed: a source is wrong.
    """
    compiler, simulator = find("iverilog", ICARUS_HELP), find("vvp", ICARUS_HELP)
    sources: dict[str, str] = {}
    for job in jobs:
        for name, text in job.files.items():
            assert sources.setdefault(name, text) == text, name
        stream = job.design.program.entries[0]
        words = pack_words(job.samples, stream, job.design.input)
        (folder / f"{job.name}.in").write_text("\n".join(words) + "\n", "ascii")
    benches, clocks = (
        "\n".join(text.format(number=n, name=job.name) for n, job in enumerate(jobs))
        for text in (_INSTANCE, _CLOCKS)
    )
    top = _TOP.format(benches=benches, clocks=clocks)
    text = "\n".join([*sources.values(), *(job.bench() for job in jobs), top])
    (folder / "all.v").write_text(text, "ascii")
    argv = [str(compiler), "-g2005", "-o", "all.vvp", "-s", "benches", "all.v"]
    run(argv, timeout=_SECONDS, cwd=folder)
    log = run([str(simulator), "-n", "all.vvp"], timeout=_SECONDS, cwd=folder).output
    return list(_results(jobs, folder, log))


def _results(jobs: Sequence[RtlJob], folder: Path, log: str) -> Iterator[Array | ToolFailed]:
    for job in jobs:
        program = job.design.program
        try:
            words = read_words(folder / f"{job.name}.out", job.words[1], job.name, log)
        except ToolFailed as error:
            yield error
        else:
            stream = program.stream(program.exits[0])
            yield unpack_words(words, stream, job.design.output, len(job.samples))
