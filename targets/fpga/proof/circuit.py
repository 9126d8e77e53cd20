"""Circuits as simple gates and flip-flops, and the parts of them between given nets.

yosys takes Verilog and cells of a family apart into gates of at most three inputs and
flip-flops of one clock; the names of wires stay with their nets.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.flow.execute import Limits, execute
from actc.targets.fpga.flow.synthesize import find_yosys
from actc.targets.fpga.proof.sides import Side, read_side

Bit: TypeAlias = int | str
"""A net, or "0", "1", "x"."""

FLIP_FLOP = "$_DFF_P_"
INPUTS = {
    **dict.fromkeys(("$_BUF_", "$_NOT_"), ("A",)),
    **dict.fromkeys(
        ("$_AND_", "$_NAND_", "$_OR_", "$_NOR_", "$_XOR_", "$_XNOR_", "$_ANDNOT_", "$_ORNOT_"),
        ("A", "B"),
    ),
    "$_MUX_": ("A", "B", "S"),
    FLIP_FLOP: ("D",),
}
"""Data inputs by type of gate."""

ALWAYS = -1
"""In place of a number of flip-flops: the net does not change."""
READING = Limits(seconds=300.0, memory=8 << 30)

_FLIP_FLOPS = "async2sync; dffunmap; techmap; simplemap; dffunmap; simplemap"
# nothing is optimized, so that no logic bypasses a wire that has a name; these wires stay.
# Memories are set by constants behind aliases, which the first opt_clean takes away.
_GATES = (
    "proc -noopt; opt_clean; flatten; memory -nordff; opt_clean; setattr -set keep 1 w:* w:$* %d; "
    f"{_FLIP_FLOPS}; opt_clean"
)
# cells of a family have many modes that their parameters exclude
_CELLS = f"proc; flatten; opt_expr; memory -nordff; opt_expr; {_FLIP_FLOPS}; opt_expr"


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate or a flip-flop.

    Attributes:
        type: a key of :data:`INPUTS`.
        inputs: in the order of its ports.
        output: net.
    """

    type: str
    inputs: tuple[Bit, ...]
    output: int


@dataclass(frozen=True, eq=False)
class Circuit:
    """A flat circuit of one clock.

    Attributes:
        inputs, outputs: port -> bits, bit 0 first; without the clock.
        names: name of a wire -> bits, bit 0 first.
        drivers: net -> what drives it.
    """

    inputs: Mapping[str, tuple[Bit, ...]]
    outputs: Mapping[str, tuple[Bit, ...]]
    names: Mapping[str, tuple[Bit, ...]]
    drivers: Mapping[int, Gate]

    @classmethod
    def of(cls, module: Mapping[str, Any]) -> Circuit:
        """The circuit of a module of yosys' ``write_json``.

        Raises:
            ToolFailed: ACT0604, it has cells that are no gates, more than one clock, or a net
                with two drivers.
        """
        drivers: dict[int, Gate] = {}
        clocks: set[Bit] = set()
        for cell in module["cells"].values():
            kind, connections = cell["type"], cell["connections"]
            if kind == "$scopeinfo":
                continue
            if kind not in INPUTS:
                raise ToolFailed(_unknown(kind))
            inputs = tuple(connections[port][0] for port in INPUTS[kind])
            (output,) = connections["Q" if kind == FLIP_FLOP else "Y"]
            if output in drivers:
                raise ToolFailed(_unknown("a net with two drivers"))
            drivers[output] = Gate(kind, inputs, output)
            if kind == FLIP_FLOP:
                clocks.add(connections["C"][0])
        if len(clocks) > 1:
            raise ToolFailed(_unknown("a second clock"))
        ports: dict[str, dict[str, tuple[Bit, ...]]] = {"input": {}, "output": {}}
        for port, entry in module["ports"].items():
            if not clocks.intersection(entry["bits"]):
                ports[entry["direction"]][port] = tuple(entry["bits"])
        names = {name: tuple(entry["bits"]) for name, entry in module["netnames"].items()}
        return cls(ports["input"], ports["output"], names, drivers)


def read_circuits(sides: Sequence[Side], limits: Limits = READING) -> list[Circuit]:
    """Circuits as gates, all read in one run.

    Raises:
        UsageError: ACT0530, ACT0531, as :func:`~actc.targets.fpga.proof.sides.read_side`.
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510..0512, ACT0584, yosys refused a circuit or exceeded a limit;
            ACT0604, a circuit has more than gates and flip-flops of one clock.
    """
    program = find_yosys()
    with tempfile.TemporaryDirectory(prefix="actc-proof-") as name:
        folder = Path(name).resolve()
        script = []
        for number, side in enumerate(sides):
            passes = _GATES if side.netlist is None else _CELLS
            script += ["design -reset", *read_side(folder, f"side{number}", side), passes]
            script += [f"select {side.top}", f"write_json -selected gates{number}.json"]
        (folder / "run.ys").write_text("\n".join(script) + "\n", "ascii")
        execute(program, (), folder, limits=limits, log=folder / "log")
        documents = [
            json.loads((folder / f"gates{number}.json").read_text("utf-8"))
            for number in range(len(sides))
        ]
    return [
        Circuit.of(document["modules"][side.top])
        for document, side in zip(documents, sides, strict=True)
    ]


class NotSeparate(Exception):
    """A part of a circuit depends on more than it should.

    Args:
        reason: one sentence without a final period.
    """


def cone(circuit: Circuit, outputs: Iterable[Bit], border: Iterable[Bit]) -> list[Gate]:
    """What lies between two sets of nets, each gate behind those that it reads.

    Nets that nothing drives are ends too.
    """
    done = {bit for bit in border if isinstance(bit, int)}
    found: list[Gate] = []
    pending: list[tuple[Bit, bool]] = [(bit, False) for bit in outputs]
    while pending:
        bit, ready = pending.pop()
        gate = circuit.drivers.get(bit) if isinstance(bit, int) else None
        if gate is None or (gate.output in done and not ready):
            continue
        if ready:
            found.append(gate)
            continue
        done.add(gate.output)
        pending.append((bit, True))
        pending += [(source, False) for source in gate.inputs]
    return found


def depths(gates: Iterable[Gate], start: Iterable[Bit]) -> dict[Bit, int]:
    """Flip-flops between `start` and each net of a cone; :data:`ALWAYS` for constants.

    Args:
        gates: of :func:`cone`.

    Raises:
        NotSeparate: a gate reads other nets, or nets of different times.
    """
    found: dict[Bit, int] = dict.fromkeys((b for b in start if isinstance(b, int)), 0)
    for gate in gates:
        nets = [bit for bit in gate.inputs if isinstance(bit, int)]
        if any(net not in found for net in nets):
            raise NotSeparate("it reads more than its input")
        times = {found[net] for net in nets} - {ALWAYS}
        if len(times) > 1:
            raise NotSeparate("paths through it have registers of different number")
        found[gate.output] = times.pop() + (gate.type == FLIP_FLOP) if times else ALWAYS
    return found


def _unknown(what: str) -> Diagnostic:
    return Diagnostic(
        "ACT0604",
        f"a circuit to be proved has {what}",
        help="proofs take logic and flip-flops of one clock; memories that are written, "
        "latches and tri-state nets are none",
    )
