"""Serial ports around cores that take and give samples word by word: files, tools, frames."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_cores import BUILD, PLL, odd
from installed import needs_iverilog, needs_verilator

from actc.targets.fpga.interfaces import (
    KINDS,
    STREAM_RESERVED,
    ClockModule,
    Kind,
    StreamCore,
    in_flight,
    interface_files,
    interface_top,
    memory_bytes,
)
from actc.toolchain import run

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GroupSums:
    """Sums of groups of words, modulo the width of the outputs.

    Attributes:
        in_bits, out_bits: of a word.
        group: words of a group; there is an output for each.
        groups: of a sample.
        delay: clocks from the last input to the first output.
        holds: whether the next sample is taken before the outputs have left.
    """

    in_bits: int
    out_bits: int
    group: int
    groups: int
    delay: int = 20

    name = "group_sums"

    @property
    def info(self) -> StreamCore:
        words = self.group * self.groups
        return StreamCore(self.name, self.in_bits, words, self.out_bits, self.groups)

    @property
    def verilog(self) -> str:
        return f"""\
// Takes words in irregular clocks, thinks, and gives its sums in irregular clocks.
module group_sums (
  input clk, input reset,
  input in_valid, output in_ready, input [{self.in_bits - 1}:0] in_data,
  output out_valid, input out_ready, output [{self.out_bits - 1}:0] out_data
);
  reg [{self.out_bits - 1}:0] sums [0:{self.groups - 1}];
  reg [31:0] group = 0, member = 0, wait_for = 0;
  reg giving = 1'b0, show = 1'b0;
  reg [6:0] chance = 7'd1;
  assign in_ready = ~giving & chance[0];
  assign out_valid = giving & show;
  assign out_data = sums[group{self._index}];
  wire [{max(self.in_bits, self.out_bits) - 1}:0] wide = {self._wide};
  always @(posedge clk) begin
    chance <= {{chance[5:0], chance[6] ^ chance[5]}};
    if (in_valid & in_ready) begin
      sums[group{self._index}] <= (member == 0 ? {self.out_bits}'d0 : sums[group{self._index}])
        + wide[{self.out_bits - 1}:0];
      member <= member + 1;
      if (member == {self.group - 1}) begin
        member <= 0;
        group <= group + 1;
        if (group == {self.groups - 1}) begin
          group <= 0;
          giving <= 1'b1;
          wait_for <= {self.delay};
        end
      end
    end
    if (giving & ~show) begin
      if (wait_for != 0) wait_for <= wait_for - 1;
      else show <= 1'b1;
    end
    if (out_valid & out_ready) begin
      show <= chance[3];
      group <= group + 1;
      if (group == {self.groups - 1}) begin
        group <= 0;
        giving <= 1'b0;
        show <= 1'b0;
      end
    end
    if (reset) begin
      group <= 0;
      member <= 0;
      giving <= 1'b0;
      show <= 1'b0;
    end
  end
  /* verilator lint_off UNUSED */
  wire unused = &{{1'b0, wide, group}};
  /* verilator lint_on UNUSED */
endmodule
"""

    @property
    def _index(self) -> str:
        bits = max(1, (self.groups - 1).bit_length())
        return f"[{bits - 1}:0]" 

    @property
    def _wide(self) -> str:
        more = self.out_bits - self.in_bits
        return f"{{{more}'d0, in_data}}" if more > 0 else "in_data"

    def samples(self, count: int, seed: int = 0) -> Array:
        """[samples, words]; bytes that frames must escape are frequent."""
        generator = np.random.default_rng(seed)
        shape = (count, self.group * self.groups)
        values = generator.integers(0, 1 << min(self.in_bits, 62), shape)
        special = generator.choice([0x7E, 0x7D, 0x5E, 0x5D, 0x7D7E], shape)
        special &= (1 << min(self.in_bits, 62)) - 1
        return np.where(generator.random(shape) < 0.4, special, values)

    def expected(self, x: Array) -> Array:
        sums = x.reshape(len(x), self.groups, self.group).astype(object).sum(axis=2)
        return np.asarray(sums % (1 << self.out_bits))


CORES = {
    "bits": GroupSums(1, 3, 13, 3),
    "8 to 8": GroupSums(8, 8, 10, 4),
    "8 to 1": GroupSums(8, 1, 49, 1),
    "3 to 12": GroupSums(3, 12, 5, 7),
    "12 to 64": GroupSums(12, 64, 3, 2),
    "64 to 3": GroupSums(64, 3, 2, 9),
    "one word": GroupSums(3, 1, 1, 1, 0),
    "20 to 33": GroupSums(20, 33, 2, 5),
}


def files(kind: Kind, core: GroupSums, clock: ClockModule | None = None) -> dict[str, str]:
    made = interface_files(kind, core.info, clock_hz=12e6, baud=1_000_000, build_id=BUILD, clock=clock)
    return {**made, f"{core.name}.v": core.verilog}


def write(directory: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        (directory / name).write_text(text, "ascii")
    return list(texts)


# --- what tools say


@needs_verilator
@pytest.mark.parametrize("core", CORES.values(), ids=CORES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_verilator_has_nothing_to_say(kind: Kind, core: GroupSums, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, core))
    top = interface_top(kind, core.info)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@needs_iverilog
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["bits", "12 to 64", "one word"])
def test_icarus_reads_it_as_verilog_2005(kind: Kind, name: str, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, CORES[name]))
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", "out.vvp", *names]
    assert run(command, timeout=60, cwd=tmp_path).output == ""
