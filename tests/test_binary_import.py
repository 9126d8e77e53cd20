"""Binary networks as people export them: golden computes what the float model computes.

The models are random and small; ties and zeros are among their sums by construction
(tests/binary_networks.py). Every code of every sign is compared, and every output.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from binary_networks import FORMS, KINDS, SIGN_OF_ZERO, lowered, random_network, reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import network, proto_of, run
from quantized_models import codes_raised, plain_run, run_qonnx

from actc.ir.context import context_of
from actc.ir.load import load
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]
CORPUS = Path(__file__).parent / "corpus" / "qonnx"
EXAMPLES = Path(__file__).parents[1] / "examples"


def check(model: onnx.ModelProto, feeds: Mapping[str, Array], *, runtime: bool = True) -> None:
    """All codes and outputs of golden are the model's: in float64, and in onnxruntime.

    Args:
        runtime: whether float32 computes the model without rounding.
    """
    result = lowered(model, feeds)
    golden, codes = proto_of(result), context_of(result).facts["golden"]
    signs = [n.output[0] for n in model.graph.node if n.output[0].startswith("sign")]
    exact = reference(model, feeds, *signs)
    got = run(golden, feeds, *(codes[name][0] for name in signs))
    for name in signs:
        np.testing.assert_array_equal(real_of(got, codes[name]), exact[name], err_msg=name)
    np.testing.assert_array_equal(got["y"], exact["y"])
    assert "ACT0113" not in codes_raised(result)
    assert "ACT0118" not in codes_raised(result)
    if runtime:
        spelled = plain_run(load(model).proto, feeds)["y"]
        np.testing.assert_array_equal(got["y"], spelled)


def real_of(got: Mapping[str, Array], codes: tuple[str, QuantizationParameters]) -> Array:
    """The numbers that codes of golden stand for."""
    name, parameters = codes
    return np.asarray((got[name].astype(np.int64) - parameters.zero_point) * parameters.scale)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), form=st.sampled_from(FORMS))
def test_random_networks(seed: int, kind: str, form: str) -> None:
    model, feeds = random_network(np.random.default_rng(seed), kind, form)
    check(model, feeds, runtime=form != "estimator")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_many_random_networks(form: str) -> None:
    """All spellings, 10 networks each; test_binary_thousands.py has 125 of each, on all levels."""

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS))
    def compare(seed: int, kind: str) -> None:
        model, feeds = random_network(np.random.default_rng(seed), kind, form)
        check(model, feeds, runtime=form != "estimator")

    compare()


@pytest.mark.parametrize("form", SIGN_OF_ZERO)
def test_sign_of_zero(form: str) -> None:
    """A sum that is zero has the sign that the model's own operators give it."""
    model, feeds = random_network(np.random.default_rng(3), "dense", form)
    exact = reference(model, feeds, "sign1")["sign1"]
    scale = np.abs(exact).max()
    assert set(exact[feeds["x"] == 0] / scale) == {SIGN_OF_ZERO[form]}
    check(model, feeds, runtime=form != "estimator")


def test_batch_norm_of_both_signs() -> None:
    """16-32-4 with a batch norm between, which hls4ml 1.3.0 turned into equal outputs."""
    rng = np.random.default_rng(0)
    constants = {
        "one": np.float32(1), "w1": rng.standard_normal((16, 32)).astype(np.float32),
        "w2": rng.standard_normal((32, 4)).astype(np.float32),
        "gamma": rng.standard_normal(32).astype(np.float32),
        "beta": rng.standard_normal(32).astype(np.float32),
        "mean": rng.standard_normal(32).astype(np.float32),
        "variance": rng.uniform(0.5, 2.0, 32).astype(np.float32),
    }  # fmt: skip
    constants["gamma"][:2] = 0  # a channel that never changes
    constants["beta"][1:5], constants["mean"][2:5] = 0, [0, 2, -4]  # ties at sums that occur
    text = """
        a = BipolarQuant (x, one)
        v1 = BipolarQuant (w1, one)
        h = MatMul (a, v1)
        n = BatchNormalization (h, gamma, beta, mean, variance)
        sign1 = BipolarQuant (n, one)
        v2 = BipolarQuant (w2, one)
        y = MatMul (sign1, v2)"""
    model = bipolar("float[N,16] x => float[N,4] y", text, constants)
    feeds = {"x": (rng.integers(-8, 9, (200, 16)) / 4).astype(np.float32)}
    assert np.any(constants["gamma"] < 0)
    assert np.any(reference(model, feeds, "h")["h"][:, 2:5] == [0, 2, -4])
    check(model, feeds)


