"""LSTM, GRU and RNN layers in golden models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, prepared, proto_of, run

from actc.compiler import default_pipeline
from actc.errors import ModelError
from actc.ir import spec
from actc.passes.integer import gates
from actc.passes.quantize import Quantize
from actc.passes.recurrent import GATES
from actc.pipeline import Pipeline

Array = np.ndarray[Any, Any]

STEPS, WIDTH, HIDDEN = 12, 5, 6
SCANS = {"GRU": "IntGruResetBefore", "LSTM": "IntLstm", "RNN": "IntRnn"}
NOISE = 0.02
"""Relative; the weights have eight bits."""


def weights(kind: str, directions: int = 1, scale: float = 0.5) -> dict[str, Array]:
    rows = GATES[kind] * HIDDEN
    return {
        "w": normal(directions, rows, WIDTH, scale=scale),
        "r": normal(directions, rows, HIDDEN, seed=1, scale=scale),
        "b": normal(directions, 2 * rows, seed=2, scale=scale),
        "v": normal(HIDDEN, 3, seed=3),
    }


def attributes(**given: Any) -> str:
    return ", ".join(f"{key} = {value}" for key, value in {"hidden_size": HIDDEN, **given}.items())


def layer(
    kind: str,
    directions: int,
    inputs: str = "w, r, b",
    extra: dict[str, Array] | None = None,
    **given: Any,
) -> onnx.ModelProto:
    """x [N, T, I] -> all steps [T, D, N, H] and the last state [D, N, H]."""
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    body += f"y, h = {kind} <{attributes(**given)}> (t, {inputs})"
    signature = f"float[N,{STEPS},{WIDTH}] x => float[{STEPS},{directions},N,{HIDDEN}] y,"
    signature += f" float[{directions},N,{HIDDEN}] h"
    return network(signature, body, {**weights(kind, directions), **(extra or {})})


def data(samples: int = 32, steps: int = STEPS) -> dict[str, Array]:
    return {"x": normal(samples, steps, WIDTH, seed=5)}


@pytest.mark.parametrize(
    ("kind", "direction"),
    [
        ("GRU", "bidirectional"),
        ("LSTM", "forward"),
        ("LSTM", "reverse"),
        ("LSTM", "bidirectional"),
        ("RNN", "forward"),
    ],
)
def test_kinds_and_directions(kind: str, direction: str) -> None:
    count = 2 if direction == "bidirectional" else 1
    golden = compiled(layer(kind, count, direction=f'"{direction}"'), data(), noise=NOISE)
    assert [op for op in ops(golden) if op.startswith("Int")] == ["IntMatMul", SCANS[kind]] * count
    assert "Requantize" not in ops(golden)  # outputs leave in the precision of the state


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_wide_inputs(kind: str) -> None:
    """Inputs of 16 bits: what is left is the error of the weights."""
    default = default_pipeline("int8", "auto", "minmax").passes
    wide = Pipeline(
        tuple(replace(p, activations="16") if isinstance(p, Quantize) else p for p in default)
    )
    model = layer(kind, 1)
    golden = proto_of(wide.run(prepared(model, data())))
    assert "WideMatMul" in ops(golden)
    got, exact, reference = run(golden, data()), spec.run(golden, data()), run(model, data())
    narrow = run(golden_of(model, data()), data())
    for name, array in exact.items():
        np.testing.assert_array_equal(got[name], array)
        error, other = (np.abs(found[name] - reference[name]).mean() for found in (got, narrow))
        assert error < 0.8 * other


@pytest.mark.parametrize(("after", "inputs"), [(0, "w, r, b"), (1, "w, r, b"), (1, "w, r")])
def test_gru_with_either_reset(after: int, inputs: str) -> None:
    golden = compiled(layer("GRU", 1, inputs, linear_before_reset=after), data(), noise=NOISE)
    assert ("IntGru" if after else "IntGruResetBefore") in ops(golden)


def test_defaults_may_be_spelled_out() -> None:
    names = 'direction = "forward", activations = ["Sigmoid", "TANH", "tanh"], layout = 0'
    body = f"t = Transpose <perm = [1,0,2]> (x)\ny, h, c = LSTM <hidden_size = {HIDDEN}, {names},"
    body += " input_forget = 0> (t, w, r, b)"
    model = network(f"float[N,4,{WIDTH}] x => float[4,1,N,{HIDDEN}] y", body, weights("LSTM"))
    compiled(model, data(steps=4), noise=NOISE)


@pytest.mark.parametrize("output", ["y", "h", "c"])
def test_any_one_output(output: str) -> None:
    shape = f"[3,1,N,{HIDDEN}]" if output == "y" else f"[1,N,{HIDDEN}]"
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    body += f"y, h, c = LSTM <{attributes()}> (t, w, r, b)"
    model = network(
        f"float[N,3,{WIDTH}] x => float{shape} {output}", body, weights("LSTM"),
    )  # fmt: skip
    node = model.graph.node[-1]
    node.output[:] = [name if name == output else "" for name in node.output]
    compiled(model, data(steps=3), noise=NOISE)


def test_what_follows_reads_codes() -> None:
    """Two layers, the upper one on the lower one's outputs, and a classifier on the last step."""
    body = (
        "t = Transpose <perm = [1,0,2]> (x)\n"
        f"p = LSTM <{attributes()}> (t, w, r, b)\np1 = Squeeze (p, one)\n"
        f"q = GRU <{attributes(linear_before_reset=1)}> (p1, gw, gr, gb)\nq1 = Squeeze (q, one)\n"
        "last = Slice (q1, minus, end, zero)\nk = Squeeze (last, zero)\ny = MatMul (k, v)"
    )
    upper = weights("GRU")
    extra = {
        "gw": normal(1, 3 * HIDDEN, HIDDEN, seed=8),
        "gr": upper["r"],
        "gb": upper["b"],
        "one": np.array([1]),
        "zero": np.array([0]),
        "minus": np.array([-1]),
        "end": np.array([2**31]),
    }
    model = network(
        f"float[N,{STEPS},{WIDTH}] x => float[N,3] y", body, {**weights("LSTM"), **extra}
    )
    golden = compiled(model, data(), noise=0.03)
    found = [op for op in ops(golden) if op.startswith("Int")]
    assert found == ["IntMatMul", "IntLstm", "IntMatMul", "IntGru", "IntMatMul"]


