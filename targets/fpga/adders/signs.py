"""Signs of outputs: differences turned round, so that no output has to be negated.

A term's sign is free until it is an output. There ``-(a - (b << d))`` is ``(b << d) - a``,
d bits longer, and ``-(a + (b << d))`` is ``-a - (b << d)`` with a turned round in turn,
or ``(-b << d) - a``, wherever nothing else reads what is turned round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from actc.targets.fpga.adders.cost import adder_bits, cells_of
from actc.targets.fpga.adders.program import (
    AdderGraph,
    Part,
    Program,
    Sum,
    Term,
    moved,
    needed,
    operands,
)


class _Turn(NamedTuple):
    """How a node is turned round: at what cost, and which of its operands with it."""

    cells: int
    operand: str


def turned(graph: AdderGraph, free: Sequence[bool], family: str) -> AdderGraph:
    """The graph with positive terms for the outputs that are not `free` to be negative."""
    program = graph.program
    uses = Counter(term.node for term in graph.outputs if term is not None)
    for node in program.sums:
        uses.update(operands(node))
    outputs = list(graph.outputs)
    wanted = dict.fromkeys(
        term.node
        for term, may in zip(outputs, free, strict=True)
        if term is not None and term.sign < 0 and not may
    )
    turns = _Turns(program, uses, family)
    chosen = {node for node in wanted if turns.of(node).cells < turns.negation(node)}
    ways = {node: turns.of(node).operand for node in _with_operands(chosen, turns, program)}
    made, new = Program.of(program.ranges[: program.inputs]), list(range(program.inputs))
    for index, node in enumerate(program.sums, program.inputs):
        form = program.claims.get(index)
        if index in ways:
            assert isinstance(node, Sum)
            lead, sign = _signs(node, ways[index])
            node = node._replace(sign=sign, lead=lead)
            form = form and {source: -factor for source, factor in form.items()}
        new.append(made.add(moved(node, new), form))
    for number, term in enumerate(outputs):
        if term is not None:
            sign = -term.sign if term.node in ways else term.sign
            outputs[number] = Term(new[term.node], term.shift, sign)
    return needed(made, outputs)


def _signs(node: Sum, operand: str) -> tuple[int, int]:
    """Signs of the operands of a node that is turned round, with one operand turned before."""
    lead, sign = -node.lead, -node.sign
    if operand == "first":
        return -lead, sign
    return (lead, -sign) if operand == "second" else (lead, sign)


def _with_operands(nodes: set[int], turns: _Turns, program: Program) -> set[int]:
    """Nodes, and what is turned round with them."""
    pending, found = sorted(nodes), set[int]()
    while pending:
        index = pending.pop()
        found.add(index)
        node, operand = program.sums[index - program.inputs], turns.of(index).operand
        if operand and isinstance(node, Sum):
            pending.append(node.first if operand == "first" else node.second)
    return found


class _Turns:
    """The cheapest way to turn each node round."""

    def __init__(self, program: Program, uses: Counter[int], family: str) -> None:
        self._program = program
        self._uses = uses
        self._cells = cells_of(family)
        self._known: dict[int, _Turn] = {}

    def negation(self, index: int) -> int:
        """Cells of the negative of a node."""
        return self._cells((-self._program.ranges[index]).width)

    def of(self, index: int) -> _Turn:
        """The cheapest way; as dear as anything where something else reads the node."""
        if index not in self._known:
            self._known[index] = self._found(index)
        return self._known[index]

    def _found(self, index: int) -> _Turn:
        program = self._program
        if index < program.inputs or self._uses[index] > 1:
            return _Turn(1 << 30, "")
        node = program.sums[index - program.inputs]
        if isinstance(node, Part) or node.carry >= 0:
            return _Turn(1 << 30, "")
        more = partial(self._more, node, index)
        if node.sign != node.lead:
            return _Turn(more(""), "")
        first, second = self.of(node.first).cells, self.of(node.second).cells
        return min(_Turn(first + more("first"), "first"), _Turn(second + more("second"), "second"))

    def _more(self, node: Sum, index: int, operand: str) -> int:
        """Cells that a node takes more when it is turned round."""
        program = self._program
        lead, sign = _signs(node, operand)
        after = node._replace(lead=lead, sign=sign)
        result = program.ranges[index]
        return self._cells(adder_bits(program, after, -result)) - self._cells(
            adder_bits(program, node, result)
        )
