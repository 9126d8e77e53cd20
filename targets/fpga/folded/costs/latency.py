"""Clocks from a sample's first input word to its last output word: an estimate.

Time goes by as in a line of stages that are all idle before. A stage's first result comes
`first` clocks after the share of its input that it needs, which comes evenly between its
source's first and last word; its last result comes `rest` clocks after the first, or `last`
clocks after its last input word, whichever is later. Only maxima and sums occur, so that an
integer program can hold it. Stages on an engine have it one after the other: the last results of
each come no sooner than all clocks of those before it, from when the first of them could begin.
That is for one sample alone; others that follow it take turns on the engine, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actc.targets.fpga.folded.costs.clocks import Clocks, needed_share
from actc.targets.fpga.folded.program import FoldedProgram


def program_latency(
    program: FoldedProgram,
    entries: Sequence[int],
    clocks: Sequence[Clocks],
    transfers: Mapping[tuple[int, int], int],
    turns: Sequence[int] = (),
) -> float:
    """Clocks from the first word of the entries to the last word of the exits.

    Args:
        entries: words of each entry per sample.
        clocks: of each stage.
        transfers: clocks of what lies between a source and the stage that reads it, by
            number of the source and of the stage.
        turns: clocks of the engine that each stage takes, 0: none; empty: there is no engine.
    """
    times: dict[int, tuple[float, float]] = {
        -1 - number: (0.0, float(words)) for number, words in enumerate(entries)
    }
    begin, shared = None, 0.0
    for number, stage in enumerate(program.stages):
        own, need = clocks[number], needed_share(stage)
        given = [(source, *times[source]) for source in stage.sources]
        first = own.first + max(f + need * (last - f) for _, f, last in given)
        ends = [max(last, f + transfers[s, number]) + own.last for s, f, last in given]
        last = max(first + own.rest, *ends)
        if turns and turns[number]:
            begin = first - own.first if begin is None else begin
            shared += turns[number]
            last = max(last, begin + shared)
        times[number] = first, last
    return max(times[number][1] for number in program.exits)
