"""Kernels that repeat: which ones a binary convolution has, and what storing them takes.

A kernel is what an output weighs an input channel with, over the window. Where few of them stand
for all (Wang et al., "Compacting Binary Neural Networks by Sparse Kernel Selection", CVPR 2023),
an index in place of each kernel takes fewer bits than the kernel's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from actc.targets.fpga.folded.program import Integers, MatrixStage


@dataclass(frozen=True, eq=False, slots=True)
class Kernels:
    """The kernels of a binary convolution.

    Attributes:
        entries: int64 [N, places of the window], 0 for -1 and 1 for 1: each kernel once.
        index: int64 [outputs, channels of a group]: which of them each kernel is.
    """

    entries: Integers
    index: Integers

    @property
    def index_bits(self) -> int:
        """Of one index."""
        return max(1, (len(self.entries) - 1).bit_length())

    @property
    def indices(self) -> int:
        """Bits of all indices."""
        return self.index.size * self.index_bits

    @property
    def weights(self) -> int:
        """Bits of all weights, each stored by itself."""
        return int(self.index.size * self.entries.shape[1])

    @property
    def possible(self) -> int:
        """Kernels that a window can have."""
        return int(2 ** self.entries.shape[1])


@lru_cache(maxsize=1024)
def kernels_of(stage: MatrixStage) -> Kernels | None:
    """The kernels of a stage; None where indices and kernels are no fewer bits than weights."""
    places = prod(stage.weights.shape[1:3])
    if not stage.counted or places == 1 or stage.weights.min() == stage.weights.max():
        return None
    outputs, _, _, channels = stage.weights.shape
    bits = (stage.weights > 0).astype(np.int64).reshape(outputs, places, channels)
    rows = bits.transpose(0, 2, 1).reshape(-1, places)
    entries, index = np.unique(rows, axis=0, return_inverse=True)
    found = Kernels(entries, index.reshape(outputs, channels))
    return found if found.indices + entries.size < found.weights else None


@dataclass(frozen=True, slots=True)
class Reads:
    """How the indices of the kernels of a word are read.

    Attributes:
        width: at a time.
        count: clocks of reading, as many as a kernel has places at most.
    """

    width: int
    count: int

    @property
    def clocks(self) -> int:
        """By which weights come later than those of a plain memory."""
        return self.count + 1


def reads_of(stage: MatrixStage, pe: int, simd: int) -> Reads:
    """The fewest indices at a time, for as many kernels as a stage takes at a time.

    Args:
        pe, simd: outputs and channels at a time.
    """
    width = -(-pe * simd // prod(stage.weights.shape[1:3]))
    return Reads(width, -(-pe * simd // width))
