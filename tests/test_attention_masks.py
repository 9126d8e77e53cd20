"""Masks: kept apart from the scores, exact, and the same function as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, operators, proto_of, run, transformed

from actc.errors import ModelError
from actc.passes.normalize import Normalize
from actc.passes.structure import Structure
from actc.targets.onnx.masks import add_masks

Array = np.ndarray[Any, Any]

SIGNATURE = "float[N,5,6] x, {mask} m => float[N,5,a] y"
INT, BOOL = "int64[N,5]", "bool[N,5]"
SCORES = "q = MatMul (x, w)\nt = Transpose <perm = [0,2,1]> (q)\ns = MatMul (q, t)\n"
REST = "\np = Softmax (a)\ny = MatMul (p, q)"
LOWEST = float(np.finfo(np.float32).min)
WEIGHTS = {
    "w": normal(6, 4, scale=0.4),
    "one": np.float32(1),
    "zero": np.int64(0),
    "nought": np.float32(0),
    "low": np.float32(LOWEST),
    "old": np.float32(-1e4),
    "hundred": np.float32(-100),
    "infinite": np.float32(-np.inf),
    "axes": np.array([1]),
    "wide": np.array([1, 5, 5]),
    "causal": np.triu(np.full((5, 5), -np.inf, np.float32), 1),
    "biased": np.triu(np.full((5, 5), -1e9, np.float32), 1) + np.tril(normal(5, 5)),
}
FLOAT_MASK = "u = Unsqueeze (m, axes)\nf = Cast <to = 1> (u)\nd = Sub (one, f)\n"
CASES: dict[str, tuple[str, str]] = {
    # name: type of the mask, how it joins the scores
    "added, lowest number": (INT, FLOAT_MASK + "b = Mul (d, low)\na = Add (s, b)"),
    "added, -10000": (INT, FLOAT_MASK + "b = Mul (d, old)\na = Add (b, s)"),
    "expanded before": (
        INT,
        "u = Unsqueeze (m, axes)\ne = Expand (u, wide)\nf = Cast <to = 1> (e)\nd = Sub (one, f)\n"
        "c = Cast <to = 9> (d)\nb = Where (c, low, d)\na = Add (s, b)",
    ),
    "filled": (
        INT,
        "h = Equal (m, zero)\nu = Unsqueeze (h, axes)\ne = Expand (u, wide)\n"
        "a = Where (e, infinite, s)",
    ),
    "chosen": (BOOL, "u = Unsqueeze (m, axes)\na = Where (u, s, low)"),
    "boolean, added": (
        BOOL,
        "u = Unsqueeze (m, axes)\nb = Where (u, nought, infinite)\na = Add (s, b)",
    ),
    "causal as well": (
        BOOL,
        "u = Unsqueeze (m, axes)\nb = Where (u, nought, low)\nc = Add (s, causal)\na = Add (c, b)",
    ),
    "joined with the causal one": (
        INT,
        FLOAT_MASK + "b = Mul (d, old)\nc = Add (b, biased)\na = Add (s, c)",
    ),
}


def text(name: str) -> onnx.ModelProto:
    kind, mask = CASES[name]
    return network(SIGNATURE.format(mask=kind), SCORES + mask + REST, WEIGHTS)


def prefixes(kind: str, samples: int = 32, shortest: int = 1) -> Array:
    lengths = np.random.default_rng(1).integers(shortest, 6, (samples, 1))
    lengths[0] = shortest
    return (np.arange(5) < lengths).astype(np.bool_ if kind == BOOL else np.int64)


def data(name: str, shortest: int = 1) -> dict[str, Array]:
    return {"x": normal(32, 5, 6), "m": prefixes(CASES[name][0], shortest=shortest)}


@pytest.mark.parametrize("name", CASES)
def test_mask(name: str) -> None:
    """No score is near the mask's numbers, and no float touches the mask."""
    golden = compiled(text(name), data(name), noise=0.02)
    found = ops(golden)
    assert found.count("IntMaskedSoftmax") == 1
    assert not {"IntSoftmax", "Sub", "Mul", "Table"} & set(found)
    masked = next(node for node in golden.graph.node if node.op_type == "IntMaskedSoftmax")
    assert not [t for t in golden.graph.initializer if t.name == masked.input[0]]


