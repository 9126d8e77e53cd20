"""States and sequences of recurrent layers, whose batch is on axis 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, run

import actc
from actc.batch_axes import input_axes
from actc.errors import ModelError, UsageError
from actc.prepare import prepare

Array = np.ndarray[Any, Any]

STEPS, WIDTH, HIDDEN, LAYERS = 4, 5, 3, 2
STATES = f"float[{LAYERS},N,{HIDDEN}] h0, float[{LAYERS},N,{HIDDEN}] c0"
BODY = """
  t = Transpose <perm = [1, 0, 2]> (x)
  ha = Slice (h0, zero, one, zero)
  ca = Slice (c0, zero, one, zero)
  ya, hx, cx = LSTM <hidden_size = 3> (t, w, r, b, , ha, ca)
  m = Squeeze (ya, one)
  hb = Slice (h0, one, two, zero)
  cb = Slice (c0, one, two, zero)
  yb, hy, cy = LSTM <hidden_size = 3> (m, w2, r, b, , hb, cb)
  s = Squeeze (yb, one)
  y = Transpose <perm = [1, 0, 2]> (s)
  hn = Concat <axis = 0> (hx, hy)
  cn = Concat <axis = 0> (cx, cy)
"""
WEIGHTS = {
    "w": normal(1, 4 * HIDDEN, WIDTH, scale=0.5),
    "w2": normal(1, 4 * HIDDEN, HIDDEN, scale=0.5, seed=3),
    "r": normal(1, 4 * HIDDEN, HIDDEN, scale=0.5, seed=1),
    "b": normal(1, 8 * HIDDEN, scale=0.1, seed=2),
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
}


def stacked(batch: str = "N") -> onnx.ModelProto:
    """Two LSTM layers with their states as torch exports them."""
    signature = f"float[N,{STEPS},{WIDTH}] x, {STATES} => float[N,{STEPS},{HIDDEN}] y, "
    outputs = ", ".join(f"float[{LAYERS},N,{HIDDEN}] {name}" for name in ("hn", "cn"))
    return network((signature + outputs).replace("N", batch), BODY, WEIGHTS)


def samples(count: int) -> dict[str, Array]:
    """What a user gives: samples on the first axis of every array."""
    states = (normal(count, LAYERS, HIDDEN, scale=0.5, seed=seed) for seed in (1, 2))
    return {"x": normal(count, STEPS, WIDTH), **dict(zip(("h0", "c0"), states, strict=True))}


def fed(data: dict[str, Array]) -> dict[str, Array]:
    """What the model takes."""
    return {k: a if k == "x" else np.moveaxis(a, 0, 1).copy() for k, a in data.items()}


@pytest.mark.parametrize("batch", ["N", "4"])
def test_states_as_torch_exports_them(tmp_path: Path, batch: str) -> None:
    """70 samples: several batches, the last of them not full."""
    model, data, out = stacked(batch), samples(70), tmp_path / "out"
    report = actc.compile(model, "onnx", data=data, output=out).report
    assert report["bit_exact"] is True
    assert report["samples"] == 70
    feeds = fed(samples(4))
    wanted, got = run(model, feeds), run(onnx.load(out / "golden.onnx"), feeds)
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        error = np.sqrt(np.mean((got[name] - array) ** 2))
        assert error < 0.02 * np.sqrt(np.mean(array**2)), name


def test_a_single_sample(tmp_path: Path) -> None:
    report = actc.compile(stacked(), "onnx", data=samples(1), output=tmp_path / "out").report
    assert report["bit_exact"] is True


def test_feeds_have_the_batch_where_the_model_has_it() -> None:
    data = samples(10)
    dataset = prepare(stacked(), data).dataset
    assert dataset.output_axes == {"hn": 1, "cn": 1}
    ((feeds, real),) = dataset.batches()
    assert real == 10
    for name, array in fed(data).items():
        np.testing.assert_array_equal(feeds[name], array)


def test_synthetic_samples() -> None:
    prepared = prepare(stacked(), None)
    assert prepared.dataset.inputs["h0"].shape == (64, LAYERS, HIDDEN)


def test_states_in_the_order_of_the_model_are_refused() -> None:
    data = samples(10)
    wrong = {**data, "h0": np.moveaxis(data["h0"], 0, 1)}
    with pytest.raises(UsageError) as caught:
        prepare(stacked(), wrong)
    first = caught.value.diagnostics[0]
    assert first.code == "ACT0221"
    assert "[samples, 2, 3]" in first.message
    assert "numpy.moveaxis(array, 1, 0)" in (first.help or "")


SEQUENCE = f"float[{STEPS},N,{WIDTH}] x => float[{STEPS},1,N,{HIDDEN}] y"
LAYER = "y, h, c = LSTM <hidden_size = 3> (x, w, r, b)"


def test_sequences_with_the_steps_first(tmp_path: Path) -> None:
    model, data = network(SEQUENCE, LAYER, WEIGHTS), {"x": normal(70, STEPS, WIDTH)}
    prepared = prepare(model, data)
    assert prepared.dataset.axes == {"x": 1}
    assert prepared.dataset.output_axes == {"y": 2}
    report = actc.compile(model, "onnx", data=data, output=tmp_path / "out").report
    assert report["bit_exact"] is True


STATE = f"float[N,{STEPS},{WIDTH}] x, float[1,N,{HIDDEN}] h => float[{STEPS},1,N,{HIDDEN}] y"
FRONT = "t = Transpose <perm = [1,0,2]> (x)\n"
RNN = "y = RNN <hidden_size = 3> (t, w, r, , , {})"
OTHERS = {
    "transposed": (STATE.replace("[1,N", "[N,1"), "s = Transpose <perm = [1,0,2]> (h)\n", "s"),
    "also read by others": (
        STATE + f", float[1,N,{HIDDEN}] z", "z = Neg (h)\n", "h"
    ),
    "also an input of a layer": (STATE, "s = Tanh (h)\n", "s"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_graph_does_not_prove(name: str) -> None:
    signature, body, state = OTHERS[name]
    weights = {"w": WEIGHTS["w"][:, :HIDDEN], "r": WEIGHTS["r"][:, :HIDDEN]}
    model = network(signature, FRONT + body + RNN.format(state), weights)
    assert input_axes(ir.from_proto(model)) == {}


def test_one_batch_for_all_inputs() -> None:
    signature = STATE.replace("x, float[1,N", "x, float[1,5").replace("float[N,4", "float[6,4")
    weights = {"w": WEIGHTS["w"][:, :HIDDEN], "r": WEIGHTS["r"][:, :HIDDEN]}
    model = network(signature, FRONT + RNN.format("h"), weights)
    with pytest.raises(ModelError) as caught:
        prepare(model, None)
    first = caught.value.diagnostics[0]
    assert first.code == "ACT0009"
    assert first.message.endswith("'x' 6, 'h' 5")
    assert first.notes == ("read along axis 1 of 'h'",)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell"])
def test_torch_export(tmp_path: Path, kind: str) -> None:
    """What `actc.export` gives compiles: layers as operators, or their cells unrolled."""
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            options = {} if kind.endswith("Cell") else {"batch_first": True}
            self.layer = getattr(torch.nn, kind)(WIDTH, 6, **options)

        def forward(self, x: Any) -> Any:
            if not kind.endswith("Cell"):
                return self.layer(x)[0]
            state = self.layer(x[:, 0])
            for step in range(1, STEPS):
                state = self.layer(x[:, step], state)
            return state[0] if kind == "LSTMCell" else state

    torch.manual_seed(0)
    model = actc.export(Network(), torch.randn(3, STEPS, WIDTH))
    data = {"x": normal(40, STEPS, WIDTH)}
    out = tmp_path / "out"
    assert actc.compile(model, "onnx", data=data, output=out).report["bit_exact"] is True
    (name,) = (value.name for value in model.graph.output)
    got, wanted = run(onnx.load(out / "golden.onnx"), data)[name], run(model, data)[name]
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.02 * np.sqrt(np.mean(wanted**2))
