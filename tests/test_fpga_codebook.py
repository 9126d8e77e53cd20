"""Binary convolutions of few kernels: memories of indices give the weights, clock by clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from folded_programs import chain, matrix, samples, spread
from installed import needs_iverilog
from test_fpga_binary import BITS, OPTIONS, SAME

from actc.targets.fpga.folded.folding import Folding, foldings, input_word, problem_of
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.kernels import kernels_of
from actc.targets.fpga.folded.lower.narrow import counting
from actc.targets.fpga.folded.program import MatrixStage, Stream
from actc.targets.fpga.folded.simulation import simulate_folded

OUTPUTS, CHANNELS = 16, 8


def stage_of(count: int, groups: int = 1) -> MatrixStage:
    """A convolution whose kernels are of so many."""
    input = Stream(5, 4, CHANNELS, BITS)
    plain = matrix("conv", input, OUTPUTS, window=SAME, groups=groups, outside=0)
    rng = np.random.default_rng(count)
    book = rng.choice([-1, 1], (count, 3, 3))
    own = CHANNELS // groups
    weights = book[rng.integers(count, size=(OUTPUTS, own))].transpose(0, 2, 3, 1)
    low = int(np.minimum(weights, 0).sum(axis=(1, 2, 3)).min()) - 100
    output = replace(plain.output, range=replace(plain.output.range, low=low, high=-low + 100))
    found = counting(replace(plain, weights=weights, output=output), lambda function: function)
    assert isinstance(found, MatrixStage)
    assert found.counted
    return found


def design_of(stage: MatrixStage, folding: Folding, family: str) -> FoldedDesign:
    word = input_word(stage, folding)
    return folded_design(chain(stage), [folding], "core", OPTIONS[family], word)


def books(stage: MatrixStage) -> list[Folding]:
    return [f for f in foldings(stage) if f.codebook and f.multiplier == "logic"]


@pytest.mark.parametrize("count", [2, 4, 16])
def test_indices_are_fewer_bits(count: int) -> None:
    stage = stage_of(count)
    kernels = kernels_of(stage)
    assert kernels is not None
    assert kernels.index_bits == max(1, (len(kernels.entries) - 1).bit_length())
    assert kernels.indices == OUTPUTS * CHANNELS * kernels.index_bits
    assert kernels.indices + kernels.entries.size < kernels.weights == OUTPUTS * CHANNELS * 9
    signs = 2 * kernels.entries[kernels.index] - 1
    restored = signs.reshape(OUTPUTS, CHANNELS, 3, 3).transpose(0, 2, 3, 1)
    assert np.array_equal(restored, stage.weights)


def test_many_kernels_are_stored_as_they_are() -> None:
    rng = np.random.default_rng(0)
    stage = stage_of(4)
    other = replace(stage, weights=rng.choice([-1, 1], stage.weights.shape))
    assert kernels_of(other) is None
    assert not books(other)
    assert "indices" in problem_of(other, Folding(codebook=True))


@needs_iverilog
@pytest.mark.parametrize("family", OPTIONS)
@pytest.mark.parametrize(("count", "groups"), [(2, 1), (5, 1), (16, 1), (3, 2)])
def test_decoded_weights_equal_the_program(count: int, groups: int, family: str) -> None:
    stage = stage_of(count, groups)
    given = samples(chain(stage), 3)
    wanted = chain(stage).evaluate([given])[0]
    chosen = books(stage)
    assert chosen
    for number, folding in enumerate(spread(chosen, 4)):
        design = design_of(stage, folding, family)
        found = simulate_folded(design, given, simulator="icarus", pauses=number % 2 == 1)
        assert np.array_equal(found.outputs, wanted), folding


@needs_iverilog
def test_a_wrong_index_is_found() -> None:
    stage = stage_of(4)
    given = samples(chain(stage), 3)
    design = design_of(stage, books(stage)[0], "ecp5")
    (name,) = (name for name, text in design.files.items() if "told by indices" in text)
    text = design.files[name]
    first = text.index("words[0] = ")
    line = text[first : text.index(";", first)]
    value = int(line.rpartition("h")[2], 16)
    changed = f"{line.rpartition('h')[0]}h{value ^ 1:x}"
    files = {**design.files, name: text.replace(line, changed)}
    found = simulate_folded(replace(design, files=files), given, simulator="icarus")
    assert not np.array_equal(found.outputs, chain(stage).evaluate([given])[0])
