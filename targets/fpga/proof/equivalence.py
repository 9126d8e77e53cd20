"""Equivalence of two circuits, proved by yosys' SAT solver (MiniSat: Een and Sorensson, 2003).

Both circuits take the same inputs; a miter raises a signal where their outputs differ, and the
solver looks for inputs that raise it (Brand, ICCAD, 1993). Pipelines without feedback are
unrolled: after `latency` clocks nothing of the unknown first state is left, so that one step
proves them for all time.

A proof covers every input. It is worth what yosys' reading of Verilog and of the vendors' cell
models is worth, and no more.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actc.approx.gates import FixedForm
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.flow.execute import Limits, execute
from actc.targets.fpga.flow.synthesize import find_yosys
from actc.targets.fpga.proof.sides import Side, read_side

Status = Literal["proved", "refuted", "undecided"]
SECONDS = 60.0
"""That the solver has, unless asked otherwise."""
MEMORY = 8 << 30
"""Bytes of address space of a proof, unless asked otherwise."""

_SPARE = 60.0  # seconds for reading and preparing, besides the solver's own
GAVE_UP = ("ACT0511", "ACT0512", "ACT0584")
"""How a solver ends that was given too little time or memory."""
_VALUE = re.compile(r"^\s+(\d+|init)?\s*\\(\S+)\s+\S+\s+\S+\s+([01x-]+)\s*$", re.MULTILINE)
# what the solver knows: flip-flops of one clock with neither reset nor enable
_PREPARE = "proc; flatten; memory; async2sync; dffunmap; opt -full"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Inputs for which two circuits differ.

    Attributes:
        inputs: port -> unsigned number.
        gold, gate: output -> unsigned number, of the first and of the second circuit.
    """

    inputs: Mapping[str, int]
    gold: Mapping[str, int]
    gate: Mapping[str, int]

    def __str__(self) -> str:
        given = ", ".join(f"{name} = {value}" for name, value in self.inputs.items())
        wrong = ", ".join(
            f"{name} is {self.gate[name]}, not {value}"
            for name, value in self.gold.items()
            if self.gate[name] != value
        )
        return f"for {given}: {wrong}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the solver found.

    Attributes:
        status: "undecided" when a limit ended the search.
        seconds: wall time, with reading and preparing.
        counterexample: when refuted.
        reason: why it is undecided.
    """

    status: Status
    seconds: float
    counterexample: Counterexample | None = None
    reason: str = ""

    @property
    def proved(self) -> bool:
        """Whether the circuits are equal for every input."""
        return self.status == "proved"


def prove_unit(
    verilog: str,
    top: str,
    form: FixedForm,
    *,
    latency: int = 0,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Proof:
    """Prove that a unit computes a form on all inputs.

    The form is enumerated and written as a plain memory; nothing of how units are built or
    written takes part in it.

    Args:
        verilog: the unit, with ports x and y, and clk if `latency` is not 0.
        top: its module.
        form: what it should compute.
        latency: clocks from x to y.
        seconds: that the solver has.
        memory: bytes of address space.

    Raises:
        UsageError: ACT0531, `top` is not a plain identifier.
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510, yosys refused the Verilog; ACT0574, its answer is not understood.
    """
    codes = form.input.codes()
    outputs = form.evaluate(codes)
    places = codes & (form.input.count - 1)
    words = [0] * form.input.count
    for place, value in zip(places.tolist(), outputs.tolist(), strict=True):
        words[place] = value & (form.output.count - 1)
    gold = Side("table", _table(form.input.bits, form.output.bits, len(words), latency))
    contents = "".join(f"{word:x}\n" for word in words)
    return _prove(gold, Side(top, verilog), latency, seconds, memory, files={"table.hex": contents})


def prove_equal(
    gold: Side,
    gate: Side,
    *,
    latency: int = 0,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Proof:
    """Prove that two circuits with the same ports have the same outputs for all inputs.

    Args:
        gold, gate: circuits without feedback, of the same latency.
        latency: clocks from every input to every output.
        seconds: that the solver has.
        memory: bytes of address space.

    Raises:
        as :func:`prove_unit`; UsageError: ACT0530, no cell models for a netlist's family.
    """
    return _prove(gold, gate, latency, seconds, memory, files={})


def _table(inputs: int, outputs: int, words: int, latency: int) -> str:
    last = "shown" if latency else "y"
    clock = "input clk, " if latency else ""
    lines = [
        f"module table ({clock}input [{inputs - 1}:0] x, output [{outputs - 1}:0] y);",
        f"  reg [{outputs - 1}:0] words [0:{words - 1}];",
        '  initial $readmemh("table.hex", words);',
        f"  wire [{outputs - 1}:0] found = words[x];",
    ]
    if latency:
        width = outputs * latency
        lines.append(f"  reg [{width - 1}:0] {last};")
        later = f"{{{last}[{width - outputs - 1}:0], found}}" if latency > 1 else "found"
        lines.append(f"  always @(posedge clk) {last} <= {later};")
        lines.append(f"  assign y = {last}[{width - 1}:{width - outputs}];")
    else:
        lines.append("  assign y = found;")
    return "\n".join([*lines, "endmodule", ""])


def _prove(
    gold: Side,
    gate: Side,
    latency: int,
    seconds: float,
    memory: int,
    files: Mapping[str, str],
) -> Proof:
    program = find_yosys()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="actc-proof-") as name:
        folder = Path(name).resolve()
        for file, text in files.items():
            (folder / file).write_text(text, "ascii")
        script = [*_prepared(folder, "gold", gold), *_prepared(folder, "gate", gate)]
        script += _solve(latency, seconds)
        (folder / "run.ys").write_text("\n".join(script) + "\n", "ascii")
        limits = Limits(seconds=seconds + _SPARE, memory=memory)
        log = folder / "log"
        try:
            execute(program, (), folder, limits=limits, log=log)
        except ToolFailed as problem:
            if problem.diagnostics[0].code not in GAVE_UP:
                raise
            reason = problem.diagnostics[0].message
            return Proof("undecided", time.monotonic() - start, None, reason)
        text = log.read_text("utf-8", errors="replace")
    return read_answer(text, latency, seconds, time.monotonic() - start)


def _prepared(folder: Path, role: str, side: Side) -> list[str]:
    """Commands that leave a circuit, prepared, in a design of its own."""
    return [
        "design -reset",
        *read_side(folder, role, side),
        _PREPARE,
        f"rename {side.top} {role}",
        f"design -stash {role}",
    ]


def _solve(latency: int, seconds: float) -> list[str]:
    steps = f"-seq {latency + 1} -prove-skip {latency} " if latency else ""
    return [
        "design -reset",
        "design -copy-from gold -as gold gold",
        "design -copy-from gate -as gate gate",
        "miter -equiv -flatten -make_outputs gold gate miter",
        "hierarchy -top miter",
        "opt -full",
        f"sat {steps}-prove trigger 0 -show-inputs -show-outputs "
        f"-timeout {max(1, round(seconds))} miter",
    ]


def read_answer(log: str, latency: int, seconds: float, wall: float) -> Proof:
    """What the solver's log says.

    Args:
        latency: the number of the step whose outputs are shown.
        seconds: that it had.
        wall: seconds that it took.

    Raises:
        ToolFailed: ACT0574, nothing that is understood.
    """
    if "SAT proof finished - no model found: SUCCESS!" in log:
        return Proof("proved", wall)
    if "SAT proof finished - model found: FAIL!" in log:
        return Proof("refuted", wall, _counterexample(log, latency))
    if "TIMEOUT" in log or "Interrupted SAT solver" in log:
        return Proof("undecided", wall, None, f"the solver gave up after {seconds:g} seconds")
    raise ToolFailed(_no_answer(log.splitlines()))


def _counterexample(log: str, latency: int) -> Counterexample:
    """The inputs of the first step and the outputs of the last."""
    values: dict[str, dict[str, int]] = {"in": {}, "gold": {}, "gate": {}}
    for step, name, digits in _VALUE.findall(log[log.index("model found: FAIL!") :]):
        role, _, port = name.partition("_")
        wanted = "1" if role == "in" else str(latency + 1)
        if role in values and port != "clk" and (step or "1") == wanted:
            values[role][port] = int(re.sub("[x-]", "0", digits), 2)
    return Counterexample(values["in"], values["gold"], values["gate"])


def _no_answer(lines: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "ACT0574",
        "the SAT solver ended without an answer",
        notes=tuple(lines[-20:]),
        help="this is an error of actc or of yosys; please report it",
    )
