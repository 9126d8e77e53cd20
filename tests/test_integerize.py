"""Golden models: exact against their specification, close to float, for every operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from integer_models import compiled, golden_of, ops
from integerize_cases import FRONT, FRONT_WEIGHTS, HANDLER_CASES, IMAGE
from models import network, normal, prepared, random_data, run

from actc.compiler import default_pipeline
from actc.errors import ModelError
from actc.ir import spec
from actc.ir.context import context_of
from actc.passes.integerize import HANDLERS

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("name", HANDLER_CASES)
def test_operator(name: str) -> None:
    signature, body, weights, expected = HANDLER_CASES[name]
    golden = compiled(network(signature, FRONT + body, {**FRONT_WEIGHTS, **weights}))
    found = [op for op in ops(golden) if op != "Requantize"]
    # Tables before the operator in question are those of activations.
    kept = [op for op in found[1:] if op != "Table" or "Table" in expected]
    assert kept == [op for op in expected if op != "Requantize"] or not expected


def test_every_handler_has_a_case() -> None:
    covered = {name.split("-")[0] for name in HANDLER_CASES}
    elsewhere = {"Cast", "Gather", "Identity", "And", "Less", "GreaterOrEqual", "Where"}
    elsewhere |= {"Greater", "LessOrEqual"}  # tests/test_coverage_operators.py
    elsewhere |= {"MaskedSoftmax"}  # tests/test_attention_masks.py
    elsewhere |= {"ArgMax", "ArgMin", "TopK"}  # tests/test_order.py
    elsewhere |= {"RmsNorm"}  # tests/test_rms_norm.py
    elsewhere |= {"LogSoftmax"}  # tests/test_log_softmax.py
    elsewhere |= {"FakeQuantize"}  # tests/test_read_quantized.py
    elsewhere |= {"InstanceSign"}  # tests/test_instance_thresholds.py
    elsewhere |= {"GRU", "LSTM", "RNN"}  # tests/test_recurrent_layers.py
    assert {op for _, op in HANDLERS} - elsewhere == covered


@pytest.mark.parametrize(
    ("signature", "attributes", "shape"),
    [
        ("float[N,4,9] x => float[N,a,b] y", "pads = [2,0], strides = [2]", (6, 4, 3)),
        ("float[N,4,9,8] x => float[N,a,b,c] y", "group = 4, pads = [1,1,1,1]", (8, 1, 3, 3)),
        ("float[N,4,9,8] x => float[N,a,b,c] y", "group = 2, dilations = [2,1]", (6, 2, 3, 2)),
        ("float[N,4,9,8] x => float[N,a,b,c] y", 'auto_pad = "SAME_UPPER"', (5, 4, 2, 4)),
        ("float[N,2,5,6,4] x => float[N,a,b,c,d] y", "pads = [1,1,1,1,1,1]", (3, 2, 3, 3, 3)),
    ],
)
def test_convolutions(signature: str, attributes: str, shape: tuple[int, ...]) -> None:
    model = network(signature, f"y = Conv <{attributes}> (x, w)", {"w": normal(*shape)})
    assert ops(compiled(model)) == ["IntConv"]


def test_negated_sum() -> None:
    """Both operands of a Sub, in both orders, with scales a thousand times apart."""
    body = "a = MatMul (x, v)\n b = MatMul (x, w)\n y = Sub (a, b)\n z = Sub (b, a)"
    weights = {"v": normal(4, 5), "w": normal(4, 5, seed=1, scale=1e-3)}
    compiled(network("float[N,4] x => float[N,5] y, float[N,5] z", body, weights))


@pytest.mark.parametrize(
    ("lowest", "expected"), [(0, ["Cast", "IntEmbed", "IntMatMul"]), (-9, ["Gather", "IntMatMul"])]
)
def test_rows_of_a_matrix(lowest: int, expected: list[str]) -> None:
    """Only Gather itself counts negative indices from the end."""
    weights = {"t": normal(9, 6), "w": normal(6, 4)}
    model = network(
        "int64[N,5] i => float[N,5,4] y", "r = Gather (t, i)\n y = MatMul (r, w)", weights
    )
    golden = compiled(model, {"i": np.arange(45).reshape(9, 5) % 9 + lowest})
    assert ops(golden) == expected


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_one_hot_rows(dtype: str) -> None:
    kind = np.dtype(dtype)
    body = "u = Unsqueeze (i, last)\n e = Equal (u, codes)\n o = Cast <to = 1> (e)\n"
    body += "r = MatMul (o, t)\n q = Add (r, b)\n s = Tanh (q)\n y = MatMul (s, w)"
    weights = {
        "last": np.array([-1]),
        "codes": np.arange(7, dtype=kind),
        "t": normal(7, 6),
        "b": normal(6),
        "w": normal(6, 4),
    }
    model = network(f"{dtype}[N,5] i => float[N,5,4] y", body, weights)
    data = (np.arange(50).reshape(10, 5) % 10 - 2).astype(kind)  # some codes are out of range
    golden = compiled(model, {"i": data})
    assert [op for op in ops(golden) if op != "Cast"] == ["IntEmbed", "IntMatMul"]


@pytest.mark.parametrize(
    ("dtype", "codes"), [("uint8", ["IntConv"]), ("int32", ["Cast", "IntConv"])]
)
def test_integer_images(dtype: str, codes: list[str]) -> None:
    """Pixels are codes already; other integers are quantized."""
    body = "f = Cast <to = 1> (x)\n y = Conv (f, w)"
    model = network(f"{dtype}[N,3,8,8] x => float[N,a,b,c] y", body, {"w": normal(2, 3, 3, 3)})
    pixels = np.random.default_rng(0).integers(0, 256, (16, 3, 8, 8)).astype(dtype)
    assert ops(compiled(model, {"x": pixels})) == codes


def test_shared_values_are_quantized_once() -> None:
    body = FRONT + "s = Tanh (h)\n a = Conv (s, v)\n b = Conv (s, v)\n y = Add (a, b)"
    golden = compiled(network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(6, 6, 1, 1)}))
    assert ops(golden).count("Table") == 1
    assert [n.op_type for n in golden.graph.node].count("QuantizeLinear") == 1


def test_a_linear_output_is_dequantized_without_rounding_to_eight_bits() -> None:
    model = network("float[N,4] x => float[N,5] y", "y = MatMul (x, w)", {"w": normal(4, 5)})
    golden = compiled(model, noise=0.012)
    assert [n.op_type for n in golden.graph.node] == [
        "QuantizeLinear",
        "IntMatMul",
        "DequantizeLinear",
    ]
    values = run(golden, random_data(model, 256))["y"]
    assert len(np.unique(values[:, 0])) > 150


def test_a_value_that_is_output_and_goes_on() -> None:
    body = "h = MatMul (x, w)\n y = MatMul (h, v)"
    weights = {"w": normal(4, 5), "v": normal(5, 3)}
    compiled(network("float[N,4] x => float[N,5] h, float[N,3] y", body, weights))


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_every_calibration_method(method: str) -> None:
    body = FRONT + "s = Sigmoid (h)\n m = Mul (s, h)\n y = Conv (m, v)"
    model = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(6, 6, 1, 1)})
    compiled(model, noise=0.06 if method == "entropy" else 0.03, method=method)


def test_operators_without_integer_form_are_reported_together() -> None:
    body = (
        FRONT
        + """
      a = Hardmax (h)
      b = Hardmax <axis = 1> (x)
      c = Concat <axis = 1> (a, h)
      d = Hardmax <axis = 1> (c)
      e = Tanh (d)
      f = Hardmax (b)
      y = MatMul (e, v)
      z = Conv (f, u)
    """
    )
    weights = {
        **FRONT_WEIGHTS,
        "v": normal(8, 2),
        "u": normal(2, 3, 1, 1),
    }
    signature = "float[N,3,8,8] x => float[N,12,8,2] y, float[N,2,8,8] z"
    model = network(signature, body, weights)
    for node, name in zip(model.graph.node, "habcdefyz", strict=True):
        node.name = f"/{name}"
    with pytest.raises(ModelError) as caught:
        golden_of(model, random_data(model))
    found = [(d.code, d.place.node, d.place.op) for d in caught.value.diagnostics]
    assert found == [
        ("ACT0103", "/a", "Hardmax"),
        ("ACT0103", "/b", "Hardmax"),
        ("ACT0103", "/d", "Hardmax"),
        ("ACT0103", "/f", "Hardmax"),
    ]
    assert all(d.help for d in caught.value.diagnostics)


@pytest.mark.parametrize(
    ("body", "weights", "op", "reason"),
    [
        ("y = Conv (h, k)", {}, "Conv", "not constant"),
        ("y = ReduceMean (h, a)", {"a": np.array([0])}, "ReduceMean", "batch"),
        ("y = Div (h, x1)", {}, "Div", "can be 0"),
        ("y = Max (h, x1, h)", {}, "Max", "differ in shape"),
    ],
)
def test_reasons(body: str, weights: dict[str, Array], op: str, reason: str) -> None:
    front = FRONT + ("k = Reshape (x, s)\n" if "k)" in body else "")
    front += "x1 = GlobalAveragePool (h)\n" if "x1" in body else ""
    extra = {"s": np.array([-1, 6, 1, 1])} if "k)" in body else {}
    model = network(IMAGE, front + body, {**FRONT_WEIGHTS, **weights, **extra})
    model.graph.node[-1].name = "/the/node"
    with pytest.raises(ModelError) as caught:
        golden_of(model, random_data(model))
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.node, found.place.op) == ("ACT0103", "/the/node", op)
    assert reason in found.message


def test_a_bias_that_depends_on_the_input_is_not_dropped() -> None:
    body = "b = ReduceMax <keepdims = 0> (x, axes)\n y = Conv (x, w, b)"
    weights = {"w": normal(6, 3, 1, 1), "axes": np.array([0, 1, 2, 3])}
    weights["axes"] = np.array([0, 2, 3])
    weights["w"] = normal(3, 3, 1, 1)
    model = network("float[N,3,4,4] x => float[N,3,4,4] y", body, weights)
    with pytest.raises(ModelError) as caught:
        golden_of(model, random_data(model))
    assert all(d.code == "ACT0103" for d in caught.value.diagnostics)


def test_sums_that_do_not_fit_32_bits() -> None:
    model = network(
        "float[N,70000] x => float[N,1] y",
        "y = MatMul (x, w)",
        {"w": np.ones((70000, 1), np.float32)},
    )
    with pytest.raises(ModelError) as caught:
        golden_of(model, {"x": np.abs(normal(2, 70000))})
    (found,) = caught.value.diagnostics
    assert "32 bits" in found.message


def test_a_bias_far_larger_than_the_weights() -> None:
    """Its channel takes a coarser scale; the bias itself stays right."""
    bias = np.array([1e6, 0.1, -1e6], np.float32)
    body = "h = MatMul (x, w)\n y = Add (h, b)"
    model = network(
        "float[N,4] x => float[N,3] y", body, {"w": normal(4, 3, scale=1e-3), "b": bias}
    )
    golden = compiled(model)
    y = run(golden, random_data(model, 8))["y"]
    np.testing.assert_allclose(y[:, [0, 2]], np.broadcast_to(bias[[0, 2]], (8, 2)), rtol=1e-6)


@pytest.mark.parametrize("relu", [False, True])
def test_channels_that_are_all_zero(relu: bool) -> None:
    weights = {"w": normal(6, 3, 3, 3), "v": normal(4, 6, 1, 1), "b": normal(6)}
    weights["w"][2] = 0
    weights["v"][1] = 0
    step = "r = Relu (h)" if relu else "r = Tanh (h)"
    model = network(IMAGE, f"h = Conv (x, w, b)\n {step}\n y = Conv (r, v)", weights)
    y = run(compiled(model), random_data(model, 32))["y"]
    np.testing.assert_array_equal(y[:, 1], 0)


def test_an_input_that_is_always_zero() -> None:
    body = FRONT + "s = Tanh (h)\n y = Conv (s, v)"
    model = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(2, 6, 1, 1)})
    golden = compiled(model, {"x": np.zeros((4, 3, 8, 8), np.float32)})
    assert not run(golden, {"x": np.zeros((1, 3, 8, 8), np.float32)})["y"].any()


@pytest.mark.parametrize("offset", [-9.0, 7.0])
def test_ranges_on_one_side_of_zero(offset: float) -> None:
    data = {"x": np.clip(normal(32, 3, 8, 8) * 0.5, -2, 2) + np.float32(offset)}
    body = FRONT + "e = Sigmoid (h)\n m = Neg (e)\n y = Conv (m, v)"
    compiled(network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(2, 6, 1, 1)}), data)


def test_values_far_from_calibration_saturate() -> None:
    """Outside the calibrated range the two executions still agree, and nothing wraps around."""
    body = FRONT + "s = Softplus (h)\n p = GlobalAveragePool (s)\n y = Conv (p, v)"
    model = network(IMAGE, body, {**FRONT_WEIGHTS, "v": np.abs(normal(2, 6, 1, 1))})
    golden = golden_of(model, random_data(model, 16))
    largest = run(golden, random_data(model, 16))["y"].max()
    for scale in (1e3, -1e3, 1e30):
        feeds = {"x": normal(4, 3, 8, 8) * np.float32(scale)}
        got, exact = run(golden, feeds)["y"], spec.run(golden, feeds)["y"]
        np.testing.assert_array_equal(got, exact)
        assert (got >= 0).all()
        assert got.max() < 10 * largest


def test_formats_and_sites_are_recorded() -> None:
    body = FRONT + "s = Sigmoid (h)\n y = Conv (s, v)"
    model = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(2, 6, 1, 1)})
    result = default_pipeline("int8", "auto", "minmax").run(prepared(model))
    (site,) = context_of(result).sites.values()
    tables = [node for node in result.graph if node.op_type == "Table"]
    (table,) = tables
    assert table.outputs[0].metadata_props["actc.site"] == site.id
    assert float(table.outputs[0].metadata_props["actc.scale"]) > 0
    assert 0 <= int(table.outputs[0].metadata_props["actc.zero_point"]) <= 255
    assert site.form == "table"
    assert 0 < site.details["rms_error"] <= site.details["max_error"] < 1 / 100
