"""Adder graphs as data: sums of two nodes, each with its exact range.

A node is an input or ``first + sign * (second << shift)``: the operand that is not shifted
is not negated, so the bits of it below the shift need no adder. What an output takes
of a node is a :class:`Term`: a sign and a shift, both free until the very end, where
:mod:`actc.targets.fpga.adders.signs` turns some differences round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from actc.targets.fpga.hdl import Range


class Term(NamedTuple):
    """``sign * (node << shift)``."""

    node: int
    shift: int
    sign: int


class Sum(NamedTuple):
    """``lead * first + sign * ((second + carry) << shift)``; not both signs are -1.

    Searches make sums with a lead of 1 only, in order, so that each is unique.

    Attributes:
        first, second: nodes.
        carry: node of one bit that enters the carry chain; -1 for none. Then lead is 1.
    """

    first: int
    second: int
    shift: int
    sign: int
    lead: int = 1
    carry: int = -1


class Part(NamedTuple):
    """Bits of a node: the one at `low`, or those from there on."""

    node: int
    low: int
    single: bool


Node = Sum | Part


def operands(node: Node) -> tuple[int, ...]:
    """The nodes that a node reads."""
    if isinstance(node, Part):
        return (node.node,)
    both = node.first, node.second
    return both if node.carry < 0 else (*both, node.carry)


def moved(node: Node, new: Sequence[int] | Mapping[int, int]) -> Node:
    """The same of the operands' new indices."""
    if isinstance(node, Part):
        return node._replace(node=new[node.node])
    carry = node.carry if node.carry < 0 else new[node.carry]
    return node._replace(first=new[node.first], second=new[node.second], carry=carry)


@dataclass(slots=True)
class Program:
    """Nodes of an adder graph, inputs first; every sum follows its operands.

    Each node is known as a linear form of the inputs. Inputs are independent, so the range
    of a node over all inputs is exact, which operands alone cannot give. Parts of nodes
    count as inputs in forms; of what is made of them the true form may be claimed.

    Attributes:
        inputs: number of inputs.
        sums: the nodes from `inputs` on.
        ranges: of all nodes.
        forms: coefficient of each input that a node reads, by input.
        reads: the same inputs as bits of an integer.
        depths: adders on the longest path to a node.
        known: index of each sum, once made.
        claims: the form of each node whose operands do not tell it.
    """

    inputs: int
    sums: list[Node] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    forms: list[dict[int, int]] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    known: dict[Node, int] = field(default_factory=dict)
    claims: dict[int, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, ranges: Sequence[Range]) -> Program:
        """No sums yet, of inputs of these ranges."""
        count = len(ranges)
        return cls(
            count,
            ranges=list(ranges),
            forms=[{index: 1} for index in range(count)],
            reads=[1 << index for index in range(count)],
            depths=[0] * count,
        )

    def result(self, node: Sum) -> Range:
        """The exact range of a sum."""
        first, second, shift, sign, lead, carry = node
        if carry < 0 and not self.reads[first] & self.reads[second]:
            a, b = self.ranges[first], self.ranges[second] << shift
            return (a if lead > 0 else -a) + (b if sign > 0 else -b)
        return self.range_of(self._form(node))

    def range_of(self, form: dict[int, int]) -> Range:
        """The exact range of a linear form of the inputs."""
        low = high = 0
        for index, factor in form.items():
            bounds = self.ranges[index]
            ends = factor * bounds.low, factor * bounds.high
            low, high = low + min(ends), high + max(ends)
        return Range(low, high)

    def _form(self, node: Sum) -> dict[int, int]:
        form = {index: node.lead * factor for index, factor in self.forms[node.first].items()}
        for operand in operands(node)[1:]:
            for index, factor in self.forms[operand].items():
                total = form.get(index, 0) + node.sign * (factor << node.shift)
                if total:
                    form[index] = total
                else:
                    del form[index]
        return form

    def add(self, node: Node, form: dict[int, int] | None = None) -> int:
        """The index of a node, made if it is new.

        Args:
            form: what it is of the inputs, where its operands do not tell.
        """
        index = self.known.get(node)
        if index is None:
            index = self.known[node] = len(self.ranges)
            if form is not None:
                self.claims[index] = form
            if isinstance(node, Part):
                whole = self.ranges[node.node]
                rest = Range(whole.low >> node.low, whole.high >> node.low)
                form, range = {index: 1}, Range(0, 1) if node.single else rest
            else:
                form = self._form(node) if form is None else form
                range = self.result(node) if index not in self.claims else self.range_of(form)
            self.ranges.append(range)
            self.sums.append(node)
            self.forms.append(form)
            self.reads.append(sum(1 << source for source in form))
            depth = max(self.depths[operand] for operand in operands(node))
            self.depths.append(depth + isinstance(node, Sum))
        return index

    def joined(self, a: Term, b: Term) -> tuple[Sum, int, int]:
        """The sum that two terms make, with the shift and the sign that it then has."""
        if (a.shift, a.node) > (b.shift, b.node):
            a, b = b, a
        return Sum(a.node, b.node, b.shift - a.shift, a.sign * b.sign), a.shift, a.sign

    def join(self, a: Term, b: Term) -> Term:
        """The term that is the sum of two."""
        node, shift, sign = self.joined(a, b)
        return Term(self.add(node), shift, sign)


@dataclass(frozen=True, slots=True)
class AdderGraph:
    """A program, and what the outputs are.

    Attributes:
        program: with no node that no output needs.
        outputs: term of each output; None where it is zero.
    """

    program: Program
    outputs: tuple[Term | None, ...]


def needed(program: Program, outputs: Sequence[Term | None]) -> AdderGraph:
    """The graph without the nodes that no output needs, in the same order."""
    used = {term.node for term in outputs if term is not None}
    for index in range(len(program.ranges) - 1, program.inputs - 1, -1):
        if index in used:
            used.update(operands(program.sums[index - program.inputs]))
    kept = Program.of(program.ranges[: program.inputs])
    new = {index: index for index in range(program.inputs)}
    for index, node in enumerate(program.sums, program.inputs):
        if index in used:
            new[index] = kept.add(moved(node, new), program.claims.get(index))
    terms = (t if t is None else Term(new[t.node], t.shift, t.sign) for t in outputs)
    return AdderGraph(kept, tuple(terms))
