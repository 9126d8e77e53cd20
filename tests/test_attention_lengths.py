"""Sequences of open length: one golden model for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import golden_of, ops
from models import network, normal, prepared, run

import actc
from actc.ir import spec
from actc.ir.graph import constant
from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]

LONGEST, SAMPLES = 9, 24
BODY = """
    shape = Shape (i)
    batch = Gather (shape, zero)
    length = Gather (shape, one)
    batch1 = Unsqueeze (batch, first)
    length1 = Unsqueeze (length, first)
    split = Concat <axis = 0> (batch1, length1, heads, size)
    joined = Concat <axis = 0> (batch1, length1, width)
    places = Slice (every, first, length1, second, second)
    words = Gather (table, i)
    positions = Gather (position_table, places)
    x = Add (words, positions)
    n = LayerNormalization <axis = -1> (x, gamma)
    q = MatMul (n, w)
    r = Reshape (q, split)
    h = Transpose <perm = [0,2,1,3]> (r)
    t = Transpose <perm = [0,2,3,1]> (r)
    s = MatMul (h, t)
    d = Div (s, root)
    u = Unsqueeze (m, ones)
    f = Cast <to = 1> (u)
    v = Sub (unit, f)
    b = Mul (v, low)
    a = Add (d, b)
    p = Softmax (a)
    z = MatMul (p, h)
    k = Transpose <perm = [0,2,1,3]> (z)
    y = Reshape (k, joined)
"""
WEIGHTS = {
    "zero": np.array(0),
    "one": np.array(1),
    "first": np.array([0]),
    "second": np.array([1]),
    "heads": np.array([2]),
    "size": np.array([3]),
    "width": np.array([6]),
    "every": np.arange(32)[None],
    "ones": np.array([1, 2]),
    "table": normal(20, 6),
    "position_table": normal(32, 6, seed=1, scale=0.5),
    "gamma": np.ones(6, np.float32),
    "w": normal(6, 6, seed=2, scale=0.5),
    "root": np.float32(1.7),
    "unit": np.float32(1),
    "low": np.float32(-1e4),
}


def encoder() -> onnx.ModelProto:
    return network("int64[N,S] i, int64[N,S] m => float[N,a,b] y", BODY, WEIGHTS)


def tokens(samples: int, length: int, seed: int = 0) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    shown = generator.integers(1, length + 1, (samples, 1))
    mask = (np.arange(length) < shown).astype(np.int64)
    return {"i": generator.integers(0, 20, (samples, length)), "m": mask}


def data() -> dict[str, Array]:
    lengths = np.random.default_rng(3).integers(2, LONGEST + 1, SAMPLES)
    lengths[0] = LONGEST
    return {**tokens(SAMPLES, LONGEST), "i.lengths": lengths, "m.lengths": lengths}


@pytest.fixture(scope="module")
def golden() -> onnx.ModelProto:
    return golden_of(encoder(), data())


@pytest.mark.parametrize("length", [1, 2, 7, LONGEST, 30])
def test_any_length(golden: onnx.ModelProto, length: int) -> None:
    """Also lengths that the data did not show: exact, and close to the float network."""
    feeds = tokens(4, length, seed=length)
    exact, got, wanted = (spec.run(golden, feeds), run(golden, feeds), run(encoder(), feeds))
    np.testing.assert_array_equal(got["y"], exact["y"])
    error = got["y"] - wanted["y"]
    assert np.sqrt(np.mean(error**2)) <= 0.03 * np.sqrt(np.mean(wanted["y"] ** 2))


def test_operators(golden: onnx.ModelProto) -> None:
    found = ops(golden)
    assert found.count("IntBatchMatMul") == 2
    assert found.count("IntMaskedSoftmax") == 1
    assert not {"Sub", "Mul", "Div", "Softmax", "MatMul"} & set(found)
    sums = next(node for node in golden.graph.node if node.op_type == "IntBatchMatMul")
    assert sums.domain == "actc"


def test_reshapes_take_extents_from_their_inputs() -> None:
    model = Normalize()(prepared(encoder(), data())).model
    arrays = [constant(node.inputs[1]) for node in model.graph if node.op_type == "Reshape"]
    assert [a.tolist() for a in arrays if a is not None] == [[0, 0, 2, 3], [0, 0, 6]]


def test_compile(tmp_path: Path) -> None:
    report = actc.compile(encoder(), "onnx", data=data(), output=tmp_path / "out").report
    assert report["bit_exact"] is True
