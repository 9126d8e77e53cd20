"""Recurrent layers that are folded: golden's bits as a program, as a datapath and as Verilog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from installed import needs_iverilog, needs_verilator, needs_yosys
from integer_models import golden_of
from models import network, normal

from actc.errors import ModelError
from actc.ir import spec
from actc.passes.integer.gates import Tables
from actc.passes.recurrent import GATES
from actc.targets.fpga.boards.load import devices
from actc.targets.fpga.families import find_family
from actc.targets.fpga.flow.synthesize import synthesize_design
from actc.targets.fpga.folded.costs.area import stage_area
from actc.targets.fpga.folded.costs.clocks import all_clocks
from actc.targets.fpga.folded.folding import Folding, foldings, problem_of
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import library_files
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    RecurrentStage,
    Stream,
    SumStage,
)
from actc.targets.fpga.folded.recurrent.cells import Cell, GruCell, LstmCell
from actc.targets.fpga.folded.recurrent.elements import Elements
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline import find_timing
from actc.toolchain import run

Array = np.ndarray[Any, Any]

STEPS, WIDTH, HIDDEN = 6, 5, 4
OPTIONS = HardwareOptions("ecp5", find_timing("ecp5-6"), 50.0)
INPUT = Range(-3000, 2500)


# -- golden ----------------------------------------------------------------------------------


def weights(kind: str) -> dict[str, Array]:
    rows = GATES[kind] * HIDDEN
    return {
        "w": normal(1, rows, WIDTH, scale=0.5),
        "r": normal(1, rows, HIDDEN, seed=1, scale=0.5),
        "b": normal(1, 2 * rows, seed=2, scale=0.5),
        "v": normal(HIDDEN, 3, seed=3),
        "zero": np.array([0]),
        "one": np.array([1]),
        "minus": np.array([-1]),
        "end": np.array([2**31]),
    }


def layer(kind: str, more: str = "", inputs: str = "w, r, b", outputs: str = "y, h") -> str:
    after = ", linear_before_reset = 1" if kind == "GRU" and "linear" not in more else ""
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    return body + f"{outputs} = {kind} <hidden_size = {HIDDEN}{after}{more}> (t, {inputs})\n"


LAST = "k = Squeeze (h, zero)\nz = MatMul (k, v)"
SLICED = (
    "q = Squeeze (y, one)\nn = Transpose <perm = [1,0,2]> (q)\n"
    "p = Slice (n, minus, end, one)\nk = Squeeze (p, one)\nz = MatMul (k, v)"
)
ALL = "q = Squeeze (y, one)\nn = Transpose <perm = [1,0,2]> (q)\nz = MatMul (n, v)"


def model(body: str, shape: str = "[N,3]", **extra: Array) -> onnx.ModelProto:
    signature = f"float[N,{STEPS},{WIDTH}] x => float{shape} z"
    return network(signature, body, {**weights("GRU" if "GRU" in body else "LSTM"), **extra})


def data(samples: int = 24) -> dict[str, Array]:
    return {"x": normal(samples, STEPS, WIDTH, seed=5)}


def folded(proto: onnx.ModelProto) -> tuple[FoldedNetwork, dict[str, Array]]:
    """A model's golden as a folded network, and what golden computes."""
    golden = golden_of(proto, data())
    return build_folded(ir.from_proto(golden), "net"), spec.run(golden, data())


def recurrent_stages(made: FoldedNetwork) -> list[RecurrentStage]:
    return [stage for stage in made.program.stages if isinstance(stage, RecurrentStage)]


