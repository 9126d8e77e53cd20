"""A function of a wide integer, proved against comparisons with where its value changes."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.proof.circuit import FLIP_FLOP, Bit, Gate
from actc.targets.fpga.proof.equivalence import Proof, prove_equal
from actc.targets.fpga.proof.sides import Side

_TEXTS = {
    "$_BUF_": "{0}",
    FLIP_FLOP: "{0}",  # all paths have the same number of registers
    "$_NOT_": "~{0}",
    "$_AND_": "{0} & {1}",
    "$_NAND_": "~({0} & {1})",
    "$_OR_": "{0} | {1}",
    "$_NOR_": "~({0} | {1})",
    "$_XOR_": "{0} ^ {1}",
    "$_XNOR_": "~({0} ^ {1})",
    "$_ANDNOT_": "{0} & ~{1}",
    "$_ORNOT_": "{0} | ~{1}",
    "$_MUX_": "{2} ? {1} : {0}",
}


def prove_thresholds(
    gates: Sequence[Gate],
    start: Sequence[Bit],
    end: Sequence[Bit],
    inputs: Range,
    line: tuple[int, int],
    function: StepFunction,
    seconds: float,
) -> Proof:
    """Prove that gates compute ``function(factor * x + offset)``.

    Args:
        gates: between `start`, which is x, and `end`, each behind those that it reads.
        inputs: values of x.
        line: factor and offset.
        function: of the whole.
        seconds: that the solver has.

    Raises:
        MissingTool, ToolFailed: as :func:`~actc.targets.fpga.proof.prove_equal`.
    """
    inside = _inside(start, inputs)
    gold = _steps(inputs, len(end), line, function, inside)
    gate = _gates(gates, start, end, inside)
    return prove_equal(Side("steps", gold), Side("unit", gate), seconds=seconds)


def _header(name: str, inputs: int, outputs: int) -> str:
    return f"module {name} (input [{inputs - 1}:0] x, output [{outputs - 1}:0] y);"


def _inside(start: Sequence[Bit], inputs: Range) -> str:
    """Whether x can occur: it is in its range, and bits on one net are equal."""
    signed = "$signed(x)" if inputs.signed else "$signed({1'b0, x})"
    terms = [f"{signed} >= {_literal(inputs.low)}", f"{signed} <= {_literal(inputs.high)}"]
    first: dict[Bit, int] = {}
    for place, net in enumerate(start):
        if isinstance(net, str):
            terms.append(f"x[{place}] == 1'b{net}")
        elif first.setdefault(net, place) != place:
            terms.append(f"x[{place}] == x[{first[net]}]")
    return " && ".join(f"({term})" for term in terms)


def _literal(value: int) -> str:
    """A signed constant of 64 bits, wider than any sum."""
    return f"-64'sd{-value}" if value < 0 else f"64'sd{value}"


def _steps(
    inputs: Range, outputs: int, line: tuple[int, int], function: StepFunction, inside: str
) -> str:
    starts, levels = function.starts.tolist(), function.levels.tolist()

    def search(first: int, last: int) -> str:
        """Of runs `first` to `last - 1`, the value of the one that the whole is in."""
        if last - first == 1:
            return f"{outputs}'d{levels[first] & ((1 << outputs) - 1)}"
        middle = (first + last) // 2
        below, above = search(first, middle), search(middle, last)
        return f"(whole < {_literal(starts[middle])} ? {below} : {above})"

    signed = "$signed(x)" if inputs.signed else "$signed({1'b0, x})"
    factor, offset = line
    return "\n".join(
        [
            _header("steps", inputs.width, outputs),
            f"  wire signed [63:0] whole = {signed} * {_literal(factor)} + {_literal(offset)};",
            f"  assign y = {inside} ? {search(0, len(starts))} : {outputs}'d0;",
            "endmodule",
            "",
        ]
    )


def _gates(gates: Sequence[Gate], start: Sequence[Bit], end: Sequence[Bit], inside: str) -> str:
    names: dict[Bit, str] = {"0": "1'b0", "1": "1'b1"}
    for place, net in enumerate(start):
        names.setdefault(net, f"x[{place}]")
    lines = [_header("unit", len(start), len(end))]
    for number, gate in enumerate(gates):
        text = _TEXTS[gate.type].format(*(names[bit] for bit in gate.inputs))
        names[gate.output] = f"n{number}"
        lines.append(f"  wire n{number} = {text};")
    word = ", ".join(names[net] for net in reversed(end))
    lines.append(f"  assign y = {inside} ? {{{word}}} : {len(end)}'d0;")
    return "\n".join([*lines, "endmodule", ""])
