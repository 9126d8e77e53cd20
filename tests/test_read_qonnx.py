"""QONNX models: golden gives what an executor of the QONNX operators in float64 gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import prepared, proto_of
from onnx import TensorProto, helper, numpy_helper
from quantized_models import QONNX, codes_raised, compiled, nodes_of, plain_run, random, run_qonnx

from actc.compiler import default_pipeline
from actc.errors import ModelError
from actc.ir.context import context_of
from actc.ir.load import load
from actc.pipeline import Verify

Array = np.ndarray[Any, Any]
CORPUS = Path(__file__).parent / "corpus" / "qonnx"


def digits(count: int) -> Array:
    """Bytes over 255, smooth enough that every neuron sees both signs."""
    coarse = np.random.default_rng(5).integers(0, 256, (count, 1, 7, 7))
    fine = coarse.repeat(4, axis=2).repeat(4, axis=3)
    fine[0, 0, 0, :2] = 0, 255
    return (fine / 255).astype(np.float32)


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_networks_of_the_model_zoo(name: str) -> None:
    """One wrong code in a hidden layer would move an output by a weight of the last layer."""
    model = onnx.load(CORPUS / f"{name}.onnx")
    x = digits(48)
    golden, result = compiled_one_by_one(model, x)
    wanted = next(iter(run_qonnx(model, {"0": x}).values()))
    assert np.ptp(wanted, axis=0).min() > 0.1
    np.testing.assert_allclose(golden, wanted, rtol=0, atol=2e-6)
    assert "ACT0113" not in result


def compiled_one_by_one(model: onnx.ModelProto, x: Array) -> tuple[Array, list[str]]:
    """Golden's outputs of a model with a batch of one."""
    passes = default_pipeline("int8", "auto", "minmax")
    result = passes.run(prepared(model, {"0": x}), [Verify()])
    golden = proto_of(result)
    rows = [next(iter(plain_run(golden, {"0": x[k : k + 1]}).values())) for k in range(len(x))]
    return np.concatenate(rows), codes_raised(result)


def qonnx(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], x: tuple[int, ...], y: tuple[int, ...]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *x])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *y])],
        [numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in constants.items()],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])


def quant(x: str, y: str, scale: str, bits: str, **attributes: Any) -> onnx.NodeProto:
    given = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    op = given.pop("op", "Quant")
    return helper.make_node(op, [x, scale, "zero", bits], [y], name=y, domain=QONNX, **given)


NUMBERS = {"zero": 0.0, "eight": 8.0, "four": 4.0, "two": 2.0, "s": 0.11, "t": 0.25, "u": 0.07}

