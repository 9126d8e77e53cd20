"""When another result of the same float model is a matter of roundings."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from actc.checks.roundings import close, explained

ABSORBED = """<ir_version: 10, opset_import: ["": 21]>
net (float[n, 2, 8] x) => (float[n, 2, 8] y)
<float[2] scale = {1e30, -1e30}, float[2] bias = {0.5, 1.5}> {
  y = InstanceNormalization (x, scale, bias)
}"""
"""onnxruntime adds bias - mean * scale / deviation, in which the bias is lost."""

NOISY = """<ir_version: 10, opset_import: ["": 21]>
net (float[n, 64] x) => (float[n, 64] y)
<float[64] scale = {SCALE}, float thousand = {1000}> {
  z = Mul (x, thousand)
  y = LayerNormalization <axis = -1, epsilon = 1e-12> (z, scale)
}""".replace("SCALE", ", ".join(["1"] * 64))
"""Rows of equal numbers have a deviation of roundings alone."""


def outputs(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    from actc.ir.execute import Session

    return Session(model).run({"x": x})["y"]


def test_what_the_definition_gives_is_a_rounding() -> None:
    model = parser.parse_model(ABSORBED)
    x = np.full((4, 2, 8), 0.5, np.float32)
    found = outputs(model, x)
    defined = np.broadcast_to(np.array([[0.5], [1.5]], np.float32), x.shape)
    assert not close(found, defined)
    assert explained(model, {"x": x}, "y", np.ascontiguousarray(defined))
    assert not explained(model, {"x": x}, "y", defined + np.float32(1e28))  # above the noise


def test_what_other_last_digits_of_the_inputs_give_is_a_rounding() -> None:
    model = parser.parse_model(NOISY)
    x = np.full((4, 64), 0.1, np.float32)
    noisy = outputs(model, np.nextafter(x, np.float32(1)) + np.eye(4, 64, dtype=np.float32) * 1e-8)
    spread = np.abs(noisy - outputs(model, x)).max()
    assert spread < 100  # or the test says nothing
    assert explained(model, {"x": x}, "y", outputs(model, x) + np.float32(1e-2))
    assert not explained(model, {"x": x}, "y", outputs(model, x) + np.float32(1e3))


@pytest.mark.parametrize("factor", [1.01, -1.0, np.nan])
def test_another_function_is_none(factor: float) -> None:
    model = parser.parse_model(NOISY)
    x = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    found = outputs(model, x)
    assert not explained(model, {"x": x}, "y", (found * factor).astype(np.float32))
