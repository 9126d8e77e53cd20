"""Scheduling: which register stage every operator works in.

Operators are nodes with a delay; edges are wires. Stages are integers; a wire that is
computed in stage 2 and read in stage 5 passes three registers. What a clock period allows
is a system of difference constraints (Cong and Zhang, "An efficient and versatile
scheduling algorithm based on SDC formulation", DAC 2006): if the longest path from u to v
takes more than a period, ``stage[v] >= stage[u] + 1``. The fewest register bits under such
constraints are a linear program whose matrix is totally unimodular, so its vertices are
integers (Leiserson and Saxe, "Retiming synchronous circuitry", Algorithmica 1991).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_array

from actc.diagnostics import Diagnostic
from actc.errors import InternalError

_TOLERANCE = 1e-9
"""ns by which sums of the same delays in another order may differ.

The earliest stages keep the period as it is, everything else allows this much, so that the
earliest schedule is always one of those that the program chooses from.
"""

Stages = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """A graph to schedule. Nodes are numbered so that each follows what it reads.

    Nodes that read nothing are inputs: they have no delay and belong to stage 0.

    Attributes:
        delays: of each node, ns; nodes without delay are free.
        widths: bits of a register behind each node.
        operands: nodes that each node reads, without repetition.
        outputs: nodes that the last register holds.
        steps: pairs of nodes -> stages between them, exactly: clocked memories.
        savings: pairs of nodes -> how much less than its delay the second one takes behind
            the first one in the same stage, ns.
        first: stage from which nodes with a delay work on: 1 if inputs are registered.
    """

    delays: tuple[float, ...]
    widths: tuple[int, ...]
    operands: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]
    steps: dict[tuple[int, int], int] = field(default_factory=dict)
    savings: dict[tuple[int, int], float] = field(default_factory=dict)
    first: int = 0

    def edges(self) -> Iterator[tuple[int, int, int]]:
        """(from, to, stages at least between them)."""
        for node, read in enumerate(self.operands):
            for operand in read:
                yield operand, node, self.steps.get((operand, node), 0)


def earliest(problem: Problem, period: float) -> tuple[list[int], list[float]]:
    """The first stage of every node, and when in it the node's value is there, ns.

    No node can be earlier in any schedule; both are infinite where a node alone takes more
    than a period.
    """
    stages: list[int] = []
    arrivals: list[float] = []
    for node, read in enumerate(problem.operands):
        delay = problem.delays[node]
        stage, arrival = (problem.first if delay else 0), 0.0
        for operand in read:
            step = problem.steps.get((operand, node), 0)
            from_stage = stages[operand] + step
            saved = problem.savings.get((operand, node), 0.0)
            from_time = 0.0 if step else max(arrivals[operand] - saved, 0.0)
            if from_stage > stage:
                stage, arrival = from_stage, from_time
            elif from_stage == stage:
                arrival = max(arrival, from_time)
        if arrival + delay > period:
            stage, arrival = stage + 1, 0.0
        stages.append(stage)
        arrivals.append(arrival + delay)
    return stages, arrivals


def fewest_stages(problem: Problem, period: float) -> float:
    """The least latency in clocks at a clock period; infinite if a node takes longer."""
    if max(problem.delays, default=0.0) > period:
        return inf
    stages, _ = earliest(problem, period)
    busy = [stage for stage, delay in zip(stages, problem.delays, strict=True) if delay]
    return max([*busy, *(stages[node] - 1 for node in problem.outputs), 0]) + 1


def shortest_period(problem: Problem, latency: int, tolerance: float = 1e-3) -> float:
    """The least clock period, ns, at which `latency` clocks suffice; found by bisection.

    Returns:
        a period at which it does, within `tolerance` of one at which it does not; infinite
        if no period is long enough.
    """
    low = max(problem.delays, default=0.0)
    if fewest_stages(problem, low) <= latency:
        return low
    high = low + sum(problem.delays)
    if fewest_stages(problem, high) > latency:
        return inf
    while high - low > tolerance:
        middle = (low + high) / 2
        if fewest_stages(problem, middle) <= latency:
            high = middle
        else:
            low = middle
    return high


def latest(problem: Problem, period: float, latency: int) -> list[int]:
    """The last stage of every node in schedules of `latency` clocks.

    No node can be later in any schedule; nodes behind a memory may have to be earlier.
    """
    count = len(problem.delays)
    stages = [latency - (delay > 0) for delay in problem.delays]
    # time from the start of a node to the end of its stage
    lengths = [0.0] * count
    readers: list[list[int]] = [[] for _ in range(count)]
    for operand, node, _ in problem.edges():
        readers[operand].append(node)
    for node in reversed(range(count)):
        stage, length = stages[node], 0.0
        for reader in readers[node]:
            step = problem.steps.get((node, reader), 0)
            to_stage = stages[reader] - step
            saved = problem.savings.get((node, reader), 0.0)
            to_length = 0.0 if step else max(lengths[reader] - saved, 0.0)
            if to_stage < stage:
                stage, length = to_stage, to_length
            elif to_stage == stage:
                length = max(length, to_length)
        if length + problem.delays[node] > period + _TOLERANCE:
            stage, length = stage - 1, 0.0
        stages[node] = stage if problem.operands[node] else 0
        lengths[node] = length + problem.delays[node]
    return stages


def long_paths(
    problem: Problem, period: float, windows: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs (u, v) between which a register must lie, as a path between them is too long.

    Without those that follow from others, from edges or from the `windows` of stages.
    """
    reached: list[_Reached] = []
    lows = np.array([low for low, _ in windows])
    highs = np.array([high for _, high in windows])
    pairs: list[tuple[int, int]] = []
    for node, read in enumerate(problem.operands):
        delay = problem.delays[node]
        parts = [
            (reached[o][0], reached[o][1] + delay - problem.savings.get((o, node), 0.0))
            for o in read
            if (o, node) not in problem.steps
        ]
        sources, lengths = _merged(parts)
        open_ = highs[sources] >= lows[node]  # others are apart in every schedule
        late = open_ & (lengths > period + _TOLERANCE)
        if late.any():
            found = set(sources[late].tolist())
            # a source is implied by any reader of it that is a source, too
            implied = {o for source in found for o in problem.operands[source]}
            pairs += [(source, node) for source in sorted(found - implied)]
        keep = open_ & ~late
        sources, lengths = sources[keep], lengths[keep]
        if delay:
            sources, lengths = np.append(sources, node), np.append(lengths, delay)
        reached.append((sources, lengths))
    return pairs


