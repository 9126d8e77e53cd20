"""Two pipelines, as a network's Verilog and its netlist, proved to compute the same.

Registers are taken for wires (:mod:`.unclocked`), so that it does not matter which of them
synthesis merged, renamed or moved across logic. What is left has no time in it. Random inputs
find most differences. Then ABC proves nodes within both circuits equal, from the inputs to the
outputs, each with those in front of it merged already (SAT sweeping: Kuehlmann, ICCAD, 2004);
outputs that it leaves go to yosys' SAT solver.

Nothing is assumed of registers: what is proved holds for all time and all first states, and a
difference that is found is one for real inputs, which is checked by evaluation.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from actc.errors import ToolFailed
from actc.targets.fpga.flow.execute import Limits, execute
from actc.targets.fpga.flow.synthesize import find_yosys
from actc.targets.fpga.proof.circuit import ALWAYS, INPUTS, Bit, Circuit, NotSeparate
from actc.targets.fpga.proof.equivalence import (
    GAVE_UP,
    MEMORY,
    Counterexample,
    Proof,
    read_answer,
)
from actc.targets.fpga.proof.unclocked import Unclocked

SAMPLES = 1024
"""Random inputs that are tried first."""
CONFLICTS = 1000
"""Of the solver, at each pair of nodes that may be equal: a limit that is the same everywhere."""
Ports: TypeAlias = Mapping[str, tuple[Bit, ...]]
_ONE = re.compile(r"^\s+\\i(\d+)\s+\S+\s+\S+\s+1\s*$", re.MULTILINE)


def prove_pipelines(gold: Circuit, gate: Circuit, seconds: float) -> Proof:
    """Prove that two circuits without feedback have the same outputs, as late, for all inputs.

    Args:
        gold, gate: circuits with the same ports, as wide, in which all paths to a net have
            the same number of registers; others leave the proof undecided.
        seconds: that ABC and the solver have, each.

    Raises:
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510, ACT0574.
    """
    start = time.monotonic()

    def ended(reason: str) -> Proof:
        return Proof("undecided", time.monotonic() - start, None, reason)

    try:
        pair = _Pair(gold, gate)
        found = pair.difference(pair.random(SAMPLES), SAMPLES)
        if found is None:
            log = _run(pair.miter(), seconds)
            answer = read_answer(log, 0, seconds, time.monotonic() - start)
            if answer.status != "refuted":
                return answer
            found = pair.difference(pair.shown(log), 1)
    except NotSeparate as problem:
        return ended(str(problem))
    except ToolFailed as problem:
        if problem.diagnostics[0].code not in GAVE_UP:
            raise
        return ended(problem.diagnostics[0].message)
    if found is None or not pair.gold.defined:
        return ended("a bit of it is not defined")
    return Proof("refuted", time.monotonic() - start, found)


class _Pair:
    """Two circuits on the same inputs.

    Raises:
        NotSeparate: their ports differ, one is no pipeline, or they are not equally long.
    """

    def __init__(self, gold: Circuit, gate: Circuit) -> None:
        _check_ports("inputs", gold.inputs, gate.inputs)
        _check_ports("outputs", gold.outputs, gate.outputs)
        self.gold, self.gate = Unclocked(gold), Unclocked(gate)
        for (port, place), clocks in self.gold.latency.items():
            other = self.gate.latency[port, place]
            if clocks != other and ALWAYS not in (clocks, other):
                raise NotSeparate(f"{port}[{place}] comes after {other} clocks, not {clocks}")
        numbers: dict[Bit, int] = {}
        # of bits that are always equal, synthesis may have left one net
        self._inputs = {
            port: [numbers.setdefault(bit, len(numbers)) for bit in gate.inputs[port]]
            for port in gold.inputs
        }
        self._count = len(numbers)

    def random(self, samples: int) -> dict[str, list[int]]:
        """The same inputs each time, uniform over all bits."""
        source = random.Random(0)
        return self._given([source.getrandbits(samples) for _ in range(self._count)])

    def shown(self, log: str) -> dict[str, list[int]]:
        """The inputs that the solver found."""
        ones = {int(number) for number in _ONE.findall(log)}
        return self._given([int(number in ones) for number in range(self._count)])

    def _given(self, values: Sequence[int]) -> dict[str, list[int]]:
        return {port: [values[n] for n in bits] for port, bits in self._inputs.items()}

    def difference(
        self, inputs: Mapping[str, Sequence[int]], samples: int
    ) -> Counterexample | None:
        """The first sample for which outputs differ.

        Args:
            inputs: as :meth:`~actc.targets.fpga.proof.unclocked.Unclocked.evaluate` takes them.
        """
        gold, gate = (side.evaluate(inputs, samples) for side in (self.gold, self.gate))
        wrong = 0
        for port, bits in gold.items():
            for one, other in zip(bits, gate[port], strict=True):
                wrong |= one ^ other
        if not wrong:
            return None
        sample = (wrong & -wrong).bit_length() - 1
        return Counterexample(
            *({port: _number(bits, sample) for port, bits in side.items()}
              for side in (inputs, gold, gate))
        )  # fmt: skip

    def miter(self) -> dict[str, Any]:
        """A module whose outputs are 0 where the circuits agree (Brand, ICCAD, 1993).

        Its inputs i0, i1, ... are single bits; port o has a bit for each output bit.
        """
        module = _Module()
        shared = [module.input() for _ in range(self._count)]
        sides = []
        for side in (self.gold, self.gate):
            nets: dict[Bit, Bit] = {"0": "0", "1": "1"}
            for port, numbers in self._inputs.items():
                nets.update(zip(side.inputs[port], (shared[n] for n in numbers), strict=True))
            sides.append(module.outputs(side, nets))
        differ = [module.gate("$_XOR_", pair) for pair in zip(*sides, strict=True)]
        return module.document(differ)


def _check_ports(what: str, gold: Ports, gate: Ports) -> None:
    """Refuse circuits whose ports have other names or widths."""
    first, second = ({name: len(bits) for name, bits in ports.items()} for ports in (gold, gate))
    if first != second:
        raise NotSeparate(f"the {what} of one are {_shown(first)}, of the other {_shown(second)}")


def _shown(widths: Mapping[str, int]) -> str:
    return ", ".join(f"{name}[{width}]" for name, width in sorted(widths.items())) or "none"


def _number(bits: Sequence[int], sample: int) -> int:
    return sum((bit >> sample & 1) << place for place, bit in enumerate(bits))


class _Module:
    """A module of yosys' ``read_json`` that grows gate by gate."""

    def __init__(self) -> None:
        self._inputs: list[int] = []
        self._cells: dict[str, Any] = {}
        self._nets = 2  # yosys has no nets 0 and 1

    def _net(self) -> int:
        self._nets += 1
        return self._nets - 1

    def input(self) -> int:
        """A new input."""
        self._inputs.append(self._net())
        return self._inputs[-1]

    def gate(self, kind: str, inputs: Iterable[Bit]) -> int:
        """The output of a new gate."""
        output, ports = self._net(), INPUTS[kind]
        self._cells[f"g{output}"] = {
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": {**dict.fromkeys(ports, "input"), "Y": "output"},
            "connections": {**{p: [b] for p, b in zip(ports, inputs, strict=True)}, "Y": [output]},
        }
        return output

    def outputs(self, side: Unclocked, nets: dict[Bit, Bit]) -> list[Bit]:
        """A copy of a circuit; bits that are not defined are inputs of their own.

        Args:
            nets: what stands for its inputs and constants; its gates are added.
        """

        def copies(bits: Iterable[Bit]) -> list[Bit]:
            return [self.input() if bit == "x" else nets[bit] for bit in bits]

        for gate in side.gates:
            nets[gate.output] = self.gate(gate.type, copies(side.reads(gate)))
        return [bit for port in side.ports for bit in copies(side.output(port))]

    def document(self, outputs: Sequence[Bit]) -> dict[str, Any]:
        """The design."""
        ports = {f"i{n}": {"direction": "input", "bits": [b]} for n, b in enumerate(self._inputs)}
        ports["o"] = {"direction": "output", "bits": list(outputs)}
        module = {"attributes": {}, "ports": ports, "cells": self._cells, "netnames": {}}
        return {"modules": {"miter": module}}


def _run(document: Mapping[str, Any], seconds: float) -> str:
    """What the solver says of a miter."""
    script = [
        "read_json miter.json",
        "hierarchy -top miter",
        f"abc -script +strash;fraig,-C,{CONFLICTS};map",
        "opt_clean",
        f"sat -prove o 0 -show-inputs -timeout {max(1, round(seconds))} miter",
    ]
    with tempfile.TemporaryDirectory(prefix="actc-proof-") as name:
        folder = Path(name).resolve()
        (folder / "miter.json").write_text(json.dumps(document), "ascii")
        (folder / "run.ys").write_text("\n".join(script) + "\n", "ascii")
        limits = Limits(2 * seconds, MEMORY)
        execute(find_yosys(), (), folder, limits=limits, log=folder / "log")
        return (folder / "log").read_text("utf-8", errors="replace")
