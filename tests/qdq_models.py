"""QDQ models of small networks, and what onnxruntime makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from models import network, normal, run, transformed

import actc
from actc.compiler import default_pipeline
from actc.ir.context import context_of
from actc.targets.onnx.qdq import quantize_dequantize

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Compiled:
    """What `actc compile --target onnx` wrote."""

    artifact: actc.Artifact
    golden: onnx.ModelProto
    qdq: onnx.ModelProto


def compiled_qdq(
    model: onnx.ModelProto,
    data: Mapping[str, Array],
    folder: Path,
    target: str = "onnx",
    **options: Any,
) -> Compiled:
    """Compile, and check what holds for every QDQ model."""
    artifact = actc.compile(
        model, target, data=dict(data), output=folder / "out", max_drop=1.0, **options
    )
    qdq = onnx.load(folder / "out" / "model.qdq.onnx")
    onnx.checker.check_model(qdq, full_check=True)
    assert {node.domain for node in qdq.graph.node} <= {"", "ai.onnx"}
    assert not qdq.functions
    assert qdq.ir_version == 10
    assert {o.domain: o.version for o in qdq.opset_import} == {"": 21}
    return Compiled(artifact, onnx.load(folder / "out" / "golden.onnx"), qdq)


def written(
    model: onnx.ModelProto, data: Mapping[str, Array], everywhere: bool = False, **options: str
) -> onnx.ModelProto:
    """The QDQ model alone, without the rest of a compilation."""
    passes = default_pipeline("int8", "auto", "minmax", **options).passes
    quantized = transformed(model, *passes[:-1], data=data)
    weights = context_of(quantized).facts["weights"]
    return quantize_dequantize(quantized, weights, everywhere)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    """How many operators of each type there are."""
    return Counter(node.op_type for node in model.graph.node)


def optimized(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model as onnxruntime runs it on this machine."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    path = folder / "optimized.onnx"
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return onnx.load(path)


def weights_dequantized_in_each_call(model: onnx.ModelProto) -> list[str]:
    """Names of nodes of an optimized model that dequantize constants."""
    held = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
    ]


def relative(found: Array, expected: Array) -> float:
    """RMS of the difference over RMS of the expected values."""
    difference = found.astype(np.float64) - expected
    return float(np.sqrt(np.mean(difference**2) / np.mean(expected.astype(np.float64) ** 2)))


@cache
def conv_net(activation: str, channels: int = 48) -> onnx.ModelProto:
    """Few channels, then many; pooling, a residual sum, a gate; two matrix products."""
    c = channels

    def activate(value: str, name: str) -> str:
        return {
            "silu": f"{name}_s = Sigmoid ({value})\n{name} = Mul ({value}, {name}_s)",
            "hardswish": f"{name}_a = Add ({value}, three)\n{name}_b = Clip ({name}_a, zero, six)\n"
            f"{name}_c = Mul ({value}, {name}_b)\n{name} = Div ({name}_c, six)",
            "relu": f"{name} = Relu ({value})",
            "relu6": f"{name} = Clip ({value}, zero, six)",
            "leaky": f"{name} = LeakyRelu <alpha = 0.1> ({value})",
            "gelu": f"{name} = Gelu ({value})",
        }[activation]

    return network(
        "float[N,1,16,16] x => float[N,10] y",
        f"""
          c1 = Conv <pads = [1,1,1,1]> (x, w1, b1)
          {activate("c1", "a1")}
          p1 = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a1)
          c2 = Conv <pads = [1,1,1,1]> (p1, w2, b2)
          {activate("c2", "a2")}
          c3 = Conv <pads = [1,1,1,1]> (a2, w3, b3)
          r = Add (c3, a2)
          g1 = GlobalAveragePool (r)
          g2 = Conv (g1, wg)
          g = HardSigmoid <alpha = 0.2, beta = 0.5> (g2)
          m = Mul (r, g)
          {activate("m", "a3")}
          p2 = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a3)
          f = Flatten (p2)
          h0 = MatMul (f, v)
          h = Add (h0, bv)
          {activate("h", "a4")}
          z = MatMul (a4, u)
          y = Add (z, bu)
        """,
        {
            "w1": normal(c, 1, 3, 3, seed=1) / 2,
            "b1": normal(c, seed=2) / 3,
            "w2": normal(c, c, 3, 3, seed=3, scale=(9 * c) ** -0.5),
            "b2": normal(c, seed=4) / 3,
            "w3": normal(c, c, 3, 3, seed=5, scale=(9 * c) ** -0.5),
            "b3": normal(c, seed=6) / 3,
            "wg": normal(c, c, 1, 1, seed=7, scale=c**-0.5),
            "v": normal(c * 16, 64, seed=8, scale=(16 * c) ** -0.5),
            "bv": normal(64, seed=9) / 3,
            "u": normal(64, 10, seed=10) / 4,
            "bu": normal(10, seed=11) / 3,
            "three": np.array(3, np.float32),
            "zero": np.array(0, np.float32),
            "six": np.array(6, np.float32),
        },
    )


def images(count: int = 48) -> dict[str, Array]:
    """Inputs of :func:`conv_net`."""
    return {"x": normal(count, 1, 16, 16, seed=12)}


def outputs(model: onnx.ModelProto, data: Mapping[str, Array]) -> Array:
    """The one output of a model."""
    (result,) = run(model, data).values()
    return result
