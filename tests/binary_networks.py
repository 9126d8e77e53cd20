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

__all__ = ["BRANCHED", "FORMS", "KINDS", "golden_of", "lowered", "random_network", "reference"]

Array = np.ndarray[Any, Any]

KINDS = ("dense", "conv", "depthwise")
"""Layers of a network: matrix products; convolutions; convolutions with depthwise ones between."""
BRANCHED = ("residual dense", "residual conv")
"""Layers beside a branch: to their signs are added those that they read, or the sum that these are
the signs of. Sums of two signs are often zero."""
SIGN_OF_ZERO = {
    "bipolar": 1, "sign": 0, "where_ge": 1, "where_gt": -1, "where_lt": 1, "where_le": -1,
    "cast": 1, "cast_gt": -1, "larq": 1, "larq_down": -1, "clipped": 0, "estimator": 1,
    "difference": 0,
}  # fmt: skip
"""Spellings of a sign, with the sign of zero: QONNX's BipolarQuant; Sign; Where of a comparison;
a comparison cast, times 2, less 1; a sign of a sign moved by 0.1, as Larq has it; Sign of Clip;
what a straight-through estimator leaves; the difference of two comparisons."""
STEPS = ("ternary", "step", "wave")
"""Other functions of few values: -1, 0 and 1 with two thresholds; 0 and 1; sign(sin(w x))."""
FORMS = (*SIGN_OF_ZERO, *STEPS)

_GAMMAS = np.array([-2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2, 0])
_SCALES = (1.0, 1.0, 0.5, 2.0)


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
        """A few values, mostly +1 and -1, times a scale that is often 1."""
        self.signs += 1
        scale, name = self.rng.choice(_SCALES), f"sign{self.signs}"
        if self.form == "bipolar":
            return self.node("BipolarQuant", value, self.hold("scale", scale), output=name)
        spelled = getattr(self, f"_{self.form}", self._compared)
        if scale == 1.0:
            spelled(value, name)
            return name
        return self.node("Mul", spelled(value, ""), self.hold("scale", scale), output=name)

    def _sign(self, value: str, name: str) -> str:
        return self.node("Sign", value, output=name)

    def _compared(self, value: str, name: str) -> str:
        """Where of a comparison with zero, or the comparison as a number."""
        op = {
            "where_gt": "Greater", "cast_gt": "Greater", "where_lt": "Less",
            "where_le": "LessOrEqual",
        }.get(self.form, "GreaterOrEqual")  # fmt: skip
        passed = self.node(op, value, self.hold("zero", 0))
        if self.form.startswith("cast"):
            number = self.node("Cast", passed, to=onnx.TensorProto.FLOAT)
            doubled = self.node("Mul", number, self.hold("two", 2))
            return self.node("Sub", doubled, self.hold("one", 1), output=name)
        values = (-1, 1) if op.startswith("Less") else (1, -1)
        return self.node("Where", passed, *(self.hold("one", v) for v in values), output=name)

    def _larq(self, value: str, name: str) -> str:
        moved = self.hold("moved", -0.1 if self.form == "larq_down" else 0.1)
        return self.node("Sign", self.node("Add", self.node("Sign", value), moved), output=name)

    _larq_down = _larq

    def _clipped(self, value: str, name: str) -> str:
        ends = [self.hold("end", -1), self.hold("end", 1)]
        return self.node("Sign", self.node("Clip", value, *ends), output=name)

    def _estimator(self, value: str, name: str) -> str:
        ends = [self.hold("end", -1), self.hold("end", 1)]
        smooth = self.node("Clip", value, *ends)
        sharp = self._compared(value, "")
        return self.node("Add", self.node("Sub", sharp, smooth), smooth, output=name)

    def _difference(self, value: str, name: str) -> str:
        zero = self.hold("zero", 0)
        parts = [
            self.node("Cast", self.node(op, value, zero), to=onnx.TensorProto.FLOAT)
            for op in ("Greater", "Less")
        ]
        return self.node("Sub", *parts, output=name)

    def _ternary(self, value: str, name: str) -> str:
        end = self.rng.integers(0, 3) / 2
        low = self.node("Less", value, self.hold("low", -end))
        high = self.node("GreaterOrEqual", value, self.hold("high", end))
        numbers = [self.hold("number", number) for number in (-1, 0, 1)]
        inner = self.node("Where", low, *numbers[:2])
        return self.node("Where", high, numbers[2], inner, output=name)

    def _step(self, value: str, name: str) -> str:
        passed = self.node("Greater", value, self.hold("zero", 0))
        return self.node("Cast", passed, to=onnx.TensorProto.FLOAT, output=name)

    def _wave(self, value: str, name: str) -> str:
        turned = self.node("Mul", value, self.hold("frequency", 0.75))
        return self.node("Sign", self.node("Sin", turned), output=name)

    def weights(self, *shape: int, columns: bool = False) -> str:
        """Few-valued weights as the form spells them.

        Args:
            columns: whether the output channels come last.
        """
        real = self.rng.integers(-4, 5, shape) / 4
        if self.form == "bipolar":
            scale = self.rng.choice([1.0, 0.5])
            return self.node("BipolarQuant", self.hold("w", real), self.hold("scale", scale))
        axis = len(shape) - 1 if columns else 0
        sizes = np.ones(len(shape), int)
        sizes[axis] = shape[axis]
        scale = self.rng.choice([0.25, 0.5, 1.0, 2.0], shape[axis]).reshape(sizes)
        signs = np.where(real >= 0, 1.0, -1.0)
        kind = self.rng.integers(0, 4)
        if kind == 0:
            return self.hold("w", signs * scale)
        if kind == 1:  # ternary
            return self.hold("w", np.sign(real) * self.rng.choice([0.5, 1.0]))
        if kind == 2:  # real weights with a binarization that the exporter left
            passed = self.node("GreaterOrEqual", self.hold("w", real), self.hold("zero", 0))
            return self.node("Where", passed, self.hold("one", 1), self.hold("one", -1))
        held = self.hold("w", signs * scale)
        others = [i for i in range(len(shape)) if i != axis]
        name = f"axes{len(self.constants)}"
        self.constants[name] = np.array(others, np.int64)
        mean = self.node("ReduceMean", self.node("Abs", held), name, keepdims=1)
        return self.node("Mul", self.node("Sign", held), mean)

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
    """What lies between a layer and the next sign: a batch norm, a bias, scales, or nothing."""
    rng, shape = writer.rng, (1, channels, 1, 1) if images else (channels,)
    kind = rng.integers(0, 7)
    if kind == 0:
        return value
    if kind == 1:
        bias = rng.integers(-4, 5, channels) / 2
        return writer.node("Add", value, writer.hold("bias", bias.reshape(shape)))
    if kind == 2:
        scale = rng.choice([0.25, 0.5, 1.0, 2.0], channels)
        scaled = writer.node("Mul", value, writer.hold("alpha", scale.reshape(shape)))
        return writer.batch_norm(scaled, channels)
    if kind == 3:  # RPReLU: shifted, bent, shifted
        moves = [
            writer.hold("move", (rng.integers(-4, 5, channels) / 2).reshape(shape)) for _ in "ab"
        ]
        slope = writer.hold(
            "slope", rng.choice([0.25, 0.5, 0.0], channels).reshape(shape[1:] if images else shape)
        )
        moved = writer.node("Sub", writer.batch_norm(value, channels), moves[0])
        return writer.node("Add", writer.node("PRelu", moved, slope), moves[1])
    if kind == 4:
        return writer.node(
            "Clip",
            writer.batch_norm(value, channels),
            writer.hold("end", -1),
            writer.hold("end", 1),
        )
    return writer.batch_norm(value, channels)


