"""QDQ and QCDQ models: golden gives the codes that the model itself gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from models import network
from onnxruntime.quantization import QuantType
from qdq_models import written
from quantized_models import (
    cnn,
    codes_raised,
    compiled,
    initializers,
    mlp,
    nodes_of,
    plain_run,
    quantized,
    random,
)

import actc
from actc.errors import ModelError
from actc.ir.context import context_of

Array = np.ndarray[Any, Any]

INT8 = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "int8": INT8,
    "per channel": {**INT8, "per_channel": True},
    "uint8 weights": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8,
                      "extra_options": {"WeightSymmetric": True}},
}  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_static_quantization_of_onnxruntime(make: Any, options: str, tmp_path: Path) -> None:
    """Every output of the whole network, bit for bit."""
    shape = (64, 16) if make is mlp else (32, 3, 8, 8)
    feeds = {"x": random(*shape, seed=9)}
    model = quantized(make(), {"x": feeds["x"][:16]}, tmp_path, **OPTIONS[options])
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    np.testing.assert_array_equal(
        spec_output(golden, feeds), plain_run(model, feeds)["y"]
    )  # fmt: skip


@pytest.mark.parametrize("make", [mlp, cnn])
def test_what_actc_writes_is_read_back(make: Any) -> None:
    """Outputs agree but for the scale of the last sums, which the file holds in float32."""
    feeds = {"x": random(64, 16, seed=9) if make is mlp else random(32, 3, 8, 8, seed=9)}
    first, _ = compiled(make(), feeds)
    again, result = compiled(written(make(), feeds, everywhere=True), feeds)
    assert codes_raised(result) == []
    got, wanted = (plain_run(golden, feeds)["y"] for golden in (again, first))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_the_integers_of_the_weights_stay(tmp_path: Path) -> None:
    feeds = {"x": random(16, 16, seed=9)}
    model = quantized(mlp(), feeds, tmp_path, **INT8)
    golden, _ = compiled(model, feeds)
    given = [a for name, a in initializers(model) if a.dtype == np.int8 and a.ndim == 2]
    kept = [a for name, a in initializers(golden) if a.dtype == np.int8 and a.ndim == 2]
    assert len(given) == 2
    for before, after in zip(given, kept, strict=True):
        np.testing.assert_array_equal(before, after)


def spec_output(golden: onnx.ModelProto, feeds: dict[str, Array]) -> Array:
    return plain_run(golden, feeds)["y"]


def pair(x: str, y: str, zero: str = "z", scale: str = "s") -> str:
    return (
        f"{y}_q = QuantizeLinear ({x}, {scale}, {zero})\n"
        f"{y} = DequantizeLinear ({y}_q, {scale}, {zero})\n"
    )


def clipped(x: str, y: str) -> str:
    return (
        f"{y}_q = QuantizeLinear ({x}, s, z)\n{y}_c = Clip ({y}_q, low, high)\n"
        f"{y} = DequantizeLinear ({y}_c, s, z)\n"
    )


def test_clip_between_narrows_the_codes() -> None:
    """QCDQ: 4-bit activations in int8."""
    weights = {
        "s": np.float32(0.25), "z": np.int8(0), "low": np.int8(-8), "high": np.int8(7),
        "w": random(6, 5, seed=1),
    }  # fmt: skip
    body = f"{clipped('x', 'a')}h = MatMul (a, w)\n{clipped('h', 'b')}y = Identity (b)"
    model = network("float[N,6] x => float[N,5] y", body, weights)
    feeds = {"x": random(64, 6, seed=2, scale=3.0)}
    golden, _ = compiled(model, feeds)
    seen = plain_run(golden, feeds)["y"] / 0.25
    assert seen.min() == -8
    assert seen.max() == 7


@pytest.mark.parametrize(
    "function",
    [
        "Relu (h)",
        "Tanh (h)",
        "LeakyRelu <alpha = 0.1> (h)",
        "Gelu (h)",
        "Mul (h, k)",
        "Clip (h, a, b)",
        "Neg (h)",
    ],
)
def test_functions_between_layer_and_quantizer(function: str) -> None:
    """Each code is the exact rounding of the function of the layer's exact sum."""
    codes = np.random.default_rng(3).integers(-128, 128, (6, 5)).astype(np.int8)
    weights = {
        "s": np.float32(0.037), "z": np.int8(-3), "t": np.float32(0.0031), "zero": np.int8(0),
        "w": codes, "out": np.float32(0.021), "point": np.int8(11), "a": np.float32(-0.4),
        "b": np.float32(1.1), "k": random(5, seed=8),
    }  # fmt: skip
    body = (
        pair("x", "d")
        + "v = DequantizeLinear (w, t, zero)\nh = MatMul (d, v)\n"
        + f"f = {function}\n"
        + pair("f", "y", "point", "out")
    )
    model = network("float[N,6] x => float[N,5] y", body, weights)
    feeds = {"x": random(400, 6, seed=4, scale=2.0)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    q = np.clip(np.rint(feeds["x"] / np.float32(0.037)), -125, 130).astype(np.int64)
    real = (q @ codes.astype(np.int64)) * (np.float64(np.float32(0.037)) * np.float32(0.0031))
    inner = network("float[N,5] h => float[N,5] f", f"f = {function}", {
        name: weights[name] for name in ("a", "b", "k")
    })  # fmt: skip
    shown = plain_run(inner, {"h": real.astype(np.float32)})["f"].astype(np.float64)
    scale = np.float64(np.float32(0.021))
    wanted = np.clip(np.rint(shown / scale), -139, 116)
    got = np.rint(plain_run(golden, feeds)["y"] / scale)
    off = np.abs(got - wanted)
    # float32 in the reference's function moves a value by less than 1e-5 steps of a tie
    near_tie = np.abs(shown / scale - np.floor(shown / scale) - 0.5) < 1e-4
    assert not np.any(off[~near_tie])
    assert off.max(initial=0) <= 1


def test_sixteen_bits_behind_a_layer() -> None:
    """Rounded by multiplier and shift: at most a code away, and said so."""
    weights = {
        "s": np.float32(0.02), "z": np.uint8(3), "t": np.float32(0.0005),
        "point": np.uint16(20000), "w": random(6, 5, seed=1, scale=0.5), "one": np.float32(0.01),
        "zero": np.int8(0), "codes": np.arange(-15, 15, dtype=np.int8).reshape(6, 5),
    }  # fmt: skip
    body = (
        pair("x", "d")
        + "v = DequantizeLinear (codes, one, zero)\nh = MatMul (d, v)\nr = Relu (h)\n"
        + pair("r", "y", "point", "t")
    )
    model = network("float[N,6] x => float[N,5] y", body, weights)
    feeds = {"x": random(200, 6, seed=2)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == ["ACT0113"]
    off = (plain_run(golden, feeds)["y"] - plain_run(model, feeds)["y"]) / 0.0005
    assert np.abs(off).max() < 1.01


def test_ties_go_to_the_even_code() -> None:
    """Scales that are powers of two put sums on ties: half of them go up, half down."""
    weights = {
        "s": np.float32(1), "z": np.int8(0), "one": np.float32(1), "w": np.eye(4, dtype=np.int8),
        "two": np.float32(2),
    }  # fmt: skip
    body = (
        pair("x", "d")
        + "v = DequantizeLinear (w, one, z)\nh = MatMul (d, v)\n"
        + pair("h", "y", "z", "two")
    )
    model = network("float[N,4] x => float[N,4] y", body, weights)
    feeds = {"x": np.arange(-128, 128, dtype=np.float32).reshape(64, 4)}
    golden, _ = compiled(model, feeds)
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], 2 * np.rint(feeds["x"] / 2))
    assert "Steps" in nodes_of(golden)


