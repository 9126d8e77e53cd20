"""Clocks made from a board's oscillator by the PLL of each family.

Each PLL divides its input by R, multiplies by F and divides an oscillator of limited
range by Q: f = input * F / R, VCO = f * Q (on iCE40 the divider Q is outside of the
feedback). All settings are tried; the fastest clock that does not exceed the target is
taken, among equal ones that of the fastest comparison (least R, which has least jitter),
then that of the fastest VCO. Limits are those of the vendors' data sheets: FPGA-DS-02029
(iCE40 LP/HX), FPGA-DS-02008 (iCE40 UltraPlus), FPGA-DS-02012 (ECP5), DS117 (GW1NR), DS226
(GW2AR).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.boards.device import Board

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Limits:
    """Frequencies that a PLL allows, MHz, and the dividers it has.

    Attributes:
        input, compare, vco, output: least and greatest of each.
        inputs, feedbacks, outputs: dividers R, multipliers F, dividers Q.
        outside: the divider Q is outside of the feedback.
    """

    input: tuple[float, float]
    compare: tuple[float, float]
    vco: tuple[float, float]
    output: tuple[float, float]
    inputs: tuple[int, ...]
    feedbacks: tuple[int, ...]
    outputs: tuple[int, ...]
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Pll:
    """A clock of a PLL.

    Attributes:
        frequency_mhz: that it gives, MHz.
        verilog: a module with ports clkin, clkout and locked.
        divide, multiply, output: R, F and Q.
    """

    frequency_mhz: float
    verilog: str
    divide: int
    multiply: int
    output: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as Verilog: its type, parameters and ports, in their order."""

    kind: str
    parameters: Mapping[str, str]
    ports: Mapping[str, str]


_ICE40 = Limits(
    input=(10, 133),
    compare=(10, 133),
    vco=(533, 1066),
    output=(16, 275),
    inputs=tuple(range(1, 17)),
    feedbacks=tuple(range(1, 129)),
    outputs=(2, 4, 8, 16, 32, 64),
    outside=True,
)
_ECP5 = Limits(
    input=(8, 400),
    compare=(3.125, 400),
    vco=(400, 800),
    output=(3.125, 400),
    inputs=tuple(range(1, 129)),
    feedbacks=tuple(range(1, 81)),
    outputs=tuple(range(1, 129)),
)
_GOWIN_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
_GW1NR9 = Limits(
    input=(3, 400),
    compare=(3, 400),
    vco=(400, 1200),
    output=(3.125, 600),
    inputs=tuple(range(1, 65)),
    feedbacks=tuple(range(1, 65)),
    outputs=_GOWIN_DIVIDERS,
)
_GW2AR18 = Limits(
    input=(3, 500),
    compare=(3, 500),
    vco=(500, 1250),
    output=(3.90625, 625),
    inputs=tuple(range(1, 65)),
    feedbacks=tuple(range(1, 65)),
    outputs=_GOWIN_DIVIDERS,
)
_LIMITS = {
    "ice40-hx8k": _ICE40,
    "ice40-up5k": _ICE40,
    "ecp5-25k": _ECP5,
    "ecp5-45k": _ECP5,
    "ecp5-85k": _ECP5,
    "gowin-gw1n9": _GW1NR9,
    "gowin-gw2a18": _GW2AR18,
}