def trained(kind: str) -> tuple[str, dict[str, Array]]:
    """Initial states other than zeros, the same for all samples."""
    names = "s" if kind == "GRU" else "s, u"
    body = "n = Shape <start = 0, end = 1> (x)\nk1 = Concat <axis = 0> (one, n, hidden)\n"
    body += "".join(f"{name}0 = Expand ({name}, k1)\n" for name in names.split(", "))
    given = ", ".join(f"{name}0" for name in names.split(", "))
    extra = {name: normal(1, 1, HIDDEN, seed=9, scale=0.4) for name in names.split(", ")}
    body += layer(kind, inputs=f"w, r, b, , {given}")
    return body + LAST, {**extra, "hidden": np.array([HIDDEN])}


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("end", [LAST, SLICED], ids=["last", "sliced"])
def test_the_last_state_equals_golden(kind: str, end: str) -> None:
    made, wanted = folded(model(layer(kind) + end))
    assert made.agrees(made.run(data()), wanted).all()
    (stage,) = recurrent_stages(made)
    assert stage.last
    assert stage.input.positions == STEPS
    assert stage.output.shape == (1, 1, HIDDEN)
    assert len(stage.functions) == HIDDEN
    assert len(made.program.stages) == 3


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_all_states_equal_golden(kind: str) -> None:
    made, wanted = folded(model(layer(kind) + ALL, f"[N,{STEPS},3]"))
    assert made.agrees(made.run(data()), wanted).all()
    assert [stage.last for stage in recurrent_stages(made)] == [False]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_first_states_equal_golden(kind: str) -> None:
    body, extra = trained(kind)
    made, wanted = folded(model(body, **extra))
    assert made.agrees(made.run(data()), wanted).all()
    (stage,) = recurrent_stages(made)
    assert all(np.any(start) for start in stage.cell.initial)


def test_layers_on_layers_equal_golden() -> None:
    body = layer("LSTM").replace("y, h", "p, g") + (
        "p1 = Squeeze (p, one)\n"
        f"y, h = GRU <hidden_size = {HIDDEN}, linear_before_reset = 1> (p1, gw, gr, gb)\n" + LAST
    )
    upper = weights("GRU")
    extra = {"gw": normal(1, 3 * HIDDEN, HIDDEN, seed=8), "gr": upper["r"], "gb": upper["b"]}
    lower = weights("LSTM")
    made, wanted = folded(model(body, **extra, **{name: lower[name] for name in "wrb"}))
    assert made.agrees(made.run(data()), wanted).all()
    assert [stage.cell.kind for stage in recurrent_stages(made)] == ["LSTM", "GRU"]


def test_sums_of_all_states_equal_golden() -> None:
    """A sum and its rounding are one stage: its samples lie where those of the states do."""
    body = layer("LSTM") + (
        f"y2, h2 = LSTM <hidden_size = {HIDDEN}> (t, w2, r, b)\n"
        "q = Squeeze (y, one)\nq2 = Squeeze (y2, one)\ns = Add (q, q2)\n"
        "n = Transpose <perm = [1,0,2]> (s)\nz = MatMul (n, v)"
    )
    proto = model(body, f"[N,{STEPS},3]", w2=normal(1, 4 * HIDDEN, WIDTH, seed=9, scale=0.5))
    golden = golden_of(proto, data(), activations="4")
    made = build_folded(ir.from_proto(golden), "net")
    (added,) = (stage for stage in made.program.stages if isinstance(stage, SumStage))
    assert max(added.factors) < 100
    assert made.agrees(made.run(data()), spec.run(golden, data())).all()


def test_states_that_leave_are_golden() -> None:
    """A network that ends with the states: all their bits."""
    made, wanted = folded(model(layer("GRU") + "z = Squeeze (h, zero)", f"[N,{HIDDEN}]"))
    assert made.agrees(made.run(data()), wanted).all()
    assert made.program.stages[-1].output.range.width == 24


