"""Attention on the cpu target: bit for bit as golden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal
from test_attention_masks import BOOL, CASES, INT, SCORES, WEIGHTS, prefixes, text

import actc
from actc.errors import ModelError

pytest.importorskip("tvm", reason="apache-tvm is not installed")

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.slow


def assert_exact(model: onnx.ModelProto, data: dict[str, Array], out: Path) -> None:
    report = actc.compile(model, "cpu", data=data, output=out, max_drop=1).report
    assert report["bit_exact"] is True
    assert report["samples"] == len(data["x"])


PRODUCTS = {
    # name: shapes of the operands, what is computed
    "columns side by side": ("2,5,7", "2,7,37", "y = MatMul (x, z)"),
    "columns one behind the other": (
        "3,6,40",
        "3,6,40",
        "t = Transpose <perm = [0,1,3,2]> (z)\ny = MatMul (x, t)",
    ),
    "one factor for all heads": ("3,5,8", "1,8,6", "s = MatMul (x, z)\ny = Softmax (s)"),
    "without heads": ("6,20", "20,5", "s = MatMul (x, z)\nr = Gelu (s)\ny = MatMul (r, w)"),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_product(tmp_path: Path, name: str) -> None:
    left, right, body = PRODUCTS[name]
    rest = ",".join("abc"[: len(left.split(","))])
    model = network(
        f"float[N,{left}] x, float[N,{right}] z => float[N,{rest}] y", body, {"w": normal(5, 9)}
    )
    shapes = [tuple(map(int, side.split(","))) for side in (left, right)]
    data = {"x": normal(9, *shapes[0]), "z": normal(9, *shapes[1], seed=1)}
    assert_exact(model, data, tmp_path / "out")


@pytest.mark.parametrize("name", ["added, -10000", "chosen", "causal as well", "filled"])
def test_mask(tmp_path: Path, name: str) -> None:
    kind = CASES[name][0]
    # Where everything is hidden, the float network gives NaN, or looks at part of the row.
    shortest = 1 if name in ("filled", "causal as well") else 0
    data = {"x": normal(9, 5, 6), "m": prefixes(kind, 9, shortest)}
    assert_exact(text(name), data, tmp_path / "out")


def test_rows_that_a_guard_makes_zero(tmp_path: Path) -> None:
    mask = "u = Unsqueeze (m, axes)\nb = Where (u, nought, infinite)\na = Add (s, b)\n"
    rest = "p = Softmax (a)\nn = IsNaN (p)\ng = Where (n, nought, p)\ny = MatMul (g, q)"
    model = network(f"float[N,5,6] x, {BOOL} m => float[N,5,a] y", SCORES + mask + rest, WEIGHTS)
    data = {"x": normal(9, 5, 6), "m": prefixes(BOOL, 9, 0)}
    assert_exact(model, data, tmp_path / "out")


def test_embeddings_of_both_kinds_of_integers(tmp_path: Path) -> None:
    body = "a = Gather (words, x)\nb = Gather (types, t)\nc = Add (a, b)\nd = Add (c, places)\n"
    body += "y = LayerNormalization <axis = -1> (d, g)"
    weights = {
        "words": normal(40, 8),
        "types": normal(2, 8, seed=1),
        "places": normal(1, 6, 8, seed=2),
        "g": np.ones(8, np.float32),
    }
    model = network("int64[N,6] x, int32[N,6] t => float[N,6,8] y", body, weights)
    data: dict[str, Array] = {
        "x": np.arange(54).reshape(9, 6) % 40,
        "t": prefixes(INT, 9).repeat(2, axis=1)[:, :6].astype(np.int32),
    }
    assert_exact(model, data, tmp_path / "out")


def test_a_batch_merged_with_the_heads_is_named(tmp_path: Path) -> None:
    body = "r = Reshape (x, merged)\nt = Transpose <perm = [0,2,1]> (r)\ns = MatMul (r, t)\n"
    shapes = {"merged": np.array([-1, 5, 4]), "apart": np.array([-1, 2, 5, 5])}
    model = network("float[N,2,5,4] x => float[N,2,5,5] y", body + "y = Reshape (s, apart)", shapes)
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "cpu", data={"x": normal(9, 2, 5, 4)}, output=tmp_path / "out")
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.op) == ("ACT0401", "Reshape")


def test_constant_mask_in_float32(tmp_path: Path) -> None:
    body = SCORES + "a = Add (s, biased)\np = Softmax (a)\ny = MatMul (p, q)"
    model = network("float[N,5,6] x => float[N,5,a] y", body, WEIGHTS)
    report = actc.compile(
        model,
        "cpu",
        data={"x": normal(9, 5, 6)},
        output=tmp_path / "out",
        precision="float32",
        approx="exact",
    ).report
    rows = [row for row in report["outputs"] if row["stage"] == "artifact"]
    assert rows
    assert all(row["max"] <= 1e-4 * row["reference_rms"] for row in rows)