def bipolar(signature: str, body: str, constants: Mapping[str, Array]) -> onnx.ModelProto:
    """A model whose BipolarQuant is QONNX's."""
    model = network(signature, body.replace("BipolarQuant", "Sum"), constants)
    for node in model.graph.node:
        if node.op_type == "Sum":
            node.op_type, node.domain = "BipolarQuant", "qonnx.custom_op.general"
    model.opset_import.add(domain="qonnx.custom_op.general", version=1)
    return model


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_model_zoo(name: str) -> None:
    """Every hidden code of a network of the model zoo, on images that it was made for."""
    model = onnx.load(CORPUS / f"{name}.onnx")
    data = np.load(EXAMPLES / "folded" / "mnist_mlp.npz")
    x = data["image"][:60].reshape(-1, 1, 28, 28)
    result = lowered(model, {"0": x})
    golden, codes = proto_of(result), context_of(result).facts["golden"]
    constants = {tensor.name for tensor in model.graph.initializer}
    signs = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("BipolarQuant", "Quant") and node.input[0] not in constants
    ]
    exact = run_qonnx(with_outputs(model, signs), {"0": x})
    (output,) = (o.name for o in model.graph.output)
    classes = []
    for row in range(len(x)):  # its batch is one
        feed = {"0": x[row : row + 1]}
        got = plain_run(golden, feed, *(codes[sign][0] for sign in signs))
        for sign in signs:
            real = real_of(got, codes[sign])[0]
            np.testing.assert_allclose(real, exact[sign][row], rtol=0, atol=1e-6)
        spelled = plain_run(load(model).proto, feed)[output]
        for wanted in (exact[output][row : row + 1], spelled):
            np.testing.assert_allclose(got[output], wanted, rtol=0, atol=2e-6)
        classes.append(got[output].argmax())
    assert "ACT0113" not in codes_raised(result)
    assert np.mean(np.array(classes) == data["labels"][: len(x)]) > 0.85


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The model with inner values as outputs besides."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    for name in names:
        shown.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return shown


def test_gate_stays_a_function_of_its_own() -> None:
    """A comparison inside an activation is no sign: x * (x > 0) is a ReLU."""
    body = "z = Cast <to = 1> (c)\nh = MatMul (x, w)\nc = Greater (h, o)\ny = Mul (h, z)"
    lines = body.split("\n")
    model = network(
        "float[N,4] x => float[N,3] y",
        "\n".join([lines[1], lines[2], lines[0], lines[3]]),
        {"w": np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32),
         "o": np.float32(0)},
    )  # fmt: skip
    feeds = {"x": np.random.default_rng(1).standard_normal((32, 4)).astype(np.float32)}
    result = lowered(model, feeds)
    assert "ACT0116" not in codes_raised(result)
    assert [site.label for site in context_of(result).sites.values()] == ["ReLU"]


def test_rounded_numbers_are_named() -> None:
    """Real weights and inputs in front of a sign are not exact, and that is said."""
    rng = np.random.default_rng(0)
    body = "h = MatMul (x, w1)\ns = Sign (h)\ny = MatMul (s, w2)"
    weights = {
        "w1": rng.standard_normal((6, 8)).astype(np.float32),
        "w2": rng.choice([-1.0, 1.0], (8, 3)).astype(np.float32),
    }
    feeds = {"x": rng.standard_normal((64, 6)).astype(np.float32)}
    result = lowered(network("float[N,6] x => float[N,3] y", body, weights), feeds)
    (found,) = [d for d in context_of(result).sink.items if d.code == "ACT0118"]
    assert len(found.notes) == 2
    assert any("weights" in note for note in found.notes)


def test_values_on_no_grid_are_named() -> None:
    body = "c = Greater (x, o)\ns = Where (c, a, b)\ny = MatMul (s, w)"
    numbers = {"o": np.float32(0), "a": np.float32(1), "b": np.float32(-0.7234561)}
    weights = {**numbers, "w": np.eye(4, dtype=np.float32)}
    feeds = {"x": np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)}
    result = lowered(network("float[N,4] x => float[N,4] y", body, weights), feeds)
    assert "ACT0117" in codes_raised(result)