@pytest.mark.parametrize("name", [name for name in CASES if "causal" not in name])
def test_rows_in_which_everything_is_hidden(name: str) -> None:
    """They stay what the network makes of them: uniform, or what they were without a mask."""
    model, feeds = text(name), data(name, shortest=0)
    before = run(model, feeds)["y"]
    assert feeds["m"][0].sum() == 0
    after = run(proto_of(transformed(model, Normalize(), Structure(), data=feeds)), feeds)["y"]
    finite = np.isfinite(before)
    assert finite[feeds["m"].any(axis=1)].all()
    # Scores lose digits beside -10000 in float32.
    np.testing.assert_allclose(after[finite], before[finite], rtol=0, atol=1e-3)
    if finite.all():
        compiled(model, feeds, noise=0.02)


@pytest.mark.parametrize("name", [name for name in CASES if "causal" not in name])
def test_masks_as_additions_for_onnxruntime(name: str) -> None:
    """The QDQ file adds the mask; rows in which everything is hidden come out the same."""
    feeds = data(name, shortest=0)
    model = transformed(text(name), Normalize(), Structure(), data=feeds)
    before = run(proto_of(model), feeds)["y"]
    add_masks(model.graph)
    assert "MaskedSoftmax" not in operators(model)
    after = run(proto_of(model), feeds)["y"]
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-3)


def test_rows_that_a_guard_makes_zero() -> None:
    mask = "u = Unsqueeze (m, axes)\nb = Where (u, nought, infinite)\na = Add (s, b)\n"
    rest = "p = Softmax (a)\nn = IsNaN (p)\ng = Where (n, nought, p)\ny = MatMul (g, q)"
    model = network(SIGNATURE.format(mask=BOOL), SCORES + mask + rest, WEIGHTS)
    feeds = {"x": normal(32, 5, 6), "m": prefixes(BOOL, shortest=0)}
    golden = compiled(model, feeds, noise=0.02)
    assert not run(golden, feeds)["y"][0].any()
    assert "Where" not in ops(golden)


def test_one_mask_for_all_layers() -> None:
    body = SCORES + FLOAT_MASK + "b = Mul (d, low)\na = Add (s, b)\np = Softmax (a)\n"
    body += "r = MatMul (p, q)\nt2 = Transpose <perm = [0,2,1]> (r)\ns2 = MatMul (r, t2)\n"
    body += "a2 = Add (s2, b)\np2 = Softmax (a2)\ny = MatMul (p2, r)"
    model = network(SIGNATURE.format(mask=INT), body, WEIGHTS)
    found = ops(compiled(model, {"x": normal(32, 5, 6), "m": prefixes(INT)}, noise=0.02))
    assert found.count("IntMaskedSoftmax") == 2
    assert found.count("Equal") == found.count("Cast") == 1


def test_a_bias_that_hides_nothing_is_added() -> None:
    bias = {"bias": normal(5, 5, scale=2.0)}
    model = network(
        "float[N,5,6] x => float[N,5,a] y", SCORES + "a = Add (s, bias)" + REST, WEIGHTS | bias
    )
    found = ops(compiled(model, noise=0.04))
    assert "IntSoftmax" in found
    assert "IntAdd" in found


@pytest.mark.parametrize("mask", [np.full((32, 5), 2), np.arange(160).reshape(32, 5) % 3])
def test_mask_of_other_numbers(mask: Array) -> None:
    model = text("added, -10000")
    with pytest.raises(ModelError) as caught:
        golden_of(model, {"x": normal(32, 5, 6), "m": mask})
    assert [d.code for d in caught.value.diagnostics] == ["ACT0106"]


def test_real_mask_is_named() -> None:
    body = SCORES + "u = Unsqueeze (m, axes)\nd = Sub (one, u)\nb = Mul (d, old)\na = Add (s, b)"
    model = network(SIGNATURE.format(mask="float[N,5]"), body + REST, WEIGHTS)
    mask = prefixes(INT).astype(np.float32)
    with pytest.raises(ModelError) as caught:
        golden_of(model, {"x": normal(32, 5, 6), "m": mask})
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.op) == ("ACT0106", "Softmax")


def test_structure_keeps_the_operators_of_a_mask(tmp_path: Path) -> None:
    name = "filled"
    model = transformed(text(name), Normalize(), Structure(), data=data(name))
    found = operators(model)
    assert found.count("MaskedSoftmax") == 1
    assert "Where" not in found
    assert "Expand" not in found
