"""A netlist and the Verilog that it was made from, proved equal between registers of equal names.

Synthesis keeps the names of registers. If every register of the Verilog holds the same as the
register of that name in the netlist, and equal registers and inputs give equal next values and
outputs, then both circuits are the same (register correspondence: Filkorn, EDAC, 1991; van Eijk,
IEEE TCAD 19, 2000). What is left to be proved has no time in it: combinational logic of one
pipeline stage each, in which ABC finds equal nodes (SAT sweeping: Kuehlmann, ICCAD, 2004), and
what remains goes to yosys' SAT solver.

The Verilog has no feedback, which is checked. So its registers are functions of the inputs alone,
and equality goes from one stage to the next, whatever the first states were.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actc.errors import ToolFailed
from actc.targets.fpga.flow.execute import Limits, execute
from actc.targets.fpga.flow.synthesize import find_yosys
from actc.targets.fpga.proof.circuit import FLIP_FLOP, INPUTS, Bit, Circuit, cone
from actc.targets.fpga.proof.equivalence import GAVE_UP, MEMORY, Proof, read_answer

PASSED = 3
"""Registers in a row that may have no counterpart of the same name."""
_FIRST = 1 << 30
"""The first net that is no variable."""
CONFLICTS = 1000
"""Of the solver, at each pair of nodes that may be equal: a limit that is the same everywhere."""


@dataclass(frozen=True, slots=True)
class Point:
    """What must be equal in both circuits: an output, or the next value of a register.

    Attributes:
        name: of the output or the register.
        gold, gate: its net in each circuit.
    """

    name: str
    gold: Bit
    gate: Bit


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Which nets of two circuits begin the logic of a stage, and which end it.

    Attributes:
        gold, gate: net -> number of what is equal, or "0" or "1", for inputs and registers.
        points: what is to be proved.
    """

    gold: Mapping[int, int | str]
    gate: Mapping[int, int | str]
    points: tuple[Point, ...]


class NoCorrespondence(Exception):
    """A register of one circuit is not found in the other, or there is feedback.

    Args:
        reason: one sentence without a final period.
    """


def correspondence(gold: Circuit, gate: Circuit) -> Correspondence:
    """Registers of the same names, as far as the outputs depend on them.

    Args:
        gold: of Verilog, with the names of its wires.
        gate: of its netlist, with the same names for what is left of them.

    Raises:
        NoCorrespondence
    """
    _check_forward(gold)
    pairs = dict(_registers(gold, gate))
    classes = _Classes()
    for port, bits in gold.inputs.items():
        for own, other in zip(bits, gate.inputs[port], strict=True):
            classes.join(("gold", own), ("gate", other))
    for own, (_, other) in pairs.items():
        classes.join(("gold", own), ("gate", other) if isinstance(other, int) else other)
    numbers = classes.numbered()
    sides: dict[str, dict[int, int | str]] = {"gold": {}, "gate": {}}
    for (side, net), number in ((k, n) for k, n in numbers.items() if isinstance(k, tuple)):
        sides[side][net] = number
    points = tuple(_points(gold, gate, pairs))
    return Correspondence(sides["gold"], sides["gate"], points)


def prove_stages(gold: Circuit, gate: Circuit, seconds: float) -> Proof:
    """Prove that a netlist equals its Verilog, stage by stage.

    "refuted" means that an output or a register differs for some state of the registers in front
    of it, which may be one that never occurs; `reason` names it then, and there is no
    counterexample.

    Args:
        gold: of Verilog, with the names of its wires.
        gate: of its netlist, with the same names for what is left of them.
        seconds: that ABC and the solver have, each.

    Raises:
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510, ACT0574.
    """
    start = time.monotonic()
    try:
        found = correspondence(gold, gate)
        modules = _modules(found, gold, gate)
    except NoCorrespondence as problem:
        return Proof("undecided", time.monotonic() - start, None, str(problem))
    with tempfile.TemporaryDirectory(prefix="actc-proof-") as name:
        folder = Path(name).resolve()
        (folder / "stages.json").write_text(json.dumps({"modules": modules}), "ascii")
        (folder / "run.ys").write_text("\n".join(_script(seconds)) + "\n", "ascii")
        limits = Limits(2 * seconds, MEMORY)
        try:
            execute(find_yosys(), (), folder, limits=limits, log=folder / "log")
        except ToolFailed as problem:
            if problem.diagnostics[0].code not in GAVE_UP:
                raise
            reason = problem.diagnostics[0].message
            return Proof("undecided", time.monotonic() - start, None, reason)
        log = (folder / "log").read_text("utf-8", errors="replace")
    answer = read_answer(log, 0, seconds, time.monotonic() - start)
    shown = answer.counterexample
    if shown is None:
        return answer
    wrong = shown.gold["o"] ^ shown.gate["o"]
    point = found.points[(wrong & -wrong).bit_length() - 1]
    return replace(answer, counterexample=None, reason=point.name)


