"""Cells of AMD 7 series and UltraScale+ after synthesis.

Semantics are those of yosys' simulation library (xilinx/cells_sim.v), which the tests simulate
beside these models.
"""

from __future__ import annotations

from actc.targets.fpga.gates.cell import (
    Cell,
    Model,
    buffer,
    constant,
    lookup_table,
    multiplexer,
)
from actc.targets.fpga.gates.logic import (
    MUX,
    ONE,
    XOR,
    ZERO,
    Bits,
    FlipFlop,
    Function,
    numbers,
)


def _carry(cell: Cell) -> None:
    """CARRY4, CARRY8: the carry goes on where S is 1 and is DI where it is 0."""
    logic = cell.logic
    width = 8 if cell.type == "CARRY8" else 4
    carry = cell.input("CI") if width == 8 else logic.either(cell.input("CI"), cell.input("CYINIT"))
    totals, carries = cell.outputs("O", width), cell.outputs("CO", width)
    data, select = cell.bus("DI", width), cell.bus("S", width)
    dual = width == 8 and cell.text("CARRY_TYPE", "SINGLE_CY8") == "DUAL_CY4"
    for place in range(width):
        if dual and place == 4:
            carry = cell.input("CI_TOP")
        logic.table([select[place], carry], XOR, totals[place])
        logic.table([data[place], carry, select[place]], MUX, carries[place])
        carry = carries[place]


def _pin(cell: Cell, port: str, default: int = ZERO) -> int:
    """An input that a parameter may invert."""
    net = cell.input(port, default)
    return cell.logic.invert(net) if cell.number(f"IS_{port}_INVERTED") else net


def _flip_flop(cell: Cell) -> None:
    """FDRE, FDSE, FDCE, FDPE and their falling-edge forms."""
    kind = cell.type[2]
    port = {"R": "R", "S": "S", "C": "CLR", "P": "PRE"}[kind]
    data, enable, reset = _pin(cell, "D"), cell.input("CE", ONE), _pin(cell, port)
    value = int(kind in "SP")
    clear = reset if kind in "CP" else ZERO
    if kind in "RS":
        data, enable = cell.logic.reset(data, enable, reset, value, gated=False)
    falls = cell.type.endswith("_1") or bool(cell.number("IS_C_INVERTED"))
    cell.logic.flip_flops.append(
        FlipFlop(
            cell.output("Q"),
            data,
            cell.input("C"),
            not falls,
            enable,
            clear,
            value,
            cell.number("INIT", value),
        )
    )


def _shift_register(cell: Cell) -> None:
    """SRL16E, SRLC32E: a chain of flip-flops of which an address picks one."""
    logic = cell.logic
    length = 16 if cell.type == "SRL16E" else 32
    width = length.bit_length() - 1
    address = cell.bus("A", width)
    net, clock, enable = cell.input("D"), cell.input("CLK"), cell.input("CE", ONE)
    rising = not cell.number("IS_CLK_INVERTED")
    chain = []
    for place in range(length):
        output = logic.net()
        initial = cell.number("INIT") >> place & 1
        logic.flip_flops.append(FlipFlop(output, net, clock, rising, enable, initial=initial))
        chain.append(output)
        net = output

    def pick(bits: Bits) -> Bits:
        places = numbers(bits[:width])
        return bits[width + places, range(bits.shape[1])][None]

    logic.functions.append(Function((*address, *chain), (cell.output("Q"),), pick))
    if cell.connected("Q31"):
        logic.connect(cell.output("Q31"), chain[-1])


MODELS: dict[str, Model] = {
    **{
        f"LUT{width}": lookup_table(tuple(f"I{i}" for i in range(width)), "O", "INIT")
        for width in range(1, 7)
    },
    **{f"MUXF{width}": multiplexer("S", "I1", "I0", "O") for width in (7, 8, 9)},
    "CARRY4": _carry,
    "CARRY8": _carry,
    **{f"FD{kind}E{edge}": _flip_flop for kind in "RSCP" for edge in ("", "_1")},
    "SRL16E": _shift_register,
    "SRLC32E": _shift_register,
    "INV": lambda cell: cell.logic.connect(cell.output("O"), cell.logic.invert(cell.input("I"))),
    "IBUF": buffer("I", "O"),
    "OBUF": buffer("I", "O"),
    "BUFG": buffer("I", "O"),
    "VCC": constant("P", ONE),
    "GND": constant("G", ZERO),
}
"""The model of each cell type."""
