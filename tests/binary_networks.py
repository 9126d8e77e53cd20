"""Random small binary networks as ONNX models, what they mean, and their golden.

``random_network(rng, kind, form)`` gives a model with samples; ``golden_of(model, feeds)`` runs
actc's passes on it, without a target; ``reference(model, feeds)`` computes the model node by node
in float64. A value that is binary is called ``sign<n>`` in the model and ``sign<n>.q`` in golden.

Ties are there by construction: inputs and constants are dyadic and small, so that float32, float64
and exact arithmetic agree on every sum, and sums hit the places where the sign changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from binary_reference import reference
from models import prepared, proto_of
from onnx import helper, numpy_helper

from actc.compiler import default_pipeline

__all__ = ["FORMS", "KINDS", "golden_of", "lowered", "random_network", "reference"]

Array = np.ndarray[Any, Any]

KINDS = ("dense", "conv", "depthwise")
"""Layers of a network: matrix products; convolutions; convolutions with depthwise ones between."""
FORMS = ("bipolar",)
"""How signs are spelled: QONNX BipolarQuant (sign(0) = 1)."""

_GAMMAS = np.array([-2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2, 0])


class _Writer:
    """Nodes and constants of one network."""

    def __init__(self, rng: np.random.Generator, form: str) -> None:
        self.rng, self.form = rng, form
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.signs = 0

    def hold(self, name: str, array: Any) -> str:
        fresh = f"{name}{len(self.constants)}"
        self.constants[fresh] = np.asarray(array, np.float32)
        return fresh

    def node(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        result = output or f"v{len(self.nodes)}"
        domain = "qonnx.custom_op.general" if op == "BipolarQuant" else ""
        self.nodes.append(
            helper.make_node(op, list(inputs), [result], name=result, domain=domain, **attributes)
        )
        return result

    def sign(self, value: str) -> str:
        """+1 or -1, times a scale that is often 1."""
        self.signs += 1
        scale = self.rng.choice([1.0, 1.0, 0.5, 2.0])
        name = f"sign{self.signs}"
        return self.node("BipolarQuant", value, self.hold("scale", scale), output=name)

    def weights(self, *shape: int) -> str:
        """Real numbers behind a quantizer of their own."""
        real = self.rng.integers(-4, 5, shape) / 4
        scale = self.rng.choice([1.0, 0.5])
        return self.node("BipolarQuant", self.hold("w", real), self.hold("scale", scale))

    def batch_norm(self, value: str, channels: int) -> str:
        """All signs of gamma, and zero; means and shifts at which sums tie."""
        rng = self.rng
        gamma = rng.choice(_GAMMAS, channels)
        beta = rng.integers(-4, 5, channels) / 2 * rng.integers(0, 2, channels)
        mean = rng.integers(-6, 7, channels) / 2
        variance = rng.choice([0.25, 1.0, 4.0], channels)
        arrays = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        held = [self.hold(name, array) for name, array in arrays.items()]
        return self.node("BatchNormalization", value, *held, epsilon=0.0)


def _between(writer: _Writer, value: str, channels: int, *, images: bool) -> str:
    """What lies between a layer and the next sign: a batch norm, a bias, or nothing."""
    kind = writer.rng.integers(0, 4)
    if kind == 0:
        return value
    if kind == 1:
        bias = writer.rng.integers(-4, 5, channels) / 2
        shape = (1, channels, 1, 1) if images else (channels,)
        return writer.node("Add", value, writer.hold("bias", bias.reshape(shape)))
    return writer.batch_norm(value, channels)


def _dense(writer: _Writer, value: str, width: int, layers: int) -> tuple[str, int]:
    for _ in range(layers):
        wider = int(writer.rng.integers(2, 13))
        value = writer.node("MatMul", value, writer.weights(width, wider))
        value = writer.sign(_between(writer, value, wider, images=False))
        width = wider
    return value, width


def _conv(
    writer: _Writer, value: str, channels: int, size: int, layers: int, *, depthwise: bool
) -> tuple[str, int]:
    """Convolutions with padding, stride, and pooling before or after the sign."""
    rng = writer.rng
    for layer in range(layers):
        grouped = depthwise and layer % 2 == 1
        wider = channels if grouped else int(rng.integers(1, 6))
        kernel = int(rng.integers(1, min(size, 3) + 1))
        pad = int(rng.integers(0, 2)) if kernel > 1 else 0
        weights = writer.weights(wider, 1 if grouped else channels, kernel, kernel)
        value = writer.node(
            "Conv", value, weights, pads=[pad] * 4, group=channels if grouped else 1,
            kernel_shape=[kernel, kernel],
        )  # fmt: skip
        size, channels = size + 2 * pad - kernel + 1, wider
        pooling = int(rng.choice([0, 2])) if size > 2 else 0
        if pooling == 1:
            value = writer.node("MaxPool", value, kernel_shape=[2, 2], strides=[1, 1])
        value = writer.sign(_between(writer, value, channels, images=True))
        if pooling == 2:
            value = writer.node("MaxPool", value, kernel_shape=[2, 2], strides=[1, 1])
        size -= pooling > 0
    return writer.node("Flatten", value), channels * size * size


def random_network(
    rng: np.random.Generator, kind: str = "dense", form: str = "bipolar", samples: int = 24
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A binary network with one input "x" and one output "y".

    Args:
        rng: decides everything; the same state gives the same network.
        kind: one of `KINDS`.
        form: one of `FORMS`.
        samples: rows of the samples.

    Returns:
        the model, and samples for it: multiples of 1/4 from -2 to 2, zero among them.
    """
    writer = _Writer(rng, form)
    layers = int(rng.integers(1, 4))
    if kind == "dense":
        shape = [int(rng.integers(2, 13))]
        value, width = _dense(writer, writer.sign("x"), shape[0], layers)
    else:
        channels, size = int(rng.integers(1, 4)), int(rng.integers(3, 7))
        shape = [channels, size, size]
        value, width = _conv(
            writer, writer.sign("x"), channels, size, layers, depthwise=kind == "depthwise"
        )
    outputs = int(rng.integers(1, 6))
    writer.node("MatMul", value, writer.weights(width, outputs), output="y")
    feeds = {"x": (rng.integers(-8, 9, (samples, *shape)) / 4).astype(np.float32)}
    return _model(writer, shape, outputs), feeds


def _model(writer: _Writer, shape: list[int], outputs: int) -> onnx.ModelProto:
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        writer.nodes,
        "binary",
        [helper.make_tensor_value_info("x", kind, ["N", *shape])],
        [helper.make_tensor_value_info("y", kind, ["N", outputs])],
        [numpy_helper.from_array(a, name) for name, a in writer.constants.items()],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=9)


def lowered(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> ir.Model:
    """The model behind the passes of a compilation, with its context."""
    return default_pipeline("int8", "auto", "minmax").run(prepared(model, feeds))


def golden_of(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> onnx.ModelProto:
    """golden.onnx of a model, calibrated on `feeds`; no target takes part."""
    return proto_of(lowered(model, feeds))
