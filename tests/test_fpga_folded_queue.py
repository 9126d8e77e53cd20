"""The long queue of folded networks: order, room, and a word in every clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed import needs_iverilog

from actc.targets.fpga.folded.hardware.parts import library_files
from actc.toolchain import run

BENCH = """\
module bench;
  reg clk = 1'd0;
  reg [31:0] given = 0, taken = 0, wrong = 0, clocks = 0;
  wire in_ready, out_valid;
  wire [15:0] out_data;
  reg [7:0] chance = 8'h5a;
  wire in_valid = given < {count} && ({pauses} == 0 || chance[0]);
  wire out_ready = clocks > {late} && ({pauses} == 0 || chance[2]);
  actc_queue #(.WIDTH(16), .DEPTH({depth}), .BLOCK({block})) queue (
    .clk(clk), .reset(1'b0), .in_valid(in_valid), .in_ready(in_ready), .in_data(given[15:0]),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );
  always #1 clk = ~clk;
  always @(posedge clk) begin
    clocks <= clocks + 1;
    chance <= {{chance[6:0], chance[7] ^ chance[5] ^ chance[4] ^ chance[3]}};
    if (in_valid && in_ready) given <= given + 1;
    if (out_valid && out_ready) begin
      taken <= taken + 1;
      if (out_data !== taken[15:0]) wrong <= wrong + 1;
    end
    if (taken == {count} || clocks == 100000) begin
      $display("taken %0d wrong %0d clocks %0d held %0d", taken, wrong, clocks, given);
      $finish;
    end
  end
endmodule
"""


def simulated(folder: Path, **numbers: int) -> dict[str, int]:
    """What the bench prints."""
    files = library_files(["actc_queue"])
    for name, text in files.items():
        (folder / name).write_text(text, "ascii")
    (folder / "bench.v").write_text(BENCH.format(**numbers), "ascii")
    argv = ["iverilog", "-g2005", "-o", "bench.vvp", "-s", "bench", *files, "bench.v"]
    run(argv, timeout=60, cwd=folder)
    words = run(["vvp", "-n", "bench.vvp"], timeout=60, cwd=folder).output.split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False)}


@needs_iverilog
@pytest.mark.parametrize("depth", [1, 2, 3, 8, 33])
@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("pauses", [0, 1])
def test_words_come_in_their_order(tmp_path: Path, depth: int, block: int, pauses: int) -> None:
    found = simulated(tmp_path, count=300, depth=depth, block=block, pauses=pauses, late=0)
    assert (found["taken"], found["wrong"]) == (300, 0)


@needs_iverilog
def test_a_word_leaves_in_every_clock(tmp_path: Path) -> None:
    found = simulated(tmp_path, count=300, depth=64, block=1, pauses=0, late=100)
    assert found["wrong"] == 0
    assert found["clocks"] <= 100 + 300 + 5
