"""Quantized models for tests, and what their own arithmetic gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from models import network, prepared, proto_of, run
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from actc.compiler import default_pipeline
from actc.ir import spec
from actc.ir.context import context_of
from actc.pipeline import Verify

Array = np.ndarray[Any, Any]
QONNX = "qonnx.custom_op.general"


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def mlp() -> onnx.ModelProto:
    weights = {
        "w1": random(16, 24, seed=1, scale=0.3),
        "b1": random(24, seed=2, scale=0.2),
        "w2": random(24, 10, seed=3, scale=0.3),
        "b2": random(10, seed=4, scale=0.2),
    }
    body = "h = Gemm (x, w1, b1)\nr = Relu (h)\ny = Gemm (r, w2, b2)"
    return network("float[N,16] x => float[N,10] y", body, weights)


def cnn() -> onnx.ModelProto:
    """Convolutions, pooling, a sigmoid, a residual sum and a matrix product."""
    weights = {
        "w1": random(8, 3, 3, 3, seed=1, scale=0.3),
        "b1": random(8, seed=2, scale=0.2),
        "w2": random(8, 8, 3, 3, seed=3, scale=0.2),
        "b2": random(8, seed=4, scale=0.2),
        "w3": random(8, 5, seed=5, scale=0.3),
    }
    body = """
        a = Conv <pads = [1,1,1,1]> (x, w1, b1)
        r = Relu (a)
        m = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)
        c = Conv <pads = [1,1,1,1]> (m, w2, b2)
        s = Sigmoid (c)
        d = Add (m, s)
        g = GlobalAveragePool (d)
        f = Flatten (g)
        y = MatMul (f, w3)"""
    return network("float[N,3,8,8] x => float[N,5] y", body, weights)


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Mapping[str, Array]) -> None:
        count = len(next(iter(feeds.values())))
        self._rows = iter([{k: v[i : i + 1] for k, v in feeds.items()} for i in range(count)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rows, None)


def quantized(
    model: onnx.ModelProto, feeds: Mapping[str, Array], folder: Path, **options: Any
) -> onnx.ModelProto:
    """What onnxruntime's static quantization makes of `model`, in the QDQ format."""
    source, target = folder / "float.onnx", folder / "qdq.onnx"
    onnx.save(model, source)
    quantize_static(source, target, _Samples(feeds), quant_format=QuantFormat.QDQ, **options)
    return onnx.load(target)


def compiled(
    model: onnx.ModelProto, feeds: Mapping[str, Array]
) -> tuple[onnx.ModelProto, ir.Model]:
    """Golden of `model`, the same in onnxruntime and in its specification."""
    result = default_pipeline("int8", "auto", "minmax").run(prepared(model, feeds), [Verify()])
    golden = proto_of(result)
    onnx.checker.check_model(golden, full_check=True)
    exact, got = spec.run(golden, dict(feeds)), run(golden, feeds)
    for name, array in exact.items():
        assert got[name].tobytes() == array.tobytes()
    return golden, result


def codes_raised(result: ir.Model) -> list[str]:
    return [diagnostic.code for diagnostic in context_of(result).sink.items]


