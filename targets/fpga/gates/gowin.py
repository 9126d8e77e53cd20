"""Cells of Gowin LittleBee and Arora, before and after place and route.

Semantics are those of yosys' simulation library (gowin/cells_sim.v), which the tests simulate
beside these models.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from actc.targets.fpga.gates.cell import (
    Cell,
    Model,
    buffer,
    carry_half,
    constant,
    ignore,
    lookup_table,
    multiplexer,
)
from actc.targets.fpga.gates.logic import ONE, ZERO, FlipFlop

_DFF = re.compile(r"DFF(?P<fall>N?)(?P<reset>[SRPC]?)(?P<enable>E?)")
_RESETS = {"S": "SET", "R": "RESET", "P": "PRESET", "C": "CLEAR"}

# S and C by mode, of the three inputs: the sum is S xor the carry-in, the carry-out is the
# carry-in where S is 1, else C
_ALU: tuple[Callable[[int, int, int], tuple[int, int]], ...] = (
    lambda a, b, d: (a ^ b, a),  # ADD
    lambda a, b, d: (a ^ b ^ 1, a),  # SUB
    lambda a, b, d: (a ^ b ^ d ^ 1, a),  # ADDSUB
    lambda a, b, d: (a ^ b ^ 1, 1),  # NE
    lambda a, b, d: (a ^ b ^ 1, a),  # GE
    lambda a, b, d: (a ^ b ^ 1, b),  # LE
    lambda a, b, d: (a, 0),  # CUP
    lambda a, b, d: (a ^ 1, 1),  # CDN
    lambda a, b, d: (a ^ d ^ 1, a),  # CUPCDN
    lambda a, b, d: (a & b ^ d, a & b),  # MULT
)


# settings of the look-up table that nextpnr gives no number: the ends of a chain
_ENDS = {"C2L": 0, "ONE2C": 0xF}


def _alu(cell: Cell) -> None:
    """ALU; after placement with the look-up table itself, whose third input is then 1."""
    end = cell.text("ALU_MODE", "")
    if "RAW_ALU_LUT" in cell.parameters or end in _ENDS:
        _placed_alu(cell, _ENDS.get(end, 0))
        return
    mode = cell.number("ALU_MODE")
    if mode >= len(_ALU):
        raise ValueError(f"{cell.name}: the mode {mode} is not modelled")
    total = carried = 0
    for index in range(16):
        a, b, d, carry = (index >> place & 1 for place in range(4))
        s, c = _ALU[mode](a, b, d)
        total |= (s ^ carry) << index
        carried |= (carry if s else c) << index
    nets = [cell.input(port) for port in ("I0", "I1", "I3", "CIN")]
    cell.logic.table(nets, total, cell.output("SUM"))
    cell.logic.table(nets, carried, cell.output("COUT"))


def _placed_alu(cell: Cell, table: int) -> None:
    """The cell as it is built (Project Apicula, doc/alu.md)."""
    init = cell.number("RAW_ALU_LUT", table) & 0xFFFF
    inputs = [cell.input("I0"), cell.input("I1"), cell.input("I2", ONE), cell.input("I3")]
    total, carry = carry_half(cell.logic, init, inputs, cell.input("CIN"), inject=False)
    cell.logic.connect(cell.output("SUM"), total)
    cell.logic.connect(cell.output("COUT"), carry)


def _flip_flop(cell: Cell) -> None:
    match = _DFF.fullmatch(cell.type)
    assert match is not None  # as MODELS lists them
    kind = match["reset"]
    data, enable = cell.input("D"), cell.input("CE", ONE)
    reset = cell.input(_RESETS[kind]) if kind else ZERO
    value = int(kind in ("S", "P"))
    clear = reset if kind in ("P", "C") else ZERO
    if kind in ("S", "R"):
        data, enable = cell.logic.reset(data, enable, reset, value, gated=False)
    initial = cell.number("INIT", value)
    cell.logic.flip_flops.append(
        FlipFlop(
            cell.output("Q"),
            data,
            cell.input("CLK"),
            not match["fall"],
            enable,
            clear,
            value,
            initial,
        )
    )


def _pll(cell: Cell) -> None:
    """Its outputs stand for the clock; frequencies and phases are not simulated."""
    for port in ("CLKOUT", "CLKOUTP", "CLKOUTD", "CLKOUTD3"):
        if cell.connected(port):
            cell.logic.connect(cell.output(port), cell.input("CLKIN"))
    if cell.connected("LOCK"):
        cell.logic.connect(cell.output("LOCK"), ONE)


MODELS: dict[str, Model] = {
    **{
        f"LUT{width}": lookup_table(tuple(f"I{i}" for i in range(width)), "F", "INIT")
        for width in range(1, 5)
    },
    **{f"MUX2_LUT{width}": multiplexer("S0", "I1", "I0", "O") for width in range(5, 9)},
    "MUX2": multiplexer("S0", "I1", "I0", "O"),
    "ALU": _alu,
    **{
        f"DFF{fall}{reset}{enable}": _flip_flop
        for fall in ("", "N")
        for reset in ("", "S", "R", "P", "C")
        for enable in ("", "E")
    },
    "INV": lambda cell: cell.logic.connect(cell.output("O"), cell.logic.invert(cell.input("I"))),
    "IBUF": buffer("I", "O"),
    "OBUF": buffer("I", "O"),
    "BUFG": buffer("I", "O"),
    "VCC": constant("V", ONE),
    "GND": constant("G", ZERO),
    "GOWIN_VCC": constant("V", ONE),
    "GOWIN_GND": constant("G", ZERO),
    "GSR": ignore,
    "rPLL": _pll,
    "PLLVR": _pll,
}
"""The model of each cell type."""
