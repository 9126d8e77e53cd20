"""What stands beside a layer goes into its constants: batch norms, vectors, biases, rows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import network, normal
from normalized_models import Array, normalized


def batch_norm(channels: int, seed: int = 9) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {
        "gamma": generator.uniform(-2, 2, channels).astype(np.float32),
        "beta": generator.standard_normal(channels).astype(np.float32),
        "mean": generator.standard_normal(channels).astype(np.float32),
        "var": generator.uniform(0.1, 4, channels).astype(np.float32),
    }


BN = "BatchNormalization <epsilon = 0.01> ({0}, gamma, beta, mean, var)"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("group", [1, 2])
def test_batch_norm_behind_conv(bias: bool, group: int) -> None:
    weights = {"w": normal(6, 4 // group, 3, 3), **batch_norm(6)}
    if bias:
        weights["b"] = normal(6, seed=3)
    operands = "x, w, b" if bias else "x, w"
    model = network(
        "float[N,4,7,8] x => float[N,6,h,v] y",
        f"c = Conv <group = {group}, pads = [1,1,1,1]> ({operands})\n y = {BN.format('c')}",
        weights,
    )
    assert normalized(model)[0] == ["Conv"]


@pytest.mark.parametrize("group", [1, 2])
def test_batch_norm_behind_transposed_conv(group: int) -> None:
    model = network(
        "float[N,4,5,5] x => float[N,6,h,v] y",
        f"c = ConvTranspose <group = {group}, strides = [2,2]> (x, w)\n y = {BN.format('c')}",
        {"w": normal(4, 6 // group, 3, 3), **batch_norm(6)},
    )
    left = normalized(model)[0]
    assert not {"BatchNormalization", "Mul", "Add"} & set(left)
    assert len({"Conv", "ConvTranspose"} & set(left)) == 1


@pytest.mark.parametrize("layer", ["Gemm <transB = 1> (x, w, b)", "MatMul (x, wt)"])
def test_batch_norm_behind_matrix_product(layer: str) -> None:
    weights = {"w": normal(5, 4), "wt": normal(4, 5), "b": normal(5), **batch_norm(5)}
    used = {name: a for name, a in weights.items() if name in layer or name in BN}
    model = network("float[N,4] x => float[N,5] y", f"c = {layer}\n y = {BN.format('c')}", used)
    assert normalized(model)[0] == ["MatMul", "Add"]


def test_batch_norm_alone_becomes_a_scale_and_an_offset() -> None:
    model = network("float[N,3,4] x => float[N,3,4] y", f"y = {BN.format('x')}", batch_norm(3))
    assert normalized(model)[0] == ["Mul", "Add"]


def test_batch_norm_of_a_shared_value_is_not_folded_into_its_producer() -> None:
    model = network(
        "float[N,4,5,5] x => float[N,6,5,5] y, float[N,6,5,5] c",
        f"c = Conv <pads = [1,1,1,1]> (x, w)\n y = {BN.format('c')}",
        {"w": normal(6, 4, 3, 3), **batch_norm(6)},
    )
    assert normalized(model)[0] == ["Conv", "Mul", "Add"]


AFFINE = ("Add(c, v)", "Add(v, c)", "Mul(c, v)", "Mul(v, c)", "Sub(c, v)", "Sub(v, c)", "Div(c, v)")


@pytest.mark.parametrize("step", AFFINE)
def test_vectors_behind_conv(step: str) -> None:
    model = network(
        "float[N,4,6] x => float[N,5,s] y",
        f"c = Conv (x, w, b)\n y = {step}",
        {"w": normal(5, 4, 3), "b": normal(5, seed=1), "v": normal(1, 5, 1, seed=2) + 3},
    )
    assert normalized(model)[0] == ["Conv"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("step", AFFINE)
def test_vectors_behind_matmul(step: str, bias: bool) -> None:
    layer = "p = MatMul (x, w)\n c = Add (p, b)" if bias else "c = MatMul (x, w)"
    weights = {"w": normal(4, 5), "v": normal(5, seed=2) + 3}
    if bias:
        weights["b"] = normal(5, seed=1)
    model = network("float[N,3,4] x => float[N,3,5] y", f"{layer}\n y = {step}", weights)
    left, _ = normalized(model)
    multiplies = step.startswith(("Mul", "Div"))
    assert left == (["MatMul"] if multiplies and not bias else ["MatMul", "Add"])


def test_a_chain_of_vectors_behind_matmul() -> None:
    body = """
      c = MatMul (x, w)
      d = Sub (c, v)
      e = Mul (u, d)
      f = Sub (v, e)
      y = Div (f, u)
    """
    weights = {"w": normal(4, 5), "v": normal(5, seed=2), "u": normal(5, seed=3) + 4}
    model = network("float[N,4] x => float[N,5] y", body, weights)
    assert normalized(model)[0] == ["MatMul", "Add"]


@pytest.mark.parametrize("step", ["Div(v, c)", "Add(c, s)", "Mul(s, c)", "Add(c, big)"])
def test_what_is_no_scale_or_offset_per_channel_stays(step: str) -> None:
    """A reciprocal, scalars (they belong to an activation's formula), a tensor that enlarges."""
    weights = {
        "w": normal(4, 5),
        "v": normal(5) + 9,
        "s": np.array(3, np.float32),
        "big": normal(2, 1, 5),
    }
    used = {n: a for n, a in weights.items() if n == "w" or n in step.split("(")[1]}
    shape = "float[a,N,5]" if "big" in step else "float[N,5]"
    model = network(f"float[N,4] x => {shape} y", f"c = MatMul (x, w)\n y = {step}", used)
    assert normalized(model)[0] == ["MatMul", step[:3]]


def test_division_by_zero_is_not_folded() -> None:
    vector = normal(5)
    vector[2] = 0
    body = "c = MatMul (x, w)\n d = Div (c, v)\n z = Constant <value = float {5.0}> ()\n"
    body += "n = Neg (z)\n y = Clip (d, n, z)"
    weights = {"w": np.abs(normal(4, 5)), "v": vector}
    model = network("float[N,4] x => float[N,5] y", body, weights)
    feeds = {"x": np.abs(normal(8, 4)) + 1}
    left, proto = normalized(model, feeds)
    assert left == ["MatMul", "Div", "Clip"]
    assert all(np.isfinite(onnx.numpy_helper.to_array(t)).all() for t in proto.graph.initializer)


@pytest.mark.parametrize("axes", [[2], [-1]])
def test_offset_behind_squeeze(axes: list[int]) -> None:
    body = "c = Conv (x, w)\n s = Squeeze (c, axes)\n t = Add (s, v)\n y = Mul (u, t)"
    weights = {"w": normal(5, 4, 6), "v": normal(5), "u": normal(5, seed=4), "axes": np.array(axes)}
    model = network("float[N,4,6] x => float[N,5] y", body, weights)
    assert normalized(model)[0] == ["Conv", "Squeeze"]


def test_offset_behind_unsqueeze() -> None:
    body = "c = MatMul (x, w)\n s = Unsqueeze (c, axes)\n y = Add (v, s)"
    weights = {"w": normal(4, 5), "v": normal(5, 1), "axes": np.array([2])}
    model = network("float[N,4] x => float[N,5,1] y", body, weights)
    assert normalized(model)[0] == ["MatMul", "Add", "Unsqueeze"]


def test_an_enlarging_offset_behind_squeeze() -> None:
    """[N, 1] plus [4] is [N, 4]: lifting it must not lose the enlargement."""
    body = "c = Conv (x, w)\n s = Squeeze (c, axes)\n y = Add (s, v)"
    weights = {"w": normal(1, 4, 6), "v": normal(4), "axes": np.array([2])}
    normalized(network("float[N,4,6] x => float[N,4] y", body, weights))
