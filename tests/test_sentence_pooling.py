"""What sentence encoders end with: the mean of the tokens that a mask shows, then its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, random_data, run

from actc.ir import spec

Array = np.ndarray[Any, Any]

LONGEST, SAMPLES, WIDTH = 9, 48, 16
ENCODER = "e = Gather (table, i)\n g = MatMul (e, w)\n h = Tanh (g)\n"
MEAN = """
 shape = Shape (h)
 u = Unsqueeze (m, last)
 x = Expand (u, shape)
 f = Cast <to = 1> (x)
 p = Mul (h, f)
 s = ReduceSum <keepdims = 0> (p, one)
 t = ReduceSum <keepdims = 0> (f, one)
 c = Clip (t, least)
 q = Div (s, c)
"""
MEAN_OF_FLOAT_MASK = """
 f = Cast <to = 1> (m)
 u = Unsqueeze (f, last)
 p = Mul (h, u)
 s = ReduceSum <keepdims = 0> (p, one)
 t = ReduceSum <keepdims = 0> (u, one)
 c = Max (t, least)
 q = Div (s, c)
"""
UNIT = """
 n = ReduceL2 <keepdims = 1> (q, one)
 k = Clip (n, tiny)
 z = Shape (q)
 l = Expand (k, z)
 y = Div (q, l)
"""
WEIGHTS = {
    "table": normal(20, WIDTH),
    "w": normal(WIDTH, WIDTH, scale=0.3),
    "last": np.array([-1]),
    "one": np.array([1]),
    "least": np.float32(1e-9),
    "tiny": np.float32(1e-12),
}


def model(mean: str, length: str = "S") -> onnx.ModelProto:
    signature = f"int64[N,{length}] i, int64[N,{length}] m => float[N,{WIDTH}] y"
    used = {k: v for k, v in WEIGHTS.items() if k in ENCODER + mean + UNIT}
    return network(signature, ENCODER + mean + UNIT, used)


def texts(samples: int, length: int, seed: int = 0) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    shown = generator.integers(1, length + 1, (samples, 1))
    mask = (np.arange(length) < shown).astype(np.int64)
    return {"i": generator.integers(0, 20, (samples, length)), "m": mask}


def cosines(a: Array, b: Array) -> Array:
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / sizes)


@pytest.mark.parametrize("mean", [MEAN, MEAN_OF_FLOAT_MASK])
def test_fixed_length(mean: str) -> None:
    golden = compiled(model(mean, str(LONGEST)), texts(SAMPLES, LONGEST), activations="mixed")
    assert ops(golden)[-3:] == ["IntDivide", "Requantize", "IntRmsNorm"]
    assert ops(golden).count("Table") == 1  # the Tanh: none for the guard or for reciprocals


@pytest.mark.parametrize("mean", [MEAN, MEAN_OF_FLOAT_MASK])
def test_open_length(mean: str) -> None:
    """Also texts shorter and longer than any of the data."""
    lengths = np.random.default_rng(3).integers(2, LONGEST + 1, SAMPLES // 2)
    lengths[0] = LONGEST
    data = {**texts(SAMPLES // 2, LONGEST), "i.lengths": lengths, "m.lengths": lengths}
    golden = golden_of(model(mean), data, activations="mixed")
    for length in (1, 4, LONGEST, 40):
        feeds = texts(6, length, seed=length)
        got = run(golden, feeds)["y"]
        np.testing.assert_array_equal(got, spec.run(golden, feeds)["y"])
        assert cosines(got, run(model(mean), feeds)["y"]).min() > 0.997, length


def test_a_text_without_tokens_gives_zeros() -> None:
    golden = golden_of(model(MEAN, "9"), texts(SAMPLES, LONGEST), activations="mixed")
    feeds = {**texts(2, LONGEST), "m": np.zeros((2, LONGEST), np.int64)}
    assert not run(golden, feeds)["y"].any()


def test_mean_of_an_open_axis() -> None:
    """Without a mask: as speech networks and fully convolutional ones have it."""
    network_ = network(
        "float[N,T,8] x => float[N,8] y", "h = MatMul (x, w)\n y = ReduceMean <keepdims=0> (h, a)",
        {"w": normal(8, 8), "a": np.array([1])},
    )  # fmt: skip
    data = {"x": normal(24, 12, 8), "x.lengths": np.arange(24) % 12 + 1}
    golden = golden_of(network_, data)
    assert "IntReduceMean" in ops(golden)
    for length in (1, 5, 700):
        feeds = {"x": normal(2, length, 8, seed=length)}
        got, wanted = run(golden, feeds)["y"], run(network_, feeds)["y"]
        np.testing.assert_array_equal(got, spec.run(golden, feeds)["y"])
        np.testing.assert_allclose(got, wanted, atol=0.1)


@pytest.mark.parametrize(
    "signature", ["float[N,3,H,W] x => float[N,3,1,1] y", "float[N,3,T] x => float[N,3,1] y"]
)
def test_global_average_of_open_extents(signature: str) -> None:
    model_ = network(signature, "t = Tanh (x)\n y = GlobalAveragePool (t)", {})
    rank = signature.count(",", 0, signature.index("=")) + 1
    data = {"x": normal(16, 3, *(6,) * (rank - 2))}
    golden = golden_of(model_, data)
    assert ops(golden)[-1] in ("IntReduceSum", "IntReduceMean")
    np.testing.assert_allclose(run(golden, data)["y"], run(model_, data)["y"], atol=0.01)


DIVISIONS = {
    "wide range": ("b = Exp (x)\n y = Div (z, b)", {}),
    "by sums": ("e = Softplus (x)\n b = ReduceSum (e, a)\n y = Div (e, b)", {"a": np.array([1])}),
    "sums by sums": (
        "e = Exp (x)\n b = ReduceSum (e, a)\n c = ReduceSum (x, a)\n y = Div (c, b)",
        {"a": np.array([1])},
    ),
    "a constant by": ("b = Exp (x)\n y = Div (c, b)", {"c": normal(1, 3, 5)}),
}


@pytest.mark.parametrize("name", DIVISIONS)
def test_division(name: str) -> None:
    body, weights = DIVISIONS[name]
    second = ", float[N,3,5] z" if "z" in body else ""
    model_ = network(f"float[N,3,5] x{second} => float[N,a,b] y", body, weights)
    data = {name: np.clip(x, -2, 2) for name, x in random_data(model_, 64).items()}
    golden = compiled(model_, data, activations="mixed", noise=0.02)
    assert "IntDivide" in ops(golden)
