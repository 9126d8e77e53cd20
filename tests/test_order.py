"""The largest values and where they are, on integers."""

from __future__ import annotations

import numpy as np
import pytest
from integer_models import golden_of, ops
from models import network, normal, random_data, run

from actc.ir import spec


@pytest.mark.parametrize("activations", ["8", "mixed"])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_position_of_the_best_score(op: str, activations: str) -> None:
    body = f"h = MatMul (x, w)\n y = {op} <axis=1, keepdims=0> (h)"
    model = network("float[N,12] x => int64[N] y", body, {"w": normal(12, 10)})
    data = random_data(model, 400)
    golden = golden_of(model, data, activations=activations)
    found, exact = run(golden, data)["y"], spec.run(golden, data)["y"]
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, exact)
    assert np.mean(found == run(model, data)["y"]) > 0.97


@pytest.mark.parametrize("activations", ["8", "mixed"])
@pytest.mark.parametrize("largest", [0, 1])
def test_best_scores(largest: int, activations: str) -> None:
    body = f"h = MatMul (x, w)\n v, i = TopK <axis=1, largest={largest}> (h, k)"
    model = network(
        "float[N,12] x => float[N,3] v, int64[N,3] i",
        body,
        {"w": normal(12, 10), "k": np.array([3])},
    )
    data = random_data(model, 200)
    golden = golden_of(model, data, activations=activations)
    found, exact, wanted = run(golden, data), spec.run(golden, data), run(model, data)
    for name in ("v", "i"):
        np.testing.assert_array_equal(found[name], exact[name])
    assert np.mean(found["i"] == wanted["i"]) > 0.95
    error = np.sqrt(np.mean((found["v"] - wanted["v"]) ** 2))
    assert error < 0.02 * np.sqrt(np.mean(wanted["v"] ** 2))


def test_of_equal_scores_the_first_is_the_best() -> None:
    """Both executions must say the same, also where codes are equal."""
    body = "t = Tanh (x)\n v, i = TopK <axis=1> (t, k)\n a = ArgMax <axis=1, keepdims=0> (t)"
    model = network(
        "float[N,6] x => float[N,3] v, int64[N,3] i, int64[N] a", body, {"k": np.array([3])}
    )
    data = {"x": np.repeat(np.float32([[-1, 0.5, 0.5, -1, 0.5, 0.5]]), 8, axis=0)}
    golden = golden_of(model, data)
    assert "TopK" in ops(golden)
    for result in (run(golden, data), spec.run(golden, data)):
        assert result["i"][0].tolist() == [1, 2, 4]
        assert result["a"][0] == 1


def test_values_of_topk_go_on() -> None:
    body = "h = MatMul (x, w)\n v, i = TopK <axis=1> (h, k)\n y = MatMul (v, u)"
    weights = {"w": normal(12, 10), "k": np.array([4]), "u": normal(4, 2)}
    model = network("float[N,12] x => float[N,2] y", body, weights)
    data = random_data(model, 64)
    for activations in ("8", "mixed"):
        golden = golden_of(model, data, activations=activations)
        found, wanted = run(golden, data)["y"], run(model, data)["y"]
        np.testing.assert_array_equal(found, spec.run(golden, data)["y"])
        assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.05 * np.sqrt(np.mean(wanted**2))
