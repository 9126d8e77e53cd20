"""Queries, keys and values taken from an axis in front of the batch: target cpu, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import network, normal

import actc
from actc.errors import ModelError

pytest.importorskip("tvm", reason="apache-tvm is not installed")

SLICES = """
q0 = Slice (t, zero, one, zero)
k0 = Slice (t, one, two, zero)
v0 = Slice (t, two, three, zero)
"""
SPLIT = "q0, k0, v0 = Split <axis = 0> (t, ones)\n"
WEIGHTS = {
    "w": normal(12, 24),
    "shape": np.array([-1, 5, 3, 2, 4]),
    "flat": np.array([-1, 5, 8]),
    "ones": np.array([1, 1, 1]),
    **{name: np.array([i]) for i, name in enumerate(("zero", "one", "two", "three"))},
}


def attention(take: str, perm: str = "2,0,3,1,4") -> str:
    """One fused projection; `take` gives the three parts q0, k0 and v0 of t."""
    return f"""
p = MatMul (x, w)
r = Reshape (p, shape)
t = Transpose <perm = [{perm}]> (r)
{take}
q = Squeeze (q0, zero)
k = Squeeze (k0, zero)
v = Squeeze (v0, zero)
kt = Transpose <perm = [0,1,3,2]> (k)
s = MatMul (q, kt)
a = Softmax <axis = -1> (s)
c = MatMul (a, v)
ct = Transpose <perm = [0,2,1,3]> (c)
y = Reshape (ct, flat)
"""


@pytest.mark.parametrize("take", [SLICES, pytest.param(SPLIT, marks=pytest.mark.slow)])
def test_parts_of_a_fused_projection(tmp_path: Path, take: str) -> None:
    model = network("float[N,5,12] x => float[N,5,8] y", attention(take), WEIGHTS)
    data = {"x": normal(9, 5, 12)}
    report = actc.compile(model, "cpu", data=data, output=tmp_path / "out", max_drop=1).report
    assert report["bit_exact"] is True


def test_what_is_not_a_selection_is_refused(tmp_path: Path) -> None:
    body = "p = MatMul (x, w)\nr = Reshape (p, shape)\n"
    body += "t = Transpose <perm = [2,0,3,1,4]> (r)\ny = Slice (t, zero, two, zero)"
    model = network("float[N,5,12] x => float[2,N,2,5,4] y", body, WEIGHTS)
    with pytest.raises(ModelError, match="the batch axis is moved"):
        actc.compile(model, "cpu", data={"x": normal(9, 5, 12)}, output=tmp_path / "out")
