"""QDQ models written from models that came quantized: the same pairs, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from qdq_models import kinds, optimized
from quantized_models import cnn, mlp, plain_run, quantized, random, run_qonnx
from test_read_qonnx import NUMBERS, qonnx, quant

import actc
from actc.targets.onnx.given import exact_codes

Array = np.ndarray[Any, Any]


def written(model: onnx.ModelProto, feeds: dict[str, Array], target: str = "onnx") -> Any:
    plan = actc.compile(model, target, data=feeds, dry_run=True).plan
    assert plan is not None
    proto = onnx.load_from_string(plan.files["model.qdq.onnx"])
    onnx.checker.check_model(proto, full_check=True)
    return proto


@pytest.mark.parametrize("target", ["onnx", "onnx:full"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("make", [mlp, cnn])
def test_static_quantization_of_onnxruntime(
    make: Any, per_channel: bool, target: str, tmp_path: Path
) -> None:
    """The same bits as from the file that came, and at least its integer kernels."""
    feeds = {"x": random(32, 16, seed=9) if make is mlp else random(16, 3, 8, 8, seed=9)}
    model = quantized(make(), feeds, tmp_path, per_channel=per_channel)
    proto = written(model, feeds, target)
    assert {node.domain for node in proto.graph.node} == {""}
    np.testing.assert_array_equal(plain_run(proto, feeds)["y"], plain_run(model, feeds)["y"])
    before, after = (kinds(optimized(m, tmp_path)) for m in (model, proto))
    computing = [op for op in before if op.startswith(("QLinear", "QGemm"))]
    assert len(computing) > 0
    assert all(after[op] >= before[op] for op in computing)
    assert sum(after.values()) <= sum(before.values())


@pytest.mark.parametrize("bits", [3.0, 8.0, 12.0, 16.0])
def test_bits_of_quantizers(bits: float) -> None:
    """Clip between the pair where the codes are fewer; in front of 16 bits."""
    constants = {
        **NUMBERS,
        "n": bits,
        "fine": 0.1137 if bits == 3 else 0.00371,
        "w": random(6, 9, seed=1, scale=0.4),
        "ws": np.linspace(0.05, 0.2, 9).reshape(1, 9),
        "b": random(9, seed=2),
    }
    nodes = [
        quant("x", "a", "fine", "n"),
        quant("w", "v", "ws", "four", narrow=1),
        helper.make_node("MatMul", ["a", "v"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        quant("r", "y", "fine", "n", signed=0),
    ]
    model = qonnx(nodes, constants, (6,), (9,))
    feeds = {"x": random(300, 6, seed=3, scale=1.5)}
    proto = written(model, feeds)
    dtype = np.uint8 if bits <= 8 else np.uint16
    zeros = [
        numpy_helper.to_array(t) for t in proto.graph.initializer if t.name.endswith("zero_point")
    ]
    assert {z.dtype for z in zeros if z.ndim == 0} == {np.dtype(dtype)}
    assert kinds(proto)["QuantizeLinear"] == 2
    assert kinds(proto)["Clip"] == (0 if bits in (8, 16) else 2)
    wanted = run_qonnx(model, feeds)["y"]
    step = constants["fine"]
    off = np.abs(plain_run(proto, feeds)["y"] - wanted) / step
    assert off.max() < 1.01, "one code where float32 decides a tie"
    assert np.mean(off > 0.5) < (0.001 if bits < 16 else 0.01)


def test_integer_weights_are_not_rounded_again() -> None:
    """Codes of few values keep their scale; a finer one would give other numbers."""
    constants = {**NUMBERS, "w": random(6, 9, seed=1, scale=0.1)}
    nodes = [
        quant("x", "a", "s", "eight"),
        quant("w", "v", "u", "four", narrow=1),
        helper.make_node("MatMul", ["a", "v"], ["h"]),
        quant("h", "y", "t", "eight"),
    ]
    model = qonnx(nodes, constants, (6,), (9,))
    proto = written(model, {"x": random(64, 6, seed=3)})
    held = [numpy_helper.to_array(t) for t in proto.graph.initializer]
    (codes,) = (array for array in held if array.dtype == np.int8 and array.ndim == 2)
    np.testing.assert_array_equal(codes, np.clip(np.rint(constants["w"] / 0.07), -7, 7))


@pytest.mark.parametrize(
    "array",
    [
        np.float32(0.5),
        np.float32(-1.4142135),
        np.float32(0.0371) * np.arange(-100, 120).astype(np.float32),
        np.zeros(3, np.float32),
        np.array([1.0, np.pi, np.e], np.float32),
    ],
)
def test_constants_as_codes(array: Any) -> None:
    found = exact_codes(np.asarray(array))
    if np.asarray(array).size == 3:
        assert found is None
        return
    assert found is not None
    codes, scale, zero = found
    real = (codes.astype(np.int32) - np.int32(zero)).astype(np.float32) * scale
    np.testing.assert_array_equal(real, array)
