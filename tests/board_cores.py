"""Small cores, as networks are written, and build directories of boards around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actc.device import Interface, Simulation, interface_of, write_interface
from actc.targets.fpga.interfaces import (
    ClockModule,
    CoreInfo,
    CorePort,
    Kind,
    interface_files,
    interface_top,
)

Array = np.ndarray[Any, Any]
BUILD = "0123456789abcdef"


@dataclass(frozen=True)
class Core:
    """A core and what it computes.

    Attributes:
        inputs, outputs: name, elements and bits of each.
        expression: Verilog of all outputs together, the first lowest.
        function: samples [n, elements] of each input -> those of each output.
    """

    name: str
    inputs: tuple[tuple[str, int, int], ...]
    outputs: tuple[tuple[str, int, int], ...]
    expression: str
    function: Callable[..., tuple[Array, ...]]
    latency: int = 0

    @property
    def info(self) -> CoreInfo:
        def ports(items: tuple[tuple[str, int, int], ...]) -> tuple[CorePort, ...]:
            return tuple(CorePort(name, elements * bits) for name, elements, bits in items)

        return CoreInfo(
            self.name, ports(self.inputs), ports(self.outputs), self.latency, self.latency > 0
        )

    @property
    def verilog(self) -> str:
        info = self.info
        ports = ["input clk"] if info.clocked else []
        ports += [f"input [{port.bits - 1}:0] {port.name}" for port in info.inputs]
        ports += [f"output [{port.bits - 1}:0] {port.name}" for port in info.outputs]
        last = info.output_bits - 1
        lines = [f"module {self.name} ({', '.join(ports)});"]
        lines.append(f"  wire [{last}:0] stage_0 = {self.expression};")
        for stage in range(1, self.latency + 1):
            lines.append(f"  reg [{last}:0] stage_{stage} = {last + 1}'d0;")
            lines.append(f"  always @(posedge clk) stage_{stage} <= stage_{stage - 1};")
        together = ", ".join(port.name for port in reversed(info.outputs))
        lines.append(f"  assign {{{together}}} = stage_{self.latency};")
        return "\n".join([*lines, "endmodule"]) + "\n"

    def samples(self, count: int, seed: int = 0) -> dict[str, Array]:
        """Random inputs; bytes that frames must escape are frequent."""
        generator = np.random.default_rng(seed)
        found = {}
        for name, elements, bits in self.inputs:
            values = generator.integers(0, 1 << bits, (count, elements))
            if bits == 8:
                special = generator.choice([0x7E, 0x7D, 0x5E, 0x5D], values.shape)
                values = np.where(generator.random(values.shape) < 0.4, special, values)
            found[name] = values
        return found

    def expected(self, feeds: dict[str, Array]) -> dict[str, Array]:
        found = self.function(*(feeds[name] for name, _, _ in self.inputs))
        return {name: out for (name, _, _), out in zip(self.outputs, found, strict=True)}


def sums(latency: int = 0) -> Core:
    """3 inputs of 4 bits, their sum."""
    text = "{2'd0, x[3:0]} + {2'd0, x[7:4]} + {2'd0, x[11:8]}"
    return Core(
        "sums",
        (("x", 3, 4),),
        (("y", 1, 6),),
        text,
        lambda x: (x.sum(axis=1, keepdims=True),),
        latency,
    )


def odd(latency: int = 7) -> Core:
    """Odd widths: 5 x 3 and 1 x 11 bits to 11, 1 and 15 bits."""
    return Core(
        "odd",
        (("a", 5, 3), ("b", 1, 11)),
        (("c", 1, 11), ("d", 1, 1), ("e", 5, 3)),
        "{~a, ^b, b ^ 11'd5}",
        lambda a, b: (
            b ^ 5,
            np.array([[int(v).bit_count() & 1] for v in b[:, 0]]),
            7 - a,
        ),
        latency,
    )


def wide(latency: int = 1) -> Core:
    """1040 bits in, one bit out."""
    return Core(
        "wide",
        (("x", 130, 8),),
        (("parity", 1, 1),),
        "^x",
        lambda x: (np.array([[sum(int(v).bit_count() for v in row) & 1] for row in x]),),
        latency,
    )


def bytes_out(count: int = 4, latency: int = 2) -> Core:
    """One byte in, `count` bytes out: the answers are longer than the requests."""
    parts = ", ".join(f"x ^ 8'd{k * 3}" for k in reversed(range(count)))
    return Core(
        "bytes_out",
        (("x", 1, 8),),
        (("y", count, 8),),
        f"{{{parts}}}",
        lambda x: (np.concatenate([x ^ (k * 3) for k in range(count)], axis=1),),
        latency,
    )


PLL = ClockModule("actc_pll")


def build(
    directory: Path,
    core: Core,
    kind: Kind = "uart",
    *,
    clock_hz: float = 12e6,
    baud: int = 1_000_000,
    build_id: str = BUILD,
    clock: ClockModule | None = None,
) -> Interface:
    """Write what a compilation for a board writes, but for the bitstream."""
    directory.mkdir(parents=True, exist_ok=True)
    files = interface_files(
        kind, core.info, clock_hz=clock_hz, baud=baud, build_id=build_id, clock=clock
    )
    files = {**files, f"{core.name}.v": core.verilog}
    for name, text in files.items():
        (directory / name).write_text(text, "ascii")
    description = {
        "inputs": [
            {
                "bus": name,
                "input": name,
                "dtype": "uint16",
                "shape": [elements],
                "width": bits,
                "signed": False,
                "low": 0,
                "high": (1 << bits) - 1,
                "kind": "codes",
            }
            for name, elements, bits in core.inputs
        ],
        "outputs": [
            {
                "bus": name,
                "output": name,
                "dtype": "int64",
                "shape": [elements],
                "width": bits,
                "signed": False,
                "kind": "integers",
            }
            for name, elements, bits in core.outputs
        ],
    }
    interface = interface_of(
        description,
        name=core.name,
        kind=kind,
        build=build_id,
        latency=core.latency,
        output_buses=[name for name, _, _ in core.outputs],
        clock_hz=clock_hz,
        baud=baud,
        simulation=Simulation(
            interface_top(kind, core.info), tuple(files), clock.module if clock else ""
        ),
    )
    write_interface(directory, interface)
    return interface