INITIAL = {
    "zeros of the batch": (
        "n = Shape <start = 0, end = 1> (x)\nk = Concat <axis = 0> (one, n, hidden)\n"
        "h0 = ConstantOfShape (k)",
        {},
    ),
    "trained and repeated": (
        "n = Shape <start = 0, end = 1> (x)\nk = Concat <axis = 0> (one, n, hidden)\n"
        "h0 = Expand (s, k)",
        {"s": normal(1, 1, HIDDEN, seed=9, scale=0.4)},
    ),
    "computed": (
        "f = Slice (x, zero, one, one)\ng = Squeeze (f, one)\nm = MatMul (g, first)\n"
        "a = Tanh (m)\nh0 = Unsqueeze (a, zero)",
        {"first": normal(WIDTH, HIDDEN, seed=9), "zero": np.array([0])},
    ),
}


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "LSTM") for name in INITIAL), ("computed", "GRU")]
)
def test_initial_states(name: str, kind: str) -> None:
    lines, extra = INITIAL[name]
    body = f"{lines}\nt = Transpose <perm = [1,0,2]> (x)\n"
    body += f"y, h = {kind} <{attributes()}> (t, w, r, b, , h0)"
    constants = {"one": np.array([1]), "hidden": np.array([HIDDEN]), **extra}
    model = network(
        f"float[N,3,{WIDTH}] x => float[3,1,N,{HIDDEN}] y", body, {**weights(kind), **constants}
    )
    golden = compiled(model, data(steps=3), noise=NOISE)
    # Without the state the outputs would be others.
    without = network(
        f"float[N,3,{WIDTH}] x => float[3,1,N,{HIDDEN}] y",
        f"t = Transpose <perm = [1,0,2]> (x)\ny, h = {kind} <{attributes()}> (t, w, r, b)",
        weights(kind),
    )
    change = np.abs(run(golden, data(steps=3))["y"] - run(without, data(steps=3))["y"]).max()
    assert (change < 0.05) == (name == "zeros of the batch")


def _streaming(kind: str, steps: int) -> onnx.ModelProto:
    """Two stacked layers whose states [N, 2, H] come from the caller and go back to him."""
    states = "hc" if kind == "LSTM" else "h"
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    for s in states:
        body += f"{s}t = Transpose <perm = [1,0,2]> ({s}0)\n"
        body += f"{s}a, {s}b = Split <axis = 0, num_outputs = 2> ({s}t)\n"
    given = [", ".join(f"{s}{k}" for s in states) for k in "ab"]
    body += f"p, {', '.join(f'{s}p' for s in states)} = {kind} <{attributes()}>"
    body += f" (t, w, r, b, , {given[0]})\np1 = Squeeze (p, one)\n"
    body += f"q, {', '.join(f'{s}q' for s in states)} = {kind} <{attributes()}>"
    body += f" (p1, w2, r, b, , {given[1]})\ny = Squeeze (q, one)\n"
    for s in states:
        body += f"{s}n = Concat <axis = 0> ({s}p, {s}q)\n"
        body += f"{s}1 = Transpose <perm = [1,0,2]> ({s}n)\n"
    extra = {"one": np.array([1]), "w2": normal(1, GATES[kind] * HIDDEN, HIDDEN, seed=4)}
    inputs = "".join(f", float[N,2,{HIDDEN}] {s}0" for s in states)
    outputs = "".join(f", float[N,2,{HIDDEN}] {s}1" for s in states)
    signature = f"float[N,{steps},{WIDTH}] x{inputs} => float[{steps},N,{HIDDEN}] y{outputs}"
    return network(signature, body, {**weights(kind), **extra})


