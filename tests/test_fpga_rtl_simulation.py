"""Simulation of written designs equals their evaluation, sample by sample."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fpga_designs import random_designs, random_samples
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from installed import needs_iverilog, needs_verilator

from actc.errors import MissingTool, ToolFailed
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, write_design
from actc.targets.fpga.rtl_simulation import Simulator, simulate_design

BOTH = [
    pytest.param("icarus", marks=needs_iverilog),
    # a C++ compiler takes seconds for its library alone
    pytest.param("verilator", marks=[needs_verilator, pytest.mark.slow]),
]


def delayed(wide: int = 4) -> Design:
    """Two clocks of latency, a bus of 2 x 3 elements, a constant and a wide output."""
    graph = Graph()
    x = [graph.input(f"x_{n}", Range(-7, 6)) for n in range(6)]
    with graph.scope("first"):
        sums = [(a + 3 * b).register() for a, b in itertools.pairwise(x)]
    with graph.scope("second"):
        last = [(a - (b << wide)).register() for a, b in itertools.pairwise(sums)]
    outputs = (
        Bus("y", (2, 2), tuple(last), last[0].width + 1, True),
        Bus("bench", (2,), (graph.constant(-3), last[0].bits(0, 3)), 4, True),
    )
    return Design("bench", (Bus("clocks", (2, 3), tuple(x), 5, True),), outputs)


@pytest.mark.parametrize("simulator", BOTH)
@pytest.mark.parametrize("wide", [4, 70])
def test_one_sample_per_clock(simulator: Simulator, wide: int) -> None:
    design = delayed(wide)
    inputs = random_samples(design, 50, seed=1)
    # two more samples push the last ones out
    longer = {name: np.concatenate([x, x[:2]]) for name, x in inputs.items()}
    expected = {name: y[2:] for name, y in design.evaluate(longer).items()}
    found = simulate_design(write_design(design), design, inputs, simulator=simulator)
    assert {name: y.tolist() for name, y in found.items()} == {
        name: y.tolist() for name, y in expected.items()
    }
    assert found["y"].dtype == (object if wide == 70 else np.int64)


@needs_iverilog
@given(st.data())
@settings(max_examples=15, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
def test_random_designs_mean_what_the_evaluator_computes(data: st.DataObject) -> None:
    design = data.draw(random_designs())
    inputs = random_samples(design, 40, seed=2)
    found = simulate_design(write_design(design), design, inputs, simulator="icarus")
    expected = design.evaluate(inputs)
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in expected.items()}


@needs_iverilog
def test_a_wrong_constant_is_seen() -> None:
    design = delayed()
    inputs = random_samples(design, 20, seed=3)
    files = write_design(design)
    right = simulate_design(files, design, inputs)["y"]
    text = files["bench_first.v"]
    assert text.count("6'd3") > 1
    wrong = {**files, "bench_first.v": text.replace("6'd3", "6'd2", 1)}
    assert not np.array_equal(simulate_design(wrong, design, inputs)["y"], right)


@needs_iverilog
def test_undefined_outputs_are_an_error() -> None:
    design = delayed()
    files = write_design(design)
    name = "bench_second.v"
    assert "<= " in files[name]
    files[name] = files[name].replace("<= ", "<= 1'bx ^ ", 1)
    inputs = random_samples(design, 5, seed=4)
    with pytest.raises(ToolFailed, match=r"ACT0523.*bench gave 5 of 5 outputs, 5 of them undef"):
        simulate_design(files, design, inputs)


@pytest.mark.parametrize("simulator", BOTH)
def test_wrong_source_is_an_error(simulator: Simulator) -> None:
    design = delayed()
    files = {**write_design(design), "bench_first.v": "module bench_first (input clk); endmodul\n"}
    with pytest.raises(ToolFailed, match="ACT0510"):
        simulate_design(files, design, random_samples(design, 2, 5), simulator=simulator)


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    design = delayed()
    for simulator in (None, "verilator"):
        with pytest.raises(MissingTool, match=r"ACT0501(.|\n)*apt-get install"):
            simulate_design({}, design, random_samples(design, 2, 6), simulator=simulator)


def test_wrong_inputs_are_refused() -> None:
    design = delayed()
    good = random_samples(design, 3, seed=7)["clocks"]
    for wrong, words in (
        ({}, "takes"),
        ({"clocks": good, "z": good}, "takes"),
        ({"clocks": good[:, 0]}, r"samples of \(2, 3\)"),
        ({"clocks": good * 1.0}, "takes integers"),
        ({"clocks": good + 9}, r"takes -7\.\.6"),
        ({"clocks": good[:0]}, "at least one"),
    ):
        with pytest.raises(ValueError, match=words):
            simulate_design({}, design, wrong)
    graph = Graph()
    x = graph.input("x", Range(0, 3))
    uneven = Design(
        "d", (Bus("x", (), (x,), 2, False),), (Bus("y", (), (x + x.register(),), 3, False),)
    )
    with pytest.raises(ValueError, match="differ in latency"):
        simulate_design({}, uneven, {"x": [1]})
