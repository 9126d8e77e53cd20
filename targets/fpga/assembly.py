"""From a golden model to every file that synthesis takes: a pure value.

    golden -> network -> pipelined design -> Verilog -> interface, clock, pins

Equal models, boards and options give equal files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

import onnx_ir as ir

from actc.device.document import interface_of, interface_text
from actc.device.interface import Interface, Simulation
from actc.errors import UsageError
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards import Board, make_pll, write_constraints
from actc.targets.fpga.boards.constraints import SUFFIXES
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.hdl.hierarchy import Hierarchy, hierarchy, write_design
from actc.targets.fpga.hdl.names import identifier
from actc.targets.fpga.interfaces import (
    ClockModule,
    CoreInfo,
    CorePort,
    interface_files,
    interface_top,
    uart_divisor,
)
from actc.targets.fpga.network import Network, NetworkOptions, build_network
from actc.targets.fpga.options import FpgaOptions
from actc.targets.fpga.pipeline import Timing, find_timing, pipeline, report

RTL = "rtl"
"""Folder of the Verilog files."""

CLOCKS = {"ice40-hx": 80.0, "ice40-up": 24.0, "ecp5": 100.0, "gowin": 54.0}
"""MHz that a network is built for where none are asked for, by the beginning of the timing."""

HOPELESS = 2
"""Estimated bits of adders for each look-up table of a device, above which a network is refused
before any work; estimates may be twice what is found."""

DEFAULT_CLOCK = 200.0
"""MHz for bare Verilog."""

BAUDS = (1_000_000, 921_600, 500_000, 460_800, 230_400, 115_200, 57_600, 9_600)
"""Rates of a UART; the first that the clock makes well is taken."""

_PINS = {
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


@dataclass(frozen=True, eq=False)
class Assembly:
    """Everything that is written, and what it was made from.

    Attributes:
        timing: what the pipeline was planned with.
        network: combinational, with what the host does around it.
        design: the same with registers.
        board: None for bare Verilog.
        kind: of the interface.
        clock_mhz: of the core, MHz; None where it is not known.
        core: module of the network, in the files and as an instance of the top module.
        top: the top module.
        files: name -> Verilog; the core's own first.
        core_files: names of those of the core.
        constraints: name and text; none for bare Verilog.
        interface: what the host has to know.
    """

    timing: Timing
    network: Network
    design: Design
    board: Board | None
    kind: str
    clock_mhz: float | None
    core: str
    top: str
    files: Mapping[str, str]
    core_files: tuple[str, ...]
    constraints: tuple[str, str] | None
    interface: Interface

    @property
    def hierarchy(self) -> Hierarchy:
        """How the network is written."""
        return hierarchy(self.design)

    @property
    def input_ports(self) -> tuple[str, ...]:
        """Ports of the core, besides the clock."""
        ports = self.hierarchy.ports
        return tuple(ports[bus.name] for bus in self.design.inputs)

    @property
    def output_ports(self) -> tuple[str, ...]:
        """Ports of the core."""
        ports = self.hierarchy.ports
        return tuple(ports[bus.name] for bus in self.design.outputs)

    @property
    def pins(self) -> dict[str, str]:
        """Port of the top module -> role of a pin of the board."""
        return _PINS.get(self.kind, {"clk": "clk"})

    def documents(self) -> dict[str, bytes]:
        """Relative path -> content of all that is written before any tool runs."""
        found = {f"{RTL}/{name}": text.encode("ascii") for name, text in self.files.items()}
        if self.constraints is not None:
            name, text = self.constraints
            found[name] = text.encode("ascii")
        found["interface.json"] = interface_text(self.interface).encode()
        return found


def assemble(golden: ir.Model, name: str, board: Board | None, options: FpgaOptions) -> Assembly:
    """Build the hardware of a golden model.

    Args:
        name: of the network; the top module is called after it.
        board: None for bare Verilog.

    Raises:
        ModelError: ACT0550..0552, the model cannot be unrolled.
        UsageError: the clock, the latency or the interface cannot be had.
    """
    network = build_network(golden, _core_name(name), network_options(board))
    timing = find_timing("xc7" if board is None else timing_name(board))
    if options.latency is None:
        clock, clock_mhz = _clock(board, options, options.clock or _usual(timing))
        design = pipeline(network.design, timing, clock_mhz=clock_mhz)
    else:
        design = pipeline(network.design, timing, latency=options.latency)
        estimate = report(design, timing).clock_mhz
        clock, clock_mhz = _clock(board, options, float(floor(estimate)))
    return _surrounded(timing, network, design, board, options, clock, clock_mhz)


def timing_name(board: Board) -> str:
    """The name of a board's timing."""
    family = board.device.family
    if family == "ice40":
        return "ice40-up" if "up5k" in board.device.name else "ice40-hx"
    return f"ecp5-{board.speed}" if family == "ecp5" else family


