"""Pass `equalize`: the function stays, the channels of a tensor become alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, operators, prepared, proto_of, random_data, run

from actc.errors import UsageError
from actc.ir.context import context_of
from actc.passes.equalize import Equalize
from actc.pipeline import Pipeline, Verify

Array = np.ndarray[Any, Any]

SKEW = np.array([1, 30, 0.1, 4, 0.02, 1], np.float32)
"""Magnitudes of six channels."""


def norm_network(more: str = "", outputs: str = "float[N,4,5] y") -> onnx.ModelProto:
    return network(
        f"float[N,4,6] x => {outputs}",
        "h = LayerNormalization (x, g, b)\n p = MatMul (h, v)\n q = MatMul (h, w)\n"
        f" y = Add (p, q){more}",
        {"g": SKEW, "b": normal(6), "v": normal(6, 5) / SKEW[:, None], "w": normal(6, 5, seed=1)},
    )


CASES = {
    "norm": norm_network(),
    "norm-residual": norm_network(
        "\n s = Relu (h)\n z = Add (x, s)", "float[N,4,5] y, float[N,4,6] z"
    ),
    "norm-output": norm_network("", "float[N,4,5] y, float[N,4,6] h"),
    "conv": network(
        "float[N,3,8,8] x => float[N,a,b,c] y",
        "h = Conv <pads = [1,1,1,1]> (x, v, b)\n r = Relu (h)\n"
        " p = MaxPool <kernel_shape = [2,2]> (r)\n y = Conv (p, w)",
        {"v": normal(6, 3, 3, 3) * SKEW.reshape(6, 1, 1, 1), "b": SKEW, "w": normal(4, 6, 2, 2)},
    ),
    "conv-groups": network(
        "float[N,4,8,8] x => float[N,a,b,c] y",
        "h = Conv <group = 2> (x, v)\n r = LeakyRelu <alpha = 0.2> (h)\n"
        " y = Conv <group = 3> (r, w)",
        {"v": normal(6, 2, 3, 3) * SKEW.reshape(6, 1, 1, 1), "w": normal(9, 2, 2, 2)},
    ),
    "conv-depthwise": network(
        "float[N,3,8,8] x => float[N,a,b,c] y",
        "h = Conv (x, v)\n r = Relu (h)\n y = Conv <group = 6> (r, w)",
        {"v": normal(6, 3, 1, 1) * SKEW.reshape(6, 1, 1, 1), "w": normal(12, 1, 3, 3)},
    ),
    "matmul": network(
        "float[N,7] x => float[N,4] y",
        "p = MatMul (x, v)\n h = Add (b, p)\n r = Relu (h)\n y = MatMul (r, w)",
        {"v": normal(7, 6) * SKEW, "b": SKEW, "w": normal(6, 4)},
    ),
}  # fmt: skip


def equalized(model: onnx.ModelProto, feeds: dict[str, Array]) -> Any:
    return Pipeline.parse("normalize,structure,equalize").run(prepared(model, feeds), [Verify()])


def golden_error(model: onnx.ModelProto, passes: str) -> float:
    """RMS error of golden's outputs, over theirs, on samples that calibration did not see."""
    rest = "recognize,calibrate,approximate,quantize,integerize"
    ready = prepared(model, random_data(model, 64))
    golden = proto_of(Pipeline.parse(f"{passes},{rest}").run(ready, [Verify()]))
    feeds = random_data(model, 64, seed=1)
    wanted, got = run(model, feeds), run(golden, feeds)
    return float(np.sqrt(np.mean((wanted["y"] - got["y"]) ** 2) / np.mean(wanted["y"] ** 2)))


@pytest.mark.parametrize("name", CASES)
def test_the_function_stays(name: str) -> None:
    model, feeds = CASES[name], random_data(CASES[name], 16)
    result = equalized(model, feeds)
    wanted, got = run(model, feeds), run(proto_of(result), feeds)
    for output, array in wanted.items():
        np.testing.assert_allclose(got[output], array, rtol=1e-4, atol=1e-4 * np.abs(array).max())


@pytest.mark.parametrize("name", CASES)
def test_integers_lose_less(name: str) -> None:
    plain = golden_error(CASES[name], "normalize,structure")
    assert golden_error(CASES[name], "normalize,structure,equalize") < 0.8 * plain


def test_other_readers_of_a_norm_keep_their_values() -> None:
    model = CASES["norm-residual"]
    feeds = random_data(model, 16)
    result = equalized(model, feeds)
    assert operators(result).count("LayerNorm") == 2
    assert operators(equalized(CASES["norm"], feeds)).count("LayerNorm") == 1


@pytest.mark.parametrize(
    "body",
    [
        "h = Conv (x, v)\n r = Tanh (h)\n y = Conv (r, w)",
        "h = Conv (x, v)\n r = Clip (h, low, high)\n y = Conv (r, w)",
        "h = Conv (x, v)\n r = Relu (h)\n k = Conv (r, w)\n m = ReduceMax (r, axes)\n"
        " y = Add (k, m)",
    ],
)
def test_what_cannot_be_scaled_is_left_alone(body: str) -> None:
    weights = {"v": normal(6, 3, 1, 1) * SKEW.reshape(6, 1, 1, 1), "w": normal(6, 6, 1, 1)}
    extra = {"low": np.float32(0), "high": np.float32(6), "axes": np.array([2, 3])}
    used = {name: value for name, value in extra.items() if name in body}
    model = network("float[N,3,8,8] x => float[N,a,b,c] y", body, {**weights, **used})
    ready = prepared(model, random_data(model, 8))
    before = Pipeline.parse("normalize,structure").run(ready)
    text = proto_of(before).SerializeToString(deterministic=True)
    after = Equalize()(before)
    assert not after.modified
    assert proto_of(after.model).SerializeToString(deterministic=True) == text


def test_channels_that_are_always_zero() -> None:
    """They have no magnitude to move, and neither have weights of zero."""
    v, w = normal(7, 6) * SKEW, normal(6, 4)
    v[:, 1], w[3] = 0, 0
    model = network(
        "float[N,7] x => float[N,4] y",
        "h = MatMul (x, v)\n r = Relu (h)\n y = MatMul (r, w)",
        {"v": v, "w": w},
    )
    feeds = random_data(model, 16)
    got = run(proto_of(equalized(model, feeds)), feeds)["y"]
    np.testing.assert_allclose(got, run(model, feeds)["y"], rtol=1e-4, atol=1e-4)


def test_it_needs_data() -> None:
    ready = prepared(CASES["matmul"], random_data(CASES["matmul"], 8))
    context_of(ready).dataset = None
    with pytest.raises(UsageError) as caught:
        Equalize()(ready)
    assert caught.value.diagnostics[0].code == "ACT0222"