def test_inspect_names_the_bits(tmp_path: Path) -> None:
    feeds = {"x": random(32, 3, 8, 8, seed=9)}
    found = actc.inspect(quantized(cnn(), feeds, tmp_path))
    assert found["quantized"] == {"activations": {"8": 9}, "weights": {"8": 3}}
    assert found["unsupported"] == []
    assert actc.inspect(cnn())["quantized"] is None


def test_formats_do_not_depend_on_the_data(tmp_path: Path) -> None:
    feeds = {"x": random(32, 3, 8, 8, seed=9)}
    model = quantized(cnn(), feeds, tmp_path)
    usual, _ = compiled(model, feeds)
    other, _ = compiled(model, {"x": feeds["x"] * 5})
    assert usual.SerializeToString() == other.SerializeToString()


@pytest.mark.parametrize(
    ("codes", "zero"),
    [
        ("int8", 3), ("uint8", 120), ("int16", 30), ("uint16", 32000), ("int4", 1), ("uint4", 7),
    ],
)  # fmt: skip
@pytest.mark.parametrize("weights", ["int4", "uint4", "int8"])
def test_types_of_codes(codes: str, zero: int, weights: str) -> None:
    """Every type of opset 21, with weights of four bits too."""
    step = {"4": 0.47, "8": 0.0471, "6": 0.00031}[codes[-1]]
    generator = np.random.default_rng(1)
    low = 0 if weights == "uint4" else -7
    held = {
        "s": np.float32(step), "z": np.array(zero, getattr(ml_dtypes, codes, codes)),
        "t": np.float32(step * 1.7),
        "k": generator.integers(low, low + 15, (8, 6)).astype(getattr(ml_dtypes, weights, weights)),
        "ks": generator.uniform(0.01, 0.05, 6).astype(np.float32),
        "kz": np.full(6, 8 if low == 0 else 0, getattr(ml_dtypes, weights, weights)),
    }  # fmt: skip
    body = (
        pair("x", "a")
        + "v = DequantizeLinear <axis = 1> (k, ks, kz)\nh = MatMul (a, v)\n"
        + pair("h", "y", "z", "t")
    )
    model = network("float[N,8] x => float[N,6] y", body, held)
    feeds = {"x": random(200, 8, seed=2, scale=2.0)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == (["ACT0113"] if codes.endswith("16") else [])
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], plain_run(model, feeds)["y"])