def _dense(writer: _Writer, value: str, width: int, layers: int) -> tuple[str, int]:
    for _ in range(layers):
        wider = int(writer.rng.integers(2, 13))
        value = writer.node("MatMul", value, writer.weights(width, wider, columns=True))
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
        pooling = int(rng.integers(0, 3)) if size > 2 else 0
        if pooling == 1 and writer.form == "wave":  # a maximum of sums has no code there
            pooling = 2
        if pooling == 1:
            value = writer.node("MaxPool", value, kernel_shape=[2, 2], strides=[1, 1])
        value = writer.sign(_between(writer, value, channels, images=True))
        if pooling == 2:
            value = writer.node("MaxPool", value, kernel_shape=[2, 2], strides=[1, 1])
        size -= pooling > 0
    return writer.node("Flatten", value), channels * size * size


def _residual(writer: _Writer, value: str, channels: int, layers: int, *, images: bool) -> str:
    """Layers that keep the shape, each with a branch beside it."""
    rng, total, current = writer.rng, value, value
    for _ in range(layers):
        if images:
            kernel = int(rng.choice([1, 3]))
            weights = writer.weights(channels, channels, kernel, kernel)
            made = writer.node(
                "Conv", current, weights, pads=[kernel // 2] * 4, kernel_shape=[kernel] * 2
            )
        else:
            made = writer.node("MatMul", current, writer.weights(channels, channels, columns=True))
        made = writer.sign(_between(writer, made, channels, images=images))
        # a sum of sums has codes where sums have: not of quantizers that the model brings along
        carried = rng.integers(2) and writer.form != "bipolar"
        total = writer.node("Add", made, total if carried else current)
        current = writer.sign(total)
    return current


def random_network(
    rng: np.random.Generator, kind: str = "dense", form: str = "bipolar", samples: int = 24
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A binary network with one input "x" and one output "y".

    Args:
        rng: decides everything; the same state gives the same network.
        kind: one of `KINDS` or of `BRANCHED`.
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
    elif kind == "residual dense":
        shape = [int(rng.integers(2, 9))]
        value = _residual(writer, writer.sign("x"), shape[0], layers, images=False)
        width = shape[0]
    elif kind == "residual conv":
        channels, size = int(rng.integers(1, 4)), int(rng.integers(3, 6))
        shape = [channels, size, size]
        value = _residual(writer, writer.sign("x"), channels, layers, images=True)
        value, width = writer.node("Flatten", value), channels * size * size
    else:
        channels, size = int(rng.integers(1, 4)), int(rng.integers(3, 7))
        shape = [channels, size, size]
        value, width = _conv(
            writer, writer.sign("x"), channels, size, layers, depthwise=kind == "depthwise"
        )
    outputs = int(rng.integers(1, 6))
    writer.node("MatMul", value, writer.weights(width, outputs, columns=True), output="y")
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
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=9)


def lowered(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> ir.Model:
    """The model behind the passes of a compilation, with its context."""
    return default_pipeline("int8", "auto", "minmax").run(prepared(model, feeds))


def golden_of(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> onnx.ModelProto:
    """golden.onnx of a model, calibrated on `feeds`; no target takes part."""
    return proto_of(lowered(model, feeds))
