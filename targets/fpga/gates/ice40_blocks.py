"""Multipliers and single-port memories of Lattice iCE40 UltraPlus, as in yosys' library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.targets.fpga.gates.cell import Cell
from actc.targets.fpga.gates.logic import (
    MAJORITY,
    ONE,
    XOR,
    ZERO,
    FlipFlop,
    Function,
    Logic,
    Memory,
    Product,
)

_XOR3 = 0b10010110
_WORD = 16


def multiplier(cell: Cell) -> None:
    """SB_MAC16: a multiplier of 16 bits or two of 8, registers, adders that accumulate.

    Names of wires are those of the figure in Lattice' documents.
    """
    _Multiplier(cell).build()


class _Multiplier:
    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.logic = cell.logic
        self.clock = cell.input("CLK")
        self.rising = not cell.number("NEG_TRIGGER")
        self.enable = cell.input("CE", ONE)
        self.c = self.factor("C", "IRSTTOP")
        self.a = self.factor("A", "IRSTTOP")
        self.b = self.factor("B", "IRSTBOT")
        self.d = self.factor("D", "IRSTBOT")

    def build(self) -> None:
        """Add everything that outputs need."""
        cell = self.cell
        f, g, h = self.products()
        low, carry, z = self.half("BOT", self.d, (self.b, g, h[:_WORD]), g, h[:_WORD], {
            0: ZERO, 1: ONE, 2: cell.input("ACCUMCI"), 3: cell.input("CI")
        }, [cell.input("SIGNEXTIN")] * _WORD)  # fmt: skip
        crossed = self.logic.table([carry, cell.input("ADDSUBBOT")], XOR)
        high, out, x = self.half("TOP", self.c, (self.a, f, h[_WORD:]), f, h[_WORD:], {
            0: ZERO, 1: ONE, 2: carry, 3: crossed
        }, [z[-1]] * _WORD)  # fmt: skip
        for net, source in zip(cell.outputs("O", 2 * _WORD), [*low, *high], strict=True):
            self.logic.connect(net, source)
        if cell.connected("ACCUMCO"):
            self.logic.connect(cell.output("ACCUMCO"), out)
        if cell.connected("CO"):
            self.logic.table([out, cell.input("ADDSUBTOP")], XOR, cell.output("CO"))
        if cell.connected("SIGNEXTOUT"):
            self.logic.connect(cell.output("SIGNEXTOUT"), x[-1])

    def factor(self, name: str, reset: str) -> list[int]:
        """What is at an input, or in its register."""
        nets = list(self.cell.bus(name, _WORD))
        if not self.cell.number(f"{name}_REG"):
            return nets
        return self.register(nets, reset, self.cell.input(f"{name}HOLD"))

    def register(self, nets: Sequence[int], reset: str, hold: int = ZERO) -> list[int]:
        """A register with the enable of the cell."""
        enable = self.logic.both(self.enable, self.logic.invert(hold))
        clear = self.cell.input(reset)
        found = [self.logic.net() for _ in nets]
        for net, data in zip(found, nets, strict=True):
            self.logic.flip_flops.append(
                FlipFlop(net, data, self.clock, self.rising, enable, clear)
            )
        return found

    def products(self) -> tuple[list[int], list[int], list[int]]:
        """The wires F, G and H: the products of the high and low bytes, and the whole one."""
        cell = self.cell
        small = bool(cell.number("MODE_8x8"))
        signed_a = ONE if cell.number("A_SIGNED") else ZERO
        signed_b = ONE if cell.number("B_SIGNED") else ZERO
        registers = {
            "F": cell.number("TOP_8x8_MULT_REG"),
            "G": cell.number("BOT_8x8_MULT_REG"),
            "JK": cell.number("PIPELINE_16x16_MULT_REG1"),
        }
        together = all(registers.values()) and cell.input("IRSTTOP") == cell.input("IRSTBOT")
        if not small and not self.shows_bytes() and (together or not any(registers.values())):
            whole = self.product(self.a, self.b, signed_a, signed_b)
            none = [ZERO] * _WORD
            return none, none, self.held(self.register(whole, "IRSTTOP") if together else whole)
        a, b = (self.a[:8], self.a[8:]), (self.b[:8], self.b[8:])
        low_signs = (signed_a, signed_b) if small else (ZERO, ZERO)
        f = self.product(a[1], b[1], signed_a, signed_b)
        g = self.product(a[0], b[0], *low_signs)
        j = self.product(a[0], b[1], ZERO, signed_b)
        k = self.product(a[1], b[0], signed_a, ZERO)
        # between 8-bit products J and K are not clocked
        still = ZERO if small else ONE
        f = self.register(f, "IRSTTOP") if registers["F"] else f
        g = self.register(g, "IRSTBOT") if registers["G"] else g
        if registers["JK"]:
            enabled, self.enable = self.enable, self.logic.both(self.enable, still)
            j, k = self.register(j, "IRSTTOP"), self.register(k, "IRSTBOT")
            self.enable = enabled
        eight = [ZERO] * 8
        total = [*g, *f]
        for middle, signed in ((k, signed_a), (j, signed_b)):
            sign = self.logic.both(middle[-1], signed)
            total, _ = self.add(total, [*eight, *middle, *[sign] * 8], ZERO)
        return f, g, self.held(total)

    def shows_bytes(self) -> bool:
        """Whether F or G reach an output or an adder."""
        number = self.cell.number
        return any(
            number(f"{half}OUTPUT_SELECT") == 2 or number(f"{half}ADDSUB_LOWERINPUT") == 1
            for half in ("TOP", "BOT")
        )

    def held(self, whole: list[int]) -> list[int]:
        """The whole product, or its register."""
        if not self.cell.number("PIPELINE_16x16_MULT_REG2"):
            return whole
        small = self.cell.number("MODE_8x8")
        return self.register(whole, "IRSTBOT", ONE if small else ZERO)

    def product(self, a: Sequence[int], b: Sequence[int], sign_a: int, sign_b: int) -> list[int]:
        found = [self.logic.net() for _ in range(len(a) + len(b))]
        apply = Product(len(a), len(b))
        self.logic.functions.append(Function((*a, *b, sign_a, sign_b), tuple(found), apply))
        return found

    def half(
        self,
        name: str,
        loaded: list[int],
        lower: tuple[list[int], list[int], list[int]],
        byte: list[int],
        whole: list[int],
        carries: dict[int, int],
        extended: list[int],
    ) -> tuple[list[int], int, list[int]]:
        """One half of the outputs, its carry, and the lower input of its adder."""
        cell, logic = self.cell, self.logic
        given = [*lower, extended][cell.number(f"{name}ADDSUB_LOWERINPUT")]
        select = cell.number(f"{name}OUTPUT_SELECT")
        if not self.adds(name):
            return (byte if select == 2 else whole), ZERO, given
        subtract = cell.input(f"ADDSUB{name}")
        kept = [logic.net() for _ in range(_WORD)]
        upper = loaded if cell.number(f"{name}ADDSUB_UPPERINPUT") else kept
        changed = [logic.table([net, subtract], XOR) for net in upper]
        total, carry = self.add(given, changed, carries[cell.number(f"{name}ADDSUB_CARRYSELECT")])
        total = [logic.table([net, subtract], XOR) for net in total]
        load = cell.input(f"OLOAD{name}")
        taken = [logic.choose(load, one, zero) for one, zero in zip(loaded, total, strict=True)]
        held = self.register(taken, f"ORST{name}", cell.input(f"OHOLD{name}"))
        for net, source in zip(kept, held, strict=True):
            logic.connect(net, source)
        return (taken, held, byte, whole)[select], carry, given

    def adds(self, name: str) -> bool:
        """Whether the adder of a half does anything."""
        cell = self.cell
        if cell.number(f"{name}OUTPUT_SELECT") < 2:
            return True
        if name == "BOT":
            return cell.number("TOPADDSUB_CARRYSELECT") >= 2 and self.adds("TOP")
        return cell.connected("CO") or cell.connected("ACCUMCO")

    def add(self, a: Sequence[int], b: Sequence[int], carry: int) -> tuple[list[int], int]:
        """Sum and carry of a ripple adder."""
        found = []
        for pair in zip(a, b, strict=True):
            found.append(_three(self.logic, (*pair, carry), _XOR3))
            carry = _three(self.logic, (*pair, carry), MAJORITY)
        return found, carry


def _three(logic: Logic, nets: tuple[int, ...], truth: int) -> int:
    return ZERO if set(nets) == {ZERO} else logic.table(nets, truth)


_WORDS = 1 << 14


def single_port_memory(cell: Cell) -> None:
    """SB_SPRAM256KA: 16,384 words of 16 bits, written by nibbles.

    Its contents begin as zeros here, unknown in the device. What it shows after a write or in
    standby may be anything until it reads again.
    """
    logic = cell.logic
    off = logic.either(cell.input("SLEEP"), logic.invert(cell.input("POWEROFF")))
    if off == ONE:
        raise ValueError(f"{cell.name}: memories that are switched off are not modelled")
    address = cell.bus("ADDRESS", 14)
    select, write = cell.input("CHIPSELECT"), cell.input("WREN")
    standby = cell.input("STANDBY")
    awake = logic.invert(logic.either(off, standby))
    written = logic.both(logic.both(select, write), awake)
    nibbles = [logic.both(written, net) for net in cell.bus("MASKWREN", 4)]
    clock = cell.input("CLOCK")
    shown = [logic.net() for _ in range(_WORD)]
    logic.memories.append(
        Memory(
            address, tuple(shown), address, cell.bus("DATAIN", _WORD),
            tuple(nibbles[bit // 4] for bit in range(_WORD)), clock, True,
            np.zeros((_WORDS, _WORD), np.uint8),
        )
    )  # fmt: skip
    anything = logic.net()
    unknown, taken = logic.either(write, standby), logic.either(select, standby)
    for output, net in zip(cell.outputs("DATAOUT", _WORD), shown, strict=True):
        data = logic.choose(unknown, anything, net)
        logic.flip_flops.append(FlipFlop(output, data, clock, True, taken, off))
