"""Integer functions of a network as they are written, each equal to its table on every input.

What lies between the input and the output of a function is cut out of the written Verilog, as
yosys reads it. Equal ones are proved once: by evaluation on every input where that is little
work, as for nearly all that can be built, else by SAT against comparisons with the places where
the function's value changes.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates.evaluate import simulate
from actc.targets.fpga.gates.logic import (
    AND,
    BUFFER,
    MUX,
    NOT,
    ONE,
    OR,
    XOR,
    ZERO,
    Logic,
    Table,
    digits,
    simplified,
)
from actc.targets.fpga.gates.netlist import GateNetlist
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.hdl.evaluate import compute
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.network.elements import Unit
from actc.targets.fpga.proof.circuit import (
    ALWAYS,
    FLIP_FLOP,
    Bit,
    Circuit,
    Gate,
    NotSeparate,
    cone,
    depths,
)
from actc.targets.fpga.proof.nets import Nets
from actc.targets.fpga.proof.thresholds import IMPOSSIBLE, prove_thresholds

Integers = npt.NDArray[np.int64]

WORK = 1 << 26
"""Gates times words of 64 inputs up to which one function is evaluated: two seconds."""
ALL_WORK = 1 << 28
"""The same for all functions of a network."""
_PART = 1 << 18
"""Inputs at a time."""
SOLVED = 8
"""Functions that the solver is asked for; each may take all of its time."""

_TRUTHS = {
    "$_NOT_": NOT,
    "$_AND_": AND,
    "$_NAND_": 0b0111,
    "$_OR_": OR,
    "$_NOR_": 0b0001,
    "$_XOR_": XOR,
    "$_XNOR_": 0b1001,
    "$_ANDNOT_": 0b0010,
    "$_ORNOT_": 0b1011,
    "$_MUX_": MUX,
}


@dataclass
class UnitProofs:
    """What became of the functions of a network.

    Attributes:
        units: how many there are.
        evaluated, solved: distinct ones that were proved, by which means.
        refuted: for each that is wrong, where, and an input that shows it.
        undecided: for each that is neither, where, and why.
    """

    units: int = 0
    evaluated: int = 0
    solved: int = 0
    refuted: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    @property
    def distinct(self) -> int:
        """Functions of different hardware, table or range."""
        return self.evaluated + self.solved + len(self.refuted) + len(self.undecided)


@dataclass(frozen=True, eq=False)
class Problem:
    """A function cut out of a circuit.

    Attributes:
        where: its layer and the name of its input.
        start, end: nets of its input and output.
        gates: between them.
        input: the input, in the graph without registers.
        unit: what it should be.
    """

    where: str
    start: tuple[Bit, ...]
    end: tuple[Bit, ...]
    gates: tuple[Gate, ...]
    unit: Unit

    def whole(self, codes: Integers) -> Integers:
        """What golden's function is a function of, for values of the input."""
        values = dict.fromkeys(_same(self.unit.start), codes)
        for wire in _between(values, self.unit.whole):
            read = tuple(values[operand.index] for operand in wire.operands)
            values[wire.index] = np.asarray(compute(wire.operator, read), np.int64)
        return values[self.unit.whole.index]

    def possible(self, codes: Integers) -> npt.NDArray[np.bool_]:
        """Which values of the input can occur: some of its bits are constant, or the same."""
        bits = digits(codes, len(self.start))
        first: dict[Bit, int] = {}
        found = np.ones(len(codes), bool)
        for place, net in enumerate(self.start):
            if isinstance(net, str):
                found &= bits[place] == int(net)
            else:
                found &= bits[place] == bits[first.setdefault(net, place)]
        return found

    @property
    def key(self) -> Hashable:
        """Equal for functions that are proved together."""
        numbers: dict[Bit, int | str] = {}
        for place, net in enumerate(self.start):
            numbers.setdefault(net, place if isinstance(net, int) else net)
        parts = []
        for gate in self.gates:
            parts.append((gate.type, tuple(numbers.get(bit, bit) for bit in gate.inputs)))
            numbers[gate.output] = len(self.start) + len(parts)
        start = tuple(numbers[net] for net in self.start)
        end = tuple(numbers.get(net, net) for net in self.end)
        unit = self.unit
        inputs = unit.start.range, unit.end.range
        shift = self.whole(np.array([unit.start.range.low, unit.start.range.high])).tobytes()
        return start, tuple(parts), end, inputs, shift, unit.function.key


def prove_units(
    circuit: Circuit, design: Design, units: Sequence[Unit], seconds: float
) -> UnitProofs:
    """Prove every function of a network.

    Args:
        circuit: the written Verilog, read.
        design: with registers, from which it was written.
        units: of the network, one for each span of the design.
        seconds: that the solver has for each function that is too large to be evaluated.

    Raises:
        MissingTool, ToolFailed: as :func:`~actc.targets.fpga.proof.prove_equal`.
    """
    found = UnitProofs(len(units))
    known: set[Hashable] = set()
    work = 0
    for problem in _problems(circuit, design, units, found):
        key = problem.key
        if key in known:
            continue
        known.add(key)
        netlist = _netlist(problem)
        cost = _work(problem, netlist)
        if cost <= WORK and work + cost <= ALL_WORK:
            work += cost
            _evaluate(problem, netlist, found)
        else:
            _solve(problem, found, seconds)
    return found


