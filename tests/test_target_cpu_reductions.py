"""Reductions on the cpu target: whatever the memory order, bit for bit as golden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import network, normal

import actc

pytest.importorskip("tvm", reason="apache-tvm is not installed")


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceMax", "ReduceSum"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axis", [1, 2])
def test_reductions_of_permuted_maps(
    tmp_path: Path, operator: str, keepdims: int, axis: int
) -> None:
    """The last axis holds a multiple of four, so that its lanes count as padded."""
    model = network(
        "float[N,6,8] x => float[N,a] y" if not keepdims else "float[N,6,8] x => float[N,a,b] y",
        f"""
        t = Transpose <perm = [0, 2, 1]> (x)
        m = MatMul (t, w)
        u = Transpose <perm = [0, 2, 1]> (m)
        r = Relu (u)
        y = {operator} <keepdims = {keepdims}> (r, axes)
        """,
        {"w": normal(6, 6), "axes": np.array([axis])},
    )
    out = tmp_path / "out"
    artifact = actc.compile(model, "cpu", data={"x": normal(16, 6, 8, seed=1)}, output=out)
    assert artifact.report["bit_exact"] is True
    assert artifact.report["samples"] == 16
