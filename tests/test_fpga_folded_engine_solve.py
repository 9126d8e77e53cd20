"""Engines as a choice of the solver: taken where that is smaller, and told in what is printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fpga_folded_examples import conv_net, dense, mlp
from installed import needs_iverilog

from actc.targets.fpga.boards import devices
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.folded.choice import share
from actc.targets.fpga.folded.costs.area import Area, stage_area
from actc.targets.fpga.folded.costs.bits import engine_bits, stage_bits
from actc.targets.fpga.folded.costs.clocks import turn_clocks
from actc.targets.fpga.folded.costs.engine import engine_area
from actc.targets.fpga.folded.explore import Exploration
from actc.targets.fpga.folded.folding import Folding, engine_members, engine_problem
from actc.targets.fpga.folded.goals import Request
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.pareto import front
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import FoldedProgram, Stream
from actc.targets.fpga.folded.sharing import candidates
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.folded.solve import fastest, least_area, least_latency
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline.timing import TIMINGS

ECP5, ICE40 = devices()["ecp5-25k"], devices()["ice40-up5k"]
WIDE = (32, 24, 24, 24, 8)


def eight_bits() -> FoldedProgram:
    """Products of 8 x 8 bits, which are worth sharing."""
    return mlp(8, 8, WIDE)


def alone(problem: Problem) -> Problem:
    """The same without engines."""
    found = replace(problem)
    found.__dict__["variants"] = ()
    return found


def test_the_largest_layers_are_candidates() -> None:
    assert list(candidates(mlp(2, 2, (4, 8, 6, 2)))) == [(0, 1), (0, 1, 2)]
    assert list(candidates(mlp(2, 2, (4, 2)))) == []
    # pooling and sums over channels alone stay where they are
    assert list(candidates(conv_net(4, 12, (4, 8), 4))) == [(0, 2), (0, 2, 4)]
    assert len(list(candidates(mlp(2, 2, (4,) * 30)))) == 8


def test_an_engine_is_taken_where_it_is_smaller() -> None:
    problem = Problem.of(eight_bits(), ECP5)
    found, without = least_area(problem, 20_000), least_area(alone(problem), 20_000)
    assert found is not None
    assert without is not None
    assert engine_members(found.foldings)
    assert not engine_members(without.foldings)
    assert share(found.area, problem.device) < 0.9 * share(without.area, problem.device)
    assert found.turns <= found.interval <= 20_000
    assert not engine_problem(problem.program.stages, found.foldings)


def test_all_that_is_known_without_engines_stays_possible() -> None:
    problem = Problem.of(mlp(3, 4, (16, 6, 4)), ECP5)
    quick, without = fastest(problem), fastest(alone(problem))
    assert quick is not None
    assert without is not None
    assert quick.interval <= without.interval
    short = least_latency(problem)
    assert short is not None
    assert not engine_members(short.foldings)  # samples behind would take turns on it, too


def test_an_engine_makes_what_does_not_fit_fit() -> None:
    problem = Problem.of(eight_bits(), ECP5)
    least = least_area(problem)
    assert least is not None
    tight = problem.with_budget(Area(least.area.luts, least.area.ffs, least.area.brams, 0))
    assert least_area(tight) is not None
    assert least_area(alone(tight)) is None


def test_areas_add_up() -> None:
    program = eight_bits()
    problem = Problem.of(program, ECP5)
    found = least_area(problem, 20_000)
    assert found is not None
    (members,) = engine_members(found.foldings).values()
    stages = [program.stages[place] for place in members]
    kind = FAMILIES["ecp5"]
    assert found.engine == engine_area(stages, found.foldings[members[0]], kind)  # type: ignore[arg-type]
    for place in members:
        assert found.areas[place] == stage_area(program.stages[place], found.foldings[place], kind)
    assert found.turns == sum(
        turn_clocks(program.stages[place], found.foldings[place], len(members)) for place in members
    )
    assert found.area == sum(found.areas, found.between + found.engine)


def test_numbers_are_wide_enough_for_all() -> None:
    narrow = dense("n", 0, Stream(1, 1, 8, Range(0, 3)), 4, 2, None)
    signed = dense("s", 0, Stream(1, 1, 16, Range(-8, 7)), 4, 5, None)
    bits = engine_bits([narrow, signed])
    assert (bits.element, bits.signed, bits.weight) == (4, True, 5)
    assert bits.total == max(stage_bits(stage).total for stage in (narrow, signed))
    assert engine_bits([narrow, signed], 3).weight == 3


def test_the_front_tells_who_shares() -> None:
    program = mlp(8, 8, (8, 6, 6, 4))
    request = Request(program, ECP5, 80.0)
    problem = request.problem()
    points = Exploration(request, problem.device, tuple(front(problem))).to_json()["points"]
    shared = [point for point in points if point["engine"]]
    assert shared
    for point in points:
        foldings = tuple(Folding(**given) for given in point["foldings"])
        named = [program.stages[m].name for own in engine_members(foldings).values() for m in own]
        assert named == point["engine"]
        assert not engine_problem(program.stages, foldings)
    shares = [point["share"] for point in points]
    assert shares == sorted(shares, reverse=True)


@needs_iverilog
@pytest.mark.parametrize("kind", ["mlp", "conv net"])
def test_what_is_printed_is_built_and_as_fast(kind: str) -> None:
    program = mlp(8, 8, (16, 12, 12, 4)) if kind == "mlp" else conv_net(8, 6, (4, 4), 4)
    problem = Problem.of(program, ECP5)
    found = least_area(problem)
    assert found is not None
    assert engine_members(found.foldings)
    options = HardwareOptions("ecp5", TIMINGS["ecp5-6"], 25.0)
    design = folded_design(program, found.foldings, "core", options, found.entry_words[0])
    entry = program.entries[0]
    given = np.random.default_rng(0).integers(0, entry.range.high + 1, (6, *entry.shape))
    done = simulate_folded(design, given, simulator="icarus")
    first = simulate_folded(design, given[:1], simulator="icarus")
    assert np.array_equal(done.outputs, program.evaluate([given])[0])
    steady = np.diff(done.clocks)[1:3]
    assert 0.9 * found.interval <= max(steady) <= found.interval
    assert found.latency == pytest.approx(first.latency, rel=0.2, abs=16)
