"""Cells of Lattice ECP5, before and after place and route.

Semantics are those of yosys' simulation library (ecp5/cells_sim.v), which the tests simulate
beside these models. Inputs of a placed slice that are not connected are 1, as its local wires
are pulled up; everything else that is not connected is 0.
"""

from __future__ import annotations

import numpy as np

from actc.targets.fpga.gates.cell import (
    Cell,
    Model,
    buffer,
    carry_half,
    constant,
    lookup_table,
    multiplexer,
)
from actc.targets.fpga.gates.ecp5_memory import block_memory
from actc.targets.fpga.gates.logic import (
    ONE,
    ZERO,
    FlipFlop,
    Function,
    Memory,
    Product,
)


def _carry(cell: Cell) -> None:
    """CCU2C: two bits of a carry chain."""
    carry = cell.input("CIN", cell.logic.net())  # open, it may be anything
    for half in ("0", "1"):
        inputs = [cell.input(f"{port}{half}") for port in "ABCD"]
        inject = cell.text(f"INJECT1_{half}", "YES") == "YES"
        total, carry = carry_half(
            cell.logic, cell.number(f"INIT{half}") & 0xFFFF, inputs, carry, inject=inject
        )
        cell.logic.connect(cell.output(f"S{half}"), total)
    cell.logic.connect(cell.output("COUT"), carry)


def _flip_flop(cell: Cell) -> None:
    """TRELLIS_FF; after placement data may come by M (SD=0), past the table."""
    logic = cell.logic
    data = cell.input("M" if cell.text("SD", "1") == "0" and cell.connected("M") else "DI")
    enable = _enable(cell)
    reset = cell.input("LSR")
    value = int(cell.text("REGSET", "RESET") == "SET")
    if cell.text("LSRMODE", "LSR") == "PRLD":
        raise ValueError(f"{cell.name}: the mode PRLD is not modelled")
    clear = ZERO
    if cell.text("SRMODE", "LSR_OVER_CE") == "ASYNC":
        clear = reset
    else:
        gated = cell.text("SRMODE", "LSR_OVER_CE") == "CE_OVER_LSR"
        data, enable = logic.reset(data, enable, reset, value, gated=gated)
    rising = cell.text("CLKMUX", "CLK") != "INV"
    clock = cell.ports.get("CLK", (None,))[0]
    net = ZERO if clock is None else clock
    logic.flip_flops.append(
        FlipFlop(cell.output("Q"), data, net, rising, enable, clear, value, value)
    )


def _enable(cell: Cell) -> int:
    mode = cell.text("CEMUX", "1")
    if mode in ("0", "1"):
        return ONE if mode == "1" else ZERO
    net = cell.input("CE", ONE) if mode != "INV" else cell.input("CE")
    return net


def _distributed_memory(cell: Cell) -> None:
    """TRELLIS_DPR16X4: 16 words of 4 bits, read at once."""
    logic = cell.logic
    words = cell.number("INITVAL")
    contents = np.array([[words >> (4 * a + b) & 1 for b in range(4)] for a in range(16)], np.uint8)
    written = cell.input("WRE")
    address, outputs = cell.bus("RAD", 4), cell.outputs("DO", 4)
    if written == ZERO:
        logic.lookup(address, outputs, contents)
        return
    clock = cell.ports.get("WCK", (None,))[0]
    logic.memories.append(
        Memory(
            address,
            outputs,
            cell.bus("WAD", 4),
            cell.bus("DI", 4),
            (written,) * 4,
            ZERO if clock is None else clock,
            cell.text("WCKMUX", "WCK") != "INV",
            contents,
        )
    )


def _slice_cell(cell: Cell) -> None:
    """TRELLIS_COMB: a table of a slice, alone, in a carry chain or as memory."""
    logic = cell.logic
    mode = cell.text("MODE", "LOGIC")
    if mode == "RAMW_BLOCK":  # keeps the place of a TRELLIS_RAMW
        return
    init = cell.number("INITVAL") & 0xFFFF
    inputs = [cell.input(port, ONE) for port in "ABCD"]
    if mode == "LOGIC":
        out = logic.table(inputs, init)
    elif mode == "CCU2":
        inject = cell.text("CCU2_INJECT1", "NO") == "YES"
        carry = cell.input("FCI", logic.net())  # open, it may be anything
        out, carry = carry_half(logic, init, inputs, carry, inject=inject)
        if cell.connected("FCO"):
            logic.connect(cell.output("FCO"), carry)
    elif mode == "DPRAM":
        out = _slice_memory(cell, init, inputs)
    else:
        raise ValueError(f"{cell.name}: the mode {mode} is not modelled")
    if cell.connected("F"):
        logic.connect(cell.output("F"), out)
    if cell.connected("OFX"):
        # the multiplexer behind two tables, or the one behind two such multiplexers
        wide = cell.connected("FXA") or cell.connected("FXB")
        one = cell.input("FXB" if wide else "F1", ONE)
        zero = cell.input("FXA", ONE) if wide else out
        logic.choose(cell.input("M", ONE), one, zero, cell.output("OFX"))