def make_pll(board: Board, target_mhz: float, name: str = "pll") -> Pll:
    """The fastest clock up to a target that the PLL makes from a board's oscillator.

    Args:
        board: its device and clock.
        target_mhz: MHz.
        name: of the module.

    Raises:
        UsageError: ACT0587, the PLL reaches no such clock or the device has none that is
            supported.
        ValueError: `name` is no plain Verilog identifier.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain Verilog identifier")
    limits = _LIMITS.get(board.device.name)
    if limits is None:
        raise UsageError(_unreachable(board, target_mhz, "its PLL is not supported", ""))
    source, target = Fraction(str(board.clock_mhz)), Fraction(str(target_mhz))
    best = max(_settings(limits, source, target), default=None)
    if best is None:
        low, high = limits.output
        raise UsageError(
            _unreachable(
                board,
                target_mhz,
                f"the PLL gives {low:g} to {high:g} MHz from {limits.input[0]:g} to "
                f"{limits.input[1]:g} MHz",
                "choose a clock in that range",
            )
        )
    frequency, divide, _, multiply, output = best[0], -best[1], best[2], best[3], best[4]
    cell = _CELLS[board.device.family](board, divide, multiply, output)
    return Pll(float(frequency), _module(name, cell), divide, multiply, output)


def _settings(
    limits: Limits, source: Fraction, target: Fraction
) -> Iterator[tuple[Fraction, int, Fraction, int, int]]:
    """Allowed settings as (frequency, -R, VCO, F, Q): the greatest one is the best."""
    if not limits.input[0] <= source <= limits.input[1]:
        return
    for divide in limits.inputs:
        compare = source / divide
        if not limits.compare[0] <= compare <= limits.compare[1]:
            continue
        for multiply in limits.feedbacks:
            for output in limits.outputs:
                vco = compare * multiply * (1 if limits.outside else output)
                frequency = vco / output
                if frequency > target or not limits.output[0] <= frequency <= limits.output[1]:
                    continue
                if limits.vco[0] <= vco <= limits.vco[1]:
                    yield frequency, -divide, vco, multiply, output


def _module(name: str, cell: _Cell) -> str:
    """A module of one cell, with the ports clkin, clkout and locked."""
    lines = [
        f"module {name} (",
        "    input clkin,\n    output clkout,\n    output locked",
        ");",
        f"  {cell.kind} #(",
        ",\n".join(f"    .{key}({value})" for key, value in cell.parameters.items()),
        "  ) pll (",
        ",\n".join(f"    .{port}({net})" for port, net in cell.ports.items()),
        "  );",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _ice40(board: Board, divide: int, multiply: int, output: int) -> _Cell:
    # the loop filter's range by the compared frequency, MHz
    bounds = (17, 26, 44, 66, 101)
    filter_range = 1 + sum(board.clock_mhz / divide >= bound for bound in bounds)
    kind, clock = (
        ("SB_PLL40_PAD", "PACKAGEPIN") if board.pll_pad else ("SB_PLL40_CORE", "REFERENCECLK")
    )
    parameters = {
        "FEEDBACK_PATH": '"SIMPLE"',
        "DIVR": f"4'd{divide - 1}",
        "DIVF": f"7'd{multiply - 1}",
        "DIVQ": f"3'd{output.bit_length() - 1}",
        "FILTER_RANGE": f"3'd{filter_range}",
    }
    ports = {clock: "clkin", "PLLOUTGLOBAL": "clkout", "LOCK": "locked"}
    return _Cell(kind, parameters, {**ports, "RESETB": "1'b1", "BYPASS": "1'b0"})


def _ecp5(board: Board, divide: int, multiply: int, output: int) -> _Cell:
    disabled = ("PLLRST_ENA", "INTFB_WAKE", "STDBY_ENABLE", "DPHASE_SOURCE")
    parameters = {
        **dict.fromkeys(disabled, '"DISABLED"'),
        **{f"OUTDIVIDER_MUX{letter}": f'"DIV{letter}"' for letter in "ABCD"},
        "CLKI_DIV": str(divide),
        "CLKOP_ENABLE": '"ENABLED"',
        "CLKOP_DIV": str(output),
        "CLKOP_CPHASE": str(output - 1),
        "CLKOP_FPHASE": "0",
        "FEEDBK_PATH": '"CLKOP"',
        "CLKFB_DIV": str(multiply),
    }
    ports = {"CLKI": "clkin", "CLKOP": "clkout", "CLKFB": "clkout", "CLKINTFB": "",
             "LOCK": "locked"}  # fmt: skip
    unused = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PHASEDIR", "PHASESTEP", "PHASELOADREG",
              "PLLWAKESYNC", "ENCLKOP")  # fmt: skip
    return _Cell("EHXPLLL", parameters, {**ports, **dict.fromkeys(unused, "1'b0")})


def _gowin(board: Board, divide: int, multiply: int, output: int) -> _Cell:
    parameters = {
        "DEVICE": f'"{board.device.pll_device}"',
        "FCLKIN": f'"{board.clock_mhz:g}"',
        "IDIV_SEL": str(divide - 1),
        "FBDIV_SEL": str(multiply - 1),
        "ODIV_SEL": str(output),
    }
    ports = {"CLKIN": "clkin", "CLKOUT": "clkout", "LOCK": "locked"}
    ports |= dict.fromkeys(("CLKOUTP", "CLKOUTD", "CLKOUTD3"), "")
    for width, names in {
        1: ("CLKFB", "RESET", "RESET_P"),
        6: ("FBDSEL", "IDSEL", "ODSEL"),
        4: ("PSDA", "DUTYDA", "FDLY"),
    }.items():
        ports |= dict.fromkeys(names, f"{width}'b0")
    return _Cell("rPLL", parameters, ports)


_CELLS = {"ice40": _ice40, "ecp5": _ecp5, "gowin": _gowin}


def _unreachable(board: Board, target_mhz: float, why: str, what: str) -> Diagnostic:
    return Diagnostic(
        "ACT0587",
        f"{board.name} makes no clock of {target_mhz:g} MHz from its {board.clock_mhz:g} MHz",
        notes=(why,),
        help=what or f"run at the board's own clock of {board.clock_mhz:g} MHz",
    )
