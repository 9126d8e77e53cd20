"""Hardware units: every form, as evaluated and as simulated, equals the form on all inputs."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixed_point_units import random_gates, unit
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from installed import needs_iverilog, needs_verilator, needs_yosys

from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.compressed_table import CompressedTable, fit_compressed_table
from actc.approx.dyadic import SegmentTree, fit_segment_tree
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial, fit_polynomial
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.gates import FixedForm, Gates, NoForm
from actc.approx.signed_digits import (
    IntegerPiecewiseLinear,
    digit_count,
    fit_integer_lines,
)
from actc.approx.thresholds import Thresholds, fit_thresholds
from actc.errors import UsageError
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate
from actc.targets.fpga.hdl.operators import Add, Lookup
from actc.targets.fpga.simulation import simulate_unit, simulate_units
from actc.targets.fpga.synthesis import synthesize
from actc.targets.fpga.units import UnitOptions, unit_module, unit_verilog
from actc.targets.fpga.units.arithmetic import add_at, product, square
from actc.targets.fpga.units.datapath import Constants
from actc.targets.fpga.units.terms import (
    NOTHING,
    Digit,
    Term,
    digit_terms,
    fewest_added,
    radix_4_terms,
)
from actc.targets.fpga.units.windows import Window, narrowest_window

OPTIONS = {
    "logic": UnitOptions(),
    "digits": UnitOptions(multiplier="digits"),
    "radix 4": UnitOptions(multiplier="radix_4"),
    "multiplier": UnitOptions(multiplier="multiply"),
    "memory": UnitOptions(lookup="memory"),
    "memory, multiplier": UnitOptions("memory", "multiply"),
}


def fitted(gates: Gates) -> Iterator[FixedForm]:
    """One form of each kind that fits the gates."""
    yield fit_fixed_table(gates).form
    yield fit_compressed_table(gates).form
    bipartite = fit_bipartite(gates)
    if not isinstance(bipartite, NoForm):
        yield bipartite.form
    yield fit_thresholds(gates).form
    for digits in (None, 1, 2, 3):
        yield fit_integer_lines(gates, digits=digits).form
        yield fit_segment_tree(gates, digits=digits).form
    polynomial = fit_polynomial(gates, 2)
    if not isinstance(polynomial, NoForm):
        yield polynomial.form


class Batch:
    """Units simulated together, each compared with its form on every input."""

    def __init__(self) -> None:
        self.source = ""
        self.units: dict[str, tuple[Codes, FixedPoint, FixedPoint, int]] = {}
        self.expected: dict[str, Codes] = {}

    def add(self, form: FixedForm, options: UnitOptions) -> None:
        """Evaluate the unit's module at once; keep its Verilog for :meth:`simulate`."""
        name = f"unit_{len(self.units)}"
        module = unit_module(form, name, options)
        codes = form.input.codes()
        expected = form.evaluate(codes)
        latency = module.latency
        assert latency is not None
        if np.any(expected != expected[0]):
            assert latency == (options.lookup == "memory")
        found = evaluate(module, {"x": codes})["y"]
        assert np.array_equal(found[latency:], expected[: len(codes) - latency])
        self.source += unit_verilog(form, name, options)
        self.units[name] = (codes, form.input, form.output, latency)
        self.expected[name] = expected

    def simulate(self) -> None:
        """Compare the simulated outputs of all units."""
        found = simulate_units(self.source, self.units)
        for name, codes in found.items():
            assert np.array_equal(codes, self.expected[name]), name


@needs_iverilog
@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("GELU", "faithful"),
        ("Sigmoid", "correctly_rounded"),
        pytest.param("GELU", "correctly_rounded", marks=pytest.mark.slow),
        pytest.param("Tanh", "faithful", marks=pytest.mark.slow),
    ],
)
def test_units_of_known_functions(name: str, objective: str) -> None:
    batch = Batch()
    for form in fitted(unit(name, 8, objective)):
        for options in OPTIONS.values():
            batch.add(form, options)
    batch.simulate()


