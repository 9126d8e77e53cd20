"""Hardware units: every form, as evaluated and as simulated, equals the form on all inputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
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
    fit_integer_lines,
)
from actc.approx.thresholds import Thresholds, fit_thresholds
from actc.errors import UsageError
from actc.targets.fpga.hdl import evaluate
from actc.targets.fpga.hdl.operators import Lookup
from actc.targets.fpga.simulation import simulate_unit, simulate_units
from actc.targets.fpga.synthesis import synthesize
from actc.targets.fpga.units import UnitOptions, unit_module, unit_verilog

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
