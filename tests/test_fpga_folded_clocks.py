"""Foldings of a stage: which there are, and how many clocks they take."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from folded_choices import CODES, ECP5
from fpga_folded_examples import average, conv, conv_net, dense, mlp, pool
from installed import needs_iverilog

from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.folded.costs import Area, converter_area, stage_clocks, transfer_clocks
from actc.targets.fpga.folded.costs.clocks import kept_rows
from actc.targets.fpga.folded.folding import (
    Folding,
    divisors,
    foldings,
    input_word,
    is_channelwise,
    output_word,
    problem_of,
)
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import MapStage, MatrixStage, Stage, Stream, Window
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.folded.solve import fastest, least_area, least_latency
from actc.targets.fpga.pipeline.timing import TIMINGS

# -- foldings ------------------------------------------------------------------------------


def test_divisors() -> None:
    assert divisors(12) == (1, 2, 3, 4, 6, 12)
    assert divisors(1) == (1,)
    assert divisors(49) == (1, 7, 49)


def test_foldings_of_a_convolution() -> None:
    stage = conv("c", 0, Stream(6, 6, 4, CODES), 6, 4, CODES)
    found = list(foldings(stage))
    assert len(set(found)) == len(found)
    assert all(not problem_of(stage, folding) for folding in found)
    assert {folding.pe for folding in found} == {1, 2, 3, 6}
    assert {folding.simd for folding in found} == {1, 2, 4}
    # 6 totals leave in the 9 clocks of the kernel
    assert any(folding.pe == 6 and folding.lanes == 1 and folding.simd == 4 for folding in found)


def test_totals_leave_before_the_next_ones() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 8, 4, CODES)
    found = [folding for folding in foldings(stage) if folding.simd == 4]  # 2 clocks
    assert {folding.lanes for folding in found if folding.pe == 8} == {4, 8}
    assert problem_of(stage, Folding(8, 4, 2))
    assert not problem_of(stage, Folding(8, 4, 4))


@pytest.mark.parametrize(
    "folding", [Folding(5, 1, 5), Folding(2, 3, 2), Folding(4, 1, 3), Folding(4, 1, 0)]
)
def test_foldings_that_are_none(folding: Folding) -> None:
    stage = conv("c", 0, Stream(6, 6, 4, CODES), 8, 4, CODES)
    assert problem_of(stage, folding)
    assert folding not in list(foldings(stage))


def test_words_of_channelwise_stages() -> None:
    given = Stream(6, 6, 8, CODES)
    depthwise = conv("c", 0, given, 8, 4, CODES, groups=8)
    grouped = conv("g", 0, given, 16, 4, CODES, groups=2)
    assert is_channelwise(depthwise)
    assert is_channelwise(pool("p", 0, given))
    assert not is_channelwise(grouped)
    assert input_word(depthwise, Folding(4, 1, 2)) == 4
    assert output_word(depthwise, Folding(4, 1, 2)) == 2
    assert {folding.simd for folding in foldings(depthwise)} == {1}
    assert {folding.simd for folding in foldings(grouped)} == {1, 2, 4}
    assert {folding.pe for folding in foldings(grouped)} == {1, 2, 4, 8}


def test_one_channel_is_a_convolution() -> None:
    # 1 group of 1 channel: its word has one channel, however many outputs there are
    stage = conv("c", 0, Stream(6, 6, 1, CODES), 1, 4, CODES)
    assert not is_channelwise(stage)


def test_elements() -> None:
    given = Stream(2, 3, 6, CODES)
    stage = MapStage("m", (), (-1,), given, given)
    assert [folding.pe for folding in foldings(stage)] == [1, 2, 3, 6]
    assert stage_clocks(stage, Folding(3, 1, 3)).work == 12


# -- clocks --------------------------------------------------------------------------------


def test_clocks_of_a_convolution() -> None:
    stage = conv("c", 0, Stream(6, 5, 4, CODES), 8, 4, CODES)
    found = stage_clocks(stage, Folding(2, 2, 1))
    assert found.work == 6 * 5 * 4 * 9 * 2 + 6 * 3 + 6


def test_input_words_bound_a_stage() -> None:
    stage = dense("d", 0, Stream(1, 1, 64, CODES), 4, 4, CODES)
    assert stage_clocks(stage, Folding(4, 1, 1)).work == 64 + 4


def test_output_words_bound_a_stage() -> None:
    given = Stream(4, 4, 1, CODES)
    stage = conv("c", 0, given, 8, 4, CODES, Window((1, 8), before=(0, 4), after=(0, 3)))
    # 8 clocks for 8 results that leave one by one
    assert stage_clocks(stage, Folding(8, 1, 1)).work == 16 * 8 + 4 * 3 + 4


def test_a_window_of_everything_waits_for_its_rows() -> None:
    # the ring takes one row of the next sample while the last window is read
    stage = average("a", 0, Stream(7, 7, 8, CODES), CODES)
    assert kept_rows(stage) == 8
    slow, quick = (stage_clocks(stage, Folding(pe, 1, 1)).work for pe in (1, 8))
    assert slow > 7 * 49 * 8
    assert quick >= 49 + 7 * 7


def test_converters_pass_the_greatest_common_divisor() -> None:
    stream = Stream(2, 2, 12, CODES)
    assert transfer_clocks(stream, 4, 6) == 48 // 2
    assert transfer_clocks(stream, 4, 4) == transfer_clocks(stream, 4, 12) == 12
    assert converter_area(4, 4, 8, FAMILIES["ecp5"]) == Area()
    assert converter_area(4, 6, 8, FAMILIES["ecp5"]).luts > 0


LIBRARY = Path("targets/fpga/folded/verilog")
BENCH = """
module bench;
  reg clk = 1'b0;
  always #1 clk = ~clk;
  wire ready, last, take;
  reg credit = 1'b1;
  integer clock = 0, groups = 0;
  actc_window #({parameters}) window (
    .clk(clk), .reset(1'b0), .in_valid(1'b1), .in_ready(ready), .in_data(8'd0),
    .credit(credit), .take(take), .last(last));
  always @(posedge clk) begin
    clock <= clock + 1;
    if (window.valid & last) begin
      groups <= groups + 1;
      if ((groups + 1) % {groups} == 0) $display("%0d", clock);
      if (groups + 1 == 6 * {groups}) $finish;
    end
  end
