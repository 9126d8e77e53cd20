"""Foldings of a network that are chosen, and what is said where nothing meets a goal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path

import numpy as np
import pytest
from folded_choices import CODES, ECP5, FUNCTIONS, ICE40
from fpga_folded_examples import conv_net, dense, mlp, residual

import actc
from actc import cli
from actc.errors import ModelError
from actc.targets.fpga.boards import devices
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.folded.choice import share
from actc.targets.fpga.folded.costs import (
    Area,
    Clocks,
    converter_area,
    stage_area,
    stage_clocks,
    transfer_clocks,
)
from actc.targets.fpga.folded.costs.bits import engine_bits, stage_bits
from actc.targets.fpga.folded.costs.clocks import turn_clocks
from actc.targets.fpga.folded.costs.engine import engine_area
from actc.targets.fpga.folded.costs.latency import program_latency
from actc.targets.fpga.folded.folding import (
    STORAGES,
    Folding,
    divisors,
    foldings,
    input_word,
    output_word,
    problem_of,
)
from actc.targets.fpga.folded.goals import Goal, Request, choose
from actc.targets.fpga.folded.items import undominated
from actc.targets.fpga.folded.pareto import front
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import FoldedProgram, Stream
from actc.targets.fpga.folded.solve import fastest, least_area, least_excess, least_latency

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
