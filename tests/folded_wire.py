"""Cores that take and give samples word by word, on a board that is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from board_cores import BUILD

from actc.device import Device, Interface, Simulation, bits, interface_of, write_interface
from actc.device.frames import OUTPUTS, Decoder, Frame, encode
from actc.device.simulated import SimulatedPort, usual_patience
from actc.device.waveform import Levels, SpiLine
from actc.targets.fpga.interfaces import (
    ClockModule,
    Kind,
    StreamCore,
    in_flight,
    interface_files,
    interface_top,
)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GroupSums:
    """Sums of groups of words, modulo the width of the outputs.

    Attributes:
        in_bits, out_bits: of a word.
        group: words of a group; there is an output for each.
        groups: of a sample.
        delay: clocks from the last input to the first output.
        holds: whether the next sample is taken before the outputs have left.
    """

    in_bits: int
    out_bits: int
    group: int
    groups: int
    delay: int = 20

    name = "group_sums"

    @property
    def info(self) -> StreamCore:
        words = self.group * self.groups
        return StreamCore(self.name, self.in_bits, words, self.out_bits, self.groups)

    @property
    def verilog(self) -> str:
        return f"""\
// Takes words in irregular clocks, thinks, and gives its sums in irregular clocks.
module group_sums (
  input clk, input reset,
  input in_valid, output in_ready, input [{self.in_bits - 1}:0] in_data,
  output out_valid, input out_ready, output [{self.out_bits - 1}:0] out_data
);
  reg [{self.out_bits - 1}:0] sums [0:{self.groups - 1}];
  reg [31:0] group = 0, member = 0, wait_for = 0;
  reg giving = 1'b0, show = 1'b0;
  reg [6:0] chance = 7'd1;
  assign in_ready = ~giving & chance[0];
  assign out_valid = giving & show;
  assign out_data = sums[group{self._index}];
  wire [{max(self.in_bits, self.out_bits) - 1}:0] wide = {self._wide};
  always @(posedge clk) begin
    chance <= {{chance[5:0], chance[6] ^ chance[5]}};
    if (in_valid & in_ready) begin
      sums[group{self._index}] <= (member == 0 ? {self.out_bits}'d0 : sums[group{self._index}])
        + wide[{self.out_bits - 1}:0];
      member <= member + 1;
      if (member == {self.group - 1}) begin
        member <= 0;
        group <= group + 1;
        if (group == {self.groups - 1}) begin
          group <= 0;
          giving <= 1'b1;
          wait_for <= {self.delay};
        end
      end
    end
    if (giving & ~show) begin
      if (wait_for != 0) wait_for <= wait_for - 1;
      else show <= 1'b1;
    end
    if (out_valid & out_ready) begin
      show <= chance[3];
      group <= group + 1;
      if (group == {self.groups - 1}) begin
        group <= 0;
        giving <= 1'b0;
        show <= 1'b0;
      end
    end
    if (reset) begin
      group <= 0;
      member <= 0;
      giving <= 1'b0;
      show <= 1'b0;
    end
  end
  /* verilator lint_off UNUSED */
  wire unused = &{{1'b0, wide, group}};
  /* verilator lint_on UNUSED */
endmodule
"""

    @property
    def _index(self) -> str:
        bits = max(1, (self.groups - 1).bit_length())
        return f"[{bits - 1}:0]"

    @property
    def _wide(self) -> str:
        more = self.out_bits - self.in_bits
        return f"{{{more}'d0, in_data}}" if more > 0 else "in_data"

    def samples(self, count: int, seed: int = 0) -> Array:
        """[samples, words]; bytes that frames must escape are frequent."""
        generator = np.random.default_rng(seed)
        shape = (count, self.group * self.groups)
        values = generator.integers(0, 1 << min(self.in_bits, 62), shape)
        special = generator.choice([0x7E, 0x7D, 0x5E, 0x5D, 0x7D7E], shape)
        special &= (1 << min(self.in_bits, 62)) - 1
        return np.where(generator.random(shape) < 0.4, special, values)

    def expected(self, x: Array) -> Array:
        sums = x.reshape(len(x), self.groups, self.group).astype(object).sum(axis=2)
        return np.asarray(sums % (1 << self.out_bits))


CORES = {
    "bits": GroupSums(1, 3, 13, 3),
    "8 to 8": GroupSums(8, 8, 10, 4),
    "8 to 1": GroupSums(8, 1, 49, 1),
    "3 to 12": GroupSums(3, 12, 5, 7),
    "12 to 64": GroupSums(12, 64, 3, 2),
    "64 to 3": GroupSums(64, 3, 2, 9),
    "one word": GroupSums(3, 1, 1, 1, 0),
    "20 to 33": GroupSums(20, 33, 2, 5),
}


def files(kind: Kind, core: GroupSums, clock: ClockModule | None = None) -> dict[str, str]:
    made = interface_files(
        kind, core.info, clock_hz=12e6, baud=1_000_000, build_id=BUILD, clock=clock
    )
    return {**made, f"{core.name}.v": core.verilog}


def write(directory: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        (directory / name).write_text(text, "ascii")
    return list(texts)


def build(directory: Path, core: GroupSums, kind: Kind = "uart", **options: Any) -> Interface:
    """Write what a compilation for a board writes, but for the bitstream."""
    directory.mkdir(parents=True, exist_ok=True)
    names = write(directory, files(kind, core, options.get("clock")))
    info = core.info
    wide = narrow(info.in_bits), narrow(info.out_bits)
    shared = {"signed": False, "dtype": "int64"}
    x = {
        "bus": "x",
        "input": "x",
        "kind": "codes",
        "shape": [info.input_bits // wide[0]],
        "width": wide[0],
        "low": 0,
        "high": (1 << wide[0]) - 1,
    }
    y = {
        "bus": "y",
        "output": "y",
        "kind": "integers",
        "shape": [info.output_bits // wide[1]],
        "width": wide[1],
    }
    description = {
        "inputs": [{**shared, **x, **options.get("x", {})}],
        "outputs": [{**shared, **y, **options.get("y", {})}],
    }
    interface = interface_of(
        description,
        name=core.name,
        kind=kind,
        build=BUILD,
        latency=core.delay + 8 * info.in_words + 300,
        output_buses=["y"],
        clock_hz=12e6,
        baud=1_000_000 if kind == "uart" else None,
        simulation=Simulation(interface_top(kind, info), tuple(names)),
        in_flight=in_flight(info),
    )
    write_interface(directory, interface)
    return interface


def board(
    directory: Path, interface: Interface, patience: int = 0, **options: Any
) -> SimulatedPort:
    patience = patience or usual_patience(interface)
    return SimulatedPort(directory, interface, patience, simulator="icarus", **options)


def narrow(bits: int) -> int:
    """Bits of an element: of a word, or of a part of a long one."""
    return bits if bits <= 32 else bits // 2 if bits % 2 == 0 else bits // 3


def elements(words: Array, bits: int) -> Array:
    """What words of some bits hold, as elements that an interface can have."""
    width = narrow(bits)
    places = np.arange(0, bits, width).astype(object)
    parts = (words.astype(object)[:, :, None] >> places) & ((1 << width) - 1)
    return np.asarray(parts.reshape(len(words), -1).astype(np.int64))


def compare(core: GroupSums, device: Device, count: int, seed: int = 0) -> None:
    x = core.samples(count, seed)
    found = device.run({"x": elements(x, core.in_bits)})["y"]
    assert np.array_equal(found, elements(core.expected(x), core.out_bits))


def undisturbed(device: Device) -> bool:
    """Whether nothing was asked twice."""
    traffic = device.traffic
    return traffic.requests == traffic.answers and not (
        traffic.broken or traffic.refused or traffic.silences
    )


SLOW = GroupSums(8, 8, 63, 1, delay=3_000)
"""With its header, a request is an eighth of the memory."""


def frames_of(core: GroupSums, count: int, first: int = 0) -> tuple[list[bytes], list[Frame]]:
    """Requests with sequence numbers from `first` on, and their right answers."""
    x = core.samples(count, seed=7)
    made = bits.pack([(x, core.in_bits)])
    wanted = bits.pack([(core.expected(x).astype(np.int64), core.out_bits)])
    numbers = [(first + k) % 64 for k in range(count)]
    requests = [encode(Frame(OUTPUTS, k, p)) for k, p in zip(numbers, made, strict=True)]
    return requests, [Frame(OUTPUTS, k, p) for k, p in zip(numbers, wanted, strict=True)]


def answers_to(port: SimulatedPort, data: bytes) -> list[Frame]:
    """All frames that come until the board is silent."""
    decoder, found = Decoder(), []
    port.write(data)
    while data := port.read():
        found += decoder.feed(data)
    assert decoder.broken == 0
    return found


class EveryByte(SpiLine):
    """A controller gets a byte for each it sends."""

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        return self.every_byte(sent, levels)
