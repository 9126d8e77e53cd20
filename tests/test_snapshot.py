"""The float model with approximated activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import network
from onnx import numpy_helper

import actc


@pytest.mark.parametrize("low", [-300, -8000])
def test_an_exponential_saturates_where_float32_does(low: int, tmp_path: Path) -> None:
    """Three bits over such a range have a code at which 2^x is beyond float32, or float64."""
    model = network(
        "float[N,4] x => float[N,4] y",
        "h = MatMul(x, a)\n e = Pow(two, h)\n y = MatMul(e, a)",
        {"a": np.eye(4, dtype=np.float32), "two": np.float32(2)},
    )
    data = {"x": np.linspace(low, 100, 256, dtype=np.float32).reshape(64, 4)}
    with np.errstate(over="raise", invalid="raise"):
        actc.compile(model, "onnx", data=data, output=tmp_path / "out", activations="3")
    saved = onnx.load(tmp_path / "out" / "approximated.onnx")
    (values,) = (
        numpy_helper.to_array(item)
        for item in saved.graph.initializer
        if item.name.endswith("_values")
    )
    assert values.size == 256
    assert np.isfinite(values).all()
    assert values[-1] == np.float32(2.0**100)  # the most that was seen
