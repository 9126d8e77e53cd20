"""Sums that only one other reads, ordered again, with single bits as their carries.

A carry chain of ECP5 has a place that makes its first carry. Where that carry is constant,
a bit of a third operand takes its place for nothing: the operand is then a bit shorter, and
so is the chain that adds it. What to join, and which bit enters where, is a greedy choice;
of several, each with other preferences, the cheapest is taken for each node that several
read and for each output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from actc.targets.fpga.adders.cost import adder_cost
from actc.targets.fpga.adders.options import AdderOptions
from actc.targets.fpga.adders.orders import Step, Trial, Word, tastes
from actc.targets.fpga.adders.program import (
    AdderGraph,
    Part,
    Program,
    Sum,
    Term,
    needed,
    operands,
)

_WORK = (0, 0, 3_000_000, 30_000_000)
"""By effort: pairs of terms that all trials together may compare."""

_TRIALS = (1, 1, 60, 400)
"""By effort: at most so many trials."""


def with_carries(graph: AdderGraph, free: Sequence[bool], options: AdderOptions) -> AdderGraph:
    """The graph with its sums of one reader chosen again, if that is cheaper.

    Args:
        free: for each output, whether it may be negative at no cost.
        options: without a limit of depth; chains of carries are not counted as one.
    """
    if options.max_depth is not None:
        return graph
    made = _Remade(graph, free, options).graph()
    family = options.family
    return made if adder_cost(made, family) <= adder_cost(graph, family) else graph


class _Remade:
    """Roots, nodes that several read or that are outputs, made again from other roots."""

    def __init__(self, graph: AdderGraph, free: Sequence[bool], options: AdderOptions) -> None:
        self._old = graph
        self._options = options
        self._outputs = Counter(term.node for term in graph.outputs if term is not None)
        self._uses = Counter(self._outputs)
        for node in graph.program.sums:
            self._uses.update(operands(node))
        self._strict = Counter(
            (term.node, term.sign)
            for term, may in zip(graph.outputs, free, strict=True)
            if term is not None and not may
        )
        self._new = Program.of(graph.program.ranges[: graph.program.inputs])
        self._terms = {index: Term(index, 0, 1) for index in range(self._new.inputs)}

    def graph(self) -> AdderGraph:
        """All of it."""
        program = self._old.program
        first = program.inputs
        roots = [
            index
            for index in range(first, len(program.ranges))
            if self._uses[index] > 1 or self._outputs[index]
        ]
        leaves = {root: self._leaves(root) for root in roots}
        work = sum(len(terms) ** 3 for terms in leaves.values()) // 6
        effort = self._options.effort
        trials = min(max(_WORK[effort] // max(work, 1), 1), _TRIALS[effort])
        for root in roots:
            self._terms[root] = self._made(root, leaves[root], trials)
        outputs = [term and self._term(term) for term in self._old.outputs]
        return needed(self._new, outputs)

    def _term(self, term: Term) -> Term:
        """A term of an old root as one of a new node."""
        node, shift, sign = self._terms[term.node]
        return Term(node, shift + term.shift, sign * term.sign)

    def _leaves(self, root: int) -> list[Term]:
        """The terms of other roots that a root is the sum of."""
        program = self._old.program
        pending, found = [Term(root, 0, 1)], []
        while pending:
            index, shift, sign = pending.pop()
            inner = index >= program.inputs and (index == root or self._uses[index] == 1)
            if not inner:
                found.append(Term(index, shift, sign))
                continue
            node = program.sums[index - program.inputs]
            assert isinstance(node, Sum)
            pending.append(Term(node.first, shift, sign))
            pending.append(Term(node.second, shift + node.shift, sign * node.sign))
        return found

    def _made(self, root: int, leaves: Sequence[Term], trials: int) -> Term:
        terms = [self._term(term) for term in leaves]
        ranges = self._new.ranges
        words = [Word(ranges[t.node].low, ranges[t.node].high, t.shift, t.sign) for t in terms]
        result = self._old.program.ranges[root]
        # cells of a negation for each output that would need one, by the sign of the root
        negated = {sign: self._strict[root, -sign] for sign in (1, -1)}
        random = np.random.default_rng([self._options.seed, root])
        plans = []
        for taste in tastes(trials if len(words) > 2 else 1, random):
            trial = Trial(words, result, self._options.family, taste, random)
            plans.append(trial.plan(negated))
        best = min(plans, key=lambda plan: plan.cells)
        return self._built(root, terms, best.steps)

    def _built(self, root: int, terms: Sequence[Term], steps: Sequence[Step]) -> Term:
        program, whole = self._new, self._old.program
        words = [(term, 0) for term in terms]  # a node's term, and bits taken of the node
        for number, step in enumerate(steps, 1):
            first, second = words[step.first][0], words[step.second][0]
            carry = -1
            if step.taken >= 0:
                taken, low = words[step.taken]
                carry = program.add(Part(taken.node, low, True))
                words.append((Term(taken.node, taken.shift + 1, taken.sign), low + 1))
            a, b = (self._node(*words[index]) for index in step[:2])
            node = Sum(a, b, second.shift - first.shift, first.sign * second.sign, 1, carry)
            form = None
            if number == len(steps):
                form = _scaled(whole.forms[root], first.sign, first.shift)
            words.append((Term(program.add(node, form), first.shift, first.sign), 0))
        return words[-1][0]

    def _node(self, term: Term, low: int) -> int:
        return self._new.add(Part(term.node, low, False)) if low else term.node


def _scaled(form: dict[int, int], sign: int, shift: int) -> dict[int, int]:
    return {index: sign * factor >> shift for index, factor in form.items()}
