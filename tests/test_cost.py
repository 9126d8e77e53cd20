"""The cost model: its counts, its data, and how near it comes to fresh synthesis."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cost_data import DATA, KEPT, MARKS, read_cache, recounted
from cost_plan import HELD_OUT as HELD_OUT_FUNCTIONS
from cost_plan import plan
from cost_report import report
from fixed_point_units import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_yosys

from actc.approx.bipartite import fit_bipartite
from actc.approx.compressed_table import fit_compressed_table
from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.gates import FixedForm, Gates, NoForm
from actc.approx.signed_digits import fit_integer_lines
from actc.approx.thresholds import fit_thresholds
from actc.cost import FAMILIES, Cost, estimate
from actc.cost.arithmetic import collect_sum, select_tables, trailing_zeros
from actc.cost.cofactors import levels, supports, truth_table, without_idle_inputs
from actc.cost.demand import chains_after, read_bits
from actc.cost.features import DEPTH_FEATURES, FEATURES, GROUPS, features
from actc.cost.logic import tabulate
from actc.cost.model import COEFFICIENTS, TARGETS, coefficients, unit_features
from actc.errors import UsageError
from actc.targets.fpga.families import find_family
from actc.targets.fpga.hdl import Graph, Module, Output, Range
from actc.targets.fpga.synthesis import synthesize
from actc.targets.fpga.units import UnitOptions, unit_verilog

HELD_OUT = HELD_OUT_FUNCTIONS[0]


def forms(gates: Gates) -> dict[str, FixedForm]:
    found: dict[str, FixedForm] = {
        "table": fit_fixed_table(gates).form,
        "compressed": fit_compressed_table(gates).form,
        "thresholds": fit_thresholds(gates).form,
        "lines": fit_integer_lines(gates).form,
        "digits": fit_integer_lines(gates, digits=2).form,
        "tree": fit_segment_tree(gates).form,
    }
    bipartite = fit_bipartite(gates)
    assert not isinstance(bipartite, NoForm)
    return found | {"bipartite": bipartite.form}


def plain(
    function: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]], bits: int
) -> FixedTable:
    x = np.arange(1 << bits)
    return FixedTable(FixedPoint(False, bits, 0), FixedPoint(False, 16, 0), function(x))


# --- counting -----------------------------------------------------------------------


tables = st.integers(1, 5).flatmap(
    lambda inputs: st.lists(
        st.lists(st.integers(0, 1), min_size=1 << inputs, max_size=1 << inputs),
        min_size=1,
        max_size=3,
    )
)


def canonical(function: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 - bit for bit in function) if function[0] else function


def single_variable(function: tuple[int, ...]) -> bool:
    places = range(len(function).bit_length() - 1)
    variables = [tuple(i >> place & 1 for i in range(len(function))) for place in places]
    return canonical(function) in variables


@given(tables)
def test_levels_are_the_distinct_cofactors(rows: list[list[int]]) -> None:
    table = np.array(rows, np.uint8)
    found = levels(table)
    for variables, level in enumerate(found, 1):
        size = 1 << variables
        cofactors = {
            canonical(tuple(row[start : start + size]))
            for row in rows
            for start in range(0, len(row), size)
        }
        kinds = {"muxes": 0, "gates": 0, "exclusives": 0, "kept": 0, "none": 0}
        for function in cofactors:
            low, high = function[: size // 2], function[size // 2 :]
            constant = [len(set(half)) == 1 for half in (low, high)]
            if all(constant) or single_variable(function):
                kinds["none"] += 1
            elif low == high:
                kinds["kept"] += 1
            elif canonical(low) == canonical(high):
                kinds["exclusives"] += 1
            else:
                kinds["gates" if any(constant) else "muxes"] += 1
        assert level.variables == variables
        assert (level.muxes, level.gates) == (kinds["muxes"], kinds["gates"])
        assert (level.exclusives, level.kept) == (kinds["exclusives"], kinds["kept"])


@given(tables)
def test_idle_inputs_are_those_that_change_nothing(rows: list[list[int]]) -> None:
    table = np.array(rows, np.uint8)
    inputs = table.shape[1].bit_length() - 1
    cube = table.reshape(-1, *[2] * inputs)
    used = [
        place for place in range(inputs) if np.any(np.diff(cube.astype(int), axis=inputs - place))
    ]
    small, places = without_idle_inputs(table)
    assert places == tuple(used)
    assert small.shape == (len(rows), 1 << len(used))
    index = np.zeros(table.shape[1], int)
    for position, place in enumerate(used):
        index |= (np.arange(table.shape[1]) >> place & 1) << position
    assert np.array_equal(small[:, index], table)


def test_a_large_table_folds_like_its_parts() -> None:
    rng = np.random.default_rng(3)
    table = truth_table(rng.integers(0, 4, 64), 2)
    six = levels(table)
    # two more inputs that choose between copies add no function
    eight = levels(np.tile(table, 4))
    assert eight[:6] == six
    assert all(level.muxes + level.gates + level.exclusives == 0 for level in eight[6:])


def test_values_of_logic_follow_the_bits_of_the_input() -> None:
    graph = Graph()
    x = graph.input("x", Range(-4, 3))
    flag = (x.bits(0, 3)).reaches(5)
    found = tabulate(Module("m", (x,), (Output("y", flag, 1),)), [x, flag])
    assert found[x.index].tolist() == [0, 1, 2, 3, -4, -3, -2, -1]
    assert found[flag.index].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_a_sum_is_one_adder_behind_compressors() -> None:
    graph = Graph()
    a, b, c = (graph.input(name, Range(0, 15)) for name in "abc")
    total = (a << 2) + b + c
    readers = Counter({w.index: 1 for w in graph.wires})
    found, inside = collect_sum(total, readers, total.width)
    assert len(found.rows) == 3
    assert len(inside) == 2
    assert found.compressor_bits(2) == 4
    assert found.adder_bits == total.width
    assert trailing_zeros(a << 2) == 2
    two = (a << 2) + b
    assert collect_sum(two, readers, two.width)[0].adder_bits == two.width - 2
    # bits that nothing reads take no adder
    assert collect_sum(two, readers, 4)[0].adder_bits == 2


def test_selections_count_the_inputs_of_each_bit() -> None:
    graph = Graph()
    x, k = graph.input("x", Range(0, 15)), graph.input("k", Range(0, 3))
    chosen = graph.select(k, [0, x, x << 1, ~x])
    # two bits of the index and one or two bits of x: one table of four inputs a bit
    assert select_tables(chosen, 4, chosen.width) == chosen.width
    assert select_tables(chosen, 4, 2) == 2
    wide = graph.select(k, [x, x << 1, x << 2, x << 3])
    assert select_tables(wide, 4, wide.width) > wide.width


def test_bits_are_read_as_far_as_they_reach_an_output() -> None:
    graph = Graph()
    a, b = (graph.input(name, Range(0, 255)) for name in "ab")
    total = a + b
    y = ((total >> 2).bits(0, 3) + 1).bits(0, 2)
    found = read_bits(Module("m", (a, b), (Output("y", y, 2),)))
    # bits 2 and 3 of the sum, and those below them for their carries
    assert (found[total.index], found[a.index], found[b.index]) == (4, 4, 4)
    k = graph.input("k", Range(0, 1))
    chosen = graph.select(k, [a, b << 2]).bits(0, 3)
    word = graph.concatenate((chosen, 3), (total, 9)).bits(0, 10)
    found = read_bits(Module("m", (a, b, k), (Output("y", word, 10),)))
    # of the upper part one bit: bit 0 of a, none of the b shifted by two
    assert (found[chosen.index], found[total.index], found[k.index]) == (1, 9, 1)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_bits_that_are_not_read_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = Graph()
    x = graph.input("x", Range(0, 63))
    wires = [x]
    for _ in range(6):
        a, b = (wires[i] for i in rng.integers(0, len(wires), 2))
        kind, amount = rng.integers(0, 6), int(rng.integers(1, 4))
        steps = [a + b, a - b, a << amount, a >> amount, ~a, a.bits(amount, 3, signed=True)]
        wires.append(steps[kind])
    bits = int(rng.integers(1, wires[-1].width + 1))
    y = wires[-1].bits(0, bits)
    read = read_bits(Module("m", (x,), (Output("y", y, bits),)))
    low = read.get(x.index, 0)
    found = tabulate(Module("m", (x,), (Output("y", y, bits),)), [y])[y.index]
    values = np.broadcast_to(found, 64)
    assert np.array_equal(values, values[np.arange(64) % (1 << low)])


def test_the_most_carry_chains_behind_a_wire() -> None:
    graph = Graph()
    a, b, c = (graph.input(name, Range(0, 15)) for name in "abc")
    y = ((a + b) >> 1) + c
    found = chains_after(Module("m", (a, b, c), (Output("y", y, y.width),)))
    assert [found[wire.index] for wire in (a, b, c, y)] == [2, 2, 1, 0]


@given(tables)
def test_supports_are_the_inputs_of_each_output(rows: list[list[int]]) -> None:
    table = np.array(rows, np.uint8)
    expected = [len(without_idle_inputs(row[None])[1]) for row in table]
    assert supports(table).tolist() == expected


def test_functions_of_few_inputs_are_wide_tables() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 1 << 16, 256)
    # 16 bits of eight inputs: 16 LUT4 each, or levels of shared ones
    for family, wide in (("gowin", 16 * 16), ("xc7", 0), ("ecp5", 0), ("ice40", 0)):
        found = unit_features(plain(lambda x: values, 8), find_family(family)).area
        assert found["wide_tables"] == wide
        assert (found["muxes_5"] > 0) == (wide == 0)
    # equal and inverted bits are one, single inputs none
    copies = unit_features(plain(lambda x: (values & 1) * 7 ^ 2, 8), find_family("gowin")).area
    assert (copies["wide_tables"], copies["small_tables"]) == (16, 0)
    few = unit_features(plain(lambda x: x & 3 | (x & x >> 1 & 1) << 2, 8), find_family("gowin"))
    assert (few.area["wide_tables"], few.area["small_tables"]) == (0, 1)


def test_logic_that_nothing_reads_costs_nothing() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 255))
    high = graph.lookup(x, list(range(256, 0, -1))) << 4
    y = (high + x).bits(0, 4)
    module = Module("m", (x,), (Output("y", y, 4),))
    found = features(module, np.zeros(256, np.int64), find_family("gowin"))
    assert (found.area["wide_tables"], found.area["small_tables"]) == (0, 0)


def test_logic_that_other_paths_leave_time_is_shared() -> None:
    rng = np.random.default_rng(7)
    graph = Graph()
    x = graph.input("x", Range(0, 255))
    a, b, c = (graph.lookup(x, rng.integers(0, 256, 256).tolist()) for _ in range(3))
    y = (a + b).bits(0, 8) + c
    module = Module("m", (x,), (Output("y", y, y.width),))
    found = features(module, np.zeros(256, np.int64), find_family("gowin")).area
    # eight bits of a, b and c each, which take 16 LUT4 each if nothing is shared
    assert (found["wide_tables"], found["late_tables"]) == (256, 128)
    assert found["muxes_5"] > 0


# --- estimates ----------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_form_has_a_cost(family: str) -> None:
    for form in forms(unit("GELU", 8, "faithful")).values():
        cost = estimate(form, family)
        assert cost == estimate(form, family)
        assert cost.luts > 0 or cost.carries > 0
        assert 0 < cost.logic_cells == cost.total
        assert 1 <= cost.depth <= 20
        assert Cost(**cost.to_json()) == cost


@pytest.mark.parametrize("family", FAMILIES)
def test_more_entries_cost_more(family: str) -> None:
    totals = [
        estimate(fit_fixed_table(unit("Tanh", bits, "faithful")).form, family).total
        for bits in (6, 8, 10, 12)
    ]
    assert all(small < large for small, large in itertools.pairwise(totals))
    assert 8 * totals[0] < totals[-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_tighter_bounds_cost_more(family: str) -> None:
    exact, faithful = (
        estimate(fit_segment_tree(unit("GELU", 10, objective)).form, family)
        for objective in ("correctly_rounded", "faithful")
    )
    assert exact.total > faithful.total


@pytest.mark.parametrize("family", FAMILIES)
def test_wires_cost_nothing(family: str) -> None:
    assert estimate(plain(lambda x: x << 3, 8), family).total == 0


def test_hard_multipliers_are_counted_by_their_tiles() -> None:
    form = fit_segment_tree(unit("Sigmoid", 12, "correctly_rounded")).form
    options = UnitOptions(multiplier="multiply")
    for name, family in FAMILIES.items():
        soft, hard = estimate(form, name, options), estimate(form, name, options, dsp=True)
        assert (soft.dsps, hard.dsps) == (0, 1)
        assert hard.logic_cells < soft.logic_cells
        assert hard.total == hard.logic_cells + family.dsp_rate


def test_memories_are_counted_by_their_shapes() -> None:
    options = UnitOptions(lookup="memory")
    rng = np.random.default_rng(0)
    table = plain(lambda x: rng.integers(0, 1 << 16, len(x)), 12)
    # 4096 x 16 bits: 16 memories of 4 kbit, 4 of 16 kbit
    expected = {"ice40": 16, "ecp5": 4, "gowin": 4, "xc7": 4}
    for name, family in FAMILIES.items():
        cost = estimate(table, name, options)
        assert cost.brams == expected[name]
        assert cost.total == cost.logic_cells + cost.brams * family.bram_rate
        assert cost.logic_cells < estimate(table, name).logic_cells / 100


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        estimate(plain(lambda x: x, 4), "virtex")
    assert caught.value.diagnostics[0].code == "ACT0530"


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_inverted_outputs_cost_the_same(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << 16, 64)
    first, second = (
        unit_features(plain(lambda x, v=v: v, 6), find_family("ice40"))  # type: ignore[misc]
        for v in (values, values ^ 0xFFFF)
    )
    assert first == second


def test_estimates_are_quick() -> None:
    form = forms(unit("GELU", 12, "faithful"))["table"]
    estimate(form, "ice40")
    start = time.process_time()
    estimate(form, "ice40")
    # 15 ms on an idle machine
    assert time.process_time() - start < 0.3


# --- data ---------------------------------------------------------------------------


def test_coefficients_are_complete_and_not_negative() -> None:
    found = coefficients()
    assert set(found) == set(FAMILIES)
    for groups in found.values():
        assert set(groups) == set(GROUPS)
        for targets in groups.values():
            assert set(targets) == set(TARGETS)
            for target, weights in targets.items():
                known = DEPTH_FEATURES if target == "depth" else FEATURES
                assert set(weights) <= set(known)
                assert all(weight > 0 for weight in weights.values())
        for group in ("narrow", "wide"):
            assert groups[group]["carries"]["adder_bits"] > 0


def measurements() -> list[dict[str, Any]]:
    return list(read_cache([KEPT]).values())


def test_the_page_reports_the_measurements(root: Path) -> None:
    document = json.loads((DATA / COEFFICIENTS).read_text("utf-8"))
    page = (root / "docs" / "cost.md").read_text("utf-8")
    shown = page.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == "\n" + report(measurements(), document)


def test_measurements_agree_with_themselves() -> None:
    rows = measurements()
    assert len({(row["digest"], row["family"]) for row in rows}) == len(rows)
    assert len({row["tool"] for row in rows}) == 1
    for row in rows:
        family = FAMILIES[row["family"]]
        assert row["total"] == row["logic_cells"] + row["dsps"] * family.dsp_rate
        assert row["logic_cells"] >= row["luts"]


@pytest.mark.parametrize("function", ["Tanh", HELD_OUT])
def test_measurements_keep_the_counts_of_today(function: str) -> None:
    units = list(plan([function]))
    assert {unit.held_out for unit in units} == {function == HELD_OUT}
    kept = read_cache([KEPT])
    again = recounted(units, kept)
    assert {name for _, name in again} == set(FAMILIES)
    for key, row in again.items():
        assert json.loads(json.dumps(row)) == kept[key], "run python tools/cost_data.py --recount"


def test_no_unit_is_both_fitted_and_held_out() -> None:
    trained, held_out = set(), set()
    for (digest, _), row in read_cache([KEPT]).items():
        (held_out if row["function"] in HELD_OUT_FUNCTIONS else trained).add(digest)
    assert trained
    assert held_out
    assert not trained & held_out


@needs_yosys
@pytest.mark.parametrize("name", ["table", "digits", "bipartite"])
def test_fresh_synthesis_is_near_the_estimate(name: str) -> None:
    near(HELD_OUT, 7, name, "ice40")


FRESH = [(family, name) for family in FAMILIES for name in ("table", "thresholds", "lines", "tree")]


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(("family", "name"), FRESH)
def test_fresh_synthesis_of_all_families(family: str, name: str) -> None:
    near(HELD_OUT, 9, name, family)


def near(function: str, bits: int, name: str, family: str) -> None:
    """A unit of widths and functions that the fit never saw costs as estimated."""
    form = forms(unit(function, bits, "faithful"))[name]
    measured = synthesize(unit_verilog(form, "unit"), "unit", family)
    estimated = estimate(form, family)
    assert measured.total / 2 < estimated.total < 2 * measured.total
    assert abs(measured.depth - estimated.depth) <= 3


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize("family", FAMILIES)
def test_memories_are_what_yosys_takes(family: str) -> None:
    rng = np.random.default_rng(0)
    form = plain(lambda x: rng.integers(0, 1 << 16, len(x)), 12)
    options = UnitOptions(lookup="memory")
    measured = synthesize(unit_verilog(form, "unit", options), "unit", family)
    assert measured.brams == estimate(form, family, options).brams