def _problems(
    circuit: Circuit, design: Design, units: Sequence[Unit], found: UnitProofs
) -> Iterator[Problem]:
    nets = Nets(design, circuit)
    for span, unit in zip(design.spans, units, strict=True):
        layer = design.graph.scopes[span.end.index] or design.name
        where = f"{layer}: {nets.name(span.start)}"
        try:
            start, end = nets(span.start), nets(span.end)
            gates = cone(circuit, end, start)
            _check_ends(end, depths(gates, start))
            if any("x" in gate.inputs for gate in gates) or "x" in (*start, *end):
                raise NotSeparate("a bit of it is not defined")
        except NotSeparate as problem:
            found.undecided.append(f"{where}: {problem}")
            continue
        yield Problem(where, start, end, tuple(gates), unit)


def _check_ends(end: Sequence[Bit], times: Mapping[Bit, int]) -> None:
    """Refuse outputs that nothing makes of the input, and those of different times."""
    nets = [bit for bit in end if isinstance(bit, int)]
    if any(net not in times for net in nets):
        raise NotSeparate("an output of it is not made from its input")
    if len({times[net] for net in nets} - {ALWAYS}) > 1:
        raise NotSeparate("its outputs belong to different inputs")


def _same(wire: Wire) -> Iterator[int]:
    """A wire, and those whose range it was narrowed from."""
    yield wire.index
    while isinstance(wire.operator, op.Narrow):
        (wire,) = wire.operands
        yield wire.index


def _between(start: Container[int], whole: Wire) -> list[Wire]:
    """Wires behind those of `start`, each behind its operands; constants among them."""
    needed: dict[int, Wire] = {}
    pending = [whole]
    while pending:
        wire = pending.pop()
        if wire.index not in start and wire.index not in needed:
            needed[wire.index] = wire
            pending += wire.operands
    return [needed[index] for index in sorted(needed)]


def _work(problem: Problem, netlist: GateNetlist) -> int:
    inputs = problem.unit.start.range
    return (len(netlist.logic.tables) + 1) * -(-(inputs.high - inputs.low + 1) // 64)


def _evaluate(problem: Problem, netlist: GateNetlist, found: UnitProofs) -> None:
    """Every input that can occur."""
    inputs, unit, tried = problem.unit.start.range, problem.unit, 0
    for first in range(inputs.low, inputs.high + 1, _PART):
        codes = np.arange(first, min(first + _PART, inputs.high + 1))
        codes = codes[problem.possible(codes)]
        if not codes.size:
            continue
        tried += codes.size
        given = simulate(netlist, {"x": digits(codes, len(problem.start)).T})["y"]
        right = digits(unit.function.evaluate(problem.whole(codes)), len(problem.end)).T
        wrong = np.flatnonzero((given != right).any(axis=1))
        if wrong.size:
            place = int(wrong[0])
            gives, wants = (_number(row[place], unit.end) for row in (given, right))
            found.refuted.append(_difference(problem, int(codes[place]), gives, wants))
            return
    if not tried:  # nothing would be proved: the written input cannot have any of its values
        found.undecided.append(f"{problem.where}: {IMPOSSIBLE}")
        return
    found.evaluated += 1


def _number(bits: npt.NDArray[np.uint8], wire: Wire) -> int:
    value = sum(int(bit) << place for place, bit in enumerate(bits))
    return value - (1 << len(bits)) if wire.signed and bits[-1] else value


def _difference(problem: Problem, given: int, gives: int, wants: int) -> str:
    return f"{problem.where} = {given} gives {gives}, not {wants}"


def _netlist(problem: Problem) -> GateNetlist:
    """The gates as tables; registers are wires, as all paths have the same number of them."""
    logic = Logic()
    nets: dict[Bit, int] = {"0": ZERO, "1": ONE}
    ports = tuple(logic.net() for _ in problem.start)
    for port, net in zip(ports, problem.start, strict=True):
        nets.setdefault(net, port)  # of equal bits one is read
    known: dict[tuple[tuple[int, ...], int], int] = {}
    for gate in problem.gates:
        read = tuple(nets[bit] for bit in gate.inputs)
        if gate.type in (FLIP_FLOP, "$_BUF_"):
            nets[gate.output] = read[0]
        else:
            nets[gate.output] = _table(logic, known, Table(read, _TRUTHS[gate.type], ZERO))
    outputs = tuple(nets[net] for net in problem.end)
    return GateNetlist("unit", {"x": ports}, {"y": outputs}, frozenset(), None, logic, (), {})


def _table(logic: Logic, known: dict[tuple[tuple[int, ...], int], int], table: Table) -> int:
    """The net of a table; none is built for constants, wires and what there is already."""
    table = simplified(table)
    if not table.inputs:
        return ONE if table.truth & 1 else ZERO
    if table.truth == BUFFER and len(table.inputs) == 1:
        return table.inputs[0]
    key = table.inputs, table.truth
    if key not in known:
        known[key] = logic.table(table.inputs, table.truth)
    return known[key]


def _solve(problem: Problem, found: UnitProofs, seconds: float) -> None:
    if found.solved + len(found.undecided) >= SOLVED:
        found.undecided.append(f"{problem.where}: the solver was asked for {SOLVED} others")
        return
    inputs = problem.unit.start.range
    low, next_one = (int(v) for v in problem.whole(np.array([inputs.low, inputs.low + 1])))
    proof = prove_thresholds(
        problem.gates,
        problem.start,
        problem.end,
        inputs,
        (next_one - low, low - (next_one - low) * inputs.low),
        problem.unit.function,
        seconds,
    )
    if proof.proved:
        found.solved += 1
    elif proof.counterexample is None:
        found.undecided.append(f"{problem.where}: {proof.reason}")
    else:
        given = proof.counterexample
        code = given.inputs["x"]
        if inputs.signed and code >> (inputs.width - 1):
            code -= 1 << inputs.width
        found.refuted.append(_difference(problem, code, given.gate["y"], given.gold["y"]))