@pytest.mark.parametrize("kind", GATES)
def test_a_carried_state_does_not_drift(kind: str) -> None:
    """Step by step with the state carried along gives the same bits as all steps at once."""
    states = "hc" if kind == "LSTM" else "h"
    start = {f"{s}0": normal(32, 2, HIDDEN, seed=7, scale=0.5).clip(-1, 1) for s in states}
    whole = golden_of(_streaming(kind, STEPS), {**data(), **start})
    assert ops(whole).count("FixedPoint") == len(states)
    at_once = run(whole, {**data(), **start})
    # The same integers for one step: golden of the same network and data, run on shorter input.
    single = onnx.ModelProto()
    single.CopyFrom(whole)
    del single.graph.value_info[:]
    for value in (*single.graph.input, *single.graph.output):
        for extent in value.type.tensor_type.shape.dim:
            if extent.dim_value == STEPS:
                extent.dim_value = 1
    carried = dict(start)
    for step in range(STEPS):
        feeds = {"x": data()["x"][:, step : step + 1], **carried}
        got = run(single, feeds)
        np.testing.assert_array_equal(got["y"][0], at_once["y"][step])
        carried = {f"{s}0": got[f"{s}1"] for s in states}
    for s in states:
        np.testing.assert_array_equal(carried[f"{s}0"], at_once[f"{s}1"])


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_long_sequences_do_not_drift(kind: str) -> None:
    """Gates that keep for hundreds of steps: the error stays that of short sequences."""
    steps = 500
    given = weights(kind, scale=0.3)
    keep = slice(2 * HIDDEN, 3 * HIDDEN) if kind == "LSTM" else slice(0, HIDDEN)
    given["b"][:, keep] = np.linspace(3, 8, HIDDEN)
    body = f"t = Transpose <perm = [1,0,2]> (x)\ny = {kind} <{attributes()}> (t, w, r, b)"
    model = network(f"float[N,{steps},{WIDTH}] x => float[{steps},1,N,{HIDDEN}] y", body, given)
    feeds = data(4, steps)
    got, reference = run(golden_of(model, feeds), feeds)["y"], run(model, feeds)["y"]
    error = np.sqrt(((got - reference) ** 2).mean(axis=(1, 2, 3)))
    size = np.sqrt((reference**2).mean())
    assert error[-100:].mean() < 0.02 * size
    assert error.max() < 0.05 * size


def test_far_from_calibration_the_states_saturate() -> None:
    model = layer("LSTM", 1)
    golden = golden_of(model, data())
    for scale in (1e3, -1e30):
        feeds = {"x": data()["x"] * np.float32(scale)}
        got, exact = run(golden, feeds), spec.run(golden, feeds)
        for name, array in exact.items():
            np.testing.assert_array_equal(got[name], array)
            assert np.abs(array).max() <= 1


def test_states_beyond_their_range_saturate() -> None:
    start = {"h0": np.zeros((32, 2, HIDDEN), np.float32)}
    start["c0"] = normal(32, 2, HIDDEN, seed=7)
    golden = golden_of(_streaming("LSTM", 2), {**data(steps=2), **start})
    wild = {"h0": start["h0"] + np.float32(np.inf), "c0": start["c0"] * np.float32(1e9)}
    feeds = {**data(steps=2), **wild}
    got, exact = run(golden, feeds), spec.run(golden, feeds)
    for name, array in exact.items():
        np.testing.assert_array_equal(got[name], array)
    assert 1 < np.abs(got["c1"]).max() < 64


