"""Clocks of a stage: what it needs per sample, exactly, and what its first results wait for.

All constants of the hardware's schedule are here. Per sample a stage needs::

    positions * (outputs / pe) * kernel * (channels of a group / simd)
        + rows of the result * (ROW_CLOCKS + rows released)

and never less than its input and output words, one per clock. Between two stages whose
words have a and b elements, the converter passes gcd(a, b) elements per clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

from actc.targets.fpga.folded.folding import (
    Folding,
    group_clocks,
    input_word,
    is_elementwise,
    output_word,
)
from actc.targets.fpga.folded.program import MatrixStage, MaximumStage, Stage, Stream, Window

ROW_CLOCKS = 2
"""Of a row of results besides its products: its last position ends, the next one begins."""
DEPTH_CLOCKS = 8
"""From the last product of a total to the word that leaves: pipeline, function, FIFO."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Of one stage and one sample.

    Attributes:
        work: between one sample and the next, at least.
        first: from the data of its first result to that result.
        last: from its last input word to its last result.
    """

    work: int
    first: int
    last: int


def window_of(stage: Stage) -> Window:
    """What a stage reads for one result; one element where it has no window."""
    return stage.window if isinstance(stage, (MatrixStage, MaximumStage)) else Window()


def stage_clocks(stage: Stage, folding: Folding) -> Clocks:
    """The clocks of a stage."""
    words = max(
        stage.input.size // input_word(stage, folding),
        stage.output.size // output_word(stage, folding),
    )
    if is_elementwise(stage):
        return Clocks(words, DEPTH_CLOCKS, DEPTH_CLOCKS)
    rows, columns = stage.output.rows, stage.output.columns
    group = group_clocks(stage, folding)
    groups = stage.output.channels // folding.pe
    row = columns * groups * group + ROW_CLOCKS + released_rows(stage)
    drain = folding.pe // folding.lanes + DEPTH_CLOCKS
    waiting = _waiting_rows(stage)
    return Clocks(max(rows * row, words), group + drain, waiting * row + drain)


def released_rows(stage: Stage) -> int:
    """Rows of the window buffer that a row of results frees."""
    return min(window_of(stage).strides[0], stage.input.rows)


def transfer_clocks(stream: Stream, source: int, reader: int) -> int:
    """Clocks per sample of what lies between words of `source` and of `reader` elements."""
    return stream.size // gcd(source, reader)


def kept_rows(stage: Stage) -> int:
    """Rows that the window buffer has room for.

    Those of one window, and those that come in while it is used; at most the whole input
    and one row. A vector is a row: there are two.
    """
    window = window_of(stage)
    span = (window.kernel[0] - 1) * window.dilations[0] + 1
    return min(span + window.strides[0], stage.input.rows + 1)


def needed_share(stage: Stage) -> float:
    """Share of the input that the first result needs, counted in positions."""
    window, stream = window_of(stage), stage.input
    spans = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    row = min(max(spans[0] - window.before[0], 1), stream.rows)
    column = min(max(spans[1] - window.before[1], 1), stream.columns)
    if is_elementwise(stage):
        return 1 / stream.size
    return ((row - 1) * stream.columns + column) / stream.positions


def _waiting_rows(stage: Stage) -> int:
    """Rows of results that need the last row of the input."""
    window, stream = window_of(stage), stage.input
    span = (window.kernel[0] - 1) * window.dilations[0] + 1
    bottoms = [
        row * window.strides[0] - window.before[0] + span - 1 for row in range(stage.output.rows)
    ]
    return max(sum(bottom >= stream.rows - 1 for bottom in bottoms), 1)


def products_per_clock(stage: Stage, folding: Folding) -> int:
    """Multiplications that stand side by side."""
    if not isinstance(stage, MatrixStage):
        return 0
    return folding.pe * folding.simd


def weight_words(stage: MatrixStage, folding: Folding) -> int:
    """Words of the ROM of weights, each of all weights of a clock."""
    return prod(stage.weights.shape) // (folding.pe * folding.simd)
