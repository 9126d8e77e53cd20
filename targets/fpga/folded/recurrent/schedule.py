"""Clocks of a step, as the control of recurrent layers and its queue of totals take them."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def step_clocks(units: int, gates: int, pe: int, matrix: int, element: int) -> int:
    """Clocks from the beginning of a step to that of the next one.

    Nothing that is read may be late: the stage in front gives what a step reads within a step.

    Args:
        units, gates: of the layer.
        pe: products of its matrix at a time.
        matrix, element: clocks of both datapaths.
    """
    read = units * units * gates // pe  # from the first state that the matrix reads
    taken: list[int] = []
    fetched = 0
    for output in range(units * gates):
        block, place = divmod(output, pe)
        written = (block + 1) * units + 1 + matrix + place
        # two totals stand in front of the queue's memory, or are on their way
        room = taken[-2] if output >= 2 else 0
        fetched = max(written + 1, fetched + 1, room)
        clock = max(fetched + 2, taken[-1] + 1 if taken else 0)
        if output == (gates - 1) * units:  # new states wait for all gates and for the matrix
            clock = max(clock, read, taken[-1] + element + 2)
        taken.append(clock)
    return 1 + taken[-1] + element + 2


def sample_clocks(units: int, steps: int, step: int) -> int:
    """Clocks of a sample, with the first states that it loads.

    Args:
        steps: of the sample.
        step: clocks of one.
    """
    return units + steps * step
