"""Cells of Lattice iCE40, before and after place and route.

Semantics are those of yosys' simulation library (ice40/cells_sim.v), which the tests simulate
beside these models; inputs that are not connected are 0, enables 1.
"""

from __future__ import annotations

import re

import numpy as np

from actc.targets.fpga.gates.cell import (
    Cell,
    Model,
    buffer,
    ignore,
    lookup_table,
)
from actc.targets.fpga.gates.ice40_blocks import multiplier, single_port_memory
from actc.targets.fpga.gates.logic import MAJORITY, ONE, ZERO, Bits, FlipFlop, Memory

_DFF = re.compile(r"SB_DFF(?P<fall>N?)(?P<enable>E?)(?P<reset>SR|SS|R|S|)")


def _carry(cell: Cell) -> None:
    nets = [cell.input(port) for port in ("I0", "I1", "CI")]
    cell.logic.table(nets, MAJORITY, cell.output("CO"))


def _flip_flop(cell: Cell) -> None:
    match = _DFF.fullmatch(cell.type)
    assert match is not None  # as MODELS lists them
    reset = match["reset"]
    _add_flip_flop(
        cell,
        data=cell.input("D"),
        output=cell.output("Q"),
        clock=cell.input("C"),
        rising=not match["fall"],
        enable=cell.input("E", ONE),
        reset=cell.input("S" if reset in ("S", "SS") else "R"),
        value=int(reset in ("S", "SS")),
        asynchronous=len(reset) == 1,
    )


def _add_flip_flop(
    cell: Cell,
    *,
    data: int,
    output: int,
    clock: int,
    rising: bool,
    enable: int,
    reset: int,
    value: int,
    asynchronous: bool,
) -> None:
    clear = reset if asynchronous else ZERO
    if not asynchronous:  # works only while enabled
        data, enable = cell.logic.reset(data, enable, reset, value, gated=True)
    cell.logic.flip_flops.append(FlipFlop(output, data, clock, rising, enable, clear, value, 0))


def _logic_cell(cell: Cell) -> None:
    """ICESTORM_LC: a table, a carry and a flip-flop, as nextpnr packs them."""
    logic = cell.logic
    inputs = [cell.input(port) for port in ("I0", "I1", "I2", "I3")]
    table = logic.table(inputs, cell.number("LUT_INIT"))
    if cell.connected("LO"):
        logic.connect(cell.output("LO"), table)
    if cell.number("CARRY_ENABLE"):
        fixed = ONE if cell.number("CIN_SET") else ZERO
        carry_in = fixed if cell.number("CIN_CONST") else cell.input("CIN")
        logic.table([inputs[1], inputs[2], carry_in], MAJORITY, cell.output("COUT"))
    if not cell.number("DFF_ENABLE"):
        if cell.connected("O"):
            logic.connect(cell.output("O"), table)
        return
    _add_flip_flop(
        cell,
        data=table,
        output=cell.output("O"),
        clock=cell.input("CLK"),
        rising=not cell.number("NEG_CLK"),
        enable=cell.input("CEN", ONE),
        reset=cell.input("SR"),
        value=cell.number("SET_NORESET"),
        asynchronous=bool(cell.number("ASYNC_SR")),
    )


_WORDS, _WIDTH = 256, 16


def _memory(cell: Cell) -> None:
    """SB_RAM40_4K: 256 words of 16 bits; narrow modes pick bits of a word by high addresses."""
    logic = cell.logic
    pins = cell.type.removeprefix("SB_RAM40_4K")
    write = cell.bus("WADDR", 11)
    read = cell.bus("RADDR", 11)
    enabled = logic.both(cell.input("WE"), cell.input("WCLKE", ONE))
    mask = _write_mask(cell, write, enabled)
    data = _write_data(cell)
    shown = [logic.net() for _ in range(_WIDTH)]
    if enabled == ZERO:
        logic.lookup(read[:8], shown, _contents(cell))
    else:
        falls = "NW" in pins or bool(cell.number("NEG_CLK_W"))
        clock = cell.input("WCLKN" if "NW" in pins else "WCLK")
        logic.memories.append(
            Memory(read[:8], tuple(shown), write[:8], data, mask, clock, not falls, _contents(cell))
        )
    _read_port(cell, read, _read_bits(cell, read, shown))


