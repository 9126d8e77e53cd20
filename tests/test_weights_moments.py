"""Moments of what linear layers read, against the layers' own outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import network, normal, prepared, run

from actc.calibrate import moments as module
from actc.calibrate.moments import Reading, Window, collect_moments
from actc.data import Dataset
from actc.ir.context import context_of
from actc.numerics.weights import Moments
from actc.passes.linear_layers import linear_layers
from actc.pipeline import Pipeline

Array = np.ndarray[Any, Any]

FRONT = "normalize,structure,recognize,calibrate,approximate,quantize"
CASES = {
    "matmul": ("float[N,6] x => float[N,a] y", "y = MatMul (x, w)", (6, 5)),
    "matmul-rank-3": ("float[N,3,6] x => float[N,a,b] y", "y = MatMul (x, w)", (6, 5)),
    "conv": ("float[N,3,7,6] x => float[N,a,b,c] y", "y = Conv (x, w)", (4, 3, 2, 3)),
    "conv-1d": (
        "float[N,3,9] x => float[N,a,b] y",
        "y = Conv <pads = [2,0], strides = [2]> (x, w)",
        (4, 3, 3),
    ),
    "conv-groups": (
        "float[N,4,7,6] x => float[N,a,b,c] y",
        "y = Conv <group = 2, pads = [1,0,2,1], dilations = [2,1]> (x, w)",
        (6, 2, 3, 2),
    ),
    "conv-depthwise": (
        "float[N,4,7,6] x => float[N,a,b,c] y",
        "y = Conv <group = 4, strides = [1,3]> (x, w)",
        (8, 1, 3, 3),
    ),
    "conv-3d": (
        "float[N,2,4,5,3] x => float[N,a,b,c,d] y",
        "y = Conv <pads = [1,1,1,1,1,1]> (x, w)",
        (3, 2, 3, 2, 3),
    ),
}


def reading_of(signature: str, body: str, shape: tuple[int, ...], x: Array) -> tuple[Any, Reading]:
    model = network(signature, body, {"w": normal(*shape)})
    ready = prepared(model, {"x": x})
    (layer,) = linear_layers(Pipeline.parse(FRONT).run(ready))
    return layer, layer.reading


def input_of(signature: str, samples: int) -> Array:
    shape = [int(d) for d in signature.split("]")[0].split(",")[1:]]
    return np.asarray(normal(samples, *shape) + np.float32(0.3))


@pytest.mark.parametrize("name", CASES)
def test_they_predict_mean_and_power_of_the_outputs(name: str) -> None:
    """``E[y] = W E[x]`` and ``E[y^2] = w^T H w``, of a layer as onnxruntime runs it."""
    signature, body, shape = CASES[name]
    x = input_of(signature, 7)
    model = network(signature, body, {"w": normal(*shape)})
    layer, reading = reading_of(signature, body, shape, x)
    ((found, moments),) = collect_moments(model, [reading], Dataset({"x": x}), batch=3)
    assert found == reading
    groups = reading.groups
    assert moments.second.shape == (groups, reading.size, reading.size)
    rows = layer.rows.reshape(groups, -1, reading.size).astype(np.float64)
    channels = run(model, {"x": x})["y"].astype(np.float64)
    axis = -1 if name.startswith("matmul") else 1
    y = np.moveaxis(channels, axis, 0).reshape(groups * rows.shape[1], -1)
    assert moments.count == y.shape[1]
    mean = (rows @ moments.mean[:, :, None]).reshape(-1)
    np.testing.assert_allclose(mean, y.mean(axis=1), rtol=1e-5, atol=1e-6)
    power = np.einsum("grk,gkl,grl->gr", rows, moments.second, rows).reshape(-1)
    np.testing.assert_allclose(power, (y**2).mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(moments.second, np.swapaxes(moments.second, 1, 2))


def test_layers_that_read_the_same_share_moments_and_memory_bounds_a_pass() -> None:
    model = network(
        "float[N,6] x => float[N,4] y",
        "h = MatMul (x, v)\n y = MatMul (h, w)",
        {"v": normal(6, 5), "w": normal(5, 4)},
    )
    readings = [Reading("x", 6), Reading("h", 5), Reading("x", 6)]
    data = Dataset({"x": normal(20, 6)})
    together = list(collect_moments(model, readings, data))
    apart = list(collect_moments(model, readings, data, memory=1))
    assert [reading.value for reading, _ in together] == ["x", "h"]
    for (one, a), (other, b) in zip(together, apart, strict=True):
        assert one == other
        np.testing.assert_array_equal(a.second, b.second)
        np.testing.assert_array_equal(a.mean, b.mean)


def test_only_real_samples_count() -> None:
    """A model with a fixed batch: the last one is filled with copies, which are left out."""
    model = network("float[4,6] x => float[4,5] y", "y = MatMul (x, w)", {"w": normal(6, 5)})
    x = normal(6, 6)
    ((_, moments),) = collect_moments(model, [Reading("x", 6)], Dataset({"x": x}, batch=4))
    assert moments.count == 6
    np.testing.assert_allclose(moments.second[0], x.astype(float).T @ x / 6, rtol=1e-6)


def test_samples_of_varying_length() -> None:
    model = network("float[N,T,3] x => float[N,T,5] y", "y = MatMul (x, w)", {"w": normal(3, 5)})
    x, lengths = normal(4, 9, 3), np.array([9, 2, 5, 1])
    ((_, moments),) = collect_moments(
        model, [Reading("x", 3)], Dataset({"x": x}, lengths={"x": lengths})
    )
    rows = np.concatenate([sample[:n] for sample, n in zip(x, lengths, strict=True)])
    assert moments.count == 17
    np.testing.assert_allclose(moments.mean[0], rows.mean(axis=0), rtol=1e-5)


def test_positions_are_few_and_spread_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_VECTORS", 50)
    monkeypatch.setattr(module, "VECTORS_PER_ENTRY", 1)
    window = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    reading = Reading("x", 2, 1, window)
    model = network("float[N,2,6,5] x => float[N,2,6,5] y", "y = Relu (x)", {})
    # Channel 0 numbers the positions: their distribution shows in the moments.
    x = np.ones((10, 2, 6, 5), np.float32)
    x[:, 0] = np.arange(30).reshape(6, 5)
    first, second = (
        next(collect_moments(model, [reading], Dataset({"x": x}), batch=1))[1] for _ in range(2)
    )
    assert first.count == 50  # five of each sample
    assert first.mean[0, 0] == pytest.approx(14.5, abs=1.5)
    assert first.second[0, 0, 0] == pytest.approx(np.mean(np.arange(30.0) ** 2), rel=0.15)
    np.testing.assert_array_equal(first.second, second.second)


def test_covariance() -> None:
    x = normal(50, 4).astype(np.float64) + 3
    moments = Moments((x.T @ x / 50)[None], x.mean(axis=0)[None], 50)
    np.testing.assert_allclose(moments.covariance()[0], np.cov(x.T, bias=True), rtol=1e-9)


def test_what_a_model_reads_is_named() -> None:
    model = network(
        "float[N,3,8,8] x => float[N,5] y",
        "h = Conv <pads = [1,1,1,1]> (x, v)\n r = Relu (h)\n p = GlobalAveragePool (r)\n"
        " f = Flatten (p)\n m = MatMul (f, w)\n y = Add (m, b)",
        {"v": normal(6, 3, 3, 3), "w": normal(6, 5), "b": normal(5)},
    )
    ready = prepared(model, {"x": normal(8, 3, 8, 8)})
    result = Pipeline.parse(FRONT).run(ready)
    first, last = linear_layers(result)
    assert (first.reading.value, first.reading.size) == ("x", 27)
    assert first.reading.window == Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    assert (last.reading.size, last.reading.window) == (6, None)
    np.testing.assert_array_equal(last.bias, normal(5))
    assert context_of(result).dataset.samples == 8
