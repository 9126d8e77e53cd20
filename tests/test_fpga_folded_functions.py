"""One piece of hardware gives every channel's function, for every total, in every form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from folded_families import (
    FAMILIES,
    SILU,
    Family,
    Integers,
    few_bits,
    kinked,
    one_scale,
    one_table,
    own_levels,
    requantized,
    several_tables,
    shared_table,
)
from fpga_pipelines import ECP5, delayed_outputs
from installed import needs_iverilog, needs_yosys

from actc.errors import UsageError
from actc.targets.fpga.folded.functions import LaneFunction, lane_function, plain_function
from actc.targets.fpga.folded.functions.choose import forms
from actc.targets.fpga.folded.functions.division import Division
from actc.targets.fpga.folded.functions.lines import Codes, Lines, lines
from actc.targets.fpga.folded.functions.segments import Segments
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import Parts, identity, merged, partitions
from actc.targets.fpga.folded.functions.whole import parallel
from actc.targets.fpga.functions import Stage, StepFunction, table_stage
from actc.targets.fpga.hdl import Bus, Design, Graph, Module, Output, Range, evaluate, write_design
from actc.targets.fpga.hdl.verilog import write_verilog
from actc.targets.fpga.pipeline import pipeline
from actc.targets.fpga.rtl_simulation import simulate_design
from actc.targets.fpga.synthesis import Source, synthesize_all


def hulls(functions: Sequence[StepFunction]) -> tuple[Range, Range]:
    inputs = functools.reduce(Range.hull, [steps.range for steps in functions])
    return inputs, functools.reduce(Range.hull, [steps.hull for steps in functions])


def all_forms(made: Family, *, memory: bool = False) -> list[LaneFunction]:
    functions, stages = made
    setting = Setting(*hulls(functions), "ecp5", memory)
    found = list(forms(functions, stages, setting, "dsp"))
    # the last resort, which takes seconds where there is anything better
    small = max(steps.range.width for steps in functions) < 10
    return [*found, parallel(functions, setting)] if small else found


def check(lane: LaneFunction, functions: Sequence[StepFunction]) -> None:
    """Every total of every channel, and no value outside of the range for anything else."""
    for channel, steps in enumerate(functions):
        totals = np.arange(steps.range.low, steps.range.high + 1)
        found = lane.evaluate(channel, totals)
        np.testing.assert_array_equal(found, steps.evaluate(totals), f"{lane.name}, {channel}")
    value = lane.module.outputs[0].wire
    assert lane.output.holds(value.range)
    rng = np.random.default_rng(0)
    # a pipeline that runs idle has totals of one channel beside parameters of another
    ports = {str(wire.operator.name): wire.range for wire in lane.module.inputs}  # type: ignore[attr-defined]
    garbage = {name: rng.integers(own.low, own.high + 1, 300) for name, own in ports.items()}
    found = evaluate(lane.module, garbage)["value"]
    assert lane.output.low <= found.min()
    assert found.max() <= lane.output.high


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", FAMILIES)
def test_all_forms(make: Callable[[np.random.Generator], Family], seed: int) -> None:
    made = make(np.random.default_rng(seed))
    for lane in all_forms(made, memory=seed == 2):
        check(lane, made[0])


def chosen(made: Family, **options: object) -> LaneFunction:
    functions, stages = made
    return lane_function(functions, stages, "ecp5", output=hulls(functions)[1], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (one_table, "a line divided into 8 bits, then a table of 256 in logic"),
        (few_bits, "search of 3 thresholds"),
        (own_levels, "search of 7 thresholds, levels of channels"),
        (several_tables, "a line divided into 6 bits, then one of 3 tables in logic"),
        (kinked, "2 lines divided into 8 bits, then a table of 256 in logic"),
        (shared_table, "the same for all channels"),
    ],
)
def test_the_form_chosen(make: Callable[[np.random.Generator], Family], name: str) -> None:
    made = make(np.random.default_rng(1))
    lane = chosen(made)
    assert lane.name == name
    assert lane.multipliers == 0
    check(lane, made[0])


def test_the_cheapest_form_is_chosen() -> None:
    made = one_table(np.random.default_rng(3))
    assert chosen(made).cost < 0.2 * parallel(made[0], Setting(*hulls(made[0]), "ecp5", False)).cost


def test_equal_scales_take_one_slope() -> None:
    made = one_scale(np.random.default_rng(4))
    lane = chosen(made)
    # an offset or a start is all that channels differ by
    assert len(lane.parameters) == 1
    assert lane.parameter_bits < 30


def test_tables_in_memory() -> None:
    made = one_table(np.random.default_rng(5))
    logic, memory = chosen(made), chosen(made, memory=True)
    assert memory.name.endswith("then a table of 256 in a memory")
    assert memory.cost < logic.cost - 30
    assert (logic.memories, memory.memories) == (0, 1)
    check(memory, made[0])


def test_small_tables_take_no_memory() -> None:
    few = requantized(np.random.default_rng(5), 3, 15, [np.arange(16)[::-1] ** 2], 900)
    assert chosen(few, memory=True).memories == 0


def test_products_take_hard_multipliers_where_these_save_enough() -> None:
    made = requantized(np.random.default_rng(6), 4, 15, [np.arange(16)], 20_000)
    inside = [lane for lane in all_forms(made) if lane.multipliers]
    assert inside
    assert all("multiplied" in lane.name for lane in inside)
    assert chosen(made).multipliers == 0


def test_parameters_are_columns_that_differ() -> None:
    made = one_table(np.random.default_rng(7))
    lane = chosen(made)
    assert len(lane.parameters) == 2 < len(lane.columns)
    assert lane.parameter_bits == sum(
        Range(int(each.min()), int(each.max())).width for each in lane.parameters
    )
    single = chosen(([made[0][0]], [made[1][0]]))
    assert single.parameters == ()
    check(single, made[0][:1])


def test_stages_of_other_totals_are_not_believed() -> None:
    functions, stages = one_table(np.random.default_rng(8))
    rising = [own[0](steps.range) for steps, own in zip(functions, stages, strict=True)]
    wrong: list[tuple[Stage, ...]] = [(own[0], table_stage(np.arange(256))) for own in stages]
    parts = list(partitions(functions, wrong))
    assert [part.tables[0].levels.size for part in parts] == [hulls(functions)[1].high + 1]
    lane = lane_function(rising, stages, "ecp5", output=Range(0, 255))
    check(lane, rising)


def near_steps(steps: StepFunction) -> Integers:
    """Totals on both sides of every step, and the ends."""
    low, high = steps.range.low, steps.range.high
    totals = np.concatenate([steps.starts - 1, steps.starts, [low, high]])
    return np.unique(np.clip(totals, low, high))


@pytest.mark.parametrize(("width", "high"), [(20, 255), (34, 255), (30, 4095)])
def test_wide_totals(width: int, high: int) -> None:
    """Numbers beyond 64 bits on the way; the neighbours of all thresholds are looked at."""
    rng = np.random.default_rng(width)
    functions, stages = requantized(rng, 3, high, [np.arange(high + 1)], 1 << (width - 1))
    setting = Setting(*hulls(functions), "ecp5", memory=False)
    found = list(forms(functions, stages, setting, "dsp"))
    assert any("divided" in lane.name for lane in found)
    for lane in found:
        for channel, steps in enumerate(functions):
            totals = near_steps(steps)
            assert np.array_equal(lane.evaluate(channel, totals), steps.evaluate(totals))


def test_equal_requests_are_answered_once() -> None:
    functions, stages = one_table(np.random.default_rng(3))
    again = [StepFunction(steps.range, steps.starts, steps.levels) for steps in functions]
    first = lane_function(functions, stages, "ecp5", output=Range(0, 255))
    assert lane_function(again, stages, "ecp5", output=Range(0, 255)) is first
    assert lane_function(again, stages, "ice40", output=Range(0, 255)) is not first
    assert lane_function(again, stages, "ecp5", output=Range(0, 256)) is not first


def test_plain_totals() -> None:
    lane = plain_function(np.array([5, -7, 0]), Range(-10, 20))
    assert lane.output == Range(-17, 25)
    assert lane.evaluate(1, np.arange(-10, 21)).tolist() == list(range(-17, 14))
    assert lane.parameter_bits == 4
    same = plain_function(np.array([3, 3]), Range(0, 9))
    assert same.parameters == ()
    assert same.evaluate(0, np.array([9])).tolist() == [12]


def test_bad_arguments() -> None:
    steps = StepFunction.of(Range(0, 3), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="has functions"):
        lane_function([], [], "ecp5", output=Range(0, 3))
    with pytest.raises(ValueError, match="not all values"):
        lane_function([steps], [()], "ecp5", output=Range(0, 2))
    with pytest.raises(UsageError, match="ACT0530"):
        lane_function([steps], [()], "cpld", output=Range(0, 3))


@pytest.mark.parametrize("name", ["ice40", "ecp5", "gowin", "xc7", "xcup"])
def test_every_fpga_family(name: str) -> None:
    functions, stages = one_table(np.random.default_rng(9))
    lane = lane_function(functions, stages, name, output=Range(0, 255))
    assert 100 < lane.cost < 700
    check(lane, functions)


@pytest.mark.parametrize("places", [0, 1, 5])
@pytest.mark.parametrize("bits", [1, 2, 5])
def test_division_counts_thresholds(bits: int, places: int) -> None:
    rng = np.random.default_rng(bits * 8 + places)
    slopes, constants = rng.integers(1, 90, 4), rng.integers(-2000, 2000, 4)
    own = Range(-300, 500)
    given = Lines(places, slopes, constants)
    division = Division.of(bits, given, [own] * 4)
    starts = division.starts(given)
    graph = Graph()
    total = graph.input("total", own)
    slope = graph.input("slope", Range(1, 89))
    start = graph.input("start", Range(int(starts.min()), int(starts.max())))
    code = division.build(total, slope, start)
    module = Module("division", (total, slope, start), (Output("code", code, bits),))
    totals = np.arange(own.low, own.high + 1)
    for number in range(4):
        wires = {"total": totals, "slope": np.full_like(totals, slopes[number])}
        wires["start"] = np.full_like(totals, starts[number])
        thresholds = (np.arange(1, 1 << bits) * slopes[number] + constants[number]) / 2**places
        expected = (totals[:, None] >= thresholds).sum(axis=1)
        np.testing.assert_array_equal(evaluate(module, wires)["code"], expected)


def test_lines_have_the_fewest_places() -> None:
    """Thresholds at 10, 20, 30 and at 10, 21, 31: half steps are needed, and enough."""
    staircases = [
        StepFunction(Range(0, 99), np.array([0, 10, 20, 30]), np.arange(4)),
        StepFunction(Range(0, 99), np.array([0, 10, 21, 31]), np.arange(4)),
    ]
    codes = identity(Range(0, 3))
    for used, places in (([0], 0), ([0, 1], 1)):
        parts = Parts(tuple(staircases[n] for n in used), (codes,), np.zeros(len(used), np.int64))
        kept = Codes.of(parts, Range(0, 3))
        assert kept is not None
        assert (kept.base, kept.bits) == (0, 2)
        segments = Segments.of(parts, kept)
        assert segments is not None
        assert segments.count == 1
        found = lines(segments.conditions, "thresholds")
        assert found is not None
        assert found.places == places


def test_only_steps_of_the_table_bind_lines() -> None:
    """Thresholds on no line, where the table has the same value on both sides."""
    bent = StepFunction(Range(0, 99), np.array([0, 10, 50, 51]), np.arange(4))
    flat = StepFunction.of(Range(0, 3), [0, 1, 1, 2])
    one = np.zeros(1, np.int64)
    for table, count in ((identity(Range(0, 3)), 2), (flat, 1)):
        parts = Parts((bent,), (table,), one)
        kept = Codes.of(parts, Range(0, 3))
        assert kept is not None
        segments = Segments.of(parts, kept)
        assert segments is not None
        assert segments.count == count


def test_functions_merge_where_they_agree() -> None:
    first = StepFunction.of(Range(0, 4), [0, 0, 1, 2, 2])
    second = StepFunction.of(Range(3, 8), [2, 2, 3, 3, 3, 4])
    found = merged([first, second])
    assert found is not None
    assert found.evaluate(np.arange(9)).tolist() == [0, 0, 1, 2, 2, 3, 3, 3, 4]
    assert merged([first, second.moved(-1)]) is None
    apart = merged([first, second.moved(20)], Range(-5, 40))
    assert apart is not None
    assert apart.range == Range(-5, 40)
    assert apart.evaluate([-5, 4, 10, 23, 40]).tolist() == [0, 2, 2, 2, 4]


def design_of(lane: LaneFunction) -> Design:
    """One lane as a design."""
    wires = [*lane.module.inputs, lane.module.outputs[0].wire]
    names = [*(f"in{number}" for number in range(len(wires) - 1)), "value"]
    buses = [
        Bus(name, (1,), (wire,), wire.width, wire.signed)
        for name, wire in zip(names, wires, strict=True)
    ]
    return Design("lane", tuple(buses[:-1]), (buses[-1],))


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("make", [one_table, few_bits, several_tables, kinked])
def test_pipelines(make: Callable[[np.random.Generator], Family], memory: bool) -> None:
    design = design_of(chosen(make(np.random.default_rng(1)), memory=memory))
    made = pipeline(design, ECP5, clock_mhz=100)
    assert made.latency is not None
    assert 2 <= made.latency <= 12
    delayed_outputs(design, made)


@needs_iverilog
@pytest.mark.parametrize("make", [one_table, few_bits, kinked])
def test_verilog_computes_the_same(make: Callable[[np.random.Generator], Family]) -> None:
    functions, stages = make(np.random.default_rng(1))
    lane = chosen((functions, stages))
    design = pipeline(design_of(lane), ECP5, clock_mhz=100)
    rng = np.random.default_rng(0)
    channels = rng.integers(len(functions), size=400)
    totals = np.array(
        [rng.integers(functions[c].range.low, functions[c].range.high + 1) for c in channels]
    )
    columns = [totals, *(each[channels] for each in lane.parameters)]
    inputs = {f"in{number}": column[:, None] for number, column in enumerate(columns)}
    found = simulate_design(write_design(design), design, inputs)["value"][:, 0]
    pairs = zip(channels, totals, strict=True)
    assert found.tolist() == [int(functions[c].evaluate(total)) for c, total in pairs]


@needs_yosys
def test_cells_of_a_lane() -> None:
    """Eight bits for every channel take a few hundred cells, and no hard multiplier."""
    made = requantized(
        np.random.default_rng(2), 16, 255, [SILU.astype(np.int64), SILU.astype(np.int64)], 1 << 17
    )
    lane = chosen(made)
    assert lane.name == "a line divided into 8 bits, then a table of 256 in logic"
    source = Source(write_verilog(lane.module), "lane")
    (found,) = synthesize_all([source], "ecp5")
    assert found.dsps == 0
    assert found.brams == 0
    # about 350 where the flow takes inverters into carry chains, which this command does not
    assert 200 < found.logic_cells < 550