KINDS: dict[str, dict[str, Any]] = {
    "signed": {},
    "unsigned": {"signed": 0},
    "narrow": {"narrow": 1},
    "floor": {"rounding_mode": "FLOOR"},
    "ceil": {"rounding_mode": "CEIL"},
    "IntQuant": {"op": "IntQuant"},
    "away from 0": {"rounding_mode": "UP"},
    "towards 0": {"rounding_mode": "DOWN"},
    "half away from 0": {"rounding_mode": "HALF_UP"},
    "half towards 0": {"rounding_mode": "HALF_DOWN"},
    "half away from 0, unsigned": {"rounding_mode": "HALF_UP", "signed": 0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_quant(kind: str) -> None:
    """A layer with weights of four bits per channel and a bias, between quantizers."""
    constants = {
        **NUMBERS,
        "w": random(6, 9, seed=1, scale=0.4),
        "ws": np.linspace(0.05, 0.2, 9).reshape(1, 9),
        "b": random(9, seed=2),
    }
    nodes = [
        quant("x", "q", "s", "eight"),
        quant("q", "a", "t", "four", **KINDS[kind]),
        quant("w", "v", "ws", "four", narrow=1),
        helper.make_node("MatMul", ["a", "v"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["h"]),
        helper.make_node("Tanh", ["h"], ["g"]),
        quant("g", "y", "u", "four", **KINDS[kind]),
    ]
    model = qonnx(nodes, constants, (6,), (9,))
    feeds = {"x": random(300, 6, seed=3, scale=1.5)}
    golden, result = compiled(model, feeds)
    wanted = run_qonnx(model, feeds)["y"]
    assert "ACT0113" not in codes_raised(result)
    np.testing.assert_allclose(plain_run(golden, feeds)["y"], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["FLOOR", "HALF_UP"])
def test_rounding_modes_with_a_zero_point(mode: str) -> None:
    """Sums in quarters, so that the mode decides a quarter of all codes."""
    constants = {**NUMBERS, "zero": 0.0, "five": 5.0, "one": 1.0, "w": np.eye(6) * 0.25}
    nodes = [
        quant("x", "a", "one", "eight"),
        quant("w", "v", "t", "two"),
        helper.make_node("MatMul", ["a", "v"], ["h"]),
        helper.make_node(
            "Quant", ["h", "one", "five", "four"], ["y"], name="y", domain=QONNX,
            signed=0, narrow=0, rounding_mode=mode,
        ),
    ]  # fmt: skip
    model = qonnx(nodes, constants, (6,), (6,))
    feeds = {"x": np.arange(-60, 60, dtype=np.float32).reshape(20, 6)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"])


@pytest.mark.parametrize(
    ("scale", "bias", "steps", "channels"),
    [
        (1.0, 0.0, 15, 9),
        (0.5, -4.0, 15, 1),
        (2.0, -1.0, 1, 9),
        pytest.param(1.0, -128.0, 255, 9, marks=pytest.mark.slow),
    ],
)
def test_thresholds_behind_sums(scale: float, bias: float, steps: int, channels: int) -> None:
    """As FINN has them: integer weights without a quantizer, sums that meet thresholds exactly."""
    generator = np.random.default_rng(3)
    thresholds = np.sort(generator.integers(-300, 300, (channels, steps)), axis=1)
    constants = {
        **NUMBERS,
        "one": 1.0,
        "w": generator.integers(-3, 4, (6, 9)),
        "t1": thresholds,
        "w2": generator.integers(-1, 2, (9, 4)),
    }
    threshold = helper.make_node(
        "MultiThreshold", ["h", "t1"], ["c"], name="c", domain=QONNX, out_dtype="INT8",
        out_scale=scale, out_bias=bias, data_layout="NC",
    )  # fmt: skip
    nodes = [
        quant("x", "a", "one", "eight"),
        helper.make_node("MatMul", ["a", "w"], ["h"]),
        threshold,
        helper.make_node("MatMul", ["c", "w2"], ["y"]),
    ]
    model = qonnx(nodes, constants, (6,), (4,))
    feeds = {"x": random(300, 6, seed=3, scale=30.0)}
    golden, result = compiled(model, feeds)
    assert "ACT0113" not in codes_raised(result)
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"])


def test_thresholds_of_images() -> None:
    """Channels in the second axis, by `data_layout`."""
    thresholds = np.sort(random(5, 7, seed=4), axis=1)
    nodes = [
        quant("x", "a", "t", "eight"),
        quant("w", "v", "u", "four", narrow=1),
        helper.make_node("Conv", ["a", "v"], ["h"], name="h", kernel_shape=[3, 3]),
        helper.make_node(
            "MultiThreshold", ["h", "levels"], ["y"], name="y", domain=QONNX,
            out_dtype="UINT3", out_scale=1.0, out_bias=0.0, data_layout="NCHW",
        ),
    ]  # fmt: skip
    constants = {**NUMBERS, "w": random(5, 2, 3, 3, seed=1, scale=0.2), "levels": thresholds}
    model = qonnx(nodes, constants, (2, 6, 6), (5, 4, 4))
    feeds = {"x": random(20, 2, 6, 6, seed=3)}
    golden, _ = compiled(model, feeds)
    real = plain_run(golden, feeds)["y"]
    assert np.ptp(real) >= 5
    spelled = plain_run(load(model).proto, feeds)["y"]
    np.testing.assert_array_equal(real, spelled)


def test_bipolar_layers() -> None:
    """Weights and activations of one bit, with a batch norm of both signs between."""
    constants = {
        **NUMBERS, "half": 0.5, "w1": random(12, 16, seed=1), "w2": random(16, 5, seed=2),
        "gamma": random(16, seed=3), "beta": random(16, seed=4), "mean": random(16, seed=5),
        "var": random(16, seed=6) ** 2 + 0.5,
    }  # fmt: skip
    bipolar = [
        helper.make_node("BipolarQuant", [a, "half"], [b], name=b, domain="onnx.brevitas")
        for a, b in (("w1", "v1"), ("n", "c"), ("w2", "v2"))
    ]
    nodes = [
        quant("x", "a", "s", "eight"),
        bipolar[0],
        helper.make_node("MatMul", ["a", "v1"], ["h"]),
        helper.make_node("BatchNormalization", ["h", "gamma", "beta", "mean", "var"], ["n"]),
        bipolar[1],
        bipolar[2],
        helper.make_node("MatMul", ["c", "v2"], ["y"]),
    ]
    model = qonnx(nodes, constants, (12,), (5,))
    feeds = {"x": random(200, 12, seed=7, scale=4.0)}
    golden, _ = compiled(model, feeds)
    assert nodes_of(golden).count("Steps") == 1
    np.testing.assert_allclose(
        plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"], rtol=0, atol=1e-6
    )


def test_trunc_of_a_sum() -> None:
    """The mean of 16 values as QONNX spells it: a product with ones, and four bits dropped."""
    constants = {**NUMBERS, "ones": np.ones((16, 1)), "twelve": 12.0, "sixteenfold": 4.0}
    nodes = [
        quant("x", "a", "t", "eight", signed=0),
        quant("ones", "v", "one", "two"),
        helper.make_node("MatMul", ["a", "v"], ["h"]),
        helper.make_node(
            "Trunc", ["h", "t", "zero", "twelve", "sixteenfold", "zero", "eight"], ["y"],
            name="y", domain=QONNX, rounding_mode="FLOOR", signed=0, narrow=0,
        ),
    ]  # fmt: skip
    model = qonnx(nodes, {**constants, "one": 1.0}, (16,), (1,))
    feeds = {"x": np.abs(random(300, 16, seed=8, scale=20.0))}
    golden, _ = compiled(model, feeds)
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"])


@pytest.mark.parametrize("signed", [0, 1])
def test_trunc_without_a_scale_of_its_own(signed: int) -> None:
    """Before QONNX 1.0 its output kept the scale; the codes are signed as what it reads."""
    nodes = [
        quant("x", "a", "t", "eight", signed=signed),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node(
            "Trunc", ["f", "t", "zero", "eight", "four"], ["y"], name="y", domain=QONNX,
            rounding_mode="FLOOR",
        ),
    ]  # fmt: skip
    model = qonnx(nodes, dict(NUMBERS), (16,), (16,))
    feeds = {"x": random(300, 16, seed=8, scale=20.0)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"])


def test_channels_last() -> None:
    """Transpositions around the layers cancel; one is left at each end."""
    last = "qonnx.custom_op.channels_last"
    shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1]}
    nodes = [
        quant("x", "a", "t", "four"),
        quant("w1", "v1", "u", "four", narrow=1),
        helper.make_node("Conv", ["a", "v1"], ["h"], name="h", domain=last, group=1, **shape),
        helper.make_node("Relu", ["h"], ["r"], name="r"),
        quant("r", "b", "s", "four", signed=0),
        quant("w2", "v2", "u", "four", narrow=1),
        helper.make_node("Conv", ["b", "v2"], ["y"], name="c", domain=last, group=1, **shape),
    ]
    constants = {
        **NUMBERS,
        "w1": random(5, 3, 3, 2, seed=1, scale=0.2),
        "w2": random(4, 3, 3, 5, seed=2, scale=0.2),
    }
    model = qonnx(nodes, constants, (6, 7, 2), (6, 7, 4))
    feeds = {"x": random(20, 6, 7, 2, seed=3)}
    golden, _ = compiled(model, feeds)
    assert nodes_of(golden).count("Transpose") == 2
    np.testing.assert_allclose(
        plain_run(golden, feeds)["y"], run_qonnx(model, feeds)["y"], rtol=0, atol=1e-6
    )


def test_values_without_a_quantizer_are_named() -> None:
    nodes = [
        quant("x", "a", "s", "eight"),
        quant("w", "v", "u", "four"),
        helper.make_node("MatMul", ["a", "v"], ["h"]),
        helper.make_node("Tanh", ["h"], ["y"], name="y"),
    ]
    model = qonnx(nodes, {**NUMBERS, "w": random(6, 9, scale=0.4)}, (6,), (9,))
    _, result = compiled(model, {"x": random(64, 6, seed=3)})
    (found,) = context_of(result).sink.items
    assert (found.code, found.severity) == ("ACT0114", "note")
    assert "'h', 'y'" in found.message


def test_spelled_in_standard_operators() -> None:
    """What `load` gives runs in plain onnxruntime, and computes the same."""
    model = onnx.load(CORPUS / "TFC_2W2A.onnx")
    spelled = load(model).proto
    assert {node.domain for node in spelled.graph.node} == {""}
    x = digits(1)
    got = next(iter(plain_run(spelled, {"0": x}).values()))
    wanted = next(iter(run_qonnx(model, {"0": x}).values()))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6)


def test_all_that_is_not_read_is_named() -> None:
    nodes = [
        quant("x", "a", "x", "eight"),
        quant("a", "b", "s", "eight", rounding_mode="STOCHASTIC"),
        helper.make_node("FloatQuant", ["b"], ["c"], name="c", domain=QONNX),
        quant("c", "d", "minus", "eight"),
        quant("d", "e", "s", "s"),
        quant("e", "f", "s", "eight"),
        quant("f", "y", "many", "eight"),
    ]
    constants = {**NUMBERS, "minus": -1.0, "many": [0.1, 0.2, 0.3]}
    with pytest.raises(ModelError) as caught:
        load(qonnx(nodes, constants, (3,), (3,)))
    found = [(d.code, d.place.node) for d in caught.value.diagnostics]
    assert found == [("ACT0112", name) for name in ("a", "b", "c", "d", "e", "y")]
