"""Foldings: which there are, how many clocks they take, and which of them are chosen."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path

import numpy as np
import pytest
from fpga_folded_examples import (
    average,
    conv,
    conv_net,
    dense,
    mlp,
    pool,
    residual,
)
from installed import needs_iverilog

import actc
from actc import cli
from actc.errors import ModelError
from actc.targets.fpga.boards import devices
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.folded.choice import share
from actc.targets.fpga.folded.costs import (
    Area,
    Clocks,
    FunctionCost,
    converter_area,
    stage_area,
    stage_clocks,
    transfer_clocks,
)
from actc.targets.fpga.folded.costs.bits import engine_bits, stage_bits
from actc.targets.fpga.folded.costs.clocks import kept_rows, turn_clocks
from actc.targets.fpga.folded.costs.engine import engine_area
from actc.targets.fpga.folded.costs.latency import program_latency
from actc.targets.fpga.folded.costs.memory import memory_blocks, rom_cells
from actc.targets.fpga.folded.folding import (
    STORAGES,
    Folding,
    divisors,
    foldings,
    input_word,
    is_channelwise,
    output_word,
    problem_of,
)
from actc.targets.fpga.folded.goals import Goal, Request, choose
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.items import undominated
from actc.targets.fpga.folded.pareto import front
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    Stage,
    Stream,
    Window,
)
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.folded.solve import fastest, least_area, least_excess, least_latency
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline.timing import TIMINGS

ECP5, ICE40 = devices()["ecp5-25k"], devices()["ice40-up5k"]
CODES = Range.unsigned(4)
FUNCTIONS = {"fc0": FunctionCost(9.0, 0, 12), "fc1": FunctionCost(4.0, 0, 5)}


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


# -- area ----------------------------------------------------------------------------------


def test_block_memories() -> None:
    ecp5, ice40 = FAMILIES["ecp5"], FAMILIES["ice40"]
    assert memory_blocks(36, 512, ecp5) == 1
    assert memory_blocks(36, 513, ecp5) == 2
    assert memory_blocks(1, 16384, ecp5) == 1
    assert memory_blocks(16, 6272, ice40) == 26  # 13 of 512 x 8, twice: yosys avoids multiplexers
    assert memory_blocks(4, 1024, ice40) == 1


def test_weights_fill_the_memories_they_are_in() -> None:
    stage = mlp(2, 4).stages[0]
    area = stage_area(stage, Folding(2, 4, 1, weights="block"), FAMILIES["ice40"])
    assert area.brams == 26
    assert stage_area(stage, Folding(2, 4, 1, weights="logic"), FAMILIES["ice40"]).brams == 0
    assert rom_cells(16, 6272, FAMILIES["ice40"]) >= 16 * 6272 / 16


def test_hard_multipliers() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 8, CODES)
    hard = stage_area(stage, Folding(2, 4, 2, "dsp"), FAMILIES["ecp5"])
    soft = stage_area(stage, Folding(2, 4, 2, "logic"), FAMILIES["ecp5"])
    assert (hard.dsps, soft.dsps) == (8, 0)
    assert soft.luts > hard.luts
    wide = dense("w", 0, Stream(1, 1, 8, Range.unsigned(16)), 4, 8, CODES)
    # unsigned elements take a sign bit beside signed weights: 17 bits
    assert stage_area(wide, Folding(1, 1, 1, "dsp"), FAMILIES["ecp5"]).dsps == 1
    assert stage_area(wide, Folding(1, 1, 1, "dsp"), FAMILIES["ice40"]).dsps == 2


def test_narrow_products_are_never_hard() -> None:
    # yosys takes logic for them whatever it is told, so that no folding may count on it
    narrow, wide = (dense("d", -0, Stream(1, 1, 8, CODES), 4, bits, None) for bits in (3, 8))
    for stage, hard in ((narrow, {"logic"}), (wide, {"logic", "dsp"})):
        program = FoldedProgram((stage.input,), (replace(stage, sources=(-1,)),), (0,))
        item = Problem.of(program, ICE40).items[1]
        assert {option.folding.multiplier for option in item.options if option.folding} == hard


def test_signs_are_one_bit() -> None:
    stage = dense("d", 0, Stream(1, 1, 512, CODES), 16, 2, CODES)
    signs = replace(stage, weights=np.where(stage.weights < 0, -1, 1))
    folding = Folding(4, 8, 1, weights="block")
    both = [stage_area(one, folding, FAMILIES["ice40"]).brams for one in (stage, signs)]
    assert both == [4, 2]  # 64 and 32 bits x 256 words


def test_layers_of_one_clock_have_constant_weights() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 4, CODES)
    whole = stage_area(stage, Folding(4, 8, 4, "dsp", "block"), FAMILIES["ecp5"])
    half = stage_area(stage, Folding(4, 4, 4, "dsp", "block"), FAMILIES["ecp5"])
    assert (whole.brams, whole.dsps) == (0, 0)
    assert (half.brams, half.dsps) == (2, 16)  # 64 bits wide
    ones = replace(stage, weights=np.ones_like(stage.weights))
    assert stage_area(ones, Folding(4, 4, 4, "logic", "block"), FAMILIES["ecp5"]).brams == 0


def test_function_units_count() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 8, CODES)
    ecp5 = FAMILIES["ecp5"]
    plain = stage_area(stage, Folding(4, 1, 2), ecp5)
    more = stage_area(stage, Folding(4, 1, 2), ecp5, FunctionCost(50.0, 1, 0))
    assert more.luts - plain.luts >= 90
    assert more.dsps - plain.dsps == 2


# -- choices -------------------------------------------------------------------------------


def _tiny() -> FoldedProgram:
    return mlp(3, 2, (4, 4, 2))


def _everything(program: FoldedProgram, family: str) -> list[tuple[Area, int, float]]:
    """Area, interval and latency of all foldings of a chain, without the solver's help."""
    kind = FAMILIES[family]
    options = [
        [
            (f, stage_area(stage, f, kind, FUNCTIONS[stage.name]), stage_clocks(stage, f))
            for f in foldings(stage)
            if f.multiplier == "logic" or stage_bits(stage).is_hard(kind)
        ]
        for stage in program.stages
    ]
    found = []
    entry = program.entries[0]
    for word in divisors(entry.channels):
        for chosen in itertools.product(*options):
            area, works, transfers, before = Area(), [entry.size // word], {}, word
            clocks: list[Clocks] = []
            for number, (stage, (f, own, took)) in enumerate(
                zip(program.stages, chosen, strict=True)
            ):
                reads, width = input_word(stage, f), stage.input.range.width
                area += own + converter_area(before, reads, width, kind)
                moved = transfer_clocks(stage.input, before, reads)
                transfers[number - 1, number] = moved
                works += [took.work, moved]
                clocks.append(took)
                before = output_word(stage, f)
            latency = program_latency(program, [entry.size // word], clocks, transfers)
            found.append((area, max(works), latency))
    return found + list(_with_engine(program, family))


def _with_engine(program: FoldedProgram, family: str) -> Iterator[tuple[Area, int, float]]:
    """The same of all foldings of a chain of matrix products that are all on one engine."""
    kind, entry, stages = FAMILIES[family], program.entries[0], program.stages
    kinds = ("logic", "dsp") if engine_bits(stages).is_hard(kind) else ("logic",)  # type: ignore[arg-type]
    shapes = set.intersection(*({(f.pe, f.simd, f.lanes) for f in foldings(s)} for s in stages))
    for word, shape in itertools.product(divisors(entry.channels), sorted(shapes)):
        pe, simd, lanes = shape
        given = [word] + [lanes] * (len(stages) - 1)
        folding = Folding(pe, simd, lanes, engine=1)
        turns = [turn_clocks(stage, folding, len(stages)) for stage in stages]
        moved = [
            transfer_clocks(stage.input, before, simd)
            for stage, before in zip(stages, given, strict=True)
        ]
        if any(a > b for a, b in zip(moved[1:], turns, strict=False)):
            continue  # results would leave later than the turn ends
        works = [stage_clocks(stage, folding).work for stage in stages]
        interval = max(entry.size // word, sum(turns), *moved, *works)
        for multiplier, weights, *buffers in itertools.product(
            kinds, STORAGES, *[STORAGES] * len(stages)
        ):
            area = engine_area(stages, Folding(*shape, multiplier, weights), kind)  # type: ignore[arg-type]
            for stage, before, buffer in zip(stages, given, buffers, strict=True):
                own = replace(folding, buffer=buffer)
                area += stage_area(stage, own, kind, FUNCTIONS[stage.name])
                area += converter_area(before, simd, stage.input.range.width, kind)
            yield area, interval, inf


@pytest.mark.parametrize("device", [ECP5, ICE40], ids=["ecp5", "ice40"])
def test_against_all_foldings(device) -> None:
    program = _tiny()
    everything = _everything(program, device.family)
    whole = Area(device.luts, device.ffs, device.brams, device.dsps)
    problem = Problem.of(program, device, FUNCTIONS)
    rng = np.random.default_rng(3)
    budgets = [Area(*(int(v * s) for v, s in zip(everything[place][0], slack, strict=True)))
               for place, slack in zip(rng.integers(0, len(everything), 6),
                                       rng.uniform(0.9, 1.6, (6, 4)), strict=True)]  # fmt: skip
    for budget in [problem.budget, *budgets]:
        limited = problem.with_budget(budget)
        fits = [row for row in everything if row[0].within(budget)]
        for interval in (None, 6, 9, 14):
            allowed = [row for row in fits if interval is None or row[1] <= interval]
            found, quick = least_area(limited, interval), least_latency(limited, interval)
            assert (found is None) == (not allowed)
            # where a latency counts, there are no engines
            assert (quick is None) == (not any(isfinite(row[2]) for row in allowed))
            if found is None or quick is None:
                continue
            least = min(share(row[0], whole) for row in allowed)
            assert share(found.area, whole) == pytest.approx(least, abs=1e-9)
            assert found.area.within(budget)
            assert interval is None or found.interval <= interval
            assert quick.latency == pytest.approx(min(row[2] for row in allowed))
        best = fastest(limited)
        assert (best is None) == (not fits)
        if best is not None:
            assert best.interval == min(row[1] for row in fits)


def test_front_has_every_step() -> None:
    program = mlp(3, 4, (12, 6, 4))
    problem = Problem.of(program, ICE40, FUNCTIONS)
    found = front(problem)
    steps = {}
    intervals = {one for same in (problem, *problem.variants) for one in same.intervals()}
    for interval in sorted(intervals):
        choice = least_area(problem, interval)
        if choice is not None:
            steps[round(share(choice.area, problem.device), 9)] = min(
                steps.get(round(share(choice.area, problem.device), 9), interval), interval
            )
    assert [choice.interval for choice in found] == sorted(steps.values())
    shares = [share(choice.area, problem.device) for choice in found]
    assert all(a > b for a, b in itertools.pairwise(shares))
    assert found[0].interval == fastest(problem).interval  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("program", "device"),
    [(mlp(2, 4), "ice40-up5k"), (mlp(4, 4), "ecp5-25k"), (conv_net(8), "ecp5-85k")],
    ids=["mlp on ice40", "mlp on ecp5", "conv net on ecp5"],
)
def test_networks_fit(program: FoldedProgram, device: str) -> None:
    problem = Problem.of(program, devices()[device])
    best = fastest(problem)
    assert best is not None
    assert best.area.within(problem.budget)
    last = best
    for factor in (1.5, 3, 10):
        slower = least_area(problem, int(best.interval * factor))
        assert slower is not None
        assert slower.area.within(problem.budget)
        assert slower.interval <= best.interval * factor
        assert share(slower.area, problem.device) <= share(last.area, problem.device)
        last = slower
    for stage, folding in zip(program.stages, best.foldings, strict=True):
        assert not problem_of(stage, folding)


def test_a_budget_moves_what_is_scarce() -> None:
    stages = dense("d", -0, Stream(1, 1, 256, CODES), 64, 4, None)
    program = FoldedProgram((stages.input,), (replace(stages, sources=(-1,)),), (0,))
    problem = Problem.of(program, ECP5)
    free = least_area(problem, 1024)
    without = least_area(problem.with_budget(replace(problem.budget, brams=0)), 1024)
    assert free is not None
    assert without is not None
    assert free.area.brams > 0
    assert without.area.brams == 0
    assert without.area.luts > free.area.luts


def test_the_later_branch_is_waited_for() -> None:
    program = residual()
    problem = Problem.of(program, ECP5)
    waiting = [edge.waiting for edge in problem.edges]
    assert waiting[:3] == [0, 0, 0]
    assert waiting[3] < waiting[4]
    # two convolutions hold back a row each at least
    assert waiting[4] >= 2 * 6 * 4
    edge = problem.edges[4]
    assert edge.area(1, 1).brams == 1
    assert fastest(problem) is not None


def test_undominated_rows() -> None:
    table = np.array([[1, 2], [2, 1], [2, 2], [1, 2], [0, 9]])
    assert undominated(table) == [0, 1, 4]


def test_wide_words_of_registered_entries_cost() -> None:
    """Codes that become bits come one by one if a word of them takes registers."""
    codes = Stream(1, 1, 256, Range.unsigned(8))
    layers = mlp(2, 1, (256, 64, 10))
    bits = layers.entries[0]
    sign = StepFunction.from_runs(codes.range, np.array([0, 128]), np.array([0, 1]))
    first = MapStage("sign", (), (-1,), codes, bits, functions=(sign,) * 256)
    rest = tuple(replace(s, sources=(n,)) for n, s in enumerate(layers.stages))
    program = FoldedProgram((codes,), (first, *rest), (len(rest),))
    words = []
    for registered in (False, True):
        problem = Problem.of(program, ECP5, registered=registered)
        options = problem.items[0].options
        assert [o.area.ffs for o in options] == [8 * o.gives * registered for o in options]
        choice = least_area(problem, 2000)
        assert choice is not None
        own = sum(choice.areas, Area())
        assert choice.between.ffs == choice.area.ffs - own.ffs
        assert choice.between.ffs >= 8 * choice.entry_words[0] * registered
        words.append(choice.entry_words[0])
    assert words[1] == 1 < words[0]


# -- goals, and what is said where nothing meets them -----------------------------------------


def test_goals() -> None:
    program = mlp(2, 4)
    speed = [
        choose(Request(program, ICE40, 12.0, goal)).interval
        for goal in (Goal("fastest"), Goal("throughput", 5000), Goal("area"))
    ]
    assert speed[0] < speed[1] <= 12e6 / 5000
    assert speed[1] < speed[2]
    quick = choose(Request(program, ICE40, 12.0, Goal("latency")))
    assert quick.latency < choose(Request(program, ICE40, 12.0, Goal("fastest"))).latency
    both = choose(Request(program, ICE40, 12.0, Goal("latency", 5000)))
    assert both.interval <= 12e6 / 5000


def test_too_large_says_what_would_fit() -> None:
    with pytest.raises(ModelError) as problem:
        choose(Request(mlp(8, 8), ICE40, 12.0, Goal("area")))
    (found,) = problem.value.diagnostics
    assert found.code == "ACT0606"
    notes = " ".join(found.notes)
    # 50,816 weights of 8 bits are 100 block memories; those of 2 bits are 25
    assert "short:" in notes
    assert "block memories" in notes
    assert "nothing fits, however slow" in notes
    assert "weights of at most 2 bits instead of 8" in notes
    assert "gowin-gw1n9" in found.help
    assert "fewer samples" not in found.help


def test_too_fast_says_how_fast() -> None:
    request = Request(mlp(4, 4), ECP5, 25.0)
    best = choose(request)
    goal = Goal("throughput", 25e6 / best.interval * 1.5)
    with pytest.raises(ModelError) as problem:
        choose(replace(request, goal=goal))
    (found,) = problem.value.diagnostics
    assert f"({best.interval:,} clocks each)" in " ".join(found.notes)
    assert "fewer samples per second" in found.help
    assert "ecp5-45k" in found.help or "ecp5-85k" in found.help
    # and what it offers does fit
    offered = "ecp5-45k" if "ecp5-45k" in found.help else "ecp5-85k"
    assert choose(replace(request, goal=goal, device=devices()[offered])).interval < best.interval


def test_too_quick_says_how_quick() -> None:
    request = Request(mlp(4, 4, (64, 10)), ECP5, 80.0)
    least = choose(replace(request, goal=Goal("latency"))).latency
    with pytest.raises(ModelError) as problem:
        choose(replace(request, goal=Goal("throughput", 1000, 3)))
    (found,) = problem.value.diagnostics
    assert "within 3 clocks" in found.message
    assert found.notes[0].startswith(f"what fits takes {int(np.ceil(least)):,} clocks")
    # no device has fewer clocks, and fewer bits do not, either
    assert "would fit" not in " ".join(found.notes)
    assert "longer latency" in found.help
    assert "fewer samples" not in found.help


def test_faster_than_any_folding() -> None:
    with pytest.raises(ModelError) as problem:
        choose(Request(conv_net(4, 8, (4, 8)), ECP5, 25.0, Goal("throughput", 25e6)))
    (found,) = problem.value.diagnostics
    assert "on any device of this family at most" in found.notes[0]
    assert "conv0" in found.notes[0]


def test_nearest_design_exceeds_as_little_as_possible() -> None:
    program = _tiny()
    everything = _everything(program, "ecp5")
    budget = Area(150, 150, 1, 1)
    problem = Problem.of(program, ECP5, FUNCTIONS).with_budget(budget)
    found = least_excess(problem)
    assert found is not None
    excess = min(max(a / b for a, b in zip(row[0], budget, strict=True)) for row in everything)
    own = max(a / b for a, b in zip(found.area, budget, strict=True))
    assert own == pytest.approx(excess)


# -- actc explore ----------------------------------------------------------------------------

MODEL = Path("examples/folded/mnist_mlp_2bit.onnx")
DATA = Path("examples/folded/mnist_mlp_train.npz")


def test_explore(tmp_path: Path) -> None:
    plots = [tmp_path / "front.svg", tmp_path / "front.png"]
    found = [actc.explore(MODEL, "ice40-up5k", data=DATA, plot=plot) for plot in plots]
    points, available = found[0]["points"], found[0]["available"]
    assert found[0] == found[1]
    assert found[0]["stages"] == ["linear", "logits"]
    assert len(points) > 3
    for faster, slower in itertools.pairwise(points):
        assert faster["samples_per_second"] > slower["samples_per_second"]
        assert faster["share"] > slower["share"]
    assert all(point[kind] <= available[kind] for point in points for kind in available)
    assert b"samples per second" in plots[0].read_bytes()
    assert plots[1].read_bytes().startswith(b"\x89PNG")


def test_explore_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-t", "ice40-up5k:clock=12,interface=stream", "--data", str(DATA)]
    assert cli.main(["explore", str(MODEL), *options]) == 0
    shown = capsys.readouterr().out
    assert "on ice40-up5k at 12 MHz" in shown
    assert "linear" in shown


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-t", "cpu"], "ACT0535"),
        (["-t", "ice40-up5k", "--plot", "front.bmp"], "ACT0334"),
        (["-t", "nothing"], "ACT0"),
    ],
)
def test_explore_what_cannot_be(
    options: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explore", str(MODEL), *options]) == 2
    assert f"error[{code}" in capsys.readouterr().err
