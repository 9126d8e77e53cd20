"""Memories that are written: cells, and what synthesis and placement make of Verilog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fpga_tools import number
from installed import needs_yosys
from vendor_cells import Case

from actc.errors import ToolFailed
from actc.targets.fpga.boards.load import devices, find_board
from actc.targets.fpga.flow import place_and_route, synthesize_design
from actc.targets.fpga.gates import GateNetlist, simulate
from actc.targets.fpga.gates.lanes import LaneSimulation

Bits = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
RNG = np.random.default_rng

# DP16KD, for which no vendor's model is open: beside one over single bits

SKIPPED = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4, 36: 5}
UNUSED = {"CSA0", "CSA1", "CSA2", "CSB0", "CSB1", "CSB2"}


def port_names(port: str) -> list[str]:
    return [
        *(f"AD{port}{bit}" for bit in range(14)),
        *(f"DI{port}{bit}" for bit in range(18)),
        *(f"{name}{port}" for name in ("CE", "WE", "RST")),
    ]


@dataclass
class BlockMemory:
    """2,048 bytes of 9 bits, clock by clock; -1 is a bit that may be anything."""

    widths: dict[str, int]
    modes: dict[str, str]
    bits: list[int]

    def __post_init__(self) -> None:
        self.shown = {port: [0] * width for port, width in self.widths.items()}

    def places(self, port: str, address: int) -> list[int]:
        width = self.widths[port]
        start = address >> SKIPPED[width]
        if width >= 9:
            return list(range(start * width, (start + 1) * width))
        byte, bit = divmod(start * width, 8)
        return [9 * byte + bit + k for k in range(width)]

    def clock(self, pins: dict[str, int]) -> None:
        address = {p: sum(pins[f"AD{p}{k}"] << k for k in range(14)) for p in "AB"}
        places = {port: self.places(port, address[port]) for port in "AB"}
        written: dict[int, int] = {}
        writer = ""
        for port in "AB":
            if pins[f"CE{port}"] & pins[f"WE{port}"] & ~pins[f"RST{port}"] & 1:
                writer = port
                width = self.widths[port]
                data = [pins[f"DI{port}{k}"] for k in range(min(width, 18))]
                data += [pins[f"DIB{k}"] for k in range(width - 18)]
                for k, place in enumerate(places[port]):
                    if width < 18 or address[port] >> (k // 9) & 1:
                        written[place] = data[k]
        for port in "AB":
            if pins[f"RST{port}"]:
                self.shown[port] = [0] * len(self.shown[port])
            elif pins[f"CE{port}"]:
                self.shown[port] = self.read(port, writer, places[port], written)
        for place, bit in written.items():
            self.bits[place] = bit

    def read(
        self, port: str, writer: str, places: Sequence[int], written: dict[int, int]
    ) -> list[int]:
        old = [self.bits[place] for place in places]
        if not writer or (writer == port and self.modes[port] == "READBEFOREWRITE"):
            return old
        if writer != port:
            return [-1 if p in written else bit for p, bit in zip(places, old, strict=True)]
        if self.modes[port] == "NORMAL":
            return self.shown[port]
        return [written.get(p, bit) for p, bit in zip(places, old, strict=True)]


MODES = ("NORMAL", "READBEFOREWRITE", "WRITETHROUGH")
SHAPES = [
    *((a, b, "A") for a in (1, 2, 4, 9, 18) for b in (1, 2, 4, 9, 18)),
    *((36, b, "A") for b in (1, 2, 4, 9, 18, 36)),
    (18, 18, "B"),
    (9, 4, "B"),
    (36, 36, ""),
    (4, 18, ""),
]


@pytest.mark.parametrize(("a", "b", "writer"), SHAPES)
def test_block_memories_of_ecp5_beside_single_bits(a: int, b: int, writer: str) -> None:
    rng = RNG(40 * a + b)
    words = rng.integers(0, 1 << 18, 1024)
    rows = [
        sum(int(word) << 20 * k for k, word in enumerate(words[16 * row : 16 * row + 16]))
        for row in range(64)
    ]
    modes = dict(zip("AB", rng.choice(MODES, 2), strict=True))
    settings: dict[str, tuple[int, int] | str] = {
        "DATA_WIDTH_A": (32, a),
        "DATA_WIDTH_B": (32, b),
        "RESETMODE": "SYNC",
        **{f"INITVAL_{row:02X}": (320, value) for row, value in enumerate(rows)},
        **{f"WRITEMODE_{port}": str(mode) for port, mode in modes.items()},
    }
    reads = "B" if a == 36 else "AB"
    shown = {port: [f"DO{port}{bit}" for bit in range(min(w, 18))]
             for port, w in (("A", a), ("B", b))}  # fmt: skip
    if b == 36:
        shown["B"] = [f"DO{half}{bit}" for half in "AB" for bit in range(18)]
    names = [name for port in "AB" for name in port_names(port)]
    tied = dict.fromkeys(UNUSED, (1, 0))
    tied |= {f"WE{port}": (1, 0) for port in "AB" if port != writer}
    free = [name for name in names if name not in tied]
    outputs = dict.fromkeys((name for port in reads for name in shown[port]), 1)
    case = Case("DP16KD", settings, dict.fromkeys(free, 1), outputs, ("CLKA", "CLKB"), tied)
    netlist = GateNetlist.read(case.document(), "top", "ecp5")
    clocks = 400
    rows_in = {name: rng.integers(0, 2, clocks) for name in free}
    same = rng.integers(0, 4, clocks) == 0
    for bit in range(14):
        other = rows_in[f"ADB{bit}"]
        rows_in[f"ADB{bit}"] = np.where(same, rows_in[f"ADA{bit}"], other)
    for name in free:  # few words, few resets
        if name[:2] == "AD" and int(name[3:]) > 6:
            rows_in[name][:] = 0
        if name[:3] == "RST":
            rows_in[name] &= rng.integers(0, 8, clocks) == 0
    bits = [int(word) >> k & 1 for word in words for k in range(18)]
    memory = BlockMemory({"A": a, "B": b}, {k: str(v) for k, v in modes.items()}, bits)
    found = [simulate(netlist, rows_in, floating=level) for level in (0, 1)]
    seen = 0
    for clock in range(clocks):
        for port in reads:
            for name, bit in zip(shown[port], memory.shown[port], strict=True):
                values = [int(run[name][clock, 0]) for run in found]
                assert values == ([0, 1] if bit < 0 else [bit, bit]), (clock, name)
                seen += bit < 0
        memory.clock({name: int(rows_in[name][clock]) if name in rows_in else 0 for name in names})
    assert bool(seen) == (writer != "")


@pytest.mark.parametrize(
    ("settings", "tied", "reason"),
    [
        ({"REGMODE_A": "OUTREG"}, {}, "output registers"),
        ({"CSDECODE_A": "0b001"}, {}, "chip selects"),
        ({}, {"WEA": (1, 1), "WEB": (1, 1)}, "both ports write"),
        ({"RESETMODE": "ASYNC"}, {"RSTA": (1, 1)}, "asynchronous resets"),
        ({"WRITEMODE_A": "ODD"}, {"WEA": (1, 1)}, "write mode ODD"),
        ({"DATA_WIDTH_B": (32, 36)}, {}, "port B of 36 bits"),
    ],
)
def test_modes_of_block_memories_without_a_model_are_refused(
    settings: dict[str, tuple[int, int] | str], tied: dict[str, tuple[int, int]], reason: str
) -> None:
    fixed = {"CEA": (1, 1), "CEB": (1, 1), "ADA0": (1, 1), "ADB0": (1, 1)} | tied
    case = Case("DP16KD", settings, {}, {"DOA0": 1}, ("CLKA", "CLKB"), fixed)
    with pytest.raises(ToolFailed, match=reason) as caught:
        GateNetlist.read(case.document(), "top", "ecp5")
    assert caught.value.diagnostics[0].code == "ACT0571"


# What synthesis and placement make of Verilog

RAM = """module ram(
  input clk, input we, input [{high}:0] waddr, input [{high}:0] raddr,
  input [{top}:0] wdata, output reg [{top}:0] q
);
  (* ram_style = "{style}", no_rw_check *) reg [{top}:0] words [0:{last}];
  always @(posedge clk) begin if (we) words[waddr] <= wdata; q <= words[raddr]; end
