"""Tables of functions in block memories: which go there, and what is made of them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest
from installed import needs_iverilog, needs_yosys
from models import network, normal
from test_fpga_functions_forms import activation
from test_fpga_functions_forms import unrolled as of_table

import actc
from actc.errors import UsageError
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards import devices
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.estimate import estimate_design
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.flow import synthesize_design
from actc.targets.fpga.flow.execute import execute
from actc.targets.fpga.flow.pack import PACKING_LIMITS
from actc.targets.fpga.flow.programs import find_program
from actc.targets.fpga.functions import FunctionOptions, Requantization, Stage, table_stage
from actc.targets.fpga.functions.memories import MEMORY_BITS, best_way, table_way
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Design, Graph, Module, Output, Range, evaluate
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Bus
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.ladder import (
    border_of,
    netlist_rung,
    read_netlist,
    units_rung,
    vectors_of,
    verilog_rung,
)
from actc.targets.fpga.ladder.netlists import bitstream_rung
from actc.targets.fpga.network import Network, NetworkOptions, build_network
from actc.targets.fpga.network.memories import savings, with_memories
from actc.targets.fpga.options import Tables
from actc.targets.fpga.pipeline import find_timing
from actc.targets.fpga.rtl_simulation import simulate_design
from actc.targets.fpga.tables import Asked, pipelined
from actc.targets.fpga.target import FpgaTarget
from actc.targets.named import make_target

Array = npt.NDArray[np.float32]

ECP5 = FunctionOptions("ecp5")
SLOW = find_timing("ecp5-6")
HIDDEN = 2
DEVICES = ("ecp5-25k", "ice40-hx8k")


def random_table(bits: int, seed: int = 0) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, 256, 1 << bits)


def classifier() -> onnx.ModelProto:
    """Two layers with SiLU between them."""
    weights = {
        "a": normal(4, HIDDEN, seed=1),
        "b": normal(HIDDEN, seed=2),
        "c": normal(HIDDEN, 2, seed=3),
    }
    body = """
        first = MatMul(x, a)
        biased = Add(first, b)
        gate = Sigmoid(biased)
        silu = Mul(biased, gate)
        y = MatMul(silu, c)
    """
    return network("float[N,4] x => float[N,2] y", body, weights)


def data() -> dict[str, Array]:
    return {"x": normal(64, 4, seed=5)}


BITS: dict[str, Any] = {"weights": "3", "activations": "8"}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> ir.Model:
    directory = tmp_path_factory.mktemp("tables") / "out"
    actc.compile(classifier(), "onnx", data=data(), output=directory, **BITS)
    return ir.load(directory / "golden.onnx")


@pytest.fixture(scope="module")
def unrolled(golden: ir.Model) -> Network:
    options = NetworkOptions(end="scores", adders=AdderOptions(effort=0), functions=ECP5)
    return build_network(golden, "net", options)


def planned(
    network: Network, tables: Tables, device: Device, asked: Asked
) -> tuple[Network, Design]:
    return pipelined(network, tables, device, SLOW, ECP5, asked)


def memories(design: Design) -> int:
    """Tables in block memories that a design has."""
    lookups = (w.operator for w in design.module().wires() if isinstance(w.operator, op.Lookup))
    return sum(lookup.memory for lookup in lookups)


def in_memory(network: Network) -> list[bool]:
    """Of each function, whether it reads a block memory."""
    found = []
    for unit in network.units:
        pending, stored = [unit.end], False
        while pending:
            wire = pending.pop()
            stored |= isinstance(wire.operator, op.Lookup) and wire.operator.memory
            pending += [o for o in wire.operands if wire.index != unit.start.index]
        found.append(stored)
    return found


# --- functions


@pytest.mark.parametrize("family", FAMILIES)
def test_a_random_table_saves_what_it_takes_in_logic(family: str) -> None:
    steps = StepFunction.of(Range(0, 1023), random_table(10))
    way = table_way(steps, FunctionOptions(family))
    assert way is not None
    assert way.blocks == {"ice40": 2}.get(family, 1)
    assert way.saved > 150
    assert way.saved_by_each == way.saved / way.blocks


def test_stages_are_stored_where_each_memory_saves_most() -> None:
    """The requantization in front is cheaper in logic than eight memories of all sums."""
    silu = np.arange(256) * np.arange(256) % 251
    stages: list[Stage] = [Requantization(1 << 20, 25, 0, 0, 255), table_stage(silu)]
    way = best_way(Range(0, 8191), stages, ECP5)
    assert way is not None
    assert [stored for _, stored in way.functions] == [False, True]
    assert way.blocks == 1
    graph = Graph()
    x = graph.input("x", Range(0, 8191))
    y = way.build(x, ECP5)
    codes = np.arange(8192)
    found = evaluate(Module("m", (x,), (Output("y", y, y.width),)), {"x": codes.tolist()})["y"]
    np.testing.assert_array_equal(found, silu[np.clip((codes + 16) >> 5, 0, 255)])


def test_small_and_huge_functions_stay_in_logic() -> None:
    few = StepFunction.of(Range(0, 7), np.arange(8)[::-1] ** 2)
    assert table_way(few, ECP5) is None
    assert best_way(few.range, [few.cut], ECP5) is None
    many = StepFunction.of(Range(0, (2 << MEMORY_BITS) - 1), lambda x: x >> 9)
    assert best_way(many.range, [many.cut], ECP5) is None
    wide = StepFunction.of(Range(0, 255), random_table(8) << 11)
    assert table_way(wide, ECP5) is None


# --- networks


def test_a_network_with_memories_computes_the_same(golden: ir.Model, unrolled: Network) -> None:
    found = savings(unrolled, ECP5)
    assert len(found) == HIDDEN
    rates = [saving.way.saved_by_each for saving in found]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0
    stored = with_memories(unrolled, found[:1], ECP5)
    assert memories(unrolled.design) == 0
    assert memories(stored.design) == 1
    wanted = unrolled.run(data())
    for name, array in stored.run(data()).items():
        np.testing.assert_array_equal(array, wanted[name])
    before, after = (estimate_design(n.design, "ecp5").total for n in (unrolled, stored))
    assert (before.brams, after.brams) == (0, 1)
    assert after.logic_cells < before.logic_cells
    assert len(stored.units) == len(stored.design.spans) == len(unrolled.units)


def test_smooth_tables_are_logic_unless_logic_is_short(unrolled: Network) -> None:
    device = devices()["ecp5-25k"]
    asked: Asked = {"clock_mhz": 100.0}
    assert memories(planned(unrolled, "auto", device, asked)[1]) == 0
    assert memories(planned(unrolled, "logic", device, asked)[1]) == 0
    assert memories(planned(unrolled, "memory", device, asked)[1]) == HIDDEN
    cells = estimate_design(unrolled.design, "ecp5").total.logic_cells
    full = replace(device, luts=round(cells))
    assert memories(planned(unrolled, "auto", full, asked)[1]) == HIDDEN
    roomy = replace(device, luts=round(1.3 * cells))
    assert memories(planned(unrolled, "auto", roomy, asked)[1]) == 0


def test_those_that_save_most_get_the_memories_that_there_are(unrolled: Network) -> None:
    few = replace(devices()["ecp5-25k"], brams=2)  # one is left
    stored, design = planned(unrolled, "memory", few, {"clock_mhz": 100.0})
    assert memories(design) == 1
    best = {saving.unit.end.index for saving in savings(unrolled, ECP5)[:1]}
    assert in_memory(stored).count(True) == 1
    assert in_memory(stored) == [unit.end.index in best for unit in unrolled.units]
    wanted = unrolled.run(data())
    for name, array in stored.run(data()).items():
        np.testing.assert_array_equal(array, wanted[name])


def test_a_clock_that_no_memory_reaches(unrolled: Network) -> None:
    """A read takes 5.1 ns on ECP5 of speed 6."""
    full = replace(devices()["ecp5-25k"], luts=1)
    asked: Asked = {"clock_mhz": 170.0}
    assert memories(planned(unrolled, "auto", full, asked)[1]) == 0
    with pytest.raises(UsageError, match="ACT0561"):
        planned(unrolled, "memory", full, asked)


def test_a_clock_that_only_memories_reach() -> None:
    """With memories as fast as those of some families, and one function alone."""
    network = of_table(activation("sigmoid", 10, 8))
    fast = replace(SLOW, memory_setup=0.1, memory_read=1.0)
    device = devices()["ecp5-25k"]

    def planned_at(clock_mhz: float, tables: Tables, device: Device = device) -> int:
        asked: Asked = {"clock_mhz": clock_mhz}
        return memories(pipelined(network, tables, device, fast, ECP5, asked)[1])

    assert [planned_at(200.0, tables) for tables in ("auto", "memory", "logic")] == [0, 1, 0]
    assert [planned_at(300.0, tables) for tables in ("auto", "memory")] == [1, 1]
    for clock_mhz, tables, refused in [
        (300.0, "logic", device),
        (300.0, "auto", replace(device, brams=1)),  # that one is left
        (500.0, "auto", device),
    ]:
        with pytest.raises(UsageError, match="ACT0561"):
            planned_at(clock_mhz, tables, refused)


@pytest.mark.parametrize("latency", [4, 8])
def test_a_latency_is_kept(unrolled: Network, latency: int) -> None:
    device = devices()["ecp5-25k"]
    stored, design = planned(unrolled, "memory", device, {"latency": latency})
    assert design.latency == latency
    assert memories(design) == HIDDEN
    codes = unrolled.prologue(data())
    found, wanted = design.evaluate(codes), unrolled.design.evaluate(codes)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name][latency:], array[: len(array) - latency])
    assert stored.design is not unrolled.design


@pytest.mark.parametrize("target", ["gowin-gw2a18:tables=memory", "verilog:tables=memory"])
def test_families_whose_memories_are_not_compared_refuse_them(target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ACT0556"):
        actc.compile(
            classifier(), target, data=data(), output=tmp_path / "out", dry_run=True, **BITS
        )
    assert not list(tmp_path.iterdir())


# --- Verilog


@needs_iverilog
def test_the_verilog_of_memories_and_a_wrong_word(unrolled: Network) -> None:
    stored, design = planned(unrolled, "memory", devices()["ecp5-25k"], {"clock_mhz": 100.0})
    codes, files = stored.prologue(data()), write_design(design)
    wanted = unrolled.design.evaluate(codes)
    found = simulate_design(files, design, codes, simulator="icarus")
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())
    wrong = {name: inverted(text) for name, text in files.items()}
    found = simulate_design(wrong, design, codes, simulator="icarus")
    assert not all(np.array_equal(found[name], array) for name, array in wanted.items())


WORD = r"(entry_table\w*\[\d+\] = \d+'d)(\d+);"


def inverted(text: str) -> str:
    """The text with the highest bit but one of all words inverted: some are never read."""
    return re.sub(WORD, lambda found: f"{found[1]}{int(found[2]) ^ 32};", text)


@needs_yosys
@pytest.mark.parametrize(("family", "bits"), [("ecp5", 10), ("ice40", 8)])
def test_yosys_makes_what_was_chosen(family: str, bits: int, tmp_path: Path) -> None:
    """One table in logic, which yosys itself would make a block memory, and one in memory."""
    graph = Graph()
    x = graph.input("x", Range(0, (1 << bits) - 1))
    address = x.register(free=True)
    first, second = (random_table(bits, seed).tolist() for seed in (1, 2))
    logic = graph.lookup(address, first).register(free=True)
    memory = graph.lookup(address, second, memory=True).register(free=True)
    buses = Bus("x", (), (x,), bits, False), Bus("y", (2,), (logic, memory), 8, False)
    design = Design("tables", (buses[0],), (buses[1],))
    device = next(device for device in devices().values() if device.family == family)
    found = synthesize_design(write_design(design), "tables", device, tmp_path, pads=False).total
    assert found.brams == estimate_design(design, family).total.brams == 1
    assert found.luts > 100


# --- the whole ladder


@pytest.fixture(scope="module", params=DEVICES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tables") / "out"
    target = f"{request.param}:tables=memory"
    actc.compile(classifier(), target, data=data(), output=directory, **BITS)
    return directory


@pytest.mark.slow
def test_all_rungs_are_equal_with_tables_in_memories(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    results = {rung["name"]: rung["result"] for rung in report["rungs"]}
    assert set(results.values()) == {"equal"}
    rows = {row["name"]: row for row in report["hardware"]["resources"]}
    used = rows["block memories"]["used"]
    # a function of each hidden unit; one of more than eleven bits takes two blocks on ECP5
    assert used == rows["block memories"]["estimated"] >= HIDDEN
    layers = {row["layer"]: row["brams"] for row in report["hardware"]["layers"]}
    assert sum(layers.values()) == layers["biased"] == used


def plant_in_netlist(document: dict[str, Any]) -> None:
    """Invert all words of a memory, as some are never read."""
    (module,) = (m for m in document["modules"].values() if m["cells"])
    parameters = next(
        cell["parameters"]
        for _, cell in sorted(module["cells"].items())
        if {"INITVAL_00", "INIT_0"} & set(cell["parameters"])
    )
    for key in [key for key in parameters if re.fullmatch(r"INIT(VAL)?_[0-9A-F]+", key)]:
        parameters[key] = parameters[key].translate(str.maketrans("01", "10"))


def plant_in_configuration(directory: Path, device: Device, top: str) -> Path:
    """Change a digit of all words of memories, and pack again; what was asked for."""
    work, name = directory / "build", {"ice40": "routed.asc", "ecp5": "routed.config"}
    path = work / name[device.family]
    asked = path.read_text()
    memory, lines = False, []
    for line in asked.splitlines():
        if line.startswith("."):
            memory = line.startswith((".ram_data", ".bram_init"))
            lines.append(line)
        else:
            lines.append(line.translate(str.maketrans("01", "10")) if memory else line)
    (work / "wrong").write_text("\n".join(lines) + "\n")
    program, suffix = {"ice40": ("icepack", ".bin"), "ecp5": ("ecppack", ".bit")}[device.family]
    log = work / "logs" / "wrong.log"
    execute(find_program(program), ["wrong", "out"], work, limits=PACKING_LIMITS, log=log)
    (work / "out").replace(directory / f"{top}{suffix}")
    return path


@pytest.mark.slow
def test_a_wrong_word_is_caught_at_each_rung(built: Path, tmp_path: Path) -> None:
    target = make_target(json.loads((built / "manifest.json").read_text())["target"])
    assert isinstance(target, FpgaTarget)
    assembly, family = target.assembly_of(built), target.board.device.family
    outputs = assembly.network.run(data())
    vectors = vectors_of(assembly.network, ir.load(built / "golden.onnx"), data(), outputs)
    netlists = [read_netlist(built / "build" / f"{n}.json") for n in ("netlist", "routed")]
    border = border_of(assembly, netlists[0])
    for document in netlists:
        plant_in_netlist(document)
    for folder in ("rtl", "build"):
        shutil.copytree(built / folder, tmp_path / folder)
    path = tmp_path / "rtl" / "model_biased.v"
    path.write_text(inverted(path.read_text()))
    configuration = plant_in_configuration(tmp_path, target.board.device, assembly.top)
    routed = read_netlist(built / "build" / "routed.json")
    found = [
        verilog_rung(assembly, tmp_path, vectors),
        units_rung(assembly, tmp_path),
        netlist_rung("", assembly, netlists[0], assembly.top, border, family, vectors),
        netlist_rung("", assembly, netlists[1], "top", border, family, vectors),
        bitstream_rung(
            assembly, tmp_path, routed, border, target.board.device, vectors, configuration
        ),
    ]
    assert [rung.result for rung in found] == ["differs"] * len(found)