REFUSED = {
    "reverse": (layer("LSTM", ', direction = "reverse"') + LAST, "from the last step"),
    "reset before": (layer("GRU", ", linear_before_reset = 0") + LAST, "in front of the matrix"),
    "cell": (
        layer("LSTM", outputs="y, g, h") + LAST,
        "its cell state is read",
    ),
    "first state": (
        layer("GRU") + SLICED.replace("minus, end", "zero, one"),
        "parts of them are not joined or taken",
    ),
    "batch at the end": (
        layer("GRU") + "q = Squeeze (y, one)\nz = MatMul (q, v)",
        "do not lie along its first axis",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused(name: str) -> None:
    body, reason = REFUSED[name]
    shape = f"[{STEPS},N,3]" if name == "batch at the end" else "[N,3]"
    golden = golden_of(model(body, shape), data())
    with pytest.raises(ModelError) as caught:
        build_folded(ir.from_proto(golden), "net")
    found = [d for d in caught.value.diagnostics if d.code == "ACT0605" and reason in d.message]
    assert len(found) == 1, str(caught.value)


def test_samples_move_to_another_axis_and_back() -> None:
    body = (
        "t = Transpose <perm = [1,2,0]> (x)\nu = Transpose <perm = [0,2,1]> (t)\n"
        "p = MatMul (u, m)\nq = Relu (p)\nn = Transpose <perm = [1,0,2]> (q)\nz = MatMul (n, v)"
    )
    proto = model(body, f"[N,{STEPS},3]", m=normal(WIDTH, HIDDEN, seed=4))
    made, wanted = folded(proto)
    assert made.agrees(made.run(data()), wanted).all()


# -- hardware --------------------------------------------------------------------------------


def gru(units: int = 4, seed: int = 0, signs: bool = False) -> GruCell:
    rng = np.random.default_rng(seed)
    start = rng.integers(-(2**22), 2**22, units)
    bias = rng.integers(-90000, 90000, units)
    return GruCell(*_common(units, 3, rng, signs), start, bias)


def lstm(units: int = 4, seed: int = 0, cell_bits: int = 19) -> LstmCell:
    rng = np.random.default_rng(seed)
    h0, c0 = rng.integers(-30000, 30000, units), rng.integers(-(2**20), 2**20, units)
    shift = cell_bits - 3 - 5  # 2^-7 is a step of the table of 2^6 entries with 2^4 steps each
    return LstmCell(*_common(units, 4, rng, False), h0, c0, cell_bits, shift)


def _common(units: int, gates: int, rng: np.random.Generator, signs: bool) -> tuple[Any, ...]:
    tables, outputs = Tables(6, 4), gates * units
    r = rng.choice([-1, 1], (units, outputs)) if signs else rng.integers(-99, 100, (units, outputs))
    return (
        r.astype(np.int64),
        rng.integers(2**27, 2**29, outputs),
        rng.integers(2**13, 2**15, outputs),
        30,
        tables.gates().astype(np.int64),
        tables.cells().astype(np.int64),
        4,
    )


def program_of(cell: Cell, steps: int = 5, *, last: bool = True, codes: int = 0) -> FoldedProgram:
    """A layer alone; with so many codes, a function of its states."""
    read = Stream(1, steps, cell.outputs, INPUT)
    given = Stream(1, 1 if last else steps, cell.units, cell.result)
    functions: tuple[StepFunction, ...] = ()
    if codes:
        places = np.linspace(cell.result.low, cell.result.high, codes, endpoint=False)
        starts = places.astype(np.int64)
        function = StepFunction.from_runs(cell.result, starts, np.arange(codes))
        functions = (function,) * cell.units
        given = replace(given, range=Range(0, codes - 1))
    stage = RecurrentStage(
        "layer", ("layer",), (-1,), read, given, cell=cell, last=last, functions=functions
    )
    return FoldedProgram((read,), (stage,), (0,))


def built(
    program: FoldedProgram, folding: Folding, options: HardwareOptions = OPTIONS
) -> FoldedDesign:
    return folded_design(program, [folding], "core", options, 1)


def samples(program: FoldedProgram, count: int) -> Array:
    rng = np.random.default_rng(7)
    given = rng.integers(INPUT.low, INPUT.high + 1, (count, *program.entries[0].shape))
    given[0, :, :2] = INPUT.low  # gates that are 0, and a state at its bound
    given[-1, :, :2] = INPUT.high
    return given


@pytest.mark.parametrize("factor", [0, 16, 18])
@pytest.mark.parametrize("cell", [gru(3), lstm(3), lstm(3, cell_bits=15)], ids=["g", "l", "l15"])
def test_the_datapath_computes_a_step(cell: Cell, factor: int) -> None:
    design = Elements(cell, INPUT, factor).design("element")
    x = samples(program_of(cell, steps=1), 300)[:, 0]
    words = np.array(Elements(cell, INPUT, factor).parameter_words(), object)
    kept, operand = (np.broadcast_to(part, (300, cell.units)) for part in cell.initial)
    totals, gates, found = operand @ cell.r, [], {}
    for gate in range(cell.gates):
        own = slice(gate * cell.units, (gate + 1) * cell.units)
        zeros = [np.zeros_like(kept)] * (cell.gates - 1 - len(gates))
        feeds = {
            "x": x[:, 0, own],
            "total": totals[:, own],
            "last": np.full_like(kept, gate == cell.gates - 1),
            "memory": kept,
            "parameters": np.broadcast_to(words[own], kept.shape),
        }
        flat = {name: np.asarray(value).reshape(-1, 1) for name, value in feeds.items()}
        flat["gates"] = np.stack([value.reshape(-1) for value in (*gates, *zeros)], axis=1)
        found = design.evaluate(flat)
        gates.append(found["gate"].reshape(kept.shape).astype(np.int64))
    name = "memory_next" if isinstance(cell, GruCell) else "operand"
    wanted = cell.states(x.reshape(300, 1, -1))[:, 0]
    assert np.array_equal(found[name].reshape(kept.shape), wanted)


CASES = {
    "gru": (gru(), {}, Folding(1, 1, 1, "dsp", "logic", "logic")),
    "gru, codes": (gru(), {"codes": 9}, Folding(2, 1, 1, "dsp", "block", "block")),
    "gru, each": (gru(), {"last": False}, Folding(4, 1, 1, "dsp", "logic", "logic")),
    "gru, signs": (gru(5, signs=True), {"codes": 3}, Folding(5, 1, 1, "logic", "logic", "logic")),
    "gru, one step": (gru(2), {"steps": 1}, Folding(1, 1, 1, "logic", "logic", "block")),
    "lstm": (lstm(), {}, Folding(2, 1, 1, "dsp", "logic", "logic")),
    "lstm, codes": (lstm(), {"codes": 9}, Folding(4, 1, 1, "logic", "logic", "block")),
    "lstm, each": (lstm(3), {"last": False, "codes": 5}, Folding(3, 1, 1, "dsp", "logic", "logic")),
    "lstm, odd": (lstm(7, cell_bits=15), {}, Folding(7, 1, 1, "dsp", "block", "logic")),
}


@needs_iverilog
@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_verilog_equals_the_program(name: str, pauses: bool) -> None:
    cell, how, folding = CASES[name]
    program = program_of(cell, **how)
    assert not problem_of(program.stages[0], folding)
    given = samples(program, 4)
    found = simulate_folded(built(program, folding), given, pauses=pauses, simulator="icarus")
    assert np.array_equal(found.outputs, program.evaluate([given])[0])
    if not pauses:  # the estimate has room for datapaths of faster clocks
        (clocks,) = all_clocks(program.stages[0], [folding])
        assert 0.6 * clocks.work < found.interval <= clocks.work


@needs_iverilog
@pytest.mark.parametrize("clock", [12.0, 24.0])
def test_the_verilog_is_the_same_on_other_devices(clock: float) -> None:
    program = program_of(lstm(), codes=4)
    options = HardwareOptions("ice40", find_timing("ice40-up"), clock)
    for folding in (Folding(2, 1, 1, "dsp"), Folding(4, 1, 1, "logic")):
        given = samples(program, 2)
        found = simulate_folded(built(program, folding, options), given, simulator="icarus")
        assert np.array_equal(found.outputs, program.evaluate([given])[0])


def test_foldings_are_few_and_possible() -> None:
    stage = program_of(gru(12)).stages[0]
    found = list(foldings(stage))
    assert {folding.pe for folding in found} == {1, 2, 3, 4, 6, 12}
    assert len(found) <= 64
    assert not any(problem_of(stage, folding) for folding in found)
    assert problem_of(stage, Folding(5, 1, 1))
    assert problem_of(stage, Folding(4, 1, 2))


@needs_verilator
def test_the_control_passes_lint(tmp_path: Path) -> None:
    for file, text in library_files(["actc_recurrence"]).items():
        (tmp_path / file).write_text(text, "ascii")
    argv = ["verilator", "--lint-only", "-Wall", "--top-module", "actc_recurrence"]
    for cell in (gru(2), lstm(5)):
        values = {"UNITS": cell.units, "GATES": cell.gates, "STEPS": 3, "BLOCKS": cell.gates}
        parameters = [f"-G{name}={value}" for name, value in values.items()]
        run([*argv, *parameters, "actc_recurrence.v"], timeout=60, cwd=tmp_path)


@needs_yosys
def test_multipliers_and_memories_are_as_estimated(tmp_path: Path) -> None:
    program = program_of(gru(4), codes=4)
    folding = Folding(2, 1, 1, "dsp", "logic", "logic")
    found = synthesize_design(
        built(program, folding).files, "core", devices()["ecp5-25k"], tmp_path, dsp=True,
        pads=False,
    )  # fmt: skip
    area = stage_area(program.stages[0], folding, find_family("ecp5"))
    assert found.total.dsps == area.dsps > 2
    assert found.total.brams == area.brams
