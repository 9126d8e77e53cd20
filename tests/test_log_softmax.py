"""Log-softmax in integers: every spelling of it, and how close it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, random_data, run

from actc.ir import spec
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.logarithm import logarithms
from actc.passes.integer.normalization import exponentials

Array = np.ndarray[Any, Any]

CLASSIFIER = "float[N,12] x => float[N,10] y"
W = {"w": normal(12, 10)}
SPELLINGS: dict[str, tuple[str, dict[str, Array]]] = {
    "operator": ("y = LogSoftmax <axis=1> (h)", {}),
    "log-of-softmax": ("s = Softmax (h)\n y = Log (s)", {}),
    "log-sum-exp": (
        "l = ReduceLogSumExp (h, a)\n y = Sub (h, l)",
        {"a": np.array([-1])},
    ),
    "decomposed": (
        "e = Exp (h)\n t = ReduceSum (e, a)\n l = Log (t)\n y = Sub (h, l)",
        {"a": np.array([1])},
    ),
    "decomposed-stable": (
        "m = ReduceMax (h, a)\n d = Sub (h, m)\n e = Exp (d)\n t = ReduceSum (e, a)\n"
        "l = Log (t)\n y = Sub (d, l)",
        {"a": np.array([1])},
    ),
}


@pytest.mark.parametrize("activations", ["8", "16"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling(name: str, activations: str) -> None:
    body, weights = SPELLINGS[name]
    model = network(CLASSIFIER, f"h = MatMul (x, w)\n {body}", {**W, **weights})
    golden = compiled(model, noise=0.01, activations=activations)
    assert ops(golden)[1:] == ["Requantize", "IntLogSoftmax"]


def test_as_accurate_as_softmax() -> None:
    """exp of it is the softmax that golden computes from the same scores."""
    soft, log = (
        network(CLASSIFIER, f"h = MatMul (x, w)\n y = {op} (h)", W)
        for op in ("Softmax", "LogSoftmax")
    )
    data = random_data(soft, 64)
    powers, logs = (run(golden_of(model, data), data)["y"] for model in (soft, log))
    np.testing.assert_allclose(np.exp(logs), powers, rtol=0, atol=2e-5)


def test_softmax_that_is_also_an_output() -> None:
    model = network(
        "float[N,12] x => float[N,10] p, float[N,10] y",
        "h = MatMul (x, w)\n p = Softmax (h)\n y = Log (p)",
        W,
    )
    assert {"IntSoftmax", "IntLogSoftmax"} <= set(ops(compiled(model, noise=0.03)))


def test_inside_a_network() -> None:
    model = network(CLASSIFIER, "h = MatMul (x, w)\n s = LogSoftmax (h)\n y = Tanh (s)", W)
    assert ops(compiled(model))[-2:] == ["Requantize", "Table"]


def test_axis_of_open_length() -> None:
    model = network(
        "float[N,T,3] x => float[N,T,3] y", "h = Mul (x, x)\n y = LogSoftmax <axis=1> (h)"
    )
    data = {"x": normal(16, 9, 3), "x.lengths": np.arange(16) % 9 + 1}
    golden = golden_of(model, data)
    feeds = {"x": normal(2, 40, 3, seed=1)}
    got, wanted = run(golden, feeds)["y"], run(model, feeds)["y"]
    np.testing.assert_array_equal(got, spec.run(golden, feeds)["y"])
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.05


@pytest.mark.parametrize("bits", [20, 24])
def test_the_logarithm_is_closer_than_one_part_in_a_hundred_thousand(bits: int) -> None:
    """Of sums from one exponential to the most that fit: a line per segment is enough."""
    x = QuantizationParameters(0.05, 0)
    one = int(exponentials(x, 64)[0])
    tables = logarithms(x, one, bits)
    sums = np.unique(np.geomspace(one, 2**30, 100_000).astype(np.int64))
    octave = np.frexp(sums.astype(np.float64))[1] - 1
    fraction = (sums / 2.0**octave - 1) * 256
    index = fraction.astype(int)
    low, high = tables["logarithms"][index], tables["logarithms"][index + 1]
    found = tables["octaves"][octave] + low + (high - low) * (fraction - index)
    error = np.ldexp(found, -bits) - np.log(sums / one)
    assert np.abs(error).max() < 1e-5
