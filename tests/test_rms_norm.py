"""Root mean square normalization and division by the length, in integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, operators, random_data, run, transformed

import actc
from actc.ir import spec
from actc.passes.normalize import Normalize
from actc.passes.structure import Structure

Array = np.ndarray[Any, Any]

TOKENS = "float[N,6,8] x => float[N,6,8] y"
SQUARES = "q = Mul (x, x)\n v = ReduceMean (q, a)\n w = Add (v, e)\n"
G, AXIS = {"g": normal(8)}, {"a": np.array([-1])}
EPS = {**AXIS, "e": np.array(1e-5, np.float32)}
SPELLINGS: dict[str, tuple[str, dict[str, Array], int]] = {
    "operator": ("y = RMSNormalization (x, g)", G, 23),
    "divided": (SQUARES + "r = Sqrt (w)\n n = Div (x, r)\n y = Mul (n, g)", {**G, **EPS}, 21),
    "times the reciprocal": (
        SQUARES + "r = Sqrt (w)\n i = Reciprocal (r)\n n = Mul (x, i)\n y = Mul (g, n)",
        {**G, **EPS},
        21,
    ),
    "a power": (
        SQUARES + "i = Pow (w, h)\n y = Mul (x, i)",
        {**EPS, "h": np.array(-0.5, np.float32)},
        18,
    ),
    "LpNormalization": ("y = LpNormalization <axis=-1> (x)", {}, 21),
    "by the length": (
        "n = ReduceL2 (x, a)\n m = Clip (n, e)\n y = Div (x, m)",
        {**AXIS, "e": np.array(1e-12, np.float32)},
        18,
    ),
    "by the length, expanded": (
        "n = ReduceL2 (x, a)\n m = Max (n, e)\n s = Shape (x)\n l = Expand (m, s)\n y = Div (x, l)",
        {**AXIS, "e": np.array(1e-12, np.float32)},
        21,
    ),
    "by the root of the sum": (
        "q = Pow (x, two)\n s = ReduceSum (q, a)\n r = Sqrt (s)\n y = Div (x, r)",
        {**AXIS, "two": np.array(2, np.float32)},
        21,
    ),
}


@pytest.mark.parametrize("activations", ["8", "mixed"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling(name: str, activations: str) -> None:
    body, weights, opset = SPELLINGS[name]
    model = network(TOKENS, body, weights, opset=opset)
    noise = 0.01 if activations == "8" else 1e-3
    golden = compiled(model, noise=noise, activations=activations)
    assert ops(golden) == ["IntRmsNorm"]


def test_along_channels() -> None:
    body = "n = ReduceL2 (x, a)\n m = Max (n, e)\n y = Div (x, m)"
    weights = {"a": np.array([1]), "e": np.array(1e-12, np.float32)}
    golden = compiled(network("float[N,4,5,5] x => float[N,4,5,5] y", body, weights))
    assert ops(golden) == ["IntRmsNorm"]


def test_over_two_axes() -> None:
    model = network(TOKENS, "y = RMSNormalization <axis=1> (x, g)", {"g": normal(6, 8)}, opset=23)
    assert ops(compiled(model)) == ["Reshape", "IntRmsNorm", "Requantize", "Reshape"]


def test_outliers_leave_the_others_their_precision() -> None:
    """A channel a hundred times as large, as in language models: the sum of squares is exact."""
    data = {"x": normal(64, 6, 8)}
    data["x"][..., 3] *= 100
    body, weights, opset = SPELLINGS["operator"]
    model = network(TOKENS, body, weights, opset=opset)
    got, wanted = run(golden_of(model, data, activations="mixed"), data)["y"], run(model, data)["y"]
    rest = [0, 1, 2, 4, 5, 6, 7]
    error = np.sqrt(np.mean((got - wanted)[..., rest] ** 2))
    assert error < 0.01 * np.sqrt(np.mean(wanted[..., rest] ** 2))


def test_zeros_stay_zero() -> None:
    model = network(TOKENS, SPELLINGS["by the length"][0], SPELLINGS["by the length"][1], opset=18)
    golden, zeros = golden_of(model, random_data(model, 32)), {"x": np.zeros((1, 6, 8), np.float32)}
    assert not run(golden, zeros)["y"].any()
    assert not spec.run(golden, zeros)["y"].any()


@pytest.mark.parametrize("name", ["operator", "divided", "by the length"])
def test_in_sequences_of_open_length(name: str) -> None:
    body, weights, opset = SPELLINGS[name]
    model = network(TOKENS.replace("6", "T"), body, weights, opset=opset)
    data = {"x": normal(24, 9, 8), "x.lengths": np.arange(24) % 9 + 1}
    assert ops(golden_of(model, data, activations="mixed")) == ["IntRmsNorm"]


NEAR_MISSES = {
    "by the mean": "q = Abs (x)\n v = ReduceMean (q, a)\n w = Add (v, e)\n y = Div (x, w)",
    "by the largest": "q = Abs (x)\n v = ReduceMax (q, a)\n w = Add (v, e)\n y = Div (x, w)",
    "without the root": SQUARES + "y = Div (x, w)",
    "a wide guard": "n = ReduceL2 (x, a)\n m = Max (n, wide)\n y = Div (x, m)",
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_is_no_rms_norm(name: str) -> None:
    weights = {**EPS, "wide": np.array(2, np.float32)}
    used = {key: array for key, array in weights.items() if key in NEAR_MISSES[name]}
    model = network(TOKENS, NEAR_MISSES[name], used)
    data = random_data(model)
    assert "RmsNorm" not in operators(transformed(model, Normalize(), Structure(), data=data))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_on_the_cpu_target(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    body, weights, opset = SPELLINGS["operator"]
    text = f"h = MatMul (x, v)\n {body.replace('(x', '(h')}"
    model = network(TOKENS, text, {**weights, "v": normal(8, 8)}, opset=opset)
    data = {"x": normal(9, 6, 8)}
    out = tmp_path / "out"
    report = actc.compile(model, "cpu", data=data, precision=precision, output=out).report
    assert report["bit_exact"] is (True if precision == "int8" else None)