def _core_name(name: str) -> str:
    """A name whose modules, which begin with it, cannot be those of the surroundings."""
    core = identifier(name)
    return f"network_{core}" if core.startswith(("actc", "pll")) else core


def network_options(board: Board | None) -> NetworkOptions:
    """How networks are unrolled for a board."""
    family = "xc7" if board is None else board.device.family
    limit = NetworkOptions().limit if board is None else HOPELESS * board.device.luts
    return NetworkOptions(
        end="scores",
        limit=limit,
        adders=AdderOptions(family=family),
        functions=FunctionOptions(family=family),
    )


def _usual(timing: Timing) -> float:
    """MHz where none are asked for."""
    return next((v for key, v in CLOCKS.items() if timing.name.startswith(key)), DEFAULT_CLOCK)


def _clock(
    board: Board | None, options: FpgaOptions, wanted: float
) -> tuple[ClockModule | None, float]:
    """What makes the clock, and its frequency in MHz; the pin where no PLL is needed."""
    if board is None or wanted == board.clock_mhz or _kind(board, options) == "stream":
        return None, wanted
    pll = make_pll(board, wanted)
    text = _CLOCK.format(module=_CLOCK_MODULE)
    return ClockModule(
        _CLOCK_MODULE, {f"{_CLOCK_MODULE}.v": text, "pll.v": pll.verilog}
    ), pll.frequency_mhz


def _kind(board: Board | None, options: FpgaOptions) -> str:
    return options.interface or ("stream" if board is None else "uart")


def _surrounded(
    timing: Timing,
    network: Network,
    design: Design,
    board: Board | None,
    options: FpgaOptions,
    clock: ClockModule | None,
    clock_mhz: float,
) -> Assembly:
    """The core in its interface."""
    written = hierarchy(design)
    core_files = write_design(design)
    kind = _kind(board, options)
    core = CoreInfo(
        written.top,
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.inputs),
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.outputs),
        design.latency or 0,
        written.clocked,
    )
    baud = _baud(clock_mhz) if kind == "uart" else None
    build = _build(core_files, kind, board, clock_mhz)
    around = interface_files(
        kind,  # type: ignore[arg-type]  # checked with the options
        core,
        clock_hz=clock_mhz * 1e6,
        baud=baud,
        build_id=build,
        clock=clock,
    )
    top = interface_top(kind, core)  # type: ignore[arg-type]
    files = {**core_files, **around}
    simulated = tuple(f"{RTL}/{name}" for name in files if clock is None or name not in clock.files)
    interface = interface_of(
        network.interface(),
        name=written.top,
        kind=kind,
        build=build,
        latency=core.latency,
        output_buses=[bus.name for bus in design.outputs],
        clock_hz=clock_mhz * 1e6,
        baud=baud,
        simulation=Simulation(top, simulated, "" if clock is None else clock.module),
    )
    constraints = None
    if board is not None:
        text = write_constraints(board, _PINS.get(kind, {"clk": "clk"}))
        constraints = (f"{top}{SUFFIXES[board.device.family]}", text)
    return Assembly(
        timing, network, design, board, kind, clock_mhz, written.top, top, files,
        tuple(core_files), constraints, interface,
    )  # fmt: skip


def _baud(clock_mhz: float) -> int:
    """The fastest usual rate that the clock makes well."""
    for rate in BAUDS[:-1]:
        try:
            uart_divisor(clock_mhz * 1e6, rate)
        except UsageError:
            continue
        return rate
    return BAUDS[-1]


def _build(files: Mapping[str, str], kind: str, board: Board | None, clock_mhz: float) -> str:
    """What a board answers when it is asked which design it holds: 16 hexadecimal digits."""
    state = hashlib.sha256(f"{kind} {'' if board is None else board.name} {clock_mhz!r}".encode())
    for name in sorted(files):
        state.update(f"\0{name}\0{files[name]}".encode())
    return state.hexdigest()[:16]