endmodule
"""


@dataclass(frozen=True)
class Ram:
    """A memory in Verilog and what goes through it: never a word that is being written."""

    width: int
    depth: int
    style: str = "block"
    clocks: int = 250

    @property
    def verilog(self) -> str:
        return RAM.format(high=self.address - 1, top=self.width - 1, last=self.depth - 1,
                          style=self.style)  # fmt: skip

    @property
    def address(self) -> int:
        return max((self.depth - 1).bit_length(), 1)

    def stimuli(self, seed: int) -> tuple[dict[str, Numbers], Numbers]:
        """Inputs by port, and the right outputs; -1 before anything is known."""
        rng = RNG(seed)
        few = rng.integers(0, self.depth, 8)
        we = rng.integers(0, 2, self.clocks)
        write, read = rng.choice(few, self.clocks), rng.choice(few, self.clocks)
        we &= write != read
        data = rng.integers(0, 1 << self.width, self.clocks)
        held: dict[int, int] = {}
        right = [-1]
        for clock in range(self.clocks - 1):
            right.append(held.get(int(read[clock]), -1))
            if we[clock]:
                held[int(write[clock])] = int(data[clock])
        ports = {"we": we, "waddr": write, "raddr": read, "wdata": data}
        return ports, np.array(right)

    def check(self, netlist: GateNetlist) -> None:
        """Alone, and in lanes with addresses that are common and others that are not."""
        runs = [self.stimuli(seed) for seed in (1, 1, 2)]
        data = runs[1][0]["wdata"] ^ 1
        held = runs[1][1]
        runs[1] = ({**runs[1][0], "wdata": data}, np.where(held < 0, held, held ^ 1))
        widths = {"we": 1, "waddr": self.address, "raddr": self.address, "wdata": self.width}
        for floating in (0, 1):
            found = number(simulate(netlist, runs[0][0], floating=floating)["q"])
            assert_known(found, runs[0][1])
            for chosen in ((0, 1), (0, 1, 2)):
                lanes = LaneSimulation(netlist, len(chosen), floating=floating)
                rows = []
                for clock in range(self.clocks):
                    given = {
                        port: np.stack([bits(runs[k][0][port][clock], width) for k in chosen])
                        for port, width in widths.items()
                    }
                    rows.append(number(lanes.clock(given)["q"]))
                for lane, k in enumerate(chosen):
                    assert_known(np.stack(rows)[:, lane], runs[k][1])


def bits(value: np.int64, width: int) -> Bits:
    found: Bits = (value >> np.arange(width) & 1).astype(np.uint8)
    return found


def assert_known(found: Numbers, right: Numbers) -> None:
    known = right >= 0
    assert known.mean() > 0.5
    assert np.array_equal(found[known], right[known])


COUNTS = [
    (Ram(16, 512), "ecp5-25k", {"DP16KD": 1}),
    (Ram(30, 300), "ecp5-25k", {"DP16KD": 1}),
    (Ram(20, 1500), "ecp5-25k", {"DP16KD": 3}),
    (Ram(3, 4000), "ecp5-25k", {"DP16KD": 1}),
    (Ram(16, 200), "ice40-up5k", {"SB_LUT4": 1, "SB_RAM40_4K": 1}),
    (Ram(8, 300), "ice40-up5k", {"SB_RAM40_4K": 1}),
    (Ram(2, 2048), "ice40-up5k", {"SB_RAM40_4K": 1}),
]


@needs_yosys
@pytest.mark.parametrize(("ram", "device", "cells"), COUNTS)
def test_memories_of_verilog_become_blocks_and_nothing_else(
    ram: Ram, device: str, cells: dict[str, int], tmp_path: Path
) -> None:
    target = devices()[device]
    made = synthesize_design({"ram.v": ram.verilog}, "ram", target, tmp_path, pads=False)
    netlist = GateNetlist.read(json.loads(made.netlist.read_text("utf-8")), "ram", target.family)
    assert netlist.cells == cells
    ram.check(netlist)


@needs_yosys
def test_a_word_that_is_read_while_it_is_written_is_anything(tmp_path: Path) -> None:
    target = devices()["ecp5-25k"]
    source = {"ram.v": Ram(18, 512).verilog}
    made = synthesize_design(source, "ram", target, tmp_path, pads=False)
    netlist = GateNetlist.read(json.loads(made.netlist.read_text("utf-8")), "ram", target.family)
    inputs = {"we": [1, 1, 0], "waddr": [5, 5, 0], "raddr": [7, 5, 5], "wdata": [9, 8, 0]}
    found = [number(simulate(netlist, inputs, floating=level)["q"]) for level in (0, 1)]
    assert [run.tolist()[2] for run in found] == [0, (1 << 18) - 1]
    # behind it the word is what was written
    longer = {port: [*values, 0] for port, values in inputs.items()}
    for level in (0, 1):
        assert number(simulate(netlist, longer, floating=level)["q"])[3] == 8


needs_placers = pytest.mark.skipif(
    any(find_spec(f"yowasp_nextpnr_{name}") is None for name in ("ecp5", "ice40")),
    reason="the databases are not installed",
)


@pytest.mark.slow
@needs_placers
@needs_yosys
@pytest.mark.parametrize(
    ("ram", "board", "cell"),
    [
        (Ram(16, 512), "ulx3s-25f", "DP16KD"),
        (Ram(30, 300), "ulx3s-25f", "DP16KD"),
        (Ram(5, 32, "distributed"), "ulx3s-25f", "TRELLIS_RAMW"),
        (Ram(8, 300), "icebreaker", "ICESTORM_RAM"),
    ],
)
def test_memories_after_placement(ram: Ram, board: str, cell: str, tmp_path: Path) -> None:
    target = find_board(board)
    made = synthesize_design({"ram.v": ram.verilog}, "ram", target.device, tmp_path)
    routed = place_and_route(made, target, tmp_path, clock_mhz=12)
    document = json.loads(routed.netlist.read_text("utf-8"))
    netlist = GateNetlist.read(document, "top", target.device.family)
    assert netlist.cells[cell] >= 1
    ram.check(netlist)
