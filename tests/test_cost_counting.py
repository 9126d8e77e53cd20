"""What the cost model counts of a netlist: levels, folded tables, adders, shared logic."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.cost.arithmetic import collect_sum, select_tables, trailing_zeros
from actc.cost.cofactors import levels, supports, truth_table, without_idle_inputs
from actc.cost.demand import chains_after, read_bits
from actc.cost.features import features
from actc.cost.logic import tabulate
from actc.targets.fpga.families import find_family
from actc.targets.fpga.hdl import Graph, Module, Output, Range

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
