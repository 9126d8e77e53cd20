"""Loops whose iterations share nothing, spread over TVM's threads.

How work is cut never depends on the number of threads, so neither does any result:
an iteration computes the same numbers wherever it runs, and one that overlaps with
another writes the same value to the same place.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

LEAST_WORK = 30_000
"""Vector instructions that are worth waking threads for (about 5 us on one core)."""

TASK_WORK = 50_000
"""Vector instructions of a task that is not cut further."""

MOST_TASKS = 16
"""Pieces that a sample is cut into at most."""

_CALL_WORK = 4_000
"""Vector instructions of a sample from which a kernel over an unknown batch takes threads."""

_LARGEST_BATCH = 64
"""A kernel that pays for threads only beyond so many samples stays on one."""


def task_count(work: int, most: int) -> int:
    """Into how many pieces, at most `most`, `work` vector instructions are cut."""
    wanted = 2 if LEAST_WORK <= work < 2 * TASK_WORK else work // TASK_WORK
    return max(1, min(wanted, most, MOST_TASKS))


def spread(
    batch: Any,
    tasks: int,
    work: int,
    body: Callable[[Any, Any], None],
    pieces: Any = None,
) -> None:
    """Emit ``body(sample, task)`` for all samples and all tasks of a sample.

    Little work stays on the calling thread; where only the batch of a call tells how much
    there is, both loops are emitted and the batch chooses.

    Args:
        batch: number of samples, or the int64 variable that holds it.
        tasks: pieces of one sample.
        work: vector instructions per sample.
        body: emits one piece; pieces may run at the same time.
        pieces: how many `body` takes for a sample, if that is not the batch.
    """
    count = batch if pieces is None else pieces
    if isinstance(batch, int):
        _loop(count, tasks, batch * work >= LEAST_WORK and count * tasks > 1, body)
    elif work >= LEAST_WORK or work * _LARGEST_BATCH < LEAST_WORK:
        _loop(count, tasks, work >= LEAST_WORK, body)
    else:
        with T.If(batch >= -(-LEAST_WORK // max(work, 1))):
            with T.Then():
                _loop(count, tasks, True, body)
            with T.Else():
                _loop(count, tasks, False, body)


def _loop(count: Any, tasks: int, parallel: bool, body: Callable[[Any, Any], None]) -> None:
    kind = T.parallel if parallel else T.serial
    first = 0 if isinstance(count, int) else tirx.const(0, "int64")
    with kind(first, count * tasks) as index:
        if tasks == 1:
            body(index, 0)
        elif isinstance(count, int) and count == 1:
            body(0, index)
        else:
            sample = T.Bind(T.floordiv(index, tasks))
            body(sample, T.Bind(T.cast(index - sample * tasks, "int32")))


@contextlib.contextmanager
def spread_loops(batch: Any, extents: Sequence[int], work: int) -> Iterator[list[Any]]:
    """Loops over samples and `extents`; the outermost are one loop over pieces.

    Args:
        batch: number of samples, or the int64 variable that holds it.
        extents: of the loops inside a sample, outermost first.
        work: vector instructions per sample.

    Yields:
        the loops' variables, the sample's first (int64).
    """
    joined = _joined(batch, extents)
    total = math.prod(extents[:joined])
    count = tirx.const(batch * total, "int64") if isinstance(batch, int) else batch * total
    enough = work * batch >= LEAST_WORK if isinstance(batch, int) else work >= _CALL_WORK
    kind = T.parallel if enough else T.serial
    zero = tirx.const(0, "int64")
    with contextlib.ExitStack() as stack:
        index = stack.enter_context(kind(zero, count))
        place = _indices(index, [batch, *extents[:joined]])
        for extent in extents[joined:]:
            place.append(stack.enter_context(T.serial(zero, tirx.const(extent, "int64"))))
        yield place


def _joined(batch: Any, extents: Sequence[int]) -> int:
    """How many of the outermost loops give pieces enough."""
    pieces, joined = batch if isinstance(batch, int) else 1, 0
    while pieces < MOST_TASKS and joined < len(extents):
        pieces *= extents[joined]
        joined += 1
    return joined


def _indices(index: Any, extents: Sequence[Any]) -> list[Any]:
    """The variables of nested loops from that of the one loop over all of them."""
    zero = tirx.const(0, "int64")
    found: list[Any] = []
    rest = index
    for extent in reversed(extents[1:]):
        if extent == 1:
            found.append(zero)
        elif all(other == 1 for other in extents[: len(extents) - 1 - len(found)]):
            found.append(rest)
            rest = zero
        else:
            whole = T.Bind(T.floordiv(rest, tirx.const(extent, "int64")))
            found.append(T.Bind(rest - whole * extent))
            rest = whole
    return [rest, *reversed(found)]