@needs_iverilog
@given(st.data())
@settings(max_examples=3, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
def test_units_of_random_gates(data: st.DataObject) -> None:
    batch = Batch()
    for _ in range(4):
        gates = data.draw(random_gates(bits=data.draw(st.integers(1, 5))))
        for form in fitted(gates):
            batch.add(form, OPTIONS[data.draw(st.sampled_from(sorted(OPTIONS)))])
    batch.simulate()


@st.composite
def random_depths(draw: st.DrawFn, bits: int) -> list[int]:
    """Depths of the leaves of a binary tree."""
    depths, pending = [], [0]
    while pending:
        depth = pending.pop()
        if depth < bits and draw(st.booleans()):
            pending += [depth + 1, depth + 1]
        else:
            depths.append(depth)
    return depths


WIDE = FixedPoint(True, 32, 0)


@st.composite
def random_segments(draw: st.DrawFn) -> FixedForm:
    """Lines, trees and polynomials with any coefficients, as no fit would choose them."""
    source = FixedPoint(draw(st.booleans()), draw(st.integers(1, 5)), 0)
    kind = draw(st.sampled_from(["lines", "tree", 2, 3]))
    coefficients = st.integers(-40, 40) | st.just(0) | st.integers(-3, 3).map(lambda c: c * 8)
    shift = draw(st.integers(0, 7))
    if kind == "lines":
        starts = draw(st.sets(st.integers(source.low + 1, source.high), max_size=6))
        count = len(starts) + 1
    else:
        depths = np.array(draw(random_depths(source.bits)))
        count = len(depths)
    degree = kind if isinstance(kind, int) else 1
    size = (degree + 1) * count
    table = np.array(draw(st.lists(coefficients, min_size=size, max_size=size))).reshape(count, -1)
    if kind == "lines":
        return IntegerPiecewiseLinear(
            source, WIDE, np.array(sorted(starts), np.int64), table[:, 1], table[:, 0], shift
        )
    if kind == "tree":
        return SegmentTree(source, WIDE, depths, table[:, 1], table[:, 0], shift)
    cuts = tuple(draw(st.integers(0, k * source.bits)) for k in range(2, degree + 1))
    return IntegerPolynomial(source, WIDE, depths, table, cuts, shift)


@needs_iverilog
@given(st.data())
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_units_of_random_segments(data: st.DataObject) -> None:
    batch = Batch()
    for _ in range(25):
        form = data.draw(random_segments())
        batch.add(form, OPTIONS[data.draw(st.sampled_from(sorted(OPTIONS)))])
    batch.simulate()


@needs_iverilog
def test_a_wrong_entry_is_found_by_simulation() -> None:
    form = fit_fixed_table(unit("GELU", 8, "correctly_rounded")).form
    values = form.values.copy()
    values[77] += 1
    wrong = unit_verilog(replace(form, values=values), "wrong")
    codes = form.input.codes()
    found = simulate_unit(wrong, "wrong", codes, form.input, form.output)
    assert np.flatnonzero(found != form.evaluate(codes)).tolist() == [77]


@needs_iverilog
@pytest.mark.slow
def test_units_of_16_bits() -> None:
    batch = Batch()
    gates = unit("GELU", 16, "faithful")
    batch.add(fit_segment_tree(gates, digits=2).form, OPTIONS["logic"])
    batch.add(fit_integer_lines(gates).form, OPTIONS["logic"])
    batch.add(fit_fixed_table(gates).form, OPTIONS["memory"])
    batch.simulate()


# -- parts -------------------------------------------------------------------------------

slopes = st.lists(st.integers(-300, 300) | st.integers(-(1 << 30), 1 << 30), min_size=1, max_size=9)


@given(slopes)
@settings(max_examples=200, deadline=None)
def test_terms_sum_to_the_slopes(column: list[int]) -> None:
    def sums(terms: list[Term]) -> list[int]:
        each = [[digit.sign << digit.exponent for digit in term.digits] for term in terms]
        return [sum(values) for values in zip(*each, strict=True)] if each else [0] * len(column)

    assert sums(digit_terms(column)) == column
    assert sums(radix_4_terms(column)) == column
    assert len(digit_terms(column)) == max(map(digit_count, column))
    assert all(len(term.options) <= 4 for term in radix_4_terms(column))


some_digits = st.builds(Digit, st.sampled_from([-1, 1]), st.integers(0, 3)) | st.just(NOTHING)


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(
    st.lists(some_digits, min_size=n, max_size=n),
    st.lists(st.frozensets(some_digits), min_size=n, max_size=n),
)))  # fmt: skip
def test_digits_stand_where_they_add_the_fewest_options(
    case: tuple[list[Digit], list[frozenset[Digit]]],
) -> None:
    digits, options = case

    def added(order: Sequence[Digit]) -> int:
        return sum(digit not in known for digit, known in zip(order, options, strict=True))

    found = fewest_added(digits, options)
    assert sorted(found) == sorted(digits)
    assert added(found) == min(added(order) for order in itertools.permutations(digits))