def plain_run(model: onnx.ModelProto, feeds: Mapping[str, Array], *names: str) -> dict[str, Array]:
    """The model in onnxruntime as it is spelled, nothing rewritten; `names`: inner values too."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    for name in names:
        shown.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options)
    found = session.run(None, dict(feeds))
    return {o.name: np.asarray(a) for o, a in zip(session.get_outputs(), found, strict=True)}


def run_qonnx(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """A model with QONNX operators, node by node in float64: an executor of its own.

    Standard operators run in onnx's reference evaluator on float64, so that no rounding
    of float32 decides a tie.
    """
    values: dict[str, Array] = {
        t.name: numpy_helper.to_array(t).astype(np.float64)
        if numpy_helper.to_array(t).dtype == np.float32
        else numpy_helper.to_array(t)
        for t in model.graph.initializer
    }
    values |= {name: array.astype(np.float64) for name, array in feeds.items()}
    for node in model.graph.node:
        inputs = [values[name] if name else None for name in node.input]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        handler = _HANDLERS[node.op_type]
        values[node.output[0]] = np.asarray(handler(inputs, attributes))
    return {output.name: values[output.name] for output in model.graph.output}


def _quant(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    x, scale, zero, bits = inputs
    steps = x / scale + zero
    bits, signed = int(bits), attributes["signed"]
    low = -(2 ** (bits - 1)) + attributes["narrow"] if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - attributes["narrow"]
    mode = attributes.get("rounding_mode", b"ROUND").decode()
    return np.asarray((_rounded(np.clip(steps, low, high), mode) - zero) * scale)


def _rounded(steps: Array, mode: str) -> Array:
    size = np.abs(steps)
    if mode in ("UP", "DOWN", "HALF_UP", "HALF_DOWN"):
        whole = {
            "UP": np.ceil(size),
            "DOWN": np.floor(size),
            "HALF_UP": np.floor(size + 0.5),
            "HALF_DOWN": np.ceil(size - 0.5),
        }[mode]
        return np.asarray(np.sign(steps) * whole)
    return np.asarray({"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil}[mode](steps))


def _multi_threshold(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    """Channels in the second axis."""
    x, thresholds = inputs
    count = (
        x[..., None] >= thresholds.reshape(1, -1, *[1] * (x.ndim - 2), thresholds.shape[1])
    ).sum(-1)
    return np.asarray(count * attributes["out_scale"] + attributes["out_bias"])


def _trunc(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    assert attributes["rounding_mode"] == b"FLOOR"
    if len(inputs) == 5:
        x, scale, zero, wide, bits = inputs
        steps = np.floor(np.rint(x / scale + zero) / 2.0 ** (wide - bits))
        return np.asarray((steps - zero) * scale)
    x, scale, zero, _, out, _, bits = inputs
    steps = np.rint(x / scale + zero) / 2.0 ** np.rint(np.log2(out / scale))
    assert not attributes["signed"]
    return np.asarray((np.floor(np.clip(steps, 0, 2.0**bits - 1)) - zero) * out)


def _batch_norm(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    x, gamma, beta, mean, variance = inputs
    shape = (1, -1, *([1] * (x.ndim - 2)))
    factor = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return np.asarray((x - mean.reshape(shape)) * factor.reshape(shape) + beta.reshape(shape))


def _conv(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    """Channels last, one group, padded alike on all sides."""
    x, w = inputs[:2]
    pad = attributes["pads"][0]
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:3], axis=(1, 2))
    return np.asarray(np.einsum("nhwcij,oijc->nhwo", windows, w))


def _gemm(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    a, b, c = inputs
    return np.asarray(a @ (b.T if attributes.get("transB") else b) + c)


_HANDLERS: dict[str, Any] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "Trunc": _trunc,
    "MultiThreshold": _multi_threshold,
    "BipolarQuant": lambda v, a: v[1] * np.where(v[0] >= 0, 1.0, -1.0),
    "BatchNormalization": _batch_norm,
    "Clip": lambda v, a: np.clip(*v),
    "Conv": _conv,
    "Flatten": lambda v, a: v[0].reshape(len(v[0]), -1),
    "Gemm": _gemm,
    "MatMul": lambda v, a: v[0] @ v[1],
    "Add": lambda v, a: v[0] + v[1],
    "Sub": lambda v, a: v[0] - v[1],
    "Mul": lambda v, a: v[0] * v[1],
    "Div": lambda v, a: v[0] / v[1],
    "Pow": lambda v, a: v[0] ** v[1],
    "Relu": lambda v, a: np.maximum(v[0], 0),
    "Tanh": lambda v, a: np.tanh(v[0]),
    "Transpose": lambda v, a: v[0].transpose(a["perm"]),
    "Shape": lambda v, a: np.array(v[0].shape),
    "Gather": lambda v, a: np.take(v[0], v[1].astype(int), axis=a.get("axis", 0)),
    "Unsqueeze": lambda v, a: np.expand_dims(v[0], tuple(a["axes"])),
    "Concat": lambda v, a: np.concatenate(v, axis=a["axis"]),
    "Reshape": lambda v, a: v[0].reshape(v[1].astype(int)),
}


def nodes_of(golden: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in golden.graph.node]


def initializers(model: onnx.ModelProto) -> Iterator[tuple[str, Array]]:
    for tensor in model.graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