REFUSED = {
    "sequence_lens": ("w, r, b, lens", {}, "length of each sequence"),
    "peepholes": ("w, r, b, , , , p", {}, "peepholes"),
    "clip": ("w, r, b", {"clip": 2.0}, "clips"),
    "coupled": ("w, r, b", {"input_forget": 1}, "input_forget"),
    "activations": ("w, r, b", {"activations": '["Sigmoid","Relu","Tanh"]'}, "relu"),
    "several": ("w, r, b, lens", {"clip": 1.0, "input_forget": 1}, "clips"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    inputs, given, reason = REFUSED[name]
    extra = {"lens": np.array([STEPS, 3, STEPS, 1], np.int32), "p": normal(1, 3 * HIDDEN)}
    model = layer("LSTM", 1, inputs, extra, **given)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    for value, axis in zip(model.graph.output, (2, 1), strict=True):
        value.type.tensor_type.shape.dim[axis].dim_value = 4
    model.graph.node[-1].name = "/cell"
    with pytest.raises(ModelError) as caught:
        golden_of(model, data(4))
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.node, found.place.op) == ("ACT0108", "/cell", "LSTM")
    assert reason in found.message
    assert found.help


def test_lengths_that_are_the_whole_sequence() -> None:
    model = layer("GRU", 1, "w, r, b, lens", {"lens": np.full(32, STEPS, np.int32)})
    for value, axis in zip((*model.graph.input, *model.graph.output), (0, 2, 1), strict=True):
        value.type.tensor_type.shape.dim[axis].dim_value = 32
    compiled(model, data(), noise=NOISE)


def test_weights_that_are_computed_are_refused() -> None:
    body = "t = Transpose <perm = [1,0,2]> (x)\nm = ReduceMax <keepdims = 0> (x, axes)\n"
    body += "k = Reshape (m, shape)\nrr = Mul (r, k)\n"
    body += f"y, h = RNN <{attributes()}> (t, w, rr, b)"
    model = network(
        f"float[N,3,{WIDTH}] x => float[3,1,N,{HIDDEN}] y", body,
        {**weights("RNN"), "axes": np.array([0, 1, 2]), "shape": np.array([1, 1, 1])},
    )  # fmt: skip
    with pytest.raises(ModelError) as caught:
        golden_of(model, data(steps=3))
    assert any("not constant" in d.message for d in caught.value.diagnostics)


def test_a_cell_without_bound_is_refused() -> None:
    """A counter: it adds one in each of 300 steps."""
    given = weights("LSTM")
    for name in "wrb":
        given[name][:] = 0
    given["b"][:] = 20
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    body += f"y = LSTM <{attributes()}> (t, w, r, b)"
    model = network(f"float[N,300,{WIDTH}] x => float[300,1,N,{HIDDEN}] y", body, given)
    with pytest.raises(ModelError) as caught:
        golden_of(model, data(2, 300))
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0109"
    assert " 300 " in found.message


@pytest.mark.parametrize(("reach", "bits"), [(0.1, 19), (8.0, 19), (8.1, 18), (60, 16), (250, 15)])
def test_the_cell_has_room(reach: float, bits: int) -> None:
    assert gates.cell_bits(reach) == bits
    assert 2.0 ** (gates.CELL_WIDTH - bits) > 2 * reach


def test_tables_are_within_their_bound_at_every_step() -> None:
    """A line between two entries errs by piece^2 / 8 * max |f''|; all else is rounding."""
    tables = gates.TABLES
    half = 2 ** (tables.table_bits + tables.step_bits - 1)
    steps, unit = np.arange(-half, half), 2.0**-gates.STATE_BITS
    for table, reach, function, curvature, top in (
        (tables.gates(), gates.GATE_REACH, lambda x: 1 / (1 + np.exp(-x)), 0.0963, 0),
        (tables.cells(), gates.CELL_REACH, np.tanh, 0.7699, unit / 2),
    ):
        # The specification's own look-up, which the bodies are tested against.
        got = spec.recurrent._interpolate(table, steps, tables.step_bits) * unit
        piece = 2 * reach / 2**tables.table_bits
        error = np.abs(got - function(steps * (reach / half)))
        assert error.max() <= piece**2 / 8 * curvature + unit + top
        assert np.all(np.diff(got) >= 0)


def test_both_sums_of_a_gate_are_exact_together() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        x_factor, h_factor = 2.0 ** generator.uniform(-20, 6, (2, 16))
        x_bound, h_bound = (2.0 ** generator.uniform(8, 30, (2, 16))).astype(np.int64)
        found = gates.scaling(x_factor, h_factor, x_bound, h_bound)
        total = found.x_multiplier.astype(object) * x_bound + found.h_multiplier * h_bound
        assert max(total) + 2 ** (found.shift - 1) < 2**52
        relative = found.x_multiplier / (x_factor * 2.0**found.shift) - 1
        assert np.abs(relative * x_factor * x_bound).max() <= 2.0**-found.shift * x_bound.max()
    with pytest.raises(ModelError, match="ACT0301"):
        gates.scaling(np.array([1e12]), np.array([1.0]), np.array([2**20]), np.array([2**20]))