def _contents(cell: Cell) -> Bits:
    """Bits [256, 16] after configuration: INIT_0 holds the words 0 to 15, and so on."""
    value = 0
    for row in range(16):
        value |= (cell.number(f"INIT_{row:X}") & ((1 << 256) - 1)) << (256 * row)
    raw = np.frombuffer(value.to_bytes(_WORDS * _WIDTH // 8, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little").reshape(_WORDS, _WIDTH)


def _lane(mode: int, bit: int) -> tuple[int, int]:
    """Port bit and number of the part that hold `bit` of a word in a narrow mode.

    A word of mode m has 2 ** m parts; bit 2 ** m * i + j belongs to part j and, within it,
    is number i. The port bits in use lie in the middle of their groups.
    """
    group, part = divmod(bit, 1 << mode)
    return (group << mode) + (0, 0, 1, 3)[mode], part


def _selected(cell: Cell, address: tuple[int, ...], mode: int, part: int) -> int:
    """1 where the high address bits are `part`."""
    net = ONE
    for place in range(mode):
        bit = address[8 + place]
        net = cell.logic.both(net, bit if part >> place & 1 else cell.logic.invert(bit))
    return net


def _write_mask(cell: Cell, address: tuple[int, ...], enabled: int) -> tuple[int, ...]:
    mode = cell.number("WRITE_MODE")
    if mode == 0:
        kept = cell.bus("MASK", _WIDTH)
        return tuple(cell.logic.both(enabled, cell.logic.invert(net)) for net in kept)
    parts = [
        cell.logic.both(enabled, _selected(cell, address, mode, part)) for part in range(1 << mode)
    ]
    return tuple(parts[_lane(mode, bit)[1]] for bit in range(_WIDTH))


def _write_data(cell: Cell) -> tuple[int, ...]:
    data = cell.bus("WDATA", _WIDTH)
    mode = cell.number("WRITE_MODE")
    return tuple(data[_lane(mode, bit)[0]] for bit in range(_WIDTH))


def _read_bits(cell: Cell, address: tuple[int, ...], word: list[int]) -> dict[int, int]:
    """Port bit -> net of what the read register takes."""
    mode = cell.number("READ_MODE")
    if mode == 0:
        return dict(enumerate(word))
    found: dict[int, int] = {}
    parts = [_selected(cell, address, mode, part) for part in range(1 << mode)]
    for bit in range(_WIDTH):
        port, part = _lane(mode, bit)
        picked = cell.logic.both(word[bit], parts[part])
        found[port] = cell.logic.either(found.get(port, ZERO), picked)
    return found


def _read_port(cell: Cell, address: tuple[int, ...], bits: dict[int, int]) -> None:
    pins = cell.type.removeprefix("SB_RAM40_4K")
    inverted = "NR" in pins
    clock = cell.input("RCLKN" if inverted else "RCLK")
    rising = not inverted and not cell.number("NEG_CLK_R")
    enable = cell.logic.both(cell.input("RE"), cell.input("RCLKE", ONE))
    for port, net in enumerate(cell.outputs("RDATA", _WIDTH)):
        if port in bits:
            cell.logic.flip_flops.append(FlipFlop(net, bits[port], clock, rising, enable))
        else:
            cell.logic.connect(net, ZERO)


def _pad(cell: Cell) -> None:
    """SB_IO without registers: an input, an output, or an output that is always enabled."""
    kind = cell.number("PIN_TYPE")
    if cell.connected("D_IN_0"):
        if kind & 0b11 != 0b01:
            raise ValueError(f"{cell.name}: registered input pads are not modelled")
        cell.logic.connect(cell.output("D_IN_0"), cell.input("PACKAGE_PIN"))
    if kind >> 2 == 0b0110:
        cell.logic.connect(cell.output("PACKAGE_PIN"), cell.input("D_OUT_0"))
    elif kind >> 4:
        raise ValueError(f"{cell.name}: output pads of PIN_TYPE {kind:06b} are not modelled")
    if cell.type == "SB_GB_IO":
        cell.logic.connect(cell.output("GLOBAL_BUFFER_OUTPUT"), cell.input("PACKAGE_PIN"))


def _pll(cell: Cell) -> None:
    """A PLL: its outputs stand for the clock; frequencies and phases are not simulated."""
    sources = [port for port in ("REFERENCECLK", "PACKAGEPIN") if cell.connected(port)]
    for port in cell.ports:
        if port.startswith("PLLOUT") and cell.connected(port) and sources:
            cell.logic.connect(cell.output(port), cell.input(sources[-1]))
    if cell.connected("LOCK"):
        cell.logic.connect(cell.output("LOCK"), ONE)


MODELS: dict[str, Model] = {
    "SB_LUT4": lookup_table(("I0", "I1", "I2", "I3"), "O", "LUT_INIT"),
    "SB_CARRY": _carry,
    **{
        f"SB_DFF{fall}{enable}{reset}": _flip_flop
        for fall in ("", "N")
        for enable in ("", "E")
        for reset in ("", "SR", "R", "SS", "S")
    },
    **{f"SB_RAM40_4K{pins}": _memory for pins in ("", "NR", "NW", "NRNW")},
    "ICESTORM_RAM": _memory,
    **dict.fromkeys(("SB_MAC16", "ICESTORM_DSP"), multiplier),
    **dict.fromkeys(("SB_SPRAM256KA", "ICESTORM_SPRAM"), single_port_memory),
    "ICESTORM_LC": _logic_cell,
    "SB_IO": _pad,
    "SB_GB_IO": _pad,
    "SB_GB": buffer("USER_SIGNAL_TO_GLOBAL_BUFFER", "GLOBAL_BUFFER_OUTPUT"),
    **{f"SB_PLL40_{kind}": _pll for kind in ("CORE", "PAD", "2_PAD", "2F_CORE", "2F_PAD")},
    "ICESTORM_PLL": _pll,
    "SB_WARMBOOT": ignore,
}
"""The model of each cell type."""