@pytest.mark.parametrize("kind", ["int8", "uint4"])
def test_weights_in_blocks_are_rounded_again(kind: str) -> None:
    """A scale for every three weights: no integers of one scale per channel."""
    generator = np.random.default_rng(1)
    dtype, zero = getattr(ml_dtypes, kind, kind), 8 if kind == "uint4" else 0
    held = {
        "s": np.float32(0.0471), "z": np.uint8(120), "t": np.float32(0.08),
        "k": generator.integers(0, 15, (8, 6)).astype(dtype),
        "ks": generator.uniform(0.01, 0.05, (3, 6)).astype(np.float32),
        "kz": np.full((3, 6), zero, dtype),
    }  # fmt: skip
    body = (
        pair("x", "a")
        + "v = DequantizeLinear <axis = 0, block_size = 3> (k, ks, kz)\nh = MatMul (a, v)\n"
        + pair("h", "y", "z", "t")
    )
    model = network("float[N,8] x => float[N,6] y", body, held)
    feeds = {"x": random(200, 8, seed=2, scale=2.0)}
    golden, result = compiled(model, feeds)
    (found,) = context_of(result).sink.items
    assert (found.code, found.place.op) == ("ACT0113", "MatMul")
    off = (plain_run(golden, feeds)["y"] - plain_run(model, feeds)["y"]) / 0.08
    assert np.abs(off).max() < 2.01


REFUSED: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "integer kernels": (
        "q = QuantizeLinear (x, s, z)\ni = MatMulInteger (q, k)\nj = MatMulInteger (q, k)\n"
        "a = Cast <to = 1> (i)\nb = Cast <to = 1> (j)\ny = Add (a, b)",
        [("ACT0110", "i"), ("ACT0110", "j")],
    ),
    "scale per channel of an activation": (
        "q = QuantizeLinear <axis = 1> (x, scales, zeros)\n"
        "d = DequantizeLinear <axis = 1> (q, scales, zeros)\ny = MatMul (d, w)",
        [("ACT0111", "d")],
    ),
    "scale that the input decides": (
        "q, c, o = DynamicQuantizeLinear (x)\nd = DequantizeLinear (q, c, o)\ny = MatMul (d, w)",
        [("ACT0110", "q"), ("ACT0111", "d")],
    ),
    "operator on codes": (
        "q = QuantizeLinear (x, s, z)\nr = Reshape (q, shape)\nd = DequantizeLinear (r, s, z)\n"
        "y = MatMul (d, w)",
        [("ACT0111", "d")],
    ),
    "weights that are not symmetric": (
        "v = DequantizeLinear (k, s, seven)\ny = MatMul (x, v)",
        [("ACT0111", "v")],
    ),
    "another scale behind": (
        "q = QuantizeLinear (x, s, z)\nd = DequantizeLinear (q, t, z)\ny = MatMul (d, w)",
        [("ACT0111", "d")],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused(case: str) -> None:
    body, wanted = REFUSED[case]
    weights = {
        "s": np.float32(0.1), "t": np.float32(0.2), "z": np.int8(0), "seven": np.int8(7),
        "k": np.full((6, 4), -128, np.int8), "w": random(6, 4), "shape": np.array([-1, 6]),
        "scales": np.full(6, 0.1, np.float32), "zeros": np.zeros(6, np.int8),
    }  # fmt: skip
    model = network("float[N,6] x => float[N,4] y", body, weights)
    with pytest.raises(ModelError) as caught:
        compiled(model, {"x": random(8, 6)})
    assert [(d.code, d.place.node) for d in caught.value.diagnostics] == wanted
