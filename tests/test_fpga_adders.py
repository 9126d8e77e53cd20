"""Adder graphs: exact products with constant matrices, and what they cost."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_iverilog, needs_yosys

from actc.errors import UsageError
from actc.targets.fpga.adders import AdderGraph, AdderOptions, adder_cost, adder_graph, linear
from actc.targets.fpga.adders.digits import canonical_digits
from actc.targets.fpga.adders.program import Sum
from actc.targets.fpga.adders.repeat import _blocks
from actc.targets.fpga.adders.signs import turned
from actc.targets.fpga.families import find_family
from actc.targets.fpga.hdl import (
    Graph,
    Module,
    Output,
    Range,
    Wire,
    evaluate,
    write_verilog,
)
from actc.targets.fpga.hdl.operators import Negate
from actc.targets.fpga.netlist import Netlist
from actc.targets.fpga.synthesis import RUN_SCRIPT, count
from actc.targets.fpga.techmap import techmap_files, with_sums

Matrix = npt.NDArray[np.int64]


def product(
    matrix: Matrix, ranges: list[Range], constants: list[int], options: AdderOptions
) -> tuple[Module, list[Wire]]:
    graph = Graph()
    inputs = [graph.input(f"x{i}", r) for i, r in enumerate(ranges)]
    wires = linear(matrix, inputs, constants, options)
    outputs = tuple(Output(f"y{o}", wire, wire.width) for o, wire in enumerate(wires))
    return Module("m", tuple(inputs), outputs), wires


def samples(ranges: list[Range], count: int) -> Matrix:
    """Inputs [samples, inputs]: all of them if they are few, else random ones and the corners."""
    total = np.prod([r.high - r.low + 1.0 for r in ranges])
    if total <= count:
        members = [range(r.low, r.high + 1) for r in ranges]
        return np.array(list(itertools.product(*members)), np.int64)
    random = np.random.default_rng(0)
    drawn = np.stack([random.integers(r.low, r.high + 1, count) for r in ranges], axis=1)
    corners = np.stack([random.choice([r.low, r.high], count) for r in ranges], axis=1)
    return np.concatenate([drawn, corners]).astype(np.int64)


def check(
    matrix: Matrix,
    ranges: list[Range],
    constants: list[int],
    options: AdderOptions,
    count: int = 300,
) -> Module:
    module, wires = product(matrix, ranges, constants, options)
    x = samples(ranges, count)
    found = evaluate(module, {f"x{i}": x[:, i] for i in range(len(ranges))})
    expected = x @ matrix.T + np.array(constants, np.int64)
    for o, wire in enumerate(wires):
        assert np.array_equal(found[f"y{o}"], expected[:, o])
        terms = list(zip(matrix[o].tolist(), ranges, strict=True))
        ends = [sum(end(c * r.low, c * r.high) for c, r in terms) for end in (min, max)]
        assert wire.range == Range(ends[0] + constants[o], ends[1] + constants[o])
    return module


# -- exactness ---------------------------------------------------------------------------

some_ranges = st.one_of(
    st.builds(lambda a, n: Range(a, a + n), st.integers(-20, 20), st.integers(0, 40)),
    st.builds(lambda a, n: Range(a, a + n), st.integers(-(1 << 30), 1 << 30), st.integers(0, 9)),
    st.sampled_from([Range(0, 1), Range(-1, 0), Range(-1, 1), Range(0, 0), Range(-(1 << 31), 1)]),
)
some_weights = st.one_of(st.just(0), st.sampled_from([-1, 1]), st.integers(-200, 200))


@st.composite
def products(draw: st.DrawFn) -> tuple[Matrix, list[Range], list[int]]:
    """Small matrices; some rows are zero, repeated, negated or shifted."""
    inputs = draw(st.integers(1, 5))
    rows: list[list[int]] = []
    for _ in range(draw(st.integers(1, 6))):
        derived: bool = draw(st.booleans())
        if rows and derived:
            factor = draw(st.sampled_from([0, 1, -1, 2, -4, 3]))
            rows.append([factor * weight for weight in draw(st.sampled_from(rows))])
        else:
            rows.append(draw(st.lists(some_weights, min_size=inputs, max_size=inputs)))
    ranges = draw(st.lists(some_ranges, min_size=inputs, max_size=inputs))
    constants = st.integers(-100, 100) | st.just(0) | st.integers(-(1 << 40), 1 << 40)
    return (
        np.array(rows, np.int64),
        ranges,
        draw(st.lists(constants, min_size=len(rows), max_size=len(rows))),
    )


options = st.builds(
    AdderOptions,
    effort=st.integers(0, 2),
    max_depth=st.none() | st.integers(1, 4),
    family=st.sampled_from(["ecp5", "ice40", "gowin", "xc7"]),
)


@given(products(), options)
@settings(max_examples=80, deadline=None)
def test_outputs_and_ranges_are_exact(
    case: tuple[Matrix, list[Range], list[int]], chosen: AdderOptions
) -> None:
    check(*case, chosen)


def random_matrix(outputs: int, inputs: int, bits: int, seed: int = 0) -> Matrix:
    half = 1 << (bits - 1)
    random = np.random.default_rng(seed)
    return random.integers(-half + 1, half, (outputs, inputs)).astype(np.int64)


@pytest.mark.parametrize("effort", [0, 1, 2])
def test_larger_matrices(effort: int) -> None:
    matrix = random_matrix(6, 12, 5)
    check(matrix, [Range(0, 15)] * 6 + [Range(-8, 7)] * 6, [7] * 6, AdderOptions(effort))


@given(st.integers(-(1 << 40), 1 << 40))
def test_canonical_digits(value: int) -> None:
    digits = canonical_digits(value)
    assert sum(sign << place for place, sign in digits) == value
    places = [place for place, _ in digits]
    assert all(b - a > 1 for a, b in itertools.pairwise(places))


# -- sharing -----------------------------------------------------------------------------


def sums_of(graph: AdderGraph) -> list[Sum]:
    return [node for node in graph.program.sums if isinstance(node, Sum)]


def unshared_sums(matrix: Matrix) -> int:
    return sum(
        max(sum(len(canonical_digits(int(w))) for w in row) - 1, 0) for row in np.asarray(matrix)
    )


def test_sums_are_shared() -> None:
    matrix = random_matrix(16, 16, 5)
    ranges = [Range(-128, 127)] * 16
    quick = AdderOptions(effort=1)
    shared = adder_graph(matrix, ranges, quick)
    apart = [adder_graph(row[None], ranges, quick) for row in matrix]
    assert adder_cost(shared) < 0.9 * sum(adder_cost(graph) for graph in apart)
    assert len(sums_of(shared)) < 0.7 * unshared_sums(matrix)


def test_rows_that_are_multiples_cost_nothing_more() -> None:
    row = np.array([3, -5, 0, 7, 1])
    ranges = [Range(-8, 7)] * 5
    one = adder_cost(adder_graph(row[None], ranges))
    many = adder_cost(adder_graph(np.stack([row, -row, 4 * row, -2 * row, 0 * row]), ranges))
    assert many == one > 0


def test_inputs_of_equal_weights_are_summed_once() -> None:
    column = np.array([3, -7, 5, 11])
    graph = adder_graph(np.stack([column, column, -2 * column], axis=1), [Range(0, 7)] * 3)
    single = adder_graph(column[:, None], [Range(0, 7)])
    assert len(sums_of(graph)) == len(sums_of(single)) + 2


def test_nothing_that_overlaps_nothing_is_added() -> None:
    graph = adder_graph(np.array([[1, 16]]), [Range(0, 15)] * 2)
    assert adder_cost(graph) == 0


@pytest.mark.parametrize("depth", [4, 5, 6])
def test_depth_is_limited(depth: int) -> None:
    matrix = random_matrix(6, 8, 3, seed=3)
    graph = adder_graph(matrix, [Range(-8, 7)] * 8, AdderOptions(max_depth=depth))
    assert max(graph.program.depths) <= depth
    check(matrix, [Range(-8, 7)] * 8, [0] * 6, AdderOptions(max_depth=depth))


def test_equal_options_give_equal_text() -> None:
    matrix = random_matrix(6, 8, 4)
    texts = {
        write_verilog(product(matrix, [Range(-8, 7)] * 8, [1] * 6, AdderOptions())[0])
        for _ in range(2)
    }
    assert len(texts) == 1


@pytest.mark.parametrize("row", [[-1, 2, 0], [-1, -4, 8], [-3, 5, -6], [-8, 1, -2]])
def test_no_output_is_negated_where_a_difference_can_be_turned(row: list[int]) -> None:
    matrix, ranges = np.array([row]), [Range(-8, 7)] * 3
    graph = turned(adder_graph(matrix, ranges), [False], "ecp5")
    assert [term.sign for term in graph.outputs if term is not None] == [1]
    module = check(matrix, ranges, [0], AdderOptions())
    assert not any(isinstance(wire.operator, Negate) for wire in module.wires())


# -- carries -----------------------------------------------------------------------------


def with_a_carry() -> tuple[Matrix, list[Range]]:
    """Three numbers of four bits: the lowest bit of one is the carry of the others' sum."""
    return np.array([[1, 1, 1]]), [Range(0, 15)] * 3


