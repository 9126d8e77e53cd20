"""Weights of recurrent layers in few bits: W and R are layers of pass `weights`."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, prepared, proto_of, run
from test_recurrent_layers import HIDDEN, STEPS, WIDTH, attributes, data, layer, weights

from actc.ir import spec
from actc.ir.context import context_of
from actc.numerics.weights import WeightFormat
from actc.passes.recurrent import GATES
from actc.pipeline import Pipeline

Array = np.ndarray[Any, Any]

FEW = "normalize,structure,recognize,calibrate,approximate,quantize,weights{%s},integerize"


def few_bits(
    model: onnx.ModelProto, options: str, feeds: dict[str, Array] | None = None
) -> tuple[Any, Any]:
    """Golden with fewer bits of weights, checked against its specification; the context."""
    result = Pipeline.parse(FEW % options).run(prepared(model, feeds or data()))
    golden = proto_of(result)
    got, exact = run(golden, data()), spec.run(golden, data())
    for name, array in exact.items():
        np.testing.assert_array_equal(got[name], array)
    return golden, context_of(result)


def constant_of(golden: onnx.ModelProto, name: str) -> Array:
    return next(onnx.numpy_helper.to_array(t) for t in golden.graph.initializer if t.name == name)


def correlated(samples: int, seed: int) -> dict[str, Array]:
    """Inputs that have most in common, with a mean."""
    shared = normal(samples, STEPS, 1, seed=seed) + 1
    return {"x": shared + normal(samples, STEPS, WIDTH, seed=seed + 1, scale=0.2)}


def rms(golden: onnx.ModelProto, model: onnx.ModelProto) -> float:
    feeds = correlated(64, seed=77)
    return float(np.sqrt(np.mean((run(golden, feeds)["y"] - run(model, feeds)["y"]) ** 2)))


@pytest.mark.parametrize("bits", ["8", "4", "ternary"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
def test_weights_of_few_bits(kind: str, bits: str) -> None:
    """W and R are layers of pass `weights`, in both directions, and golden holds the codes."""
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    model = layer(kind, 2, direction='"bidirectional"', **options)
    model.graph.node[-1].name = "cell"
    golden, context = few_bits(model, f"bits={bits},edges=0")
    rows = context.facts["layers"]
    assert list(rows) == ["cell.W", "cell.R"]
    form = WeightFormat.parse(bits)
    for part, size in (("W", WIDTH), ("R", HIDDEN)):
        row, found = rows[f"cell.{part}"], context.facts["weights"][f"cell.{part}"]
        count = 2 * GATES[kind] * HIDDEN * size
        assert (row["weights"], row["bytes"]) == (count, form.packed_bytes(count))
        assert row["rounding"] == ("sequential" if part == "W" else "optimal")
        assert row["op"] == kind
        held = np.concatenate([constant_of(golden, f"y.{d}.{part.lower()}").T for d in (0, 1)])
        np.testing.assert_array_equal(held, found.codes)
        assert np.isin(np.abs(held), form.magnitudes).all()


def test_nearest_weights_of_eight_bits_are_those_without_the_pass() -> None:
    for kind in GATES:
        model = layer(kind, 2, direction='"bidirectional"')
        golden, _ = few_bits(model, "bits=8,rounding=nearest")
        steps = FEW.replace("weights{%s},", "")
        without = proto_of(Pipeline.parse(steps).run(prepared(model, data())))
        one, other = (m.SerializeToString(deterministic=True) for m in (golden, without))
        assert one == other


@pytest.mark.parametrize("rounding", ["optimal", "sequential"])
@pytest.mark.parametrize(("kind", "after"), [("LSTM", 0), ("GRU", 1), ("RNN", 0)])
def test_optimal_rounding_sees_inputs_and_states(kind: str, after: int, rounding: str) -> None:
    model = layer(kind, 1, linear_before_reset=after) if after else layer(kind, 1)
    errors = [
        rms(few_bits(model, f"bits=3,edges=0,rounding={how}", correlated(256, 5))[0], model)
        for how in ("nearest", rounding)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_a_reset_before_the_matrix_hides_what_it_reads() -> None:
    _, context = few_bits(layer("GRU", 1, linear_before_reset=0), "bits=4,edges=0")
    found = [row["rounding"] for row in context.facts["layers"].values()]
    assert found == ["sequential", "nearest"]


def test_states_that_nothing_reads_are_seen_all_the_same() -> None:
    """A layer whose last state alone is used: Y has no name in the model."""
    body = "t = Transpose <perm = [1,0,2]> (x)\n"
    body += f"y, h = RNN <{attributes()}> (t, w, r, b)"
    model = network(f"float[N,{STEPS},{WIDTH}] x => float[1,N,{HIDDEN}] h", body, weights("RNN"))
    model.graph.node[-1].output[0] = ""
    golden, context = few_bits(model, "bits=4,edges=0,rounding=optimal")
    assert [row["rounding"] for row in context.facts["layers"].values()] == ["optimal"] * 2
    assert [value.name for value in golden.graph.output] == ["h"]
    full = layer("RNN", 1)
    _, seen = few_bits(full, "bits=4,edges=0,rounding=optimal")
    for one, other in zip(context.facts["weights"].values(), seen.facts["weights"].values(),
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one.codes, other.codes)


def test_bits_of_w_and_r_by_name() -> None:
    model = layer("LSTM", 1)
    model.graph.node[-1].name = "cell"
    _, context = few_bits(model, "bits=4,layers=cell.R=8,rounding=nearest,edges=0")
    assert [row["bits"] for row in context.facts["layers"].values()] == ["4", "8"]
