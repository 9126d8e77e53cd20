"""A network in its interface, as Verilog: what every FPGA target is made from.

    golden -> network -> pipelined design -> Verilog -> interface

:mod:`~actc.targets.fpga.on_board` adds the clock and the pins of a board,
:mod:`~actc.targets.fpga.verilog` a testbench. Equal models and options give equal files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from actc.device.document import interface_of, interface_text
from actc.device.interface import Interface, Simulation
from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.fpga.flow.places import net_drivers
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.hdl.hierarchy import Hierarchy, hierarchy, write_design
from actc.targets.fpga.hdl.names import PORT_WORDS, identifier
from actc.targets.fpga.hdl.verilog import ADDRESS, CLOCK
from actc.targets.fpga.interfaces import (
    ClockModule,
    CoreInfo,
    CorePort,
    Kind,
    interface_files,
    interface_top,
)
from actc.targets.fpga.network import Network
from actc.targets.fpga.pipeline import Timing
from actc.targets.fpga.rtl_simulation import simulate_design

_INSIDE = frozenset({ADDRESS, CLOCK, *PORT_WORDS})
"""What unrolled and folded networks call something of their own."""

Array = npt.NDArray[Any]

RTL = "rtl"
"""Folder of the Verilog files."""
CORE = "core"
"""Instance of the network in its interface."""
_CONSTANT = Diagnostic(
    "ACT0557",
    "no output of the integer network depends on its inputs, so there is nothing to build",
    help="look at the accuracy of golden.onnx (`actc check`), and at the calibration data",
)


@dataclass(frozen=True, eq=False)
class Assembly:
    """A network in its interface, and what it was made from.

    Attributes:
        timing: what the pipeline was planned with.
        network: combinational, with what the host does around it.
        design: the same with registers.
        kind: of the interface.
        clock_mhz: of the core, MHz.
        core: module of the network, in the files and as an instance of the top module.
        top: the top module.
        files: name -> Verilog; the core's own first.
        core_files: names of those of the core.
        interface: what the host has to know.
    """

    timing: Timing
    network: Network
    design: Design
    kind: Kind
    clock_mhz: float
    core: str
    top: str
    files: Mapping[str, str]
    core_files: tuple[str, ...]
    interface: Interface

    @property
    def hierarchy(self) -> Hierarchy:
        """How the network is written."""
        return hierarchy(self.design)

    @property
    def info(self) -> CoreInfo:
        """What the interface knows of the network."""
        return core_info(self.hierarchy)

    @property
    def input_ports(self) -> tuple[str, ...]:
        """Ports of the core, besides the clock."""
        return tuple(port.name for port in self.info.inputs)

    @property
    def output_ports(self) -> tuple[str, ...]:
        """Ports of the core."""
        return tuple(port.name for port in self.info.outputs)

    @property
    def border(self) -> list[tuple[str, str]]:
        """Module and port of all that synthesis must keep, to cut the network out again."""
        return [(self.core, port) for port in (*self.input_ports, *self.output_ports)]

    @property
    def drivers(self) -> dict[str, str]:
        """Nets of the board's netlist whose driver's layer names alone do not tell."""
        return net_drivers(self.hierarchy, CORE)

    def simulate(self, files: Mapping[str, str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs, by a simulation of the network's files, a sample every clock.

        Raises:
            MissingTool, ToolFailed: see
                :func:`~actc.targets.fpga.rtl_simulation.simulate_design`.
        """
        codes = self.network.prologue(feeds)
        return self.network.epilogue(simulate_design(files, self.design, codes))

    def documents(self) -> dict[str, bytes]:
        """Relative path -> content of all that is written before any tool runs."""
        found = {f"{RTL}/{name}": text.encode("ascii") for name, text in self.files.items()}
        found["interface.json"] = interface_text(self.interface).encode()
        return found


def core_name(name: str) -> str:
    """A name that the network has in hardware as it is: that of a core name is itself.

    Its modules, which begin with it, cannot be those of the surroundings, and nothing inside of it
    is called so.
    """
    core = identifier(name)
    taken = core.startswith(("actc", "pll")) or core.lower() in _INSIDE
    return identifier(f"network_{core}") if taken else core


def core_info(written: Hierarchy) -> CoreInfo:
    """What an interface must know of a network.

    Raises:
        ValueError: paths of different latency have no interface.
    """
    design = written.design
    if design.latency is None:
        raise ValueError(f"paths through {design.name} differ in latency")
    return CoreInfo(
        written.top,
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.inputs),
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.outputs),
        design.latency,
        written.clocked,
    )


def assemble(
    network: Network,
    design: Design,
    timing: Timing,
    *,
    kind: Kind,
    clock_mhz: float,
    place: str = "",
    clock: ClockModule | None = None,
    baud: int | None = None,
) -> Assembly:
    """The files of a network in its interface.

    Args:
        design: the network with registers, all paths equally long.
        timing: what it was planned with.
        kind: of the interface.
        clock_mhz: of the core, MHz.
        place: where it is for, a part of its identity.
        clock: makes the clock; None: the pin `clk` is the clock.
        baud: of a UART.

    Raises:
        ModelError: ACT0557, no output depends on the inputs.
    """
    if design.latency == 0:
        raise ModelError(_CONSTANT)
    written = hierarchy(design)
    core_files = write_design(design)
    core = core_info(written)
    build = _build(core_files, kind, place, clock_mhz)
    clock_hz = clock_mhz * 1e6
    around = interface_files(
        kind, core, clock_hz=clock_hz, baud=baud, build_id=build, clock=clock
    )  # fmt: skip
    top = interface_top(kind, core)
    files = {**core_files, **around}
    simulated = tuple(f"{RTL}/{name}" for name in files if clock is None or name not in clock.files)
    interface = interface_of(
        network.interface(),
        name=written.top,
        kind=kind,
        build=build,
        latency=core.latency,
        output_buses=[bus.name for bus in design.outputs],
        clock_hz=clock_hz,
        baud=baud,
        simulation=Simulation(top, simulated, "" if clock is None else clock.module),
    )
    return Assembly(
        timing, network, design, kind, clock_mhz, written.top, top, files, tuple(core_files),
        interface,
    )  # fmt: skip


def _build(files: Mapping[str, str], kind: str, place: str, clock_mhz: float) -> str:
    """What a board answers when it is asked which design it holds: 16 hexadecimal digits."""
    state = hashlib.sha256(f"{kind} {place} {clock_mhz!r}".encode())
    for name in sorted(files):
        state.update(f"\0{name}\0{files[name]}".encode())
    return state.hexdigest()[:16]