@pytest.mark.parametrize("row", list(itertools.product([1, -1], repeat=3)))
def test_bits_are_carries_where_those_are_free(row: tuple[int, ...]) -> None:
    _, ranges = with_a_carry()
    graph = adder_graph(np.array([row]), ranges)
    assert [node.carry >= 0 for node in sums_of(graph)] == [True, False]
    # 4 + 4 bits and a carry; then without the lowest bit 4 + 3 bits
    assert adder_cost(graph) == 12
    check(np.array([row]), ranges, [0], AdderOptions())
    check(np.array([row]), ranges, [5], AdderOptions())


def test_bits_are_no_carries_where_those_take_a_cell() -> None:
    matrix, ranges = with_a_carry()
    for options in (AdderOptions(family="ice40"), AdderOptions(max_depth=2)):
        graph = adder_graph(matrix, ranges, options)
        assert [node.carry for node in sums_of(graph)] == [-1, -1]


@given(
    st.lists(st.sampled_from([1, -1, 2, -2, 3, 4]), min_size=3, max_size=4),
    st.lists(st.sampled_from([Range(0, 7), Range(-4, 3), Range(0, 5)]), min_size=4, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_carries_of_every_input(row: list[int], ranges: list[Range]) -> None:
    check(np.array([row]), ranges[: len(row)], [0], AdderOptions(effort=1), 1 << 12)


def test_more_effort_costs_no_more() -> None:
    matrix = random_matrix(8, 8, 5, seed=4)
    costs = [
        adder_cost(adder_graph(matrix, [Range(-8, 7)] * 8, AdderOptions(effort)))
        for effort in (1, 2)
    ]
    assert costs[1] <= costs[0]


def test_large_matrices_go_in_blocks() -> None:
    blocks = _blocks([dict.fromkeys(range(1000), 11)] * 10, 1000, 1_000_000)
    assert len(blocks) > 1
    assert [i for block in blocks for i in block] == list(range(1000))


@needs_iverilog
def test_simulated_products(tmp_path: Path) -> None:
    matrix = random_matrix(5, 6, 5, seed=2)
    ranges = [Range(-8, 7), Range(0, 15), Range(0, 1), Range(-1, 0), Range(3, 9), Range(-128, 127)]
    module, wires = product(matrix, ranges, [0, 3, -70, 0, 1], AdderOptions())
    x = samples(ranges, 40)
    expected = x @ matrix.T + np.array([0, 3, -70, 0, 1])
    widths = [r.width for r in ranges]
    ports = [f".x{i}(x[{sum(widths[: i + 1]) - 1}:{sum(widths[:i])}])" for i in range(6)]
    nets = "".join(f"wire [{w.width - 1}:0] y{o};\n" for o, w in enumerate(wires))
    ports += [f".y{o}(y{o})" for o in range(5)]
    steps = []
    for row, want in zip(x.tolist(), expected.tolist(), strict=True):
        word = sum(
            (v & ((1 << w) - 1)) << sum(widths[:i])
            for i, (v, w) in enumerate(zip(row, widths, strict=True))
        )
        steps.append(f"x = {sum(widths)}'d{word}; #1;")
        for o, (wire, value) in enumerate(zip(wires, want, strict=True)):
            low = value & ((1 << wire.width) - 1)
            steps.append(f"bad = bad + (y{o} !== {wire.width}'d{low});")
    bench = f"module bench; reg [{sum(widths) - 1}:0] x; integer bad;\n{nets}"
    bench += f"m m0({', '.join(ports)});\ninitial begin bad = 0;\n" + "\n".join(steps)
    bench += '\n$display("%0d", bad); end endmodule\n'
    (tmp_path / "t.v").write_text(bench + write_verilog(module))
    build = ["iverilog", "-g2005", "-o", "t", "t.v"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["vvp", "t"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0"]


@needs_yosys
@pytest.mark.slow
def test_costs_are_those_of_synthesis(tmp_path: Path) -> None:
    matrix = random_matrix(6, 16, 3)
    ranges = [Range(0, 15)] * 16
    module, _ = product(matrix, ranges, [0] * 6, AdderOptions())
    graph = turned(adder_graph(matrix, ranges, free=[False] * 6), [False] * 6, "ecp5")
    assert any(node.carry >= 0 for node in sums_of(graph))
    (tmp_path / "m.v").write_text(write_verilog(module))
    for name, text in techmap_files("ecp5").items():
        (tmp_path / name).write_text(text)
    lines = ["read_verilog m.v", *with_sums("synth_ecp5 -nodsp -top m", "ecp5")]
    (tmp_path / "run.ys").write_text("\n".join([*lines, "write_json n.json"]) + "\n")
    subprocess.run(
        [sys.executable, "-c", RUN_SCRIPT], cwd=tmp_path, check=True, capture_output=True
    )
    netlist = Netlist.read(json.loads((tmp_path / "n.json").read_text()), "m", find_family("ecp5"))
    cells = count(netlist, "").logic_cells
    assert abs(cells - adder_cost(graph)) <= 0.02 * cells


# -- wrong inputs ------------------------------------------------------------------------


def test_wrong_inputs() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 3))
    with pytest.raises(ValueError, match="does not fit 1 inputs"):
        linear(np.ones((2, 2), np.int64), [x], [0, 0])
    with pytest.raises(ValueError, match="constants do not fit"):
        linear(np.ones((2, 1), np.int64), [x], [0])
    with pytest.raises(ValueError, match="are integers"):
        linear(np.ones((1, 1)), [x], [0])
    with pytest.raises(ValueError, match="has inputs"):
        linear(np.ones((1, 0), np.int64), [], [0])
    with pytest.raises(UsageError, match=r"ACT0540.*effort 9"):
        AdderOptions(effort=9)
    with pytest.raises(UsageError, match=r"ACT0540.*depth of 0"):
        AdderOptions(max_depth=0)
    with pytest.raises(UsageError, match=r"ACT0540.*seed -1"):
        AdderOptions(seed=-1)
    with pytest.raises(UsageError, match="ACT0530"):
        AdderOptions(family="nothing")
