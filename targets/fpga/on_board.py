"""A network on a board: its clock, the rate of its UART, its pins."""

from __future__ import annotations

from math import floor

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.assembly import Assembly, assemble, core_name
from actc.targets.fpga.boards import Board, make_pll, write_constraints
from actc.targets.fpga.boards.constraints import SUFFIXES
from actc.targets.fpga.estimate.limit import check_estimate
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.interfaces import ClockModule, Kind, uart_divisor
from actc.targets.fpga.network import NetworkOptions, build_network
from actc.targets.fpga.options import FpgaOptions
from actc.targets.fpga.pipeline import Timing, find_timing, report
from actc.targets.fpga.tables import check_tables, pipelined

CLOCKS = {"ice40-hx": 80.0, "ice40-up": 24.0, "ecp5": 100.0, "gowin": 54.0}
"""MHz that a network is built for where none are asked for, by the beginning of the timing."""

HOPELESS = 2
"""Estimated bits of adders for each look-up table of a device, above which a network is refused
before any work; estimates may be twice what is found."""

BAUDS = (1_000_000, 921_600, 500_000, 460_800, 230_400, 115_200, 57_600, 9_600)
"""Rates of a UART; the first that the clock makes well is taken."""

GIVEN_PINS = ("gowin",)
"""Families whose placer chooses no pins."""

DEFAULT_KIND: Kind = "uart"
_PINS: dict[Kind, dict[str, str]] = {
    "stream": {"clk": "clk"},
    "uart": {"clk": "clk", "uart_rx": "uart_rx", "uart_tx": "uart_tx"},
    "spi": {
        "clk": "clk",
        "spi_sck": "spi_sck",
        "spi_mosi": "spi_mosi",
        "spi_miso": "spi_miso",
        "spi_cs": "spi_cs",
    },
}
_CLOCK_MODULE = "actc_clock"
_CLOCK = """\
// The clock of the design, from that of the board.
module {module} (input reference, output clk, output locked);
  pll source (.clkin(reference), .clkout(clk), .locked(locked));
endmodule
"""


def assemble_for_board(golden: ir.Model, name: str, board: Board, options: FpgaOptions) -> Assembly:
    """Build the hardware of a golden model for a board.

    Args:
        name: of the network; the top module is called after it.

    Raises:
        ModelError: ACT0550..0552, the model cannot be unrolled; ACT0555, it is too large.
        UsageError: the clock, the latency or the interface cannot be had; ACT0588, a bare
            stream needs pins that the board has not; ACT0556, tables cannot be in memories.
    """
    kind = options.interface or DEFAULT_KIND
    check_pins(board, kind)
    check_tables(options.tables, board.device)
    unrolling = network_options(board, options.effort)
    network = build_network(golden, core_name(name), unrolling)
    timing = find_timing(timing_name(board))
    tables = options.tables, board.device, timing, unrolling.functions
    if options.latency is None:
        clock, clock_mhz = clock_of(board, kind, options.clock or _usual(timing))
        network, design = pipelined(network, *tables, {"clock_mhz": clock_mhz})
    else:
        network, design = pipelined(network, *tables, {"latency": options.latency})
        estimate = report(design, timing).clock_mhz
        clock, clock_mhz = clock_of(board, kind, float(floor(estimate)))
    check_estimate(design, board, golden, unrolling)
    return assemble(
        network,
        design,
        timing,
        kind=kind,
        clock_mhz=clock_mhz,
        place=board.name,
        clock=clock,
        baud=baud_of(clock_mhz) if kind == "uart" else None,
    )


def network_options(board: Board, effort: int) -> NetworkOptions:
    """How networks are unrolled for a board."""
    family = board.device.family
    return NetworkOptions(
        end="scores",
        limit=HOPELESS * board.device.luts,
        adders=AdderOptions(effort, family=family),
        functions=FunctionOptions(family=family),
    )


def timing_name(board: Board) -> str:
    """The name of a board's timing."""
    family = board.device.family
    if family == "ice40":
        return "ice40-up" if "up5k" in board.device.name else "ice40-hx"
    return f"ecp5-{board.speed}" if family == "ecp5" else board.device.name


def pins(kind: Kind) -> dict[str, str]:
    """Port of the top module -> role of a pin of the board."""
    return _PINS[kind]


def constraints(top: str, kind: Kind, board: Board) -> tuple[str, str]:
    """Name and text of the constraint file of a top module."""
    text = write_constraints(board, pins(kind))
    return f"{top}{SUFFIXES[board.device.family]}", text


def stream_notes(board: Board, assembly: Assembly) -> tuple[str, ...]:
    """What users of a real board must know of its bare stream, whose pins it does not name."""
    if board.generic or assembly.kind != "stream":
        return ()
    return (
        "The placer chose the pins of the bare stream. They may lead to other parts of the board, "
        f"and {assembly.clock_mhz:g} MHz must come in at the pin clk: do not load this bitstream "
        "as it is.",
    )


def check_pins(board: Board, kind: Kind) -> None:
    """Refuse a bare stream where every pin must be given.

    Raises:
        UsageError: ACT0588.
    """
    if kind == "stream" and board.device.family in GIVEN_PINS:
        raise UsageError(
            Diagnostic(
                "ACT0588",
                f"{board.name} has no pins for a bare stream",
                notes=(
                    "it has a port for every bit of the inputs and outputs, and nextpnr chooses "
                    f"no pins on {board.device.title}",
                ),
                help="take --interface uart or spi, or write Verilog for a design of your own: "
                f"--target verilog --device {board.device.family}",
            )
        )


def _usual(timing: Timing) -> float:
    """MHz where none are asked for."""
    return next(clock for key, clock in CLOCKS.items() if timing.name.startswith(key))


def clock_of(board: Board, kind: Kind, wanted: float) -> tuple[ClockModule | None, float]:
    """What makes the clock, and its frequency in MHz; the pin where no PLL is needed."""
    if wanted == board.clock_mhz or kind == "stream":
        return None, wanted
    pll = make_pll(board, wanted)
    text = _CLOCK.format(module=_CLOCK_MODULE)
    return ClockModule(
        _CLOCK_MODULE, {f"{_CLOCK_MODULE}.v": text, "pll.v": pll.verilog}
    ), pll.frequency_mhz


def baud_of(clock_mhz: float) -> int:
    """The fastest usual rate that the clock makes well."""
    for rate in BAUDS[:-1]:
        try:
            uart_divisor(clock_mhz * 1e6, rate)
        except UsageError:
            continue
        return rate
    return BAUDS[-1]
