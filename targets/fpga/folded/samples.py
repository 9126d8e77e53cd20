"""Samples that every form of a folded program is compared on, and its first comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.targets.base import Rung
from actc.targets.fpga.folded.network import FoldedNetwork
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    Integers,
    MatrixStage,
    RecurrentStage,
)
from actc.targets.fpga.ladder.vectors import random_inputs, specified

Array = npt.NDArray[Any]

_LEAST_RANDOM = 3
"""All codes least, all codes most, and one that is random indeed."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What every rung gets, and must give.

    Attributes:
        feeds: the model's inputs; golden: its outputs for them.
        words: int64 [samples, rows, columns, channels] that come.
        expected: the same that must go.
        kind: what there is, in words.
    """

    feeds: dict[str, Array]
    golden: dict[str, Array]
    words: Integers
    expected: Integers
    kind: str

    @property
    def count(self) -> int:
        """How many."""
        return len(self.words)


def samples_of(
    network: FoldedNetwork,
    golden: ir.Model,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
    *,
    most: int,
    random: int,
    work: int | None = None,
) -> Samples:
    """The first samples of the data, and random ones over all codes.

    Args:
        feeds, outputs: the data, and what golden gives for it.
        most: samples of the data.
        random: random ones.
        work: products and elements of all samples together, about; then there may be fewer
            samples, but one of the data and three random ones at least.
    """
    if work is not None:
        count = work // work_of(network.program)
        random = min(random, max(count // 2, _LEAST_RANDOM))
        most = min(most, max(count - random, 1))
    drawn = random_inputs(network.entries, random)
    found = specified(golden, drawn)
    kept = {name: np.asarray(array)[:most] for name, array in feeds.items()}
    joined = {name: np.concatenate([kept[name], drawn[name]]) for name in kept}
    right = {name: np.concatenate([outputs[name][:most], found[name]]) for name in outputs}
    words = network.prologue(joined)
    count = len(next(iter(kept.values())))
    kind = f"{count} sample{'s' * (count > 1)} of the data and {random} random ones"
    return Samples(joined, right, words[0], network.program.evaluate(words)[0], kind)


def work_of(program: FoldedProgram) -> int:
    """Products and elements of one sample."""
    products = sum(
        stage.products
        for stage in program.stages
        if isinstance(stage, (MatrixStage, RecurrentStage))
    )
    return products + sum(stage.output.size for stage in program.stages) + 1


def program_rung(network: FoldedNetwork, samples: Samples) -> Rung:
    """What the hardware is specified to compute, against golden itself."""
    outputs = network.epilogue([samples.expected])
    wrong = np.flatnonzero(~network.agrees(outputs, samples.golden))
    if wrong.size:
        return Rung("program", "differs", f"sample {wrong[0]}", samples.count)
    return Rung("program", "equal", f"evaluated in exact integers; {samples.kind}", samples.count)


def compared(name: str, found: Integers, samples: Samples, how: str) -> Rung:
    """The rung of what was found for the first samples.

    Args:
        found: int64 [samples, ...], elements in the order of the stream.
        how: it was found.
    """
    right = samples.expected[: len(found)].reshape(found.shape)
    wrong = np.flatnonzero((found != right).reshape(len(found), -1).any(axis=1))
    if wrong.size:
        detail = f"{wrong.size} samples, the first is {wrong[0]}"
        return Rung(name, "differs", detail, len(found))
    return Rung(name, "equal", how, len(found))