def _modules(found: Correspondence, gold: Circuit, gate: Circuit) -> dict[str, Any]:
    variables: dict[tuple[int, int], int] = {}
    modules = {
        "gold": _module(gold, found.gold, [point.gold for point in found.points], variables),
        "gate": _module(gate, found.gate, [point.gate for point in found.points], variables),
    }
    for module in modules.values():
        module["ports"]["i"] = {"direction": "input", "bits": list(variables.values())}
    return modules


def _script(seconds: float) -> list[str]:
    return [
        "read_json stages.json",
        "miter -equiv -flatten -make_outputs gold gate miter",
        "hierarchy -top miter",
        f"abc -script +strash;ifraig;fraig,-C,{CONFLICTS};map",
        "opt_clean",
        f"sat -prove trigger 0 -show-inputs -show-outputs -timeout {max(1, round(seconds))} miter",
    ]


def _check_forward(circuit: Circuit) -> None:
    """Refuse feedback: a register that depends on itself."""
    ends = [bit for bits in circuit.outputs.values() for bit in bits]
    seen = {net for bits in circuit.inputs.values() for net in bits}
    for gate in cone(circuit, ends, ()):
        if any(isinstance(bit, int) and bit not in seen for bit in gate.inputs):
            raise NoCorrespondence("there is feedback in it, or a wire without a driver")
        seen.add(gate.output)


def _registers(gold: Circuit, gate: Circuit) -> Iterator[tuple[int, tuple[str, Bit]]]:
    """Register of the Verilog -> a name of it, and the register or constant of that name."""
    for name, bits in gold.names.items():
        others = gate.names.get(name)
        if others is None or len(others) != len(bits):
            continue
        for place, (own, other) in enumerate(zip(bits, others, strict=True)):
            constant = other in ("0", "1")
            if _is_register(gold, own) and (constant or _is_register(gate, other)):
                yield int(own), (f"{name}[{place}]", other)


def _is_register(circuit: Circuit, net: Bit) -> bool:
    driver = circuit.drivers.get(net) if isinstance(net, int) else None
    return driver is not None and driver.type == FLIP_FLOP


def _points(gold: Circuit, gate: Circuit, pairs: Mapping[int, tuple[str, Bit]]) -> Iterator[Point]:
    """The outputs, and all registers that they depend on in either circuit."""
    owners: dict[Bit, list[int]] = {}
    for own, (_, other) in pairs.items():
        owners.setdefault(other, []).append(own)
    pending = [
        Point(f"{port}[{place}]", own, other)
        for port, bits in gold.outputs.items()
        for place, (own, other) in enumerate(zip(bits, gate.outputs[port], strict=True))
    ]
    known: set[int] = set()
    while pending:
        point = pending.pop()
        yield point
        needed = set(_ends(gold, point.gold, pairs))
        for other in _ends(gate, point.gate, owners):
            needed.update(owners[other])
        for own in sorted(needed - known):
            name, other = pairs[own]
            pending.append(Point(name, _next(gold, own), _next(gate, other)))
        known |= needed


def _ends(circuit: Circuit, bit: Bit, registers: Container[Bit]) -> Iterator[int]:
    """The registers of `registers` that a net depends on in its stage."""
    for net, _ in _walk(circuit, [bit], registers):
        if net in registers:
            yield net


