"""Folded hardware: every stage in many foldings equals its program, with pauses or without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folded_programs import (
    CODES,
    chain,
    gated,
    mapped,
    matrix,
    maximum,
    residual,
    samples,
    spread,
)
from installed import needs_iverilog, needs_verilator, needs_yosys

from actc.errors import ToolFailed
from actc.targets.fpga.boards.load import devices
from actc.targets.fpga.flow.synthesize import synthesize_design
from actc.targets.fpga.folded.costs.clocks import all_clocks
from actc.targets.fpga.folded.folding import Folding, foldings, input_word
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.hardware.lags import needed_rows, queue_elements
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import library_files
from actc.targets.fpga.folded.program import FoldedProgram, Stream, Window
from actc.targets.fpga.folded.simulation import (
    Simulator,
    element_bits,
    elements_of_bits,
    simulate_folded,
)
from actc.targets.fpga.gates import GateNetlist
from actc.targets.fpga.gates.lanes import LaneSimulation
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline import find_timing
from actc.toolchain import run

OPTIONS = HardwareOptions("ecp5", find_timing("ecp5-6"), 80.0)
VECTOR = Stream(1, 1, 12, CODES)
MAP = Stream(6, 5, 4, CODES)
SAME = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))

STAGES = {
    "dense": matrix("dense", VECTOR, 6),
    "signs": matrix("signs", VECTOR, 6, weights=(-1, 0), functions="steps"),
    "dense, scaled": matrix("dense", VECTOR, 6, functions="scaled"),
    "convolution": matrix("conv", MAP, 6, window=SAME, functions="scaled"),
    "strided": matrix("conv", MAP, 6, window=Window((3, 3), (2, 2), (1, 1), (1, 1), (1, 1))),
    "one-sided": matrix("conv", MAP, 6, window=Window((3, 3), (2, 1), (1, 1), (0, 1), (1, 0))),
    "1-d": matrix("conv", Stream(1, 9, 4, CODES), 3, window=Window((1, 3), after=(0, 2))),
    "dilated": matrix("conv", MAP, 6, window=Window((2, 3), (1, 1), (2, 1), (2, 1), (1, 1))),
    "grouped": matrix("conv", MAP, 6, window=SAME, groups=2, functions="steps"),
    "depthwise": matrix("conv", MAP, 4, window=SAME, groups=4),
    "whole": matrix("conv", MAP, 6, window=Window((6, 5))),
    "skipping": matrix("conv", MAP, 6, window=Window((1, 1), (2, 2))),
    "zeros": matrix("zeros", VECTOR, 6, weights=(0, 0)),
    "large bias": replace(
        matrix("bias", VECTOR, 2, weights=(-1, 0), seed=4),
        plain=np.array([200, 260]),
        output=Stream(1, 1, 2, Range(200 - 12 * 15, 260)),
    ),
    "signed input": matrix("conv", Stream(3, 3, 2, Range(-8, 7)), 2, window=SAME, outside=0),
    "maximum": maximum("max", MAP, Window((2, 2), (2, 2))),
    "padded maximum": maximum("max", Stream(5, 5, 2, Range(-8, 7)), SAME),
}


def built(program: FoldedProgram, chosen: list[Folding]) -> FoldedDesign:
    word = input_word(program.stages[0], chosen[0])
    return folded_design(program, chosen, "core", OPTIONS, word)


def least(program: FoldedProgram) -> list[Folding]:
    return [Folding() for _ in program.stages]


@needs_iverilog
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_equals_its_program_in_every_folding(name: str) -> None:
    program = chain(STAGES[name])
    given = samples(program, 3)
    for number, folding in enumerate(spread(list(foldings(STAGES[name])), 4)):
        found = simulate_folded(
            built(program, [folding]), given, simulator="icarus", pauses=number % 2 == 1
        )
        assert np.array_equal(found.outputs, program.evaluate([given])[0]), folding


@needs_iverilog
@pytest.mark.parametrize("name", ["dense", "signs", "dense, scaled"])
def test_unrolled_layers_mix_with_folded_ones(name: str) -> None:
    """A layer in one clock has its weights as constants in shared adders."""
    folded = matrix("first", VECTOR, 12, functions="scaled")
    stage = STAGES[name]
    last = replace(stage, sources=(0,))
    program = chain(folded, last)
    whole = Folding(6, 12, 6)
    design = built(program, [Folding(2, 3, 1), whole])
    assert not any("dense_weights" in file or "signs_weights" in file for file in design.files)
    given = samples(program, 3)
    found = simulate_folded(design, given, simulator="icarus")
    assert np.array_equal(found.outputs, program.evaluate([given])[0])


@needs_iverilog
@pytest.mark.parametrize("name", ["dense", "convolution", "strided", "depthwise", "maximum"])
def test_clocks_are_estimated_but_for_waiting(name: str) -> None:
    program = chain(STAGES[name])
    slow = [f for f in foldings(STAGES[name]) if f.lanes == f.pe]
    for folding in spread(slow, 3):
        found = simulate_folded(built(program, [folding]), samples(program, 6), simulator="icarus")
        clocks = all_clocks(STAGES[name], [folding])[0].work
        entry = program.entries[0].size // input_word(STAGES[name], folding)
        # a sample may have to wait for rows of the one before to be released
        assert max(clocks, entry) - 1 <= found.interval <= 1.1 * max(clocks, entry) + 4, folding


NETWORKS = {
    "residual": residual(SAME),
    "deeper residual": residual(Window((5, 3), (1, 1), (1, 1), (2, 1), (2, 1))),
    "gated": gated(),
    "mapped": mapped(),
    "flattened": chain(
        matrix("conv", MAP, 4, window=SAME, functions="scaled"),
        maximum("max", MAP, Window((2, 2), (2, 2)), 0),
        matrix("dense", Stream(1, 1, 3 * 2 * 4, CODES), 5, source=1, seed=2),
    ),
}


@needs_iverilog
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("pauses", [False, True])
def test_a_network_equals_its_program(name: str, pauses: bool) -> None:
    program = NETWORKS[name]
    given = samples(program, 4)
    options = [list(foldings(stage)) for stage in program.stages]
    for place in (0, 1, 2):
        chosen = [spread(own, 3)[min(place, len(own) - 1)] for own in options]
        found = simulate_folded(built(program, chosen), given, simulator="icarus", pauses=pauses)
        assert np.array_equal(found.outputs, program.evaluate([given])[0]), chosen


@needs_iverilog
def test_layers_may_be_called_like_wires() -> None:
    program = NETWORKS["residual"]
    names = ("in_fork", "in_fork0", "out__data")
    stages = tuple(replace(s, name=n) for s, n in zip(program.stages, names, strict=True))
    design = built(replace(program, stages=stages), least(program))
    given = samples(program, 2)
    found = simulate_folded(design, given, simulator="icarus")
    assert np.array_equal(found.outputs, program.evaluate([given])[0])


@needs_iverilog
def test_a_residual_network_without_its_queue_stops() -> None:
    """The queue is needed: so that the test above says something."""
    program = NETWORKS["deeper residual"]
    design = built(program, least(program))
    top = design.files["core.v"]
    depth = int(top.partition(".DEPTH(")[2].partition(")")[0])
    shorter = {**design.files, "core.v": top.replace(f".DEPTH({depth})", ".DEPTH(2)")}
    given = samples(program, 2)
    with pytest.raises(ToolFailed, match="ACT0523"):
        simulate_folded(design, given, files=shorter, simulator="icarus", limit=60_000)


def test_needed_rows_follow_the_windows() -> None:
    program = NETWORKS["deeper residual"]
    assert needed_rows(program, 0) == [2, 3, 4, 5, 5, 5]
    assert needed_rows(program, -1) == [0, 1, 2, 3, 4, 5]
    per_row = 5 * 4
    assert queue_elements(program, 1) == (3 * per_row, per_row)
    # a row even where nothing has to be gathered, as stages wait for whole rows
    assert queue_elements(NETWORKS["gated"], 2) == (12, 2 * 3 * 4)
    assert queue_elements(program, 0) == (0,)


@needs_verilator
@needs_iverilog
def test_both_simulators_agree() -> None:
    program = NETWORKS["flattened"]
    design, given = built(program, least(program)), samples(program, 2)
    runs = [simulate_folded(design, given, simulator=s) for s in ("icarus", "verilator")]
    assert np.array_equal(runs[0].outputs, runs[1].outputs)
    assert np.array_equal(runs[0].clocks, runs[1].clocks)


@needs_verilator
@needs_iverilog
@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_missing_results_are_an_error(simulator: Simulator) -> None:
    program = chain(STAGES["dense"])
    design, given = built(program, least(program)), samples(program, 2)
    with pytest.raises(ToolFailed, match="ACT0523"):
        simulate_folded(design, given, simulator=simulator, limit=20)


@needs_verilator
def test_the_library_passes_lint(tmp_path: Path) -> None:
    names = ["window", "ring", "fifo", "queue", "accumulators", "maxima", "serializer"]
    names += ["credits", "widen", "narrow", "fork", "delay"]
    for file, text in library_files([f"actc_{name}" for name in names]).items():
        (tmp_path / file).write_text(text, "ascii")
    for name in names:
        argv = ["verilator", "--lint-only", "-Wall", "--top-module", f"actc_{name}", "-y", "."]
        run([*argv, f"actc_{name}.v"], timeout=60, cwd=tmp_path)


@needs_yosys
def test_memories_and_multipliers_are_where_they_shall_be(tmp_path: Path) -> None:
    """And the netlist with them equals the program."""
    stage = matrix("conv", Stream(8, 8, 16, Range(0, 255)), 16, window=SAME, weights=(-100, 100))
    design = built(chain(stage), [Folding(4, 2, 1, "dsp", "block", "block")])
    found = synthesize_design(
        design.files, "core", devices()["ecp5-25k"], tmp_path, dsp=True, pads=False
    )
    assert found.total.dsps == 8
    assert found.total.brams == 2 + 1  # 64 bits of weights, and the ring
    netlist = GateNetlist.read(json.loads(found.netlist.read_text()), "core", "ecp5")
    given = samples(design.program, 3)
    bits = element_bits(given, design.input)
    count, width = design.output_words, design.output.bits
    result = LaneSimulation(netlist, len(given)).stream(bits, count, width, 60_000)
    outputs = elements_of_bits(result.outputs, stage.output, design.output)
    assert np.array_equal(outputs, design.program.evaluate([given])[0])


@needs_yosys
def test_nothing_is_in_block_memories_or_multipliers_unasked(tmp_path: Path) -> None:
    soft = Folding(3, 4, 1, "logic", "logic", "logic")
    design = built(chain(STAGES["convolution"]), [soft])
    found = synthesize_design(
        design.files, "core", devices()["ecp5-25k"], tmp_path, dsp=True, pads=False
    )
    assert (found.total.dsps, found.total.brams) == (0, 0)


def test_equal_designs_have_equal_files() -> None:
    program = NETWORKS["residual"]
    assert built(program, least(program)).files == built(program, least(program)).files
