"""Products of two activations: exact, close, and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, ops
from models import network, normal

Array = np.ndarray[Any, Any]

HEADS = "float[N,2,5,4] x, float[N,2,4,6] z => float[N,2,5,6] y"
CASES: dict[str, tuple[str, str, dict[str, Array]]] = {
    "heads": (HEADS, "y = MatMul (x, z)", {}),
    "rows and columns": (
        "float[N,5,4] x, float[N,4,6] z => float[N,5,6] y",
        "y = MatMul (x, z)",
        {},
    ),
    "the same keys for all heads": (
        "float[N,2,5,4] x, float[N,1,4,6] z => float[N,2,5,6] y",
        "y = MatMul (x, z)",
        {},
    ),
    "with itself": (
        "float[N,5,4] x => float[N,5,5] y",
        "t = Transpose <perm = [0,2,1]> (x)\ny = MatMul (x, t)",
        {},
    ),
    "a matrix per head": (
        "float[N,2,5,4] x => float[N,2,5,6] y",
        "y = MatMul (x, w)",
        {"w": normal(2, 4, 6)},
    ),
    "matrices on the left": (
        "float[N,2,4,6] x => float[N,2,5,6] y",
        "y = MatMul (w, x)",
        {"w": normal(2, 5, 4)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_product(name: str) -> None:
    signature, body, weights = CASES[name]
    golden = compiled(network(signature, body, weights))
    assert [op for op in ops(golden) if op != "Transpose"] == ["IntBatchMatMul"]


SCALES = {
    "behind, Div": "s = MatMul (x, z)\ny = Div (s, c)",
    "behind, Mul": "s = MatMul (x, z)\ny = Mul (c, s)",
    "in front": "q = Mul (x, c)\ny = MatMul (q, z)",
    "over both": "q = Mul (x, c)\nk = Mul (z, c)\ny = MatMul (q, k)",
}


@pytest.mark.parametrize("name", SCALES)
def test_scale_costs_no_rounding(name: str) -> None:
    """A positive factor is a factor of the scales: no operator stands for it."""
    scaled = network(HEADS, SCALES[name], {"c": np.float32(0.3535)})
    assert ops(compiled(scaled)) == ["IntBatchMatMul"]


def test_scores_are_rounded_once() -> None:
    body = "s = MatMul (x, z)\nd = Div (s, c)\ny = Softmax (d)"
    golden = compiled(network(HEADS, body, {"c": np.float32(2.0)}), noise=0.05)
    assert ops(golden) == ["IntBatchMatMul", "Requantize", "IntSoftmax"]


def test_negative_factor_is_a_table() -> None:
    golden = compiled(network(HEADS, "q = Mul (x, c)\ny = MatMul (q, z)", {"c": np.float32(-2)}))
    assert ops(golden) == ["Table", "IntBatchMatMul"]


def test_wider_formats() -> None:
    """Policy "mixed" multiplies 8 bits; 16 bits throughout are exact to a thousandth."""
    signature = "float[N,5,4] x => float[N,5,5] y"
    body = "t = Transpose <perm = [0,2,1]> (x)\ns = MatMul (x, t)\ny = Softmax (s)"
    model = network(signature, body)
    data = {"x": normal(64, 5, 4)}
    compiled(model, data, activations="mixed", noise=0.03)
    golden = compiled(model, data, activations="16", noise=1e-3)
    assert "WideBatchMatMul" in ops(golden)


@pytest.mark.parametrize(("length", "operator"), [(33_025, "Int"), (33_026, "Wide")])
def test_long_sums(length: int, operator: str) -> None:
    """33,025 products of 255 * 255 are the most that 31 bits hold."""
    model: onnx.ModelProto = network(
        f"float[N,1,{length}] x, float[N,{length},1] z => float[N,1,1] y", "y = MatMul (x, z)"
    )
    data = {"x": normal(2, 1, length), "z": normal(2, length, 1, seed=1)}
    assert ops(compiled(model, data, noise=0.1))[0] == f"{operator}BatchMatMul"