_Reached = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Nodes, without repetition, and the length of the longest path from each."""


def _merged(parts: list[_Reached]) -> _Reached:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    if len(parts) == 1:
        return parts[0]
    sources = np.concatenate([part[0] for part in parts])
    lengths = np.concatenate([part[1] for part in parts])
    order = np.lexsort((-lengths, sources))
    sources, lengths = sources[order], lengths[order]
    first = np.ones(len(sources), bool)
    first[1:] = sources[1:] != sources[:-1]
    return sources[first], lengths[first]


def fewest_registers(problem: Problem, period: float, latency: int) -> Stages:
    """The stages that take the fewest register bits, int64 [nodes].

    Args:
        latency: at least :func:`fewest_stages` of the period.

    Raises:
        InternalError: ACT0564, the solver found no such stages.
    """
    if not problem.delays:
        return np.zeros(0, np.int64)  # all outputs are constants
    lows, _ = earliest(problem, period)
    highs = latest(problem, period, latency)
    program = _Program(problem, latency, list(zip(lows, highs, strict=True)))
    for source, node in long_paths(problem, period, program.bounds[: len(lows)]):
        program.apart(source, node, 1)
    stages = program.solve()
    _verify(problem, period, latency, stages)
    return stages


class _Program:
    """The linear program: a stage for every node, and the last stage that reads it.

    Attributes:
        bounds: of every variable.
    """

    def __init__(self, problem: Problem, latency: int, bounds: list[tuple[int, int]]) -> None:
        self.bounds = bounds
        self._nodes = len(bounds)
        self._costs = [0.0] * len(bounds)
        self._rows: list[tuple[int, int, int]] = []
        readers: list[list[int]] = [[] for _ in bounds]
        for operand, node, step in problem.edges():
            readers[operand].append(node)
            self.apart(operand, node, step)
            if step:
                self.apart(node, operand, -step)
        outputs = set(problem.outputs)
        for node, width in enumerate(problem.widths):
            if node in outputs:  # held to the end, so only its beginning matters
                self._costs[node] -= width
            elif readers[node]:
                self._costs[node] -= width
                self._costs[self._last_reader(readers[node], latency)] += width

    def apart(self, first: int, second: int, stages: int) -> None:
        """``second >= first + stages``."""
        self._rows.append((first, second, stages))

    def _last_reader(self, readers: list[int], latency: int) -> int:
        if len(readers) == 1:
            return readers[0]
        last = len(self.bounds)
        self.bounds.append((0, latency))
        self._costs.append(0.0)
        for reader in readers:
            self.apart(reader, last, 0)
        return last

    def solve(self) -> Stages:
        """The stages of the nodes."""
        count = len(self._rows)
        rows = np.array(self._rows, np.int64).reshape(count, 3)
        places = (np.repeat(np.arange(count), 2), rows[:, :2].ravel())
        matrix = csr_array((np.tile([1.0, -1.0], count), places), (count, len(self.bounds)))
        found = linprog(
            self._costs,
            A_ub=matrix if count else None,
            b_ub=-rows[:, 2] if count else None,
            bounds=np.array(self.bounds, float),
            method="highs-ds",
        )
        if found.status != 0:
            raise _unsolved(found.message)
        stages: Stages = np.rint(found.x[: self._nodes]).astype(np.int64)
        return stages


def _verify(problem: Problem, period: float, latency: int, stages: Stages) -> None:
    """Check a schedule against its definition, without what the program was made from."""
    arrivals: list[float] = []
    for node, read in enumerate(problem.operands):
        delay, arrival = problem.delays[node], 0.0
        for operand in read:
            between = int(stages[node] - stages[operand])
            step = problem.steps.get((operand, node))
            if between < 0 or (step is not None and between != step):
                raise _unsolved(f"node {node} is {between} stages behind {operand}")
            if between == 0:
                saved = problem.savings.get((operand, node), 0.0)
                arrival = max(arrival, arrivals[operand] - saved)
        arrivals.append(arrival + delay)
        last = latency - 1 if delay else latency
        first = problem.first if delay else 0
        last = last if read else 0
        if not first <= stages[node] <= last or arrivals[node] > period + 2 * _TOLERANCE:
            raise _unsolved(f"node {node} is in stage {stages[node]} after {arrivals[node]} ns")


def _unsolved(reason: str) -> InternalError:
    return InternalError(
        Diagnostic(
            "ACT0564",
            f"no stages were found for a design: {reason}",
            help="please report this with the model",
        )
    )
