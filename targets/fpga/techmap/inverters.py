"""Inverters of an ECP5 netlist, taken into whatever reads them.

yosys' mapping to look-up tables ends at carry cells and registers, so an inverter between
these takes a look-up table of its own. A look-up table and an operand of a carry cell take an
inverter into their INIT; a register holds the other value, if all that read it can take it.
"""

from __future__ import annotations

from typing import Any

from actc.targets.fpga.techmap.ecp5_cells import (
    PINS,
    Bit,
    Module,
    Pin,
    Readers,
    inputs,
    number,
    set_number,
)


def take_inverters(module: Module) -> None:
    """Remove the inverters that all their readers can take, and what is only a wire then."""
    readers = Readers(module)
    cells = module["cells"]
    for name in [name for name, cell in cells.items() if cell["type"] == "LUT4"]:
        source, inverts = _source(cells[name])
        pins = readers.of(cells[name]["connections"]["Z"][0])
        if source is None or pins is None:
            continue
        if not all(_reads_any_net(cells[pin.cell]["type"], pin.port) for pin in pins):
            continue
        changed = _all_that_change(pins, cells, readers) if inverts else {}
        if changed is None or any(pin.cell == name for pin in changed):
            continue  # the last: a register that toggles
        for pin in changed:
            _invert(cells[pin.cell], pin.port)
        for pin in pins:
            readers.forget(pin.cell, cells[pin.cell])
            cells[pin.cell]["connections"][pin.port] = [source]
            readers.learn(pin.cell, cells[pin.cell])
        readers.forget(name, cells.pop(name))


def _source(cell: dict[str, Any]) -> tuple[Bit | None, bool]:
    """The only net that a look-up table depends on, if there is one, and whether it inverts it."""
    bits = inputs(cell)
    used = [place for place, bit in enumerate(bits) if bit not in ("0", "1")]
    if len(used) != 1 or bits[used[0]] == "x":
        return None, False
    table = number(cell, "INIT")
    low = sum((bit == "1") << place for place, bit in enumerate(bits))
    values = table >> low & 1, table >> (low | 1 << used[0]) & 1
    return (bits[used[0]] if values[0] != values[1] else None), values == (1, 0)


def _all_that_change(
    pins: list[Pin], cells: dict[str, Any], readers: Readers
) -> dict[Pin, None] | None:
    """The pins that have to be inverted so that these pins read the inverse; None: some cannot."""
    found: dict[Pin, None] = {}
    pending = list(pins)
    while pending:
        pin = pending.pop()
        if pin in found:
            return None  # a register that feeds itself
        found[pin] = None
        cell = cells[pin.cell]
        if not _reads_any_net(cell["type"], pin.port):
            return None
        if cell["type"] == "TRELLIS_FF":
            behind = readers.of(cell["connections"]["Q"][0])
            if behind is None:
                return None
            pending += behind
    return found


def _reads_any_net(kind: str, port: str) -> bool:
    """Whether a pin may read any net, or the inverse of it.

    C and D of a carry cell choose between its tables; multiplexers read look-up tables only.
    """
    if kind == "TRELLIS_FF":
        return port == "DI"
    return kind == "LUT4" or (kind == "CCU2C" and port[0] in "AB")


def _invert(cell: dict[str, Any], port: str) -> None:
    if cell["type"] == "TRELLIS_FF":
        held = cell["parameters"]["REGSET"].strip()
        cell["parameters"]["REGSET"] = "RESET" if held == "SET" else "SET"
        return
    parameter = "INIT" if cell["type"] == "LUT4" else f"INIT{port[1]}"
    table, step = number(cell, parameter), 1 << PINS.index(port[0])
    turned = sum((table >> (place ^ step) & 1) << place for place in range(16))
    set_number(cell, parameter, turned)
