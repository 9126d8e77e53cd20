"""A function of a wide integer, proved against comparisons with where its value changes."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.proof.circuit import FLIP_FLOP, Bit, Gate
from actc.targets.fpga.proof.equivalence import Proof, prove_equal
from actc.targets.fpga.proof.sides import Side

IMPOSSIBLE = "as it is written, its input has no value of its range"

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

    Returns:
        what the solver finds; undecided where no value of x can occur, of which anything
        could be proved.

    Raises:
        MissingTool, ToolFailed: as :func:`~actc.targets.fpga.proof.prove_equal`.
    """
    if not occurs(start, inputs):
        return Proof("undecided", 0.0, None, IMPOSSIBLE)
    inside = _inside(start, inputs)
    gold = _steps(inputs, len(end), line, function, inside)
    gate = _gates(gates, start, end, inside)
    return prove_equal(Side("steps", gold), Side("unit", gate), seconds=seconds)


def occurs(start: Sequence[Bit], inputs: Range) -> bool:
    """Whether any value of a range can occur on bits that may be constant, or on one net.

    From the first bit on; only the ends of the range need more than one look.
    """
    bits = len(start)

    def found(first: int, free: int, known: dict[Bit, int]) -> bool:
        """Of the values from `first` on, whose lowest `free` bits are left."""
        last = first + (1 << free) - 1
        if last < inputs.low or inputs.high < first:
            return False
        if inputs.low <= first and last <= inputs.high:
            return True
        net = start[free - 1]
        sign = int(inputs.signed and free == bits)
        values = (int(net),) if isinstance(net, str) else (0, 1)
        return any(
            found(first + ((value ^ sign) << (free - 1)), free - 1, {**known, net: value})
            for value in values
            if known.get(net, value) == value
        )

    return found(-(1 << (bits - 1)) if inputs.signed else 0, bits, {})


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
