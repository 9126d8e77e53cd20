"""Sequential rounding: two networks side by side, and codes that mend earlier errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, prepared, proto_of, random_data, run
from test_weights_pass import MODEL, error, quantized

from actc.calibrate.cascade import Cascade, Substitute
from actc.calibrate.moments import Reading, Window, collect_moments, paired_moments
from actc.data import Dataset
from actc.ir import spec
from actc.ir.context import context_of
from actc.numerics.weights import (
    Moments,
    PairedMoments,
    WeightFormat,
    nearest_weights,
    optimal_weights,
    paired_output_error,
    sequential_weights,
)
from actc.passes import weights as module
from actc.passes.weights import QuantizeWeights
from actc.pipeline import Pipeline

Array = np.ndarray[Any, Any]

DEEP = network(
    "float[N,6] x => float[N,4] y",
    "a = MatMul (x, u)\n b = Relu (a)\n c = MatMul (b, v)\n d = Relu (c)\n"
    "e = MatMul (d, w)\n f = Add (e, b2)\n k = MatMul (b, t)\n s = Tanh (k)\n y = Add (f, s)",
    {
        "u": normal(6, 24),
        "v": normal(24, 24, seed=1, scale=0.3),
        "w": normal(24, 4, seed=2, scale=0.3),
        "t": normal(24, 4, seed=3, scale=0.2),
        "b2": normal(4, seed=4),
    },
)


def pairs(count: int = 400, size: int = 6, noise: float = 0.3) -> tuple[Array, Array]:
    """What a layer reads in the float network, and what in the quantized one."""
    mixing = normal(size, size, seed=1)
    exact = np.maximum(normal(count, size) @ mixing, 0).astype(np.float64)
    off = normal(size, size, seed=2, scale=noise) + np.eye(size)
    return exact, np.maximum(exact @ off + 0.1, 0)


def paired(exact: Array, found: Array) -> PairedMoments:
    def moments(x: Array) -> Moments:
        return Moments((x.T @ x / len(x))[None], x.mean(axis=0)[None], len(x))

    return PairedMoments(moments(exact), (exact.T @ found / len(exact))[None], moments(found))


def test_the_target_is_the_least_squares_solution() -> None:
    exact, found = pairs()
    weights = normal(5, 6).astype(np.float64)
    target = paired(exact, found).target(weights[None], 0.0, centred=False)[0]
    wanted = np.linalg.lstsq(found, exact @ weights.T, rcond=None)[0].T
    np.testing.assert_allclose(target, wanted, atol=1e-9)
    centred = paired(exact, found).target(weights[None], 0.0, centred=True)[0]
    with_ones = np.concatenate([found, np.ones((len(found), 1))], axis=1)
    wanted = np.linalg.lstsq(with_ones, exact @ weights.T, rcond=None)[0][:-1].T
    np.testing.assert_allclose(centred, wanted, atol=1e-9)


def test_equal_inputs_are_optimal_rounding() -> None:
    exact, _ = pairs()
    weights, form = normal(5, 6), WeightFormat.parse("3")
    moments = paired(exact, exact)
    one = sequential_weights(weights, moments, form)
    other = optimal_weights(weights, moments.exact, form)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_allclose(one.scales, other.scales, rtol=1e-9)
    np.testing.assert_allclose(one.correction, other.correction, atol=1e-9)


def test_the_error_is_that_of_the_outputs() -> None:
    exact, found = pairs()
    weights, moments = normal(5, 6), paired(exact, found)
    for form in (WeightFormat.parse("4"), dataclasses.replace(WeightFormat.parse("3"), group=2)):
        chosen = [
            sequential_weights(weights, moments, form),
            sequential_weights(weights, moments, form, correct_bias=False),
            optimal_weights(weights, moments.exact, form),
            nearest_weights(weights, form),
        ]
        errors = []
        for quantized_ in chosen:
            wanted = exact @ weights.T.astype(np.float64)
            got = found @ quantized_.real().T + quantized_.correction
            measured = np.sqrt(np.mean((got - wanted) ** 2) / np.mean(wanted**2))
            errors.append(paired_output_error(weights, quantized_, moments))
            assert errors[-1] == pytest.approx(measured, rel=1e-6)
        assert errors[0] < 0.7 * min(errors[2:])
        assert not chosen[1].correction.any()


@pytest.mark.parametrize("window", [None, Window((2, 2), (1, 1), (0, 0, 0, 0), (1, 1))])
def test_paired_moments_are_of_the_same_places(window: Window | None) -> None:
    shape, size, groups = ((40, 4, 9, 9), 8, 2) if window else ((40, 300, 4), 4, 1)
    exact = normal(*shape)
    reading = Reading("x", size, groups, window)
    data = Dataset({"x": exact})
    model = network("float[N,a,b] x => float[N,a,b] y", "y = Relu (x)", {})
    batches = [({"x": part}, {"x": 2 * part}, len(part), len(part)) for part in np.split(exact, 4)]
    found = paired_moments(reading, batches, 40)
    ((_, wanted),) = collect_moments(model, [reading], data, 10)
    assert found.exact.count == wanted.count
    np.testing.assert_allclose(found.exact.second, wanted.second, rtol=1e-6)
    np.testing.assert_allclose(found.cross, 2 * wanted.second, rtol=1e-6)
    np.testing.assert_allclose(found.quantized.second, 4 * wanted.second, rtol=1e-6)
    np.testing.assert_allclose(found.quantized.mean, 2 * wanted.mean, rtol=1e-6)


@pytest.mark.parametrize("memory", [2**30, 1])
def test_levels_run_once_and_see_what_was_put_before(memory: int) -> None:
    model, dataset = onnx.ModelProto(), Dataset(random_data(DEEP, 20))
    model.CopyFrom(DEEP)
    for node in model.graph.node:
        node.name = node.output[0]
    cascade = Cascade(model, ["a", "c", "e", "k"], dataset, batch=8, memory=memory)
    assert cascade.levels == [["a"], ["c", "k"], ["e"]]
    assert cascade.samples == (20 if memory > 1 else 8)
    x = dataset.inputs["x"][: cascade.samples].astype(np.float64)
    assert cascade.advance() == ["a"]
    changed = normal(6, 24, seed=9)
    node = next(n for n in model.graph.node if n.name == "a")
    replaced = onnx.NodeProto()
    replaced.CopyFrom(node)
    replaced.input[1] = "other"
    cascade.substitute("a", Substitute([replaced], {"other": changed}))
    assert cascade.advance() == ["c", "k"]
    ((_, found),) = cascade.moments([Reading("b", 24), Reading("b", 24)])
    u = onnx.numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "u"))
    exact, other = (np.maximum(x @ matrix.astype(np.float64), 0) for matrix in (u, changed))
    np.testing.assert_allclose(found.exact.second[0], exact.T @ exact / len(x), rtol=1e-4)
    np.testing.assert_allclose(found.cross[0], exact.T @ other / len(x), rtol=1e-4)
    assert cascade.advance() == ["e"]
    assert cascade.advance() == []


@pytest.mark.parametrize("groups", [0, 2])
@pytest.mark.parametrize("bits", ["4", "2", "ternary"])
def test_later_layers_mend_what_earlier_ones_lost(bits: str, groups: int) -> None:
    """On samples that nothing has seen."""
    options: dict[str, Any] = {"bits": bits, "edges": 0, "groups": groups}
    errors = {}
    for rounding in ("optimal", "sequential"):
        step = QuantizeWeights(rounding=rounding, **options)
        golden, context = quantized(MODEL, step, samples=256)
        feeds = random_data(MODEL, 16, seed=3)
        np.testing.assert_array_equal(run(golden, feeds)["y"], spec.run(golden, feeds)["y"])
        errors[rounding] = error(golden, seed=5)
    rows = context.facts["layers"].values()
    assert [row["rounding"] for row in rows] == ["sequential"] * 4
    assert all(row["output_error"] < row["output_error_nearest"] for row in rows)
    assert errors["sequential"] < 0.9 * errors["optimal"]


def test_layers_of_eight_bits_mend_what_others_lost() -> None:
    """The default where some layer has fewer; otherwise eight bits are rounded to nearest."""
    for layers, expected in (("h=2", "sequential"), ("", "nearest")):
        _, context = quantized(MODEL, QuantizeWeights(layers=layers))
        rows = context.facts["layers"].values()
        assert [row["bits"] for row in rows] == ["2" if layers else "8", "8", "8", "8"]
        assert [row["rounding"] for row in rows] == [expected] * 4


def test_layers_that_stay_nearest_take_part_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too wide to be rounded in sequence; the layers behind them see their errors."""
    monkeypatch.setattr(module, "WIDEST", 20)
    _, context = quantized(MODEL, QuantizeWeights(layers="g=3"))
    found = [row["rounding"] for row in context.facts["layers"].values()]
    assert found == ["nearest", "nearest", "sequential", "sequential"]
    assert [d.place.node for d in context.sink.items if d.code == "ACT0228"] == ["g"]


def test_branches_and_what_stands_behind_them(tmp_path: Any) -> None:
    """Any order of levels, results used twice, and an input that two levels read."""
    model, feeds = DEEP, random_data(DEEP, 128)
    steps = "normalize,structure,recognize,calibrate,approximate,quantize,"
    steps += "weights{bits=4,rounding=sequential,edges=0},integerize"
    said: list[str] = []
    ready = prepared(model, feeds)
    context_of(ready).facts["progress"] = {"say": said.append}
    result = Pipeline.parse(steps).run(ready)
    assert len(context_of(result).facts["layers"]) == 4
    assert len(said) == 3
    golden = proto_of(result)
    np.testing.assert_array_equal(run(golden, feeds)["y"], spec.run(golden, feeds)["y"])
    wanted = run(model, feeds)["y"]
    assert np.sqrt(np.mean((run(golden, feeds)["y"] - wanted) ** 2)) < 0.1 * wanted.std()