@pytest.mark.parametrize("bits", range(1, 13))
def test_squares(bits: int) -> None:
    graph = Graph()
    t = graph.input("t", Range(0, (1 << bits) - 1))
    module = Module("m", (t,), (Output("y", square(t), 2 * bits),))
    values = np.arange(1 << bits)
    assert np.array_equal(evaluate(module, {"t": values})["y"], values**2)


@given(st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None)
def test_products(a: int, b: int) -> None:
    graph = Graph()
    first, second = graph.input("a", Range(0, a)), graph.input("b", Range(0, b))
    module = Module("m", (first, second), (Output("y", product(first, second), 12),))
    x, y = np.divmod(np.arange((a + 1) * (b + 1)), b + 1)
    assert np.array_equal(evaluate(module, {"a": x, "b": y})["y"], x * y)


whole_ranges = st.tuples(st.integers(-20, 20), st.integers(0, 20)).map(
    lambda pair: Range(pair[0], pair[0] + pair[1])
)


@given(whole_ranges, whole_ranges, st.integers(0, 5))
@settings(deadline=None)
def test_rows_are_added_at_their_place(a: Range, b: Range, place: int) -> None:
    graph = Graph()
    first, second = graph.input("a", a), graph.input("b", b)
    total = add_at(first, second, place)
    module = Module("m", (first, second), (Output("y", total, total.width + 1),))
    x, y = np.meshgrid(np.arange(a.low, a.high + 1), np.arange(b.low, b.high + 1))
    assert np.array_equal(evaluate(module, {"a": x, "b": y})["y"], x + (y << place))


def test_every_sum_has_a_carry_chain_of_its_own() -> None:
    """No sum is an operand of a sum as it stands: synthesis would use full adders."""
    form = fit_polynomial(unit("Tanh", 12, "faithful"), 2)
    assert not isinstance(form, NoForm)
    module = unit_module(form.form, "u")
    sums = [wire for wire in module.wires() if isinstance(wire.operator, Add)]
    assert len(sums) > 5
    for wire in sums:
        assert not any(operand in sums for operand in wire.operands)


