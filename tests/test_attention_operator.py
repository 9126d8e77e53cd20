"""ONNX's Attention and RotaryEmbedding, and attention as torch's exporter writes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, operators, proto_of, random_data, run, transformed

import actc
from actc.ir import spec
from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]

MERGED = "float[N,5,12] q, float[N,5,12] k, float[N,5,12] v"
HEADS = "float[N,4,5,3] q, float[N,{k},6,3] k, float[N,{k},6,2] v"
CASES: dict[str, tuple[str, str, dict[str, Array]]] = {
    # name: inputs, attributes and further inputs, constants
    "heads": (HEADS.format(k=4), "Attention (q, k, v)", {}),
    "heads, a scale": (HEADS.format(k=4), "Attention <scale=0.3> (q, k, v)", {}),
    "grouped queries": (HEADS.format(k=2), "Attention (q, k, v)", {}),
    "one key for all": (HEADS.format(k=1), "Attention (q, k, v)", {}),
    "merged": (MERGED, "Attention <q_num_heads=4, kv_num_heads=4> (q, k, v)", {}),
    "merged, grouped": (
        "float[N,5,12] q, float[N,5,6] k, float[N,5,8] v",
        "Attention <q_num_heads=4, kv_num_heads=2> (q, k, v)",
        {},
    ),
    "causal": (MERGED, "Attention <q_num_heads=3, kv_num_heads=3, is_causal=1> (q, k, v)", {}),
    "a soft cap": (HEADS.format(k=4), "Attention <softcap=2.0> (q, k, v)", {}),
    "a constant mask": (
        HEADS.format(k=4), "Attention (q, k, v, m)", {"m": np.tril(np.ones((5, 6), np.bool_))}
    ),
    "a mask of the input": (
        HEADS.format(k=4) + ", bool[N,1,5,6] m", "Attention (q, k, v, m)", {}
    ),
    "a bias": (HEADS.format(k=4), "Attention (q, k, v, m)", {"m": normal(5, 6)}),
    "causal and a bias": (MERGED,
        "Attention <q_num_heads=3, kv_num_heads=3, is_causal=1> (q, k, v, m)",
        {"m": normal(3, 5, 5)},
    ),
}  # fmt: skip


def case(name: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    inputs, body, weights = CASES[name]
    rank = "a,b" if inputs.startswith(MERGED[:13]) else "a,b,c"
    model = network(f"{inputs} => float[N,{rank}] y", f"y = {body}", weights, opset=23)
    data = random_data(model, 24)
    if "m" in data:
        data["m"] = np.random.default_rng(1).random((24, 1, 5, 6)) < 0.6
        data["m"][..., 0] = True
    return model, data


@pytest.mark.parametrize("name", CASES)
def test_attention(name: str) -> None:
    model, data = case(name)
    golden = compiled(model, data)
    found = ops(golden)
    assert found.count("IntBatchMatMul") == 2
    masked = "mask" in name or "causal" in name
    assert found.count("IntMaskedSoftmax" if masked else "IntSoftmax") == 1


@pytest.mark.parametrize("name", CASES)
def test_its_parts_do_the_same(name: str) -> None:
    model, data = case(name)
    result = transformed(model, Normalize(), data=data)
    assert "Attention" not in operators(result)
    expected, found = run(model, data)["y"], run(proto_of(result), data)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


STAYS = {
    "a cache": (
        "float[N,2,1,3] q, float[N,2,1,3] k, float[N,2,1,3] v, float[N,2,4,3] p, float[N,2,4,3] r",
        "y, s, t = Attention (q, k, v, , p, r)",
        "float[N,2,1,3] y, float[N,2,5,3] s, float[N,2,5,3] t",
    ),
    "its scores as well": (
        HEADS.format(k=4), "y, , , s = Attention (q, k, v)", "float[N,4,5,2] y, float[N,4,5,6] s"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYS)
def test_what_stays(name: str) -> None:
    inputs, body, outputs = STAYS[name]
    model = network(f"{inputs} => {outputs}", body, opset=23)
    assert operators(transformed(model, Normalize())) == ["Attention"]


SELF = {"w": normal(8, 24, scale=0.3)}
SELF_ATTENTION = """
  p = MatMul (x, w)
  q, k, v = Split <axis = 2, num_outputs = 3> (p)
  y = Attention <q_num_heads = 2, kv_num_heads = 2, is_causal = {causal}> (q, k, v)
