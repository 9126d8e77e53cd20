"""Functions that float32 lines cannot follow keep themselves, and the report says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

import actc

SQUARED = """
    <ir_version: 10, opset_import: ["" : 21]>
    squared (float[N, 4] x) => (float[N, 4] y) { a = Mul(x, x)  y = Exp(a) }
"""


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (9.6, "lines of function custom overflow float32"),  # exp(92) does not, its lines do
        (40.0, "function custom is infinite at x = -40"),
    ],
)
def test_a_function_beyond_float32_is_left_as_it_is(
    tmp_path: Path, end: float, reason: str
) -> None:
    onnx.save(parser.parse_model(SQUARED), tmp_path / "model.onnx")
    x = np.linspace(-end, end, 400, dtype=np.float32).reshape(100, 4)
    np.savez(tmp_path / "data.npz", x=x)
    artifact = actc.compile(
        tmp_path / "model.onnx",
        target="onnx",
        precision="float32",
        approx="pwl",
        data=tmp_path / "data.npz",
        output=tmp_path / "out",
    )
    (site,) = artifact.report["activations"]
    assert site["form"] == "exact"
    (left,) = artifact.report["left_float"]
    assert left["reason"] == reason
