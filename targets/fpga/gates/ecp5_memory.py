"""Block memories of Lattice ECP5: DP16KD, before and after place and route.

yosys' simulation library has no model of them. What is modelled is what yosys makes of
memories: two ports of up to 18 bits of which one at most writes, or a port A that writes and a
port B that reads words of 36 bits ("pseudo dual port", both widths of data shared out between
the ports). Output registers are off. Words that one port reads in the clock in which the other
writes them may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from actc.targets.fpga.gates.cell import Cell
from actc.targets.fpga.gates.logic import ONE, ZERO, Bits, FlipFlop, Logic, Memory

_SKIPPED = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4, 36: 5}
"""Lowest bits of the address that a width does not need; some of them enable bytes."""
_ADDRESS = 14
_BYTE = 9


@dataclass(frozen=True, slots=True)
class _Writing:
    """What a port writes; nets.

    Attributes:
        port: "A" or "B".
        width: of its words.
        address: all bits of it.
        data: one per bit.
        enable: whether it writes.
        bytes: which bytes of 9 bits it writes then; of narrower words, the only one.
        clock: net.
        rising: edge of it.
    """

    port: str
    width: int
    address: tuple[int, ...]
    data: tuple[int, ...]
    enable: int
    bytes: tuple[int, ...]
    clock: int
    rising: bool


def block_memory(cell: Cell) -> None:
    """DP16KD."""
    writing = [found for port in "AB" if (found := _writing(cell, port)) is not None]
    if len(writing) > 1:
        raise ValueError(f"{cell.name}: memories that both ports write are not modelled")
    for port in "AB":
        _check(cell, port)
    if cell.number("DATA_WIDTH_B", 18) == 36 and cell.number("DATA_WIDTH_A", 18) != 36:
        raise ValueError(f"{cell.name}: a port B of 36 bits beside a narrower A is not modelled")
    for port in "B" if cell.number("DATA_WIDTH_A", 18) == 36 else "AB":
        outputs = _outputs(cell, port)
        if outputs:
            _read(cell, port, outputs, writing[0] if writing else None)


def _control(cell: Cell, port: str) -> int:
    """A control input. Placement leaves constants open: pulled up to 1, or inverted to 0."""
    mode = str(cell.parameters.get(f"{port}MUX", "")).strip()
    return cell.input(port, ONE if mode in (port, "INV") else ZERO)


def _check(cell: Cell, port: str) -> None:
    if cell.text(f"REGMODE_{port}", "NOREG") != "NOREG":
        raise ValueError(f"{cell.name}: output registers of block memories are not modelled")
    if cell.text("RESETMODE", "SYNC") != "SYNC" and _control(cell, f"RST{port}") != ZERO:
        raise ValueError(f"{cell.name}: asynchronous resets of block memories are not modelled")
    selected = [_control(cell, f"CS{port}{bit}") for bit in range(3)]
    if cell.text(f"CSDECODE_{port}", "0b000") != "0b000" or selected != [ZERO] * 3:
        raise ValueError(f"{cell.name}: chip selects of block memories are not modelled")


def _writing(cell: Cell, port: str) -> _Writing | None:
    """How a port writes, None if it never does."""
    logic = cell.logic
    width = cell.number(f"DATA_WIDTH_{port}", 18)
    address = _address(cell, port)
    count = max(width // _BYTE, 1)
    enables = address[:count] if count > 1 else (ONE,)
    write = logic.both(_control(cell, f"WE{port}"), _control(cell, f"CE{port}"))
    clock, rising = _clock(cell, port)
    if write == ZERO or clock == ZERO or set(enables) == {ZERO}:
        return None
    if width == 36 and port == "B":
        raise ValueError(f"{cell.name}: a port B that writes 36 bits is not modelled")
    if width < 36 and cell.number("DATA_WIDTH_A", 18) == 36:
        raise ValueError(f"{cell.name}: a port B that writes beside 36 bits is not modelled")
    reset = _control(cell, f"RST{port}")
    write = logic.both(write, ONE if reset == ZERO else logic.invert(reset))
    pins = [cell.input(f"DI{port}{bit}") for bit in range(min(width, 18))]
    if width == 36:
        pins += [cell.input(f"DIB{bit}") for bit in range(18)]
    return _Writing(port, width, address, tuple(pins), write, enables, clock, rising)


def _address(cell: Cell, port: str) -> tuple[int, ...]:
    return tuple(_control(cell, f"AD{port}{bit}") for bit in range(_ADDRESS))


def _clock(cell: Cell, port: str) -> tuple[int, bool]:
    net = (cell.ports.get(f"CLK{port}") or (None,))[0]
    return net or ZERO, cell.text(f"CLK{port}MUX", f"CLK{port}") != "INV"


def _outputs(cell: Cell, port: str) -> list[int]:
    """Nets of the words that a port reads, empty if none is connected."""
    width = cell.number(f"DATA_WIDTH_{port}", 18)
    names = [f"DO{port}{bit}" for bit in range(min(width, 18))]
    if width == 36:
        names = [f"DO{half}{bit}" for half in "AB" for bit in range(18)]
    return [cell.output(name) for name in names] if any(map(cell.connected, names)) else []


def _read(cell: Cell, port: str, outputs: Sequence[int], writing: _Writing | None) -> None:
    """A port that reads: the memory and a register behind it."""
    logic = cell.logic
    width = cell.number(f"DATA_WIDTH_{port}", 18)
    address = _address(cell, port)
    clock, rising = _clock(cell, port)
    enable = _control(cell, f"CE{port}")
    if writing is None:
        data = [logic.net() for _ in range(width)]
        logic.lookup(address[_SKIPPED[width] :], data, block_contents(cell, width))
    else:
        data, enable = _read_written(cell, port, writing, enable)
    reset = _control(cell, f"RST{port}")
    for output, net in zip(outputs, data, strict=True):
        # a reset works whether the port is enabled or not
        taken, on = logic.reset(net, enable, reset, 0, gated=False)
        logic.flip_flops.append(FlipFlop(output, taken, clock, rising, on))


def _read_written(cell: Cell, port: str, writing: _Writing, enable: int) -> tuple[list[int], int]:
    """Nets of the word that a port reads, and when it takes it."""
    logic = cell.logic
    width = cell.number(f"DATA_WIDTH_{port}", 18)
    size = max(width, writing.width)
    select = _eighths if size >= _BYTE > min(width, writing.width) else _parts
    address = _address(cell, port)
    high, low = address[_SKIPPED[size] :], address[_SKIPPED[width] : _SKIPPED[size]]
    write_high = writing.address[_SKIPPED[size] :]
    write_low = writing.address[_SKIPPED[writing.width] : _SKIPPED[size]]
    data, mask = _spread(logic, writing, size, write_low, select)
    shown = [logic.net() for _ in range(size)]
    logic.memories.append(
        Memory(
            high, tuple(shown), write_high, tuple(data), tuple(mask), writing.clock,
            writing.rising, block_contents(cell, size),
        )
    )  # fmt: skip
    if port != writing.port:
        shown = _unknown(logic, shown, mask, _same(logic, high, write_high))
    else:
        mode = cell.text(f"WRITEMODE_{port}", "NORMAL")
        if mode == "NORMAL":
            enable = logic.both(enable, logic.invert(writing.enable))
        elif mode == "WRITETHROUGH":
            shown = [logic.choose(m, d, s) for m, d, s in zip(mask, data, shown, strict=True)]
        elif mode != "READBEFOREWRITE":
            raise ValueError(f"{cell.name}: the write mode {mode} is not modelled")
    return [_pick(logic, [shown[bit] for bit in bits], low)
            for bits in _columns(select, size, width)], enable  # fmt: skip


Places = Callable[[int, int], list[list[int]]]
"""From the widths of a wide and a narrow word: the bits of each narrow one in the wide one."""


def _parts(size: int, width: int) -> list[list[int]]:
    """The bits of each narrow word within a wide one."""
    return [list(range(start, start + width)) for start in range(0, size, width)]


def _eighths(size: int, width: int) -> list[list[int]]:
    """The same where the wide one has a ninth bit to each byte that the narrow ones skip."""
    return [
        list(range(byte + start, byte + start + width))
        for byte in range(0, size, _BYTE)
        for start in range(0, 8, width)
    ]


def _columns(select: Places, size: int, width: int) -> list[list[int]]:
    """For each bit of a narrow word the bits of the wide one that it may be."""
    words = [list(range(size))] if size == width else select(size, width)
    return [list(column) for column in zip(*words, strict=True)]


def _spread(
    logic: Logic, writing: _Writing, size: int, low: Sequence[int], select: Places
) -> tuple[list[int], list[int]]:
    """Data and mask of what is written, for each bit of a wide word."""
    width = writing.width
    words = [list(range(size))] if size == width else select(size, width)
    data, mask = [ZERO] * size, [ZERO] * size
    for number, bits in enumerate(words):
        chosen = _decoded(logic, low, number)
        enables = [logic.both(writing.enable, logic.both(chosen, e)) for e in writing.bytes]
        for place, bit in enumerate(bits):
            data[bit] = writing.data[place]
            mask[bit] = enables[place // _BYTE if width > _BYTE else 0]
    return data, mask


def _decoded(logic: Logic, address: Sequence[int], number: int) -> int:
    """1 where an address is `number`."""
    nets = [a if number >> k & 1 else logic.invert(a) for k, a in enumerate(address)]
    return reduce(logic.both, nets, ONE)


def _pick(logic: Logic, nets: Sequence[int], address: Sequence[int]) -> int:
    """The net whose number is the address."""
    if len(nets) == 1:
        return nets[0]
    pairs = zip(nets[::2], nets[1::2], strict=True)
    return _pick(logic, [logic.choose(address[0], one, zero) for zero, one in pairs], address[1:])


_EQUAL = 0b1001


def _same(logic: Logic, one: Sequence[int], other: Sequence[int]) -> int:
    """1 where two addresses are the same."""
    nets = [logic.table(pair, _EQUAL) for pair in zip(one, other, strict=True)]
    return reduce(logic.both, nets, ONE)


def _unknown(logic: Logic, word: Sequence[int], mask: Sequence[int], same: int) -> list[int]:
    """A word of which bits that are written at the moment are a net without a driver."""
    anything = logic.net()
    hit = {net: logic.both(net, same) for net in dict.fromkeys(mask)}
    return [
        net if hit[written] == ZERO else logic.choose(hit[written], anything, net)
        for net, written in zip(word, mask, strict=True)
    ]


def block_contents(cell: Cell, width: int) -> Bits:
    """Bits [words, width]: INITVAL_00 holds the first 16 words of 18 bits, 20 bits apart.

    Widths of 9 and less read the memory as bytes of 9 bits, 4 and less without the ninth.
    """
    rows = []
    for row in range(64):
        value = cell.number(f"INITVAL_{row:02X}")
        rows += [[value >> (20 * word + bit) & 1 for bit in range(18)] for word in range(16)]
    words = np.array(rows, np.uint8)
    if width > _BYTE:
        return words.reshape(-1, width)
    octets = words.reshape(-1, 9)
    return octets if width == _BYTE else octets[:, :8].reshape(-1, width)