@given(st.data(), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_windows_differ_from_the_position_by_a_constant(data: st.DataObject, bits: int) -> None:
    count = 1 << bits
    starts = [0, *sorted(data.draw(st.sets(st.integers(1, count - 1), max_size=4)))]
    column = data.draw(st.lists(st.integers(0, 1), min_size=len(starts), max_size=len(starts)))
    window = narrowest_window(column, starts, bits)
    t = window.values(np.arange(count))

    def serves(candidate: Window) -> bool:
        offset = candidate.values(np.arange(count)) - np.arange(count)
        pieces = zip(column, np.split(offset, starts[1:]), strict=True)
        return all(not slope or np.all(piece == piece[0]) for slope, piece in pieces)

    assert serves(window)
    fewer = window.bits - 1
    assert fewer < 0 or not (serves(Window(fewer, False)) or serves(Window(fewer, True)))
    assert t.min() >= -count
    assert t.max() < count


@given(
    st.lists(st.integers(-50, 50), min_size=4, max_size=4),
    st.lists(st.integers(-3, 3), min_size=4, max_size=4),
    st.integers(0, 4),
)
def test_constants_are_all_that_give_the_outputs(
    sums: list[int], outputs: list[int], shift: int
) -> None:
    values, wanted = np.array(sums), np.array(outputs)
    serving = [c for c in range(-400, 400) if np.all((values + c) >> shift == wanted)]
    if not serving:
        with pytest.raises(ValueError, match="no constant"):
            Constants.of(values, wanted, [0], shift)
        return
    constants = Constants.of(values, wanted, [0], shift)
    assert (constants.low, constants.high) == ([serving[0]], [serving[-1]])
    (chosen,) = constants.roundest()
    assert chosen in serving
    zeros = [c & -c if c else 1 << 60 for c in serving]
    assert (chosen & -chosen if chosen else 1 << 60) == max(zeros)


# -- text --------------------------------------------------------------------------------


def test_header_and_equal_bytes() -> None:
    form = fit_segment_tree(unit("GELU", 8, "faithful"), digits=2).form
    text = unit_verilog(form, "gelu", header=["GELU, error at most 1 ulp"])
    assert text == unit_verilog(form, "gelu", header=["GELU, error at most 1 ulp"])
    assert text.startswith(
        "// GELU, error at most 1 ulp\n// gelu: segment_tree, 152 bits of constants\n"
        "// x: s8.4, real value = x / 2**4\n// y: s8.4, real value = y / 2**4\n"
    )
    assert "module gelu (\n  input [7:0] x,\n  output [7:0] y\n);" in text
    assert re.search(r"\b(if|else)\b", text) is None  # nothing that could grow into a chain


def test_segments_are_found_in_few_steps() -> None:
    """The depth of the muxes is the logarithm of the segments, not their number."""
    form = fit_integer_lines(unit("GELU", 12, "correctly_rounded"), digits=2).form
    assert form.segments > 40
    module = unit_module(form, "u")
    depth: dict[int, int] = {}
    for wire in module.wires():
        below = max((depth[operand.index] for operand in wire.operands), default=0)
        depth[wire.index] = below + 1
    assert max(depth.values()) < 25


def test_parameters_share_a_memory() -> None:
    for form in fitted(unit("Tanh", 8, "faithful")):
        for options in (OPTIONS["memory"], OPTIONS["memory, multiplier"]):
            module = unit_module(form, "u", options)
            tables = [w.operator for w in module.wires() if isinstance(w.operator, Lookup)]
            # tables that are added have addresses of their own
            assert sum(table.memory for table in tables) == 1 + isinstance(
                form, (CompressedTable, BipartiteTable)
            )


def test_what_has_no_unit_is_refused() -> None:
    class Strange(FixedTable):
        pass

    u2 = FixedPoint(False, 2, 0)
    with pytest.raises(UsageError, match=r"ACT0521.*Strange of u2\.0(.|\n)*FixedTable"):
        unit_module(Strange(u2, u2, np.arange(4)), "u")
    lines = IntegerPiecewiseLinear(u2, u2, np.zeros(0), np.ones(1), np.ones(1), 0)
    with pytest.raises(UsageError, match=r"ACT0522.*1\.\.4 of.*u2\.0"):
        unit_module(lines, "u")
    wide = FixedPoint(False, 20, 0)
    steps = Thresholds(wide, u2, np.array([7]), np.array([0, 1]))
    with pytest.raises(UsageError, match=r"ACT0521.*u20\.0"):
        unit_module(steps, "u")


# -- tools -------------------------------------------------------------------------------


@needs_verilator
def test_verilator_has_nothing_to_say(tmp_path: Path) -> None:
    for name in ("GELU", "Sigmoid"):
        for number, form in enumerate(fitted(unit(name, 8, "faithful"))):
            for kind, options in enumerate(OPTIONS.values()):
                top = f"unit_{name}_{number}_{kind}".lower()
                (tmp_path / f"{top}.v").write_text(unit_verilog(form, top, options))
    for path in sorted(tmp_path.glob("unit_*.v"))[::13]:
        done = subprocess.run(
            ["verilator", "--lint-only", "-Wall", str(path)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


_PROVE = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""


def yosys(directory: Path, commands: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROVE],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
    )


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize("family", ["ice40", "ecp5", "xc7"])
def test_memories_become_block_memories(family: str) -> None:
    form = fit_fixed_table(unit("GELU", 12, "correctly_rounded")).form
    kept = synthesize(unit_verilog(form, "unit", OPTIONS["memory"]), "unit", family)
    assert kept.brams > 0
    # multiplexers between memories at most, and the inverter of a bit of the address
    assert kept.luts <= form.output.bits + 1


@needs_yosys
@pytest.mark.parametrize("plant", [False, True], ids=["right", "one entry wrong"])
def test_yosys_proves_a_unit_equal_to_its_table(tmp_path: Path, plant: bool) -> None:
    tree = fit_segment_tree(unit("GELU", 8, "faithful"), digits=2).form
    values = tree.evaluate(tree.input.codes())
    values[200] += plant
    (tmp_path / "tree.v").write_text(unit_verilog(tree, "tree"))
    (tmp_path / "rom.v").write_text(
        unit_verilog(FixedTable(tree.input, tree.output, values), "rom")
    )
    done = yosys(
        tmp_path,
        [
            "read_verilog tree.v rom.v",
            "proc",
            "memory",
            "miter -equiv -flatten -make_outputs tree rom both",
            "sat -verify -prove trigger 0 both",
        ],
    )
    assert (done.returncode == 0) == (not plant), done.stdout[-2000:]
    assert ("SAT proof finished - no model found: SUCCESS!" in done.stdout) == (not plant)
