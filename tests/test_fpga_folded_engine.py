"""Engines: stages that take turns on one array of multipliers equal their program."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folded_programs import CODES, chain, matrix, maximum, residual, samples
from installed import needs_iverilog, needs_verilator, needs_yosys

from actc.errors import ToolFailed
from actc.targets.fpga.boards.load import devices
from actc.targets.fpga.flow.synthesize import synthesize_design
from actc.targets.fpga.folded.costs.clocks import stage_clocks, transfer_clocks, turn_clocks
from actc.targets.fpga.folded.folding import (
    Folding,
    can_share,
    engine_problem,
    foldings,
    input_word,
    output_word,
)
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import library_files
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MatrixStage,
    MaximumStage,
    Stream,
    Window,
)
from actc.targets.fpga.folded.simulation import element_bits, elements_of_bits, simulate_folded
from actc.targets.fpga.gates import GateNetlist
from actc.targets.fpga.gates.lanes import LaneSimulation
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline import find_timing
from actc.toolchain import run

OPTIONS = HardwareOptions("ecp5", find_timing("ecp5-6"), 80.0)
SAME = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
HALF = Window((2, 2), (2, 2))


def built(program: FoldedProgram, chosen: list[Folding]) -> FoldedDesign:
    word = input_word(program.stages[0], chosen[0])
    return folded_design(program, chosen, "core", OPTIONS, word)


def vector(channels: int, codes: Range = CODES) -> Stream:
    return Stream(1, 1, channels, codes)


def dense() -> FoldedProgram:
    """Layers of other widths, of weights and of signs."""
    return chain(
        matrix("a", vector(12), 6, functions="scaled"),
        matrix("b", vector(6), 6, functions="steps", source=0, seed=2, weights=(-2, 1)),
        matrix("c", vector(6, Range(0, 2)), 4, source=1, seed=3),
    )


def convolutions() -> FoldedProgram:
    """Padding of other elements, strides, groups, pooling, and a dense layer behind them."""
    first = Stream(6, 5, 2, Range(-8, 7))
    return chain(
        matrix("a", first, 4, window=SAME, outside=-3, functions="scaled"),
        maximum("pool", Stream(6, 5, 4, CODES), HALF, 0),
        matrix("b", Stream(3, 2, 4, CODES), 4, window=SAME, groups=2, functions="scaled", source=1),
        matrix("c", Stream(1, 1, 24, CODES), 4, source=2, seed=4),
    )


ON = Folding(2, 2, 1, engine=1)
CASES: dict[str, tuple[FoldedProgram, list[Folding]]] = {
    "dense": (dense(), [Folding(2, 3, 1, engine=1)] * 3),
    "one at a time": (dense(), [Folding(engine=1)] * 3),
    "hard": (dense(), [Folding(2, 3, 2, "dsp", "block", "block", engine=1)] * 3),
    "not the first": (dense(), [Folding(3, 4, 1), ON, ON]),
    "beside an unrolled layer": (dense(), [ON, Folding(6, 6, 6), ON]),
    "two engines": (
        chain(*dense().stages, matrix("d", vector(4, dense().stages[2].output.range), 4, source=2)),
        [ON, Folding(1, 1, 1, engine=2), ON, Folding(1, 1, 1, engine=2)],
    ),
    "convolutions": (
        convolutions(),
        [Folding(2, 1, 1, engine=1), Folding(2, 1, 2)] + [Folding(2, 1, 1, engine=1)] * 2,
    ),
    "blocks": (
        convolutions(),
        [replace(ON, buffer="block", weights="block"), Folding(4, 1, 4)]
        + [replace(ON, weights="block")] * 2,
    ),
    "residual": (
        residual(SAME),
        [Folding(1, 2, 1, engine=1), Folding(2, 1, 2), Folding(1, 2, 1, engine=1)],
    ),
}


@needs_iverilog
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pauses", [False, True])
def test_an_engine_equals_its_program(name: str, pauses: bool) -> None:
    program, chosen = CASES[name]
    given = samples(program, 4)
    design = built(program, chosen)
    found = simulate_folded(design, given, simulator="icarus", pauses=pauses)
    assert np.array_equal(found.outputs, program.evaluate([given])[0])


@needs_iverilog
def test_two_stages_at_once_are_wrong() -> None:
    """Turns are needed: so that the test above says something."""
    program, chosen = CASES["dense"]
    design = built(program, chosen)
    text = design.files["actc_turns.v"].replace(
        "assign turn = holder &", "assign turn = {COUNT{1'b1}} |"
    )
    given = samples(program, 4)
    try:
        found = simulate_folded(
            design, given, files={**design.files, "actc_turns.v": text}, simulator="icarus"
        )
    except ToolFailed:  # or results are missing
        return
    assert not np.array_equal(found.outputs, program.evaluate([given])[0])


# -- clocks --------------------------------------------------------------------------------


def random_program(rng: random.Random) -> FoldedProgram:
    """Convolutions, pooling and depthwise convolutions, then dense layers."""
    stages: list[MatrixStage | MaximumStage] = []
    stream = Stream(rng.choice([4, 5, 6]), rng.choice([3, 4, 5]), rng.choice([1, 2, 4]), CODES)
    for number in range(rng.randint(0, 2)):
        name, source = f"s{number}", number - 1
        kind = rng.choice(["conv", "conv", "point", "pool", "depthwise"])
        if kind == "pool" and min(stream.rows, stream.columns) >= 4:
            stage: MatrixStage | MaximumStage = maximum(name, stream, HALF, source)
        else:
            groups = stream.channels if kind == "depthwise" else 1
            stage = matrix(
                name,
                stream,
                stream.channels if groups > 1 else rng.choice([2, 4, 6]),
                window=Window() if kind == "point" else SAME,
                groups=groups,
                functions="scaled",
                source=source,
                seed=rng.randint(0, 99),
            )
        stages.append(stage)
        stream = stage.output
    stream = vector(stream.size)
    for number in range(rng.randint(2, 3)):
        outputs, source = rng.choice([4, 6, 8]), len(stages) - 1
        seed = rng.randint(0, 99)
        stages.append(
            matrix(f"d{number}", stream, outputs, functions="scaled", source=source, seed=seed)
        )
        stream = vector(outputs)
    return chain(*stages)


def random_foldings(rng: random.Random, program: FoldedProgram) -> tuple[list[int], list[Folding]]:
    """Some stages on an engine, all others as they may be."""
    able = [place for place, stage in enumerate(program.stages) if can_share(stage)]
    members = sorted(rng.sample(able, rng.randint(2, len(able))))
    soft = [
        [f for f in foldings(stage) if (f.multiplier, f.weights, f.buffer) == ("logic",) * 3]
        for stage in program.stages
    ]
    shapes = set.intersection(*({(f.pe, f.simd, f.lanes) for f in soft[m]} for m in members))
    shape = rng.choice(sorted(shapes))
    return members, [
        Folding(*shape, engine=1) if place in members else rng.choice(own)
        for place, own in enumerate(soft)
    ]


def bound(program: FoldedProgram, members: list[int], chosen: list[Folding]) -> int:
    """Clocks from sample to sample, as the solver counts them."""
    pairs = list(zip(program.stages, chosen, strict=True))
    words = [input_word(*pairs[0])] + [output_word(*pair) for pair in pairs[:-1]]
    moved = [
        transfer_clocks(stage.input, before, input_word(stage, folding))
        for (stage, folding), before in zip(pairs, words, strict=True)
    ]
    works = [stage_clocks(*pair).work for pair in pairs]
    turns = sum(turn_clocks(*pairs[place], len(members)) for place in members)
    return max(*works, *moved, turns)


@needs_iverilog
@pytest.mark.parametrize("seed", range(8))
def test_random_networks_take_no_more_clocks_than_said(seed: int) -> None:
    rng = random.Random(seed)
    program = random_program(rng)
    members, chosen = random_foldings(rng, program)
    given = samples(program, 10)
    found = simulate_folded(built(program, chosen), given, simulator="icarus")
    assert np.array_equal(found.outputs, program.evaluate([given])[0])
    mean = (found.clocks[7] - found.clocks[3]) / 4
    assert mean <= bound(program, members, chosen) + 2


@needs_iverilog
def test_a_large_layer_does_not_hold_up_small_ones() -> None:
    """While it waits for its turn, what is in front of an unshared layer would let it starve."""
    point = matrix("a", Stream(5, 5, 1, CODES), 6, functions="scaled")
    deep = [
        matrix(name, Stream(5, 5, 6, CODES), 6, window=SAME, groups=6, functions="scaled", source=k)
        for k, name in enumerate("bc")
    ]
    program = chain(point, *deep, matrix("d", vector(150), 6, source=2))
    on, off = Folding(engine=1), Folding(3, 1, 1)
    given = samples(program, 8)
    design = built(program, [on, off, off, on])
    found = simulate_folded(design, given, simulator="icarus")
    most = bound(program, [0, 3], [on, off, off, on])
    assert (found.clocks[6] - found.clocks[2]) / 4 <= most
    held = {**design.files}
    held["core_1_engine.v"] = held["core_1_engine.v"].replace(".HOLD(128)", ".HOLD(100000)")
    assert held != design.files
    slow = simulate_folded(design, given, simulator="icarus", files=held)
    assert (slow.clocks[6] - slow.clocks[2]) / 4 > most


# -- what can share, and what it becomes -----------------------------------------------------


def test_what_cannot_share_is_said() -> None:
    program = convolutions()
    on, off = Folding(2, 1, 1, engine=1), Folding(2, 1, 2)
    assert engine_problem(program.stages, [on, off, on, on]) == ""
    assert engine_problem(program.stages, [on, replace(off, engine=1), on, on])
    assert engine_problem(program.stages, [on, off, Folding(2, 1, 1), Folding(2, 1, 1)])
    assert engine_problem(program.stages, [on, off, replace(on, pe=1), on])
    assert engine_problem(program.stages, [on, off, replace(on, multiplier="dsp"), on])
    assert not engine_problem(program.stages, [on, off, replace(on, buffer="block"), on])
    with pytest.raises(ValueError, match="differ"):
        built(program, [on, off, replace(on, pe=1), on])


def test_there_is_one_memory_of_weights_and_one_array() -> None:
    program, chosen = CASES["dense"]
    design = built(program, chosen)
    assert sum(name.endswith("_weights.v") for name in design.files) == 1
    assert design.engines == {1: "engine"}
    text = design.files["core.v"]
    assert text.count("core_1_engine ") == 1
    assert built(program, chosen).files == design.files


@needs_verilator
def test_turns_pass_lint(tmp_path: Path) -> None:
    for file, text in library_files(["actc_turns", "actc_window"]).items():
        (tmp_path / file).write_text(text, "ascii")
    for name in ("actc_turns", "actc_window"):
        argv = ["verilator", "--lint-only", "-Wall", "--top-module", name, "-y", ".", f"{name}.v"]
        run(argv, timeout=60, cwd=tmp_path)


@needs_yosys
@pytest.mark.parametrize("name", ["hard", "convolutions"])
def test_the_netlist_equals_the_program(name: str, tmp_path: Path) -> None:
    program, chosen = CASES[name]
    design = built(program, chosen)
    hard = any(folding.multiplier == "dsp" for folding in chosen)
    found = synthesize_design(
        design.files, "core", devices()["ecp5-25k"], tmp_path, dsp=hard, pads=False
    )
    netlist = GateNetlist.read(json.loads(found.netlist.read_text()), "core", "ecp5")
    given = samples(program, 3)
    bits = element_bits(given, design.input)
    result = LaneSimulation(netlist, len(given)).stream(
        bits, design.output_words, design.output.bits, 60_000
    )
    outputs = elements_of_bits(result.outputs, program.stages[-1].output, design.output)
    assert np.array_equal(outputs, program.evaluate([given])[0])
    if hard:
        assert found.total.dsps == 6
        assert found.total.brams >= 1