def _next(circuit: Circuit, register: Bit) -> Bit:
    """What a register takes; a constant stays."""
    return circuit.drivers[register].inputs[0] if isinstance(register, int) else register


class _Classes:
    """Nets and constants that are taken to be equal: disjoint sets."""

    def __init__(self) -> None:
        self._parents: dict[Any, Any] = {}

    def _root(self, item: Any) -> Any:
        while (parent := self._parents.setdefault(item, item)) != item:
            self._parents[item] = self._parents[parent]
            item = parent
        return item

    def join(self, first: Any, second: Any) -> None:
        """Constants stay the roots of their sets."""
        one, other = self._root(first), self._root(second)
        if isinstance(one, str):
            one, other = other, one
        self._parents[one] = other

    def numbered(self) -> dict[Any, int | str]:
        """Item -> number of its set, or the constant in it."""
        numbers: dict[Any, int | str] = {"0": "0", "1": "1"}
        for item in list(self._parents):
            numbers.setdefault(self._root(item), len(numbers) - 2)
        return {item: numbers[self._root(item)] for item in self._parents}


def _walk(circuit: Circuit, ends: Iterable[Bit], cuts: Container[Bit]) -> Iterator[tuple[int, int]]:
    """Nets in front of `ends` with how many clocks earlier, each behind those that it reads.

    It ends at `cuts` and at inputs. Registers that are none of them, as those within a block
    memory, are passed.

    Raises:
        NoCorrespondence: there are too many of these in a row.
    """
    done: set[tuple[int, int]] = set()
    pending = [((bit, 0), False) for bit in ends if isinstance(bit, int)]
    while pending:
        key, ready = pending.pop()
        if ready:
            yield key
        if ready or key in done:
            continue
        done.add(key)
        pending.append((key, True))
        driver = circuit.drivers.get(key[0])
        if driver is None or key[0] in cuts:
            continue
        earlier = key[1] + (driver.type == FLIP_FLOP)
        if earlier > PASSED:
            raise NoCorrespondence("registers of it have no counterpart of the same name")
        pending += [((net, earlier), False) for net in driver.inputs if isinstance(net, int)]


def _module(
    circuit: Circuit,
    classes: Mapping[int, int | str],
    ends: Sequence[Bit],
    variables: dict[tuple[int, int], int],
) -> dict[str, Any]:
    """A module with the ends in its port o; new variables are added to those of the port i.

    Args:
        variables: class and how many clocks earlier -> net.
    """
    bits: dict[tuple[Bit, int], Bit] = {}
    cells: dict[str, Any] = {}

    def bit(net: Bit, earlier: int) -> Bit:
        if net == "x":  # anything: a variable of its own
            return variables.setdefault((-len(variables) - 1, 0), 2 + len(variables))
        return bits[net, earlier] if isinstance(net, int) else net

    for net, earlier in _walk(circuit, ends, classes):
        known, driver = classes.get(net), circuit.drivers.get(net)
        if isinstance(known, str):
            bits[net, earlier] = known
        elif known is not None:
            bits[net, earlier] = variables.setdefault((known, earlier), 2 + len(variables))
        elif driver is None:
            raise NoCorrespondence("a wire of it has no driver")
        elif driver.type == FLIP_FLOP:
            bits[net, earlier] = bit(driver.inputs[0], earlier + 1)
        else:
            bits[net, earlier] = _FIRST + len(cells)
            inputs = [bit(source, earlier) for source in driver.inputs]
            cells[f"g{len(cells)}"] = _cell(driver.type, inputs, _FIRST + len(cells))
    ports = {"o": {"direction": "output", "bits": [bit(net, 0) for net in ends]}}
    return {"attributes": {}, "ports": ports, "cells": cells, "netnames": {}}


def _cell(kind: str, inputs: Sequence[Bit], output: int) -> dict[str, Any]:
    ports = INPUTS[kind]
    return {
        "type": kind,
        "parameters": {},
        "attributes": {},
        "port_directions": {**dict.fromkeys(ports, "input"), "Y": "output"},
        "connections": {**{p: [b] for p, b in zip(ports, inputs, strict=True)}, "Y": [output]},
    }
