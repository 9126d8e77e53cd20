"""Clocks of a stage: what it needs per sample, and what its first results wait for.

All constants of the hardware's schedule are here. Alone, a stage needs per sample::

    positions * (outputs / pe) * kernel * (channels of a group / simd)
        + rows of the result * ROW_CLOCKS + rows of the input

since a row of results begins when the last one is done and its rows are released, one per
clock; and never less than its input and output words, one per clock. It keeps up with a
source that gives rows evenly if its window buffer holds what comes while it is busy: see
:mod:`~actc.targets.fpga.folded.costs.pace`. Between two stages whose words have a and b
elements, the converter passes gcd(a, b) elements per clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, gcd, prod

from actc.targets.fpga.folded.costs.pace import Rows, least_intervals
from actc.targets.fpga.folded.costs.recurrent import sample_clocks, step_clocks
from actc.targets.fpga.folded.folding import (
    Folding,
    decoder_clocks,
    group_clocks,
    input_word,
    is_elementwise,
    output_word,
)
from actc.targets.fpga.folded.program import (
    MatrixStage,
    MaximumStage,
    RecurrentStage,
    Stage,
    Stream,
    Window,
)

ROW_CLOCKS = 3
"""Between the last word of a row of results and the first one of the next, besides releases."""
HOLD_CLOCKS = 128
"""In which a stage keeps an engine for itself, if others wait for it; then its group ends."""
SWITCH_CLOCKS = 2
"""Between groups of two stages on an engine."""
DEPTH_CLOCKS = 8
"""From the last product of a total to the word that leaves: pipeline, function, FIFO."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Of one stage and one sample.

    Attributes:
        work: between one sample and the next, at least.
        first: from the data of its first results to these.
        rest: from these to the last results, if all data is there.
        last: from its last input word to its last results.
    """

    work: int
    first: int
    rest: int
    last: int


def window_of(stage: Stage) -> Window:
    """What a stage reads for one result; one element where it has no window."""
    return stage.window if isinstance(stage, (MatrixStage, MaximumStage)) else Window()


def stage_clocks(stage: Stage, folding: Folding) -> Clocks:
    """The clocks of a stage."""
    return all_clocks(stage, [folding])[0]


def all_clocks(stage: Stage, foldings: Sequence[Folding]) -> list[Clocks]:
    """The same of many foldings of one stage, which is quicker than one by one."""
    if is_elementwise(stage):
        words = [stage.input.size // folding.pe for folding in foldings]
        return [Clocks(count, DEPTH_CLOCKS, count - 1, DEPTH_CLOCKS) for count in words]
    if isinstance(stage, RecurrentStage):
        return [_recurrent(stage, folding) for folding in foldings]
    computed = [row_clocks(stage, folding) for folding in foldings]
    words = [
        stage.input.columns * stage.input.channels // input_word(stage, folding)
        for folding in foldings
    ]
    intervals = least_intervals(_rows(stage), computed, words)
    waiting = _waiting_rows(stage)
    found = []
    for folding, row, interval in zip(foldings, computed, intervals, strict=True):
        group = group_clocks(stage, folding)
        drain = folding.pe // folding.lanes + DEPTH_CLOCKS + decoder_clocks(stage, folding)
        alone = stage.output.rows * (row + ROW_CLOCKS) + stage.input.rows
        interval = max(interval, stage.output.size // output_word(stage, folding))
        last = waiting * (row + ROW_CLOCKS) + drain
        found.append(Clocks(interval, group + drain, max(alone - group, 0), last))
    return found


def _recurrent(stage: RecurrentStage, folding: Folding) -> Clocks:
    whole, step = sample_clocks(stage, folding.pe), step_clocks(stage, folding.pe)
    work = max(whole, stage.input.size, stage.output.size)
    first = whole if stage.last else stage.cell.units + step
    return Clocks(work, first, whole - first, step)


def turn_clocks(stage: Stage, folding: Folding, stages: int) -> int:
    """Clocks per sample that an engine needs for one of its stages, at most.

    The turn goes around behind each row of results, and whenever it was held for long.

    Args:
        stages: on the engine.
    """
    own = stage.output.rows * row_clocks(stage, folding)
    rows = stage.output.rows * (ROW_CLOCKS + stages - 1) + stage.input.rows
    return own + rows + SWITCH_CLOCKS * ceil(own / HOLD_CLOCKS)


def row_clocks(stage: Stage, folding: Folding) -> int:
    """Clocks in which a row of results is computed."""
    groups = stage.output.channels // folding.pe
    return stage.output.columns * groups * group_clocks(stage, folding)


def transfer_clocks(stream: Stream, source: int, reader: int) -> int:
    """Clocks per sample of what lies between words of `source` and of `reader` elements."""
    return stream.size // gcd(source, reader)


def kept_rows(stage: Stage) -> int:
    """Rows that the window buffer has room for: of one window, and those that come next."""
    window = window_of(stage)
    return min(_span(window, 0), stage.input.rows) + window.strides[0]


def needed_share(stage: Stage) -> float:
    """Share of the input that the first result needs: whole rows, or one element."""
    window, stream = window_of(stage), stage.input
    if is_elementwise(stage):
        return 1 / stream.size
    if isinstance(stage, RecurrentStage):
        return 1 / stream.positions
    return min(max(_span(window, 0) - window.before[0], 1), stream.rows) / stream.rows


def products_per_clock(stage: Stage, folding: Folding) -> int:
    """Multiplications that stand side by side."""
    return folding.pe * folding.simd if isinstance(stage, MatrixStage) else 0


def weight_words(stage: MatrixStage, folding: Folding) -> int:
    """Words of the ROM of weights, each of all weights of a clock."""
    return prod(stage.weights.shape) // (folding.pe * folding.simd)


def _rows(stage: Stage) -> Rows:
    window, rows = window_of(stage), stage.output.rows
    strides, before = window.strides[0], window.before[0]
    bottoms = [row * strides - before + _span(window, 0) - 1 for row in range(rows)]
    tops = [(row + 1) * strides - before for row in range(rows - 1)]
    most = stage.input.rows
    return Rows(
        most,
        kept_rows(stage),
        tuple(min(bottom, most - 1) for bottom in bottoms),
        (*(min(max(top, 0), most) for top in tops), most),
        ROW_CLOCKS,
    )


def _waiting_rows(stage: Stage) -> int:
    """Rows of results that need the last row of the input."""
    needed = _rows(stage).needed
    return max(needed.count(stage.input.rows - 1), 1)


def _span(window: Window, axis: int) -> int:
    return (window.kernel[axis] - 1) * window.dilations[axis] + 1