endmodule
"""


@needs_iverilog
@pytest.mark.parametrize("case", ["conv", "strided", "vector", "pool", "grouped"])
def test_clocks_of_the_hardware(case: str, tmp_path: Path) -> None:
    """Samples leave as often as `stage_clocks` says if the source is always ready."""
    given = Stream(6, 5, 4, CODES)
    wide = Window((3, 3), strides=(2, 2), before=(1, 1), after=(1, 1))
    stage, folding = {
        "conv": (conv("c", 0, given, 4, 4, CODES), Folding(2, 2, 1)),
        "strided": (conv("c", 0, given, 8, 4, CODES, wide), Folding(1, 2, 1)),
        "vector": (dense("d", 0, Stream(1, 1, 12, CODES), 8, 4, CODES), Folding(2, 3, 1)),
        "pool": (pool("p", 0, Stream(6, 6, 4, CODES)), Folding(2, 1, 1)),
        "grouped": (conv("g", 0, given, 8, 4, CODES, groups=2), Folding(2, 2, 1)),
    }[case]
    ends = _simulated(stage, folding, tmp_path)
    assert {b - a for a, b in itertools.pairwise(ends[2:])} == {stage_clocks(stage, folding).work}


def _simulated(stage: Stage, folding: Folding, folder: Path) -> list[int]:
    """Clocks in which samples end."""
    window = stage.window  # type: ignore[attr-defined]
    words = stage.input.channels // input_word(stage, folding)
    groups = stage.groups if isinstance(stage, MatrixStage) else 1
    channelwise = is_channelwise(stage)
    outputs = stage.output.channels
    parameters = {
        "WORDS": words, "ROWS": stage.input.rows, "COLUMNS": stage.input.columns,
        "KERNEL_ROWS": window.kernel[0], "KERNEL_COLUMNS": window.kernel[1],
        "ROW_STRIDE": window.strides[0], "COLUMN_STRIDE": window.strides[1],
        "TOP": window.before[0], "LEFT": window.before[1],
        "OUT_ROWS": stage.output.rows, "OUT_COLUMNS": stage.output.columns,
        "INNER": 1 if channelwise else words // groups,
        "REPEAT": 1 if channelwise else outputs // groups // folding.pe,
        "PARTS": words if channelwise else groups,
        "SLOTS": kept_rows(stage),
    }  # fmt: skip
    count = stage.output.positions * (outputs // folding.pe)
    text = ", ".join(f".{name}({value})" for name, value in parameters.items())
    (folder / "bench.v").write_text(BENCH.format(parameters=text, groups=count))
    sources = [str(LIBRARY / f"{name}.v") for name in ("actc_window", "actc_ring")]
    program = str(folder / "bench.vvp")
    bench = str(folder / "bench.v")
    subprocess.run(["iverilog", "-g2005", "-o", program, bench, *sources], check=True)
    done = subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True)
    return [int(line) for line in done.stdout.splitlines() if line.isdigit()]


@needs_iverilog
@pytest.mark.parametrize("kind", ["conv net", "mlp"])
def test_clocks_of_networks(kind: str) -> None:
    """Intervals are exact, latencies nearly."""
    program = conv_net(3, 8, (4, 8), 4) if kind == "conv net" else mlp(3, 4, (16, 6, 4))
    problem = Problem.of(program, ECP5)
    options = HardwareOptions("ecp5", TIMINGS["ecp5-6"], 25.0)
    entry = program.entries[0]
    samples = np.random.default_rng(0).integers(0, entry.range.high + 1, (6, *entry.shape))
    best = fastest(problem)
    assert best is not None
    for choice in (best, least_area(problem, best.interval * 3), least_latency(problem)):
        assert choice is not None
        word = choice.entry_words[0]
        design = folded_design(program, choice.foldings, "core", options, word)
        found = simulate_folded(design, samples, simulator="icarus")
        assert np.array_equal(found.outputs, program.evaluate([samples])[0])
        assert set(np.diff(found.clocks)[2:]) == {choice.interval}
        assert choice.latency == pytest.approx(found.latency, rel=0.15, abs=8)
