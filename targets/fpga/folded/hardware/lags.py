"""How long queues in front of sums must be, so that no stage ever waits for itself.

A sum reads two streams that began as one. Where one of them has to gather more rows before it
gives its first, the other must be kept that long. Let need(y) be the last row of the network's
input that row y of a stream depends on. While the sum waits for row y of the slower stream, the
input goes on up to row need(y) of that; the faster stream then gives all rows that need no more.
A queue that holds these, from row y on, never holds up the input too soon. That is a proof, as
stages keep the rows that they need (`kept_rows` of costs/clocks.py); nothing is simulated.
"""

from __future__ import annotations

from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MatrixStage,
    MaximumStage,
    Stage,
    Window,
)


def queue_elements(program: FoldedProgram, number: int) -> tuple[int, ...]:
    """Elements that are kept in front of each input of a stage.

    Args:
        number: of a stage; one that reads one stream needs none.
    """
    stage = program.stages[number]
    if len(stage.sources) < 2:
        return (0,) * len(stage.sources)
    needs = [needed_rows(program, source) for source in stage.sources]
    rows = []
    for own, other in ((0, 1), (1, 0)):
        held = [
            sum(1 for need in needs[own] if need <= needs[other][row]) - row
            for row in range(len(needs[own]))
        ]
        rows.append(max(max(held), 0))
    per_row = stage.input.columns * stage.input.channels
    return tuple(count * per_row for count in rows)


def needed_rows(program: FoldedProgram, number: int) -> list[int]:
    """For each row of a source, the last row of the network's input that it depends on."""
    if number < 0:
        return list(range(program.stream(number).rows))
    stage = program.stages[number]
    before = [needed_rows(program, source) for source in stage.sources]
    if len({len(rows) for rows in before}) > 1 or len(before[0]) != stage.input.rows:
        # a flattened tensor is there when all of it is
        return [max(max(rows) for rows in before)] * stage.output.rows
    joined = [max(rows) for rows in zip(*before, strict=True)]
    return [max(joined[: _last(stage, row) + 1]) for row in range(stage.output.rows)]


def _last(stage: Stage, row: int) -> int:
    """The last row that a stage reads for a row of its result; the first at least."""
    window = stage.window if isinstance(stage, (MatrixStage, MaximumStage)) else Window()
    span = (window.kernel[0] - 1) * window.dilations[0]
    last = row * window.strides[0] - window.before[0] + span
    return min(max(last, 0), stage.input.rows - 1)