"""
TORCH_ATTENTION = """
  b = Shape <start = 0, end = 1> (x)
  t = Shape <start = 1, end = 2> (x)
  p = MatMul (x, w)
  pq, pk, pv = Split <axis = 2, num_outputs = 3> (p)
  split = Concat <axis = 0> (b, t, two, four)
  rq = Reshape (pq, split)
  q = Transpose <perm = [0, 2, 1, 3]> (rq)
  rk = Reshape (pk, split)
  k = Transpose <perm = [0, 2, 1, 3]> (rk)
  rv = Reshape (pv, split)
  v = Transpose <perm = [0, 2, 1, 3]> (rv)
  shape = Shape (k)
  m2 = Slice (shape, minus2, minus1)
  m1 = Slice (shape, minus1, huge)
  front = Slice (shape, lowest, minus2)
  flat = Concat <axis = 0> (minus1, m2, m1)
  fk = Reshape (k, flat)
  tk = Transpose <perm = [0, 2, 1]> (fk)
  back = Concat <axis = 0> (front, m1, m2)
  bk = Reshape (tk, back)
  sq = Mul (q, root)
  sk = Mul (bk, root)
  s = MatMul (sq, sk)
  square = Concat <axis = 0> (m2, m2)
  ones = Expand (one, square)
  low = Trilu <upper = 0> (ones)
  gone = Equal (low, nought)
  bias = Where (gone, lowest_number, nought)
  a = Add (s, bias)
  n = Softmax (a)
  z = MatMul (n, v)
  tz = Transpose <perm = [0, 2, 1, 3]> (z)
  joined = Concat <axis = 0> (b, t, eight)
  y = Reshape (tz, joined)
"""
TORCH_WEIGHTS = {
    **SELF,
    "two": np.array([2]),
    "four": np.array([4]),
    "eight": np.array([8]),
    "minus1": np.array([-1]),
    "minus2": np.array([-2]),
    "huge": np.array([2**63 - 1]),
    "lowest": np.array([-(2**63)]),
    "root": np.float32(0.70710678),
    "one": np.float32(1),
    "nought": np.float32(0),
    "lowest_number": np.float32(np.finfo(np.float32).min),
}
OPEN = "float[N,T,8] x => float[N,T,8] y"
OPEN_CASES = {
    "operator": network(OPEN, SELF_ATTENTION.format(causal=0), SELF, opset=23),
    "operator, causal": network(OPEN, SELF_ATTENTION.format(causal=1), SELF, opset=23),
    "as torch.export writes it": network(OPEN, TORCH_ATTENTION, TORCH_WEIGHTS),
}


@pytest.mark.parametrize("name", OPEN_CASES)
def test_open_length(name: str) -> None:
    model = OPEN_CASES[name]
    lengths = np.arange(24) % 8 + 2
    data = {"x": normal(24, 9, 8), "x.lengths": lengths}
    golden = golden_of(model, data)
    assert "Expand" not in ops(golden)
    for length in (1, 7, 12):
        feeds = {"x": normal(3, length, 8, seed=length)}
        got, wanted = run(golden, feeds)["y"], run(model, feeds)["y"]
        np.testing.assert_array_equal(got, spec.run(golden, feeds)["y"])
        assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.12 * np.sqrt(np.mean(wanted**2))


ANGLES = np.arange(7)[:, None] / 10.0 ** np.arange(3)
COSINES = {"c": np.cos(ANGLES).astype(np.float32), "s": np.sin(ANGLES).astype(np.float32)}
WIDE = {key: array[None, :5] for key, array in COSINES.items()}
ROTATIONS: dict[str, tuple[str, str, dict[str, Array]]] = {
    "halves": ("float[1,2,5,6] x", "RotaryEmbedding (x, c, s)", WIDE),
    "neighbours": ("float[1,2,5,6] x", "RotaryEmbedding <interleaved=1> (x, c, s)", WIDE),
    "merged": ("float[1,5,12] x", "RotaryEmbedding <num_heads=2> (x, c, s)", WIDE),
    "in part": (
        "float[N,2,5,8] x, int64[N,5] i",
        "RotaryEmbedding <rotary_embedding_dim=6, num_heads=2> (x, c, s, i)",
        COSINES,
    ),
    "by position": ("float[N,2,5,6] x, int64[N,5] i", "RotaryEmbedding (x, c, s, i)", COSINES),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotation(name: str) -> None:
    inputs, body, weights = ROTATIONS[name]
    sizes = inputs[inputs.index("[") : inputs.index("]") + 1]
    model = network(f"{inputs} => float{sizes} y", f"y = {body}", weights, opset=23)
    golden = compiled(model, random_data(model, 1 if "[1," in sizes else 24))
    assert "IntMul" in ops(golden)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("opset", [20, 23])
def test_torch_export(causal: bool, opset: int) -> None:
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = torch.nn.Linear(16, 48), torch.nn.Linear(16, 16)

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            q, k, v = (
                part.view(batch, length, 2, 8).transpose(1, 2)
                for part in self.qkv(x).chunk(3, dim=-1)
            )
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
            return self.out(y.transpose(1, 2).reshape(batch, length, 16))

    torch.manual_seed(0)
    sizes = {"x": {0: "batch", 1: "length"}}
    model = actc.export(Block(), torch.randn(3, 7, 16), dynamic=sizes, opset=opset)
    data = {"x": normal(24, 9, 16), "x.lengths": np.arange(24) % 8 + 2}
    golden = golden_of(model, data)
    (output,) = (value.name for value in model.graph.output)
    for length in (2, 20):
        feeds = {"x": normal(3, length, 16, seed=length)}
        got, wanted = run(golden, feeds)[output], run(model, feeds)[output]
        np.testing.assert_array_equal(got, spec.run(golden, feeds)[output])
        assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.12 * np.sqrt(np.mean(wanted**2))
