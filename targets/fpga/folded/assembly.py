"""A folded network in its interface, as Verilog, for a board.

golden -> program -> foldings -> Verilog -> interface
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from actc.device.document import interface_of, interface_text
from actc.device.interface import Interface, Simulation
from actc.errors import UsageError
from actc.targets.fpga.assembly import RTL
from actc.targets.fpga.boards import Board
from actc.targets.fpga.folded.choice import Choice
from actc.targets.fpga.folded.costs.area import Area, FunctionCost
from actc.targets.fpga.folded.goals import Goal, Request, choose
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import FoldedProgram
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.interfaces import ClockModule, Kind, interface_files, interface_top
from actc.targets.fpga.interfaces.core import StreamCore
from actc.targets.fpga.interfaces.streams import in_flight, memory_bytes
from actc.targets.fpga.pipeline import Timing

Array = npt.NDArray[Any]
USUAL_THROUGHPUT = 1000.0
"""Samples per second that a folding is chosen for where nothing is asked for."""
CROWDING = 0.3
"""By how much wires of a full device are slower than those that pipelines are made for: a matrix
of 448 products, 76 percent of an ECP5-25K, made for 80 MHz ran at 77."""
_AROUND = {"stream": (0, 0), "uart": (700, 560), "spi": (700, 560)}
"""Logic cells and flip-flops of an interface, about as many as any was found to take."""
_LEAST_MEMORY = 128
"""Bytes from which on a memory of an interface is a block memory."""
_BLOCK_BITS = {"ecp5": 18 << 10, "ice40": 4 << 10, "gowin": 18 << 10}
"""Bits of a block memory, by family."""


@dataclass(frozen=True, eq=False)
class FoldedAssembly:
    """A folded network in its interface, and what it was made from.

    Attributes:
        network: the program, with what the host does around it.
        choice: the foldings, and what they were estimated to take.
        design: the Verilog of the core.
        kind: of the interface.
        clock_mhz: of the core, MHz.
        top: the top module.
        files: name -> Verilog; the core's own first.
        interface: what the host has to know.
    """

    network: FoldedNetwork
    choice: Choice
    design: FoldedDesign
    kind: Kind
    clock_mhz: float
    top: str
    files: Mapping[str, str]
    interface: Interface

    @property
    def core(self) -> str:
        """Module of the network."""
        return self.design.name

    @property
    def core_files(self) -> tuple[str, ...]:
        """Names of the core's files."""
        return tuple(self.design.files)

    @property
    def input_ports(self) -> tuple[str, ...]:
        """Ports of the core that are read, besides the clock."""
        return ("reset", "in_valid", "in_data", "out_ready")

    @property
    def output_ports(self) -> tuple[str, ...]:
        """Ports that the core drives."""
        return ("in_ready", "out_valid", "out_data")

    @property
    def border(self) -> list[tuple[str, str]]:
        """Module and port of all that synthesis must keep, to cut the network out again."""
        return [(self.core, port) for port in (*self.input_ports, *self.output_ports)]

    @property
    def drivers(self) -> dict[str, str]:
        """None: the cells of stages are told by their names."""
        return {}

    @property
    def uses_multipliers(self) -> bool:
        """Whether products are meant for hard multipliers."""
        return any(folding.multiplier == "dsp" for folding in self.design.foldings)

    def simulate(self, files: Mapping[str, str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs, by a simulation of the network's files.

        Raises:
            MissingTool, ToolFailed: see
                :func:`~actc.targets.fpga.folded.simulation.simulate_folded`.
        """
        words = self.network.prologue(feeds)[0]
        return self.network.epilogue([simulate_folded(self.design, words, files=files).outputs])

    @property
    def samples_per_second(self) -> float:
        """Of the core, by its clock and interval."""
        return self.clock_mhz * 1e6 / self.choice.interval

    def documents(self) -> dict[str, bytes]:
        """Relative path -> content of all that is written before any tool runs."""
        found = {f"{RTL}/{name}": text.encode("ascii") for name, text in self.files.items()}
        found["interface.json"] = interface_text(self.interface).encode()
        return found


def goal_of(throughput: float | None, latency: int | None = None) -> Goal:
    """What foldings are chosen for: the least area at a throughput, within a latency.

    Args:
        throughput: samples per second; None: what is usual, if no latency is asked for either.
        latency: clocks, at most.
    """
    if throughput is None and latency is None:
        throughput = USUAL_THROUGHPUT
    return Goal("area" if throughput is None else "throughput", throughput, latency)


def request_of(
    program: FoldedProgram, board: Board, clock_mhz: float, goal: Goal, kind: Kind
) -> Request:
    """The question to the solver."""

    def functions(family: str) -> Mapping[str, FunctionCost]:
        return function_costs(program, family)

    family = board.device.family
    luts, ffs = _AROUND[kind]
    memories = 0
    if kind != "stream":
        given, found = program.entries[0], program.stream(program.exits[0])
        core = StreamCore("core", given.range.width, given.size, found.range.width, found.size)
        sizes = [size for size in memory_bytes(core) if size >= _LEAST_MEMORY]
        memories = sum(-(-8 * size // _BLOCK_BITS[family]) for size in sizes)
    around = Area(luts, ffs, memories, 0)
    return Request(
        program, board.device, clock_mhz, goal, functions, around, registered=kind != "stream"
    )


def function_costs(program: FoldedProgram, family: str) -> dict[str, FunctionCost]:
    """What the function unit of each stage takes, by the stage's name."""
    found = {}
    for stage in program.stages:
        function = stage_function(program, stage, family)
        if function is not None:
            found[stage.name] = FunctionCost(
                function.cost,
                function.multipliers,
                function.parameter_bits,
                function.memories,
            )
    return found


def assemble_folded(
    golden: ir.Model,
    name: str,
    board: Board,
    timing: Timing,
    *,
    kind: Kind,
    goal: Goal,
    clock_mhz: float,
    clock: ClockModule | None = None,
    baud: int | None = None,
) -> FoldedAssembly:
    """Fold a golden model for a board.

    Args:
        name: of the core, a plain identifier.
        timing: of the board's device.
        kind: of the interface.
        goal: what the foldings are chosen for.
        clock_mhz: of the core, MHz.
        clock: makes the clock; None: the pin `clk` is the clock.
        baud: of a UART.

    Raises:
        ModelError: ACT0605, the model cannot be folded; ACT0606, no folding fits.
        UsageError: ACT0561, the clock cannot be reached.
    """
    network = build_folded(golden, name)
    choice = choose(request_of(network.program, board, clock_mhz, goal, kind))
    design = _designed(network, choice, name, board, timing, clock_mhz)
    core = StreamCore(
        name, design.input.bits, design.input_words, design.output.bits, design.output_words
    )
    build = _build(design.files, kind, board.name, clock_mhz)
    clock_hz = clock_mhz * 1e6
    around = interface_files(kind, core, clock_hz=clock_hz, baud=baud, build_id=build, clock=clock)
    top = interface_top(kind, core)
    files = {**design.files, **around}
    simulated = tuple(f"{RTL}/{file}" for file in files if clock is None or file not in clock.files)
    interface = interface_of(
        _description(network),
        name=name,
        kind=kind,
        build=build,
        latency=_latency(choice),
        output_buses=[exit.bus for exit in network.exits],
        clock_hz=clock_hz,
        baud=baud,
        simulation=Simulation(top, simulated, "" if clock is None else clock.module),
        in_flight=None if kind == "stream" else in_flight(core),
    )
    return FoldedAssembly(network, choice, design, kind, clock_mhz, top, files, interface)


def _designed(
    network: FoldedNetwork,
    choice: Choice,
    name: str,
    board: Board,
    timing: Timing,
    clock_mhz: float,
) -> FoldedDesign:
    """The Verilog, with pipelines for a crowded device, or for the clock where they cannot be."""
    crowded = clock_mhz * (1 + CROWDING * choice.area.luts / board.device.luts)

    def made(speed: float) -> FoldedDesign:
        options = HardwareOptions(board.device.family, timing, speed)
        words = choice.entry_words[0]
        return folded_design(network.program, choice.foldings, name, options, words)

    try:
        return made(crowded)
    except UsageError:
        return made(clock_mhz)


def _latency(choice: Choice) -> int:
    """Clocks of a sample, with room for what the estimate leaves out: hosts wait so long."""
    shared = sum(folding.engine > 0 for folding in choice.foldings) * choice.turns
    return round(1.25 * choice.latency) + shared + choice.interval + 200


def _description(network: FoldedNetwork) -> dict[str, Any]:
    """What hosts know, with the order of elements on the wire as axes of the tensors."""
    found = network.interface()
    for tensor in (*found["inputs"], *found["outputs"]):
        order, shape = tensor.pop("order"), tensor["shape"]
        tensor.pop("stream")
        axes = [axis for axis in order["axes"] if order["shape"][axis] > 1]
        if axes != sorted(axes):
            # a tensor whose order differs has the axes of its stream, but for those of one
            places = [place for place, extent in enumerate(order["shape"]) if extent > 1]
            own = [place for place, extent in enumerate(shape) if extent > 1]
            assert len(own) == len(places), "axes that move are not joined"
            of = dict(zip(places, own, strict=True))
            rest = [place for place in range(len(shape)) if place not in own]
            tensor["axes"] = [*rest, *(of[axis] for axis in axes)]
    return found


def _build(files: Mapping[str, str], kind: str, place: str, clock_mhz: float) -> str:
    """What a board answers when it is asked which design it holds: 16 hexadecimal digits."""
    state = hashlib.sha256(f"folded {kind} {place} {clock_mhz!r}".encode())
    for name in sorted(files):
        state.update(f"\0{name}\0{files[name]}".encode())
    return state.hexdigest()[:16]