def _slice_memory(cell: Cell, init: int, inputs: list[int]) -> int:
    a, b, c, d = inputs
    out = cell.logic.net()
    words = np.array([[init >> index & 1] for index in range(16)], np.uint8)
    cell.logic.memories.append(
        Memory(
            (d, b, c, a),
            (out,),
            tuple(cell.input(f"WAD{number}") for number in range(4)),
            (cell.input("WD"),),
            (cell.input("WRE"),),
            cell.input("WCK"),
            True,
            words,
        )
    )
    return out


def _write_port(cell: Cell) -> None:
    """TRELLIS_RAMW: the slice beside a memory in slices hands address and data on."""
    for number, (address, data) in enumerate(zip("DBCA", "CADB", strict=True)):
        for output, pin in ((f"WADO{number}", f"{address}0"), (f"WDO{number}", f"{data}1")):
            if cell.connected(output):
                cell.logic.connect(cell.output(output), cell.input(pin, ONE))


def _multiplier(cell: Cell) -> None:
    """MULT18X18D without registers: a product of 18-bit numbers, each signed or not."""
    for register in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
        if cell.text(f"REG_{register}_CLK", "NONE") != "NONE":
            raise ValueError(f"{cell.name}: registered multipliers are not modelled")
    factors = [cell.input(f"{port}{bit}") for port in "AB" for bit in range(18)]
    signs = [cell.input("SIGNEDA"), cell.input("SIGNEDB")]
    outputs = tuple(cell.output(f"P{bit}") for bit in range(36))
    cell.logic.functions.append(Function((*factors, *signs), outputs, Product(18, 18)))


def _pad(cell: Cell) -> None:
    """TRELLIS_IO without registers: an input, or an output that is always enabled."""
    direction = cell.text("DIR", "INPUT")
    if direction == "INPUT":
        if cell.connected("O"):
            cell.logic.connect(cell.output("O"), cell.input("B"))
    elif direction == "OUTPUT" and cell.input("T") == ZERO:
        cell.logic.connect(cell.output("B"), cell.input("I"))
    else:
        raise ValueError(f"{cell.name}: pads that change direction are not modelled")


def _pll(cell: Cell) -> None:
    """EHXPLLL: its outputs stand for the clock; frequencies and phases are not simulated."""
    for port in ("CLKOP", "CLKOS", "CLKOS2", "CLKOS3"):
        if cell.connected(port):
            cell.logic.connect(cell.output(port), cell.input("CLKI"))
    if cell.connected("LOCK"):
        cell.logic.connect(cell.output("LOCK"), ONE)


MODELS: dict[str, Model] = {
    "LUT4": lookup_table(("A", "B", "C", "D"), "Z", "INIT"),
    "LUT2": lookup_table(("A", "B"), "Z", "INIT"),
    "INV": lambda cell: cell.logic.connect(cell.output("Z"), cell.logic.invert(cell.input("A"))),
    "PFUMX": multiplexer("C0", "ALUT", "BLUT", "Z"),
    "L6MUX21": multiplexer("SD", "D1", "D0", "Z"),
    "CCU2C": _carry,
    "TRELLIS_FF": _flip_flop,
    "TRELLIS_DPR16X4": _distributed_memory,
    "TRELLIS_COMB": _slice_cell,
    "TRELLIS_RAMW": _write_port,
    "MULT18X18D": _multiplier,
    "DP16KD": block_memory,
    "TRELLIS_IO": _pad,
    "DCCA": buffer("CLKI", "CLKO"),
    "EHXPLLL": _pll,
    "VLO": constant("Z", ZERO),
    "VHI": constant("Z", ONE),
}
"""The model of each cell type."""
