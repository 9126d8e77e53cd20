"""Machines in lanes beside machines alone: every primitive, and streams through cores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from folded_programs import CODES, chain, matrix
from folded_programs import samples as program_samples
from fpga_tools import synthesized
from installed import needs_gxx, needs_yosys

from actc.errors import ToolFailed
from actc.targets.fpga.boards.load import devices
from actc.targets.fpga.flow import synthesize_design
from actc.targets.fpga.folded.folding import foldings, input_word
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.program import Stream, Window
from actc.targets.fpga.folded.simulation import element_bits, elements_of_bits
from actc.targets.fpga.gates import GateNetlist, Simulation
from actc.targets.fpga.gates.lanes import LaneSimulation, StreamResult
from actc.targets.fpga.gates.logic import (
    AND,
    NOT,
    ONE,
    XOR,
    ZERO,
    FlipFlop,
    Function,
    Logic,
    Memory,
    Product,
    Table,
)
from actc.targets.fpga.pipeline import find_timing

Bits = npt.NDArray[np.uint8]
RNG = np.random.default_rng
INTERPRETERS = [pytest.param(True, marks=needs_gxx, id="compiled"), pytest.param(False, id="numpy")]


class RandomMachine:
    """All primitives on random nets, with feedback through storage alone."""

    def __init__(self, seed: int, *, common: bool) -> None:
        """`common`: the second half of the inputs is meant to be the same in all lanes, and
        addresses are made of it alone, as the control of folded networks is."""
        self.rng = RNG(seed)
        logic = self.logic = Logic()
        self.x = [logic.net() for _ in range(8)]
        self.control = [logic.net() for _ in range(8)]
        self.clock = logic.net()
        self.floating = logic.net()
        state = [logic.net() for _ in range(24)]
        self.nets = [*self.x, *self.control, *state, self.floating, ZERO, ONE]
        self.addresses = [*self.control, ZERO, ONE] if common else self.nets
        for width in range(7):
            for _ in range(5):
                truth = int.from_bytes(self.rng.bytes(8), "little") % (1 << (1 << width))
                self.nets.append(logic.table(self.pick(width), truth))
        self.add_functions()
        self.add_memories()
        for number, net in enumerate(state):
            self.add_flip_flop(number, net, state)
        outputs = [self.nets[n] for n in self.rng.permutation(len(self.nets))[:40]] + state
        self.netlist = GateNetlist(
            name="random",
            inputs={"x": tuple(self.x), "control": tuple(self.control)},
            outputs={"y": tuple(outputs)},
            unread=frozenset(),
            clock="clk",
            logic=logic,
            floating=(self.floating,),
            cells={},
        )

    def pick(self, count: int, nets: list[int] | None = None) -> list[int]:
        return [int(net) for net in self.rng.choice(nets or self.nets, count)]

    def random_bits(self, *shape: int) -> Bits:
        return self.rng.integers(0, 2, shape, np.uint8)

    def add_functions(self) -> None:
        for width in (3, 5):
            outputs = [self.logic.net() for _ in range(7)]
            address = self.pick(width, self.addresses)
            self.logic.lookup(address, outputs, self.random_bits(1 << width, 7))
            self.nets += outputs
        outputs = [self.logic.net() for _ in range(11)]
        pins = tuple(self.pick(6 + 5 + 2))
        self.logic.functions.append(Function(pins, tuple(outputs), Product(6, 5)))
        self.nets += outputs

    def add_memories(self) -> None:
        for width, depth in ((3, 2), (5, 4), (2, 1)):
            outputs = [self.logic.net() for _ in range(width)]
            address, write = self.pick(depth, self.addresses), self.pick(depth, self.addresses)
            mask = self.pick(width, self.nets) if width == 5 else self.pick(1) * width
            self.logic.memories.append(
                Memory(
                    tuple(address), tuple(outputs), tuple(write), tuple(self.pick(width)),
                    tuple(mask), self.clock, True, self.random_bits(1 << depth, width),
                )
            )  # fmt: skip
            self.nets += outputs

    def add_flip_flop(self, number: int, net: int, state: list[int]) -> None:
        # a third of them in rings and chains that nothing else breaks
        data = state[(number + 5) % len(state)] if number % 3 else self.pick(1)[0]
        enable = self.pick(1)[0] if number % 2 else ONE
        clear = self.pick(1, [*self.x, *self.control])[0] if number % 8 == 7 else ZERO
        initial, value = (int(bit) for bit in self.rng.integers(0, 2, 2))
        self.logic.flip_flops.append(
            FlipFlop(net, data, self.clock, True, enable, clear, value, initial)
        )


@pytest.mark.parametrize("compiled", INTERPRETERS)
@pytest.mark.parametrize("lanes", [1, 67, 200, 600])
@pytest.mark.parametrize("common", [0, 64, 1000])
def test_each_lane_is_a_machine_of_its_own(compiled: bool, lanes: int, common: int) -> None:
    """`common` neighbours have the same addresses, in all of their words or in one."""
    clocks = 40
    for seed in range(3):
        machine = RandomMachine(seed, common=bool(common))
        rng = RNG(100 + seed)
        x = rng.integers(0, 2, (clocks, lanes, 8), np.uint8)
        control = rng.integers(0, 2, (clocks, lanes, 8), np.uint8)
        if common:
            control = control[:, np.arange(lanes) // common]
        floating = seed % 2
        simulation = LaneSimulation(machine.netlist, lanes, floating=floating, compiled=compiled)
        assert simulation.compiled == compiled
        found = np.array(
            [simulation.clock({"x": x[t], "control": control[t]})["y"] for t in range(clocks)]
        )
        for lane in {0, lanes // 2, lanes - 1}:
            alone = Simulation(machine.netlist, floating=floating)
            right = alone.run({"x": x[:, lane], "control": control[:, lane]})["y"]
            assert np.array_equal(found[:, lane], right), (seed, lane)


def small(tables: list[Table], flip_flops: list[FlipFlop], **ports: tuple[int, ...]) -> GateNetlist:
    logic = Logic()
    logic.nets = 50
    logic.tables, logic.flip_flops = tables, flip_flops
    outputs = {port: nets for port, nets in ports.items() if port[0] == "y"}
    inputs = {port: nets for port, nets in ports.items() if port[0] != "y"}
    return GateNetlist("small", inputs, outputs, frozenset(), "clk", logic, (), {})


def test_combinational_loops_and_falling_edges_are_refused() -> None:
    loop = small([Table((3, 4), AND, 5), Table((5,), NOT, 4)], [], x=(3,), y=(5,))
    falling = small([], [FlipFlop(4, 3, 2, rising=False)], x=(3,), y=(4,))
    for netlist, code in ((loop, "ACT0533"), (falling, "ACT0571")):
        with pytest.raises(ToolFailed) as caught:
            LaneSimulation(netlist, 3)
        assert caught.value.diagnostics[0].code == code
    unused = small([Table((3,), NOT, 6)], [FlipFlop(4, 3, 2, rising=False)], x=(3,), y=(6,))
    assert LaneSimulation(unused, 1).clock({"x": np.zeros((1, 1), np.uint8)})["y"].tolist() == [[1]]


def test_wrong_uses_are_refused() -> None:
    netlist = small([Table((3, 4), XOR, 5)], [], x=(3, 4), y=(5,))
    simulation = LaneSimulation(netlist, 4)
    with pytest.raises(ValueError, match="4 lanes"):
        simulation.clock({"x": np.zeros((3, 2), np.uint8)})
    with pytest.raises(ValueError, match="takes"):
        simulation.clock({"z": np.zeros((4, 2), np.uint8)})
    with pytest.raises(ValueError, match="0 lanes"):
        LaneSimulation(netlist, 0)
    with pytest.raises(ValueError, match="in_valid"):
        simulation.stream(np.zeros((4, 1, 2), np.uint8), 1, 1, 10)
    with pytest.raises(ToolFailed) as caught:
        LaneSimulation(netlist, 1000, memory=20)
    assert caught.value.diagnostics[0].code == "ACT0584"


CORE = """module core(
  input clk, input reset, input in_valid, output in_ready, input [7:0] in_data,
  output out_valid, input out_ready, output [15:0] out_data
);
  // takes 5 words, then gives for each the sum of all times it, last word first
  reg [7:0] words [0:7];
  reg [2:0] count = 3'd0;
  reg giving = 1'b0;
  reg [10:0] sum = 11'd0;
  wire takes = in_valid & in_ready, gives = out_valid & out_ready;
  assign in_ready = !giving;
  assign out_valid = giving;
  assign out_data = sum * words[count];
  always @(posedge clk) begin
    if (reset) begin count <= 3'd0; giving <= 1'b0; sum <= 11'd0; end
    else if (takes) begin
      words[count] <= in_data;
      sum <= sum + in_data;
      if (count == 3'd4) giving <= 1'b1; else count <= count + 3'd1;
    end else if (gives) begin
      if (count == 3'd0) begin giving <= 1'b0; sum <= 11'd0; end
      else count <= count - 3'd1;
    end
  end
endmodule
"""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return synthesized(CORE, "core", "ecp5", dsp=True)


@pytest.fixture(scope="module")
def core(document: dict[str, Any]) -> GateNetlist:
    return GateNetlist.read(document, "core", "ecp5")


def bits_of(numbers: npt.NDArray[np.int64], width: int) -> Bits:
    return (numbers[..., None] >> np.arange(width) & 1).astype(np.uint8)


def samples(lanes: int, count: int = 1) -> tuple[Bits, npt.NDArray[np.int64]]:
    """Words of some samples for each lane, and the right results."""
    values = RNG(lanes).integers(0, 256, (lanes, count, 5))
    right = values[:, :, ::-1] * values.sum(axis=2, keepdims=True) % (1 << 16)
    return bits_of(values.reshape(lanes, -1), 8), right.reshape(lanes, -1)


def numbers_of(result: StreamResult) -> npt.NDArray[np.int64]:
    width = result.outputs.shape[2]
    total: npt.NDArray[np.int64] = (result.outputs.astype(np.int64) << np.arange(width)).sum(axis=2)
    return total


@needs_yosys
@pytest.mark.parametrize("compiled", INTERPRETERS)
@pytest.mark.parametrize("lanes", [3, 700])
def test_a_stream_through_a_core(core: GateNetlist, compiled: bool, lanes: int) -> None:
    assert {"MULT18X18D", "TRELLIS_DPR16X4"} <= set(core.cells)
    words, right = samples(lanes, 3)
    simulation = LaneSimulation(core, lanes, compiled=compiled)
    seen: list[tuple[int, int]] = []
    result = simulation.stream(words, 15, 16, 100, progress=lambda *at: seen.append(at))
    assert np.array_equal(numbers_of(result), right)
    assert result.in_clocks.tolist() == [10 * s + k for s in range(3) for k in range(5)]
    assert result.out_clocks.tolist() == [10 * s + k for s in range(3) for k in range(5, 10)]
    assert result.clocks == 30
    assert seen[-1] == (15, 15)
    # a stream begins with the configuration, whatever was before
    assert np.array_equal(numbers_of(simulation.stream(words, 15, 16, 100)), right)


@needs_yosys
@pytest.mark.parametrize("compiled", INTERPRETERS)
def test_words_wait_for_each_other(core: GateNetlist, compiled: bool) -> None:
    words, right = samples(40, 2)
    simulation = LaneSimulation(core, 40, compiled=compiled)
    result = simulation.stream(words, 10, 16, 200, stall=[0, 1, 1], gaps=[1, 0, 0, 1])
    assert np.array_equal(numbers_of(result), right)
    assert all(clock % 3 == 0 for clock in result.out_clocks)
    assert result.in_clocks[:3].tolist() == [1, 2, 5]
    assert result.clocks == result.out_clocks[-1]


@pytest.mark.parametrize("compiled", INTERPRETERS)
def test_what_a_bench_offers(compiled: bool) -> None:
    """A core that is ready every third clock and shows its inputs in all of them."""
    nets = {"in_valid": (2,), "out_ready": (3,), "reset": (4,), "in_data": (5, 6)}
    ring = [FlipFlop(7 + k, 7 + (k + 2) % 3, 10, initial=int(k == 2)) for k in range(3)]
    outputs = {"in_ready": (9,), "out_valid": (ONE,), "out_data": (2, 3, 4, 5, 6)}
    logic = Logic()
    logic.nets, logic.flip_flops = 11, ring
    core = GateNetlist("shown", nets, outputs, frozenset(), "clk", logic, (), {})
    words = np.array([[[0, 1], [1, 1], [1, 0]], [[1, 1], [0, 0], [0, 1]]], np.uint8)
    simulation = LaneSimulation(core, 2, compiled=compiled)
    # ready in the clocks 0, 3, 6, 9
    result = simulation.stream(words, 9, 5, 20, gaps=[1, 0, 1, 1, 1, 0])
    # offered from clock 1 until 3, then from 5 until 6 and, as 7 begins one, until 9
    valid = [0, 1, 1, 1, 0, 1, 1, 1, 1]
    assert result.in_clocks.tolist() == [3, 6]
    word = [0, 0, 0, 0, 1, 1, 1, 2, 2]
    for lane in range(2):
        seen = result.outputs[lane]
        assert seen[:, 0].tolist() == valid
        assert seen[:, 1].tolist() == [1] * 9
        assert seen[:, 2].tolist() == [0] * 9
        right = [words[lane, w] ^ (1 - v) for w, v in zip(word, valid, strict=True)]
        assert np.array_equal(seen[:, 3:], right)
    # out_ready is what is asked for; behind the last word the data is ones
    result = simulation.stream(words, 12, 5, 40, stall=[0, 1])
    assert result.in_clocks.tolist() == [0, 3, 6]
    assert result.out_clocks.tolist() == list(range(0, 24, 2))
    assert result.clocks == 23
    assert (result.outputs[:, 4:, 0] == 0).all()
    assert (result.outputs[:, 4:, 3:] == 1).all()


@needs_gxx
@needs_yosys
def test_blocks_of_lanes_run_one_after_the_other_where_memory_is_short(core: GateNetlist) -> None:
    words, right = samples(1500)
    simulation = LaneSimulation(core, 1500, memory=30_000, jobs=4)
    assert 64 * simulation.words * simulation.jobs < 1500
    assert np.array_equal(numbers_of(simulation.stream(words, 5, 16, 20)), right)


@needs_yosys
@pytest.mark.parametrize("compiled", INTERPRETERS)
def test_what_goes_wrong_in_a_stream_is_told(core: GateNetlist, compiled: bool) -> None:
    words, _ = samples(3)
    simulation = LaneSimulation(core, 3, compiled=compiled)
    with pytest.raises(ToolFailed, match="gave 3 of 5 words in 8 clocks, and took 5 of 5"):
        simulation.stream(words, 5, 16, 8)
    with pytest.raises(ToolFailed, match="gave 5 of 6 words"):
        simulation.stream(words, 6, 16, 50)
    with pytest.raises(ValueError, match="out_data has 16 bits"):
        simulation.stream(words, 5, 8, 50)
    with pytest.raises(ValueError, match=r"bits \[3, words, 8\]"):
        simulation.stream(words[:2], 5, 16, 50)
    slow = LaneSimulation(core, 3, compiled=compiled, timeout=0.0)
    with pytest.raises(ToolFailed) as caught:
        slow.stream(words, 5, 16, 1000)
    assert caught.value.diagnostics[0].code == "ACT0511"


@needs_yosys
@pytest.mark.parametrize("compiled", INTERPRETERS)
@pytest.mark.parametrize("port", ["in_ready", "out_valid"])
@pytest.mark.parametrize("first", [150, 512])  # in a block of lanes, or the next one
def test_control_that_depends_on_data_is_told(
    core: GateNetlist, compiled: bool, port: str, first: int
) -> None:
    changed = {**core.outputs, port: (core.inputs["in_data"][0],)}
    netlist = dataclasses.replace(core, outputs=changed)
    simulation = LaneSimulation(netlist, first + 50, compiled=compiled)
    words, _ = samples(first + 50)
    words[:], words[first:, 2, 0] = words[:1], 1 - words[0, 2, 0]
    with pytest.raises(ToolFailed, match=f"{port} of core depends on data") as caught:
        simulation.stream(words, 5, 16, 50)
    assert caught.value.diagnostics[0].code == "ACT0523"


@needs_yosys
def test_outputs_without_a_driver_are_told(core: GateNetlist) -> None:
    net = core.outputs["out_data"][3]
    simulation = LaneSimulation(dataclasses.replace(core, floating=(net,)), 2)
    with pytest.raises(ToolFailed, match="1 bits at the outputs"):
        simulation.stream(samples(2)[0], 5, 16, 50)


@needs_gxx
@needs_yosys
@pytest.mark.parametrize(
    ("device", "speed", "memory"),
    [
        ("ecp5-25k", "ecp5-6", "DP16KD"),
        pytest.param("ice40-up5k", "ice40-up", "SB_RAM40_4K", marks=pytest.mark.slow),
    ],
)
def test_a_folded_network_gives_what_its_program_gives(
    device: str, speed: str, memory: str, tmp_path: Path
) -> None:
    window = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
    program = chain(matrix("conv", Stream(6, 5, 4, CODES), 6, window=window, functions="scaled"))
    folding = next(iter(foldings(program.stages[0])))
    target = devices()[device]
    options = HardwareOptions(target.family, find_timing(speed), 20.0)
    word = input_word(program.stages[0], folding)
    design = folded_design(program, [folding], "core", options, word)
    made = synthesize_design(design.files, "core", target, tmp_path, pads=False)
    netlist = GateNetlist.read(json.loads(made.netlist.read_text("utf-8")), "core", target.family)
    assert memory in netlist.cells
    given = program_samples(program, 80)
    right = program.evaluate([given])[0]
    for floating in (0, 1):
        simulation = LaneSimulation(netlist, len(given), floating=floating)
        for stall, gaps in (([0], [0]), ([0, 1, 1, 0, 0, 1], [1, 0, 0, 1, 1])):
            found = simulation.stream(
                element_bits(given, design.input),
                design.output_words,
                design.output.bits,
                50_000,
                stall=stall,
                gaps=gaps,
            )
            stream = program.stream(program.exits[0])
            values = elements_of_bits(found.outputs, stream, design.output)
            assert np.array_equal(values, right)
