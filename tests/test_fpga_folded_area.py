"""What the stages of a folding take of a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from folded_choices import CODES, ECP5, ICE40
from fpga_folded_examples import dense, mlp

from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.folded.costs import Area, FunctionCost, stage_area
from actc.targets.fpga.folded.costs.memory import memory_blocks, rom_cells
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import FoldedProgram, MapStage, Stream
from actc.targets.fpga.folded.solve import least_area
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range


def test_block_memories() -> None:
    ecp5, ice40 = FAMILIES["ecp5"], FAMILIES["ice40"]
    assert memory_blocks(36, 512, ecp5) == 1
    assert memory_blocks(36, 513, ecp5) == 2
    assert memory_blocks(1, 16384, ecp5) == 1
    assert memory_blocks(16, 6272, ice40) == 26  # 13 of 512 x 8, twice: yosys avoids multiplexers
    assert memory_blocks(4, 1024, ice40) == 1


def test_weights_fill_the_memories_they_are_in() -> None:
    stage = mlp(2, 4).stages[0]
    area = stage_area(stage, Folding(2, 4, 1, weights="block"), FAMILIES["ice40"])
    assert area.brams == 26
    assert stage_area(stage, Folding(2, 4, 1, weights="logic"), FAMILIES["ice40"]).brams == 0
    assert rom_cells(16, 6272, FAMILIES["ice40"]) >= 16 * 6272 / 16


def test_hard_multipliers() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 8, CODES)
    hard = stage_area(stage, Folding(2, 4, 2, "dsp"), FAMILIES["ecp5"])
    soft = stage_area(stage, Folding(2, 4, 2, "logic"), FAMILIES["ecp5"])
    assert (hard.dsps, soft.dsps) == (8, 0)
    assert soft.luts > hard.luts
    wide = dense("w", 0, Stream(1, 1, 8, Range.unsigned(16)), 4, 8, CODES)
    # unsigned elements take a sign bit beside signed weights: 17 bits
    assert stage_area(wide, Folding(1, 1, 1, "dsp"), FAMILIES["ecp5"]).dsps == 1
    assert stage_area(wide, Folding(1, 1, 1, "dsp"), FAMILIES["ice40"]).dsps == 2


def test_narrow_products_are_never_hard() -> None:
    # yosys takes logic for them whatever it is told, so that no folding may count on it
    narrow, wide = (dense("d", -0, Stream(1, 1, 8, CODES), 4, bits, None) for bits in (3, 8))
    for stage, hard in ((narrow, {"logic"}), (wide, {"logic", "dsp"})):
        program = FoldedProgram((stage.input,), (replace(stage, sources=(-1,)),), (0,))
        item = Problem.of(program, ICE40).items[1]
        assert {option.folding.multiplier for option in item.options if option.folding} == hard


def test_signs_are_one_bit() -> None:
    stage = dense("d", 0, Stream(1, 1, 512, CODES), 16, 2, CODES)
    signs = replace(stage, weights=np.where(stage.weights < 0, -1, 1))
    folding = Folding(4, 8, 1, weights="block")
    both = [stage_area(one, folding, FAMILIES["ice40"]).brams for one in (stage, signs)]
    assert both == [4, 2]  # 64 and 32 bits x 256 words


def test_layers_of_one_clock_have_constant_weights() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 4, CODES)
    whole = stage_area(stage, Folding(4, 8, 4, "dsp", "block"), FAMILIES["ecp5"])
    half = stage_area(stage, Folding(4, 4, 4, "dsp", "block"), FAMILIES["ecp5"])
    assert (whole.brams, whole.dsps) == (0, 0)
    assert (half.brams, half.dsps) == (2, 16)  # 64 bits wide
    ones = replace(stage, weights=np.ones_like(stage.weights))
    assert stage_area(ones, Folding(4, 4, 4, "logic", "block"), FAMILIES["ecp5"]).brams == 0


def test_function_units_count() -> None:
    stage = dense("d", 0, Stream(1, 1, 8, CODES), 4, 8, CODES)
    ecp5 = FAMILIES["ecp5"]
    plain = stage_area(stage, Folding(4, 1, 2), ecp5)
    more = stage_area(stage, Folding(4, 1, 2), ecp5, FunctionCost(50.0, 1, 0))
    assert more.luts - plain.luts >= 90
    assert more.dsps - plain.dsps == 2


def test_wide_words_of_registered_entries_cost() -> None:
    """Codes that become bits come one by one if a word of them takes registers."""
    codes = Stream(1, 1, 256, Range.unsigned(8))
    layers = mlp(2, 1, (256, 64, 10))
    bits = layers.entries[0]
    sign = StepFunction.from_runs(codes.range, np.array([0, 128]), np.array([0, 1]))
    first = MapStage("sign", (), (-1,), codes, bits, functions=(sign,) * 256)
    rest = tuple(replace(s, sources=(n,)) for n, s in enumerate(layers.stages))
    program = FoldedProgram((codes,), (first, *rest), (len(rest),))
    words = []
    for registered in (False, True):
        problem = Problem.of(program, ECP5, registered=registered)
        options = problem.items[0].options
        assert [o.area.ffs for o in options] == [8 * o.gives * registered for o in options]
        choice = least_area(problem, 2000)
        assert choice is not None
        own = sum(choice.areas, Area())
        assert choice.between.ffs == choice.area.ffs - own.ffs
        assert choice.between.ffs >= 8 * choice.entry_words[0] * registered
        words.append(choice.entry_words[0])
    assert words[1] == 1 < words[0]
