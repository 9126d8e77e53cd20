"""Networks of the architectures of hls4ml's example models, and digits with other activations."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from models import network, normal
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
QUANT, LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"
DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits" / "digits.npz"


class Qonnx:
    """Writes a network of QONNX in channels-last form, as brevitas exports are turned into.

    Args:
        shape: rows, columns and channels of the input "image".
        seed: of the weights.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int = 0) -> None:
        self.shape, self.rng = shape, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, op: str, *inputs: str, domain: str = "", **given: Any) -> str:
        made = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [made], made, domain=domain, **given))
        return made

    def constant(self, array: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def quant(self, x: str, scale: float, bits: int = 4) -> str:
        numbers = map(self.constant, (scale, 0, bits))
        given = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        return self.node("Quant", x, *numbers, domain=QUANT, **given)

    def conv(self, x: str, taken: int, made: int, side: int, group: int = 1) -> str:
        """With a bias if it is no depthwise one; its result is not rounded."""
        weight = self.rng.standard_normal((made, side, side, taken // group)) / side
        inputs = [x, self.quant(self.constant(weight), 0.125)]
        if group == 1:
            inputs.append(self.quant(self.constant(self.rng.standard_normal(made) / 4), 0.0625))
        return self.node(
            "Conv", *inputs, domain=LAST, group=group, kernel_shape=[side, side],
            pads=[side // 2] * 4, strides=[1, 1], dilations=[1, 1],
        )  # fmt: skip

    def block(self, x: str, taken: int, made: int) -> str:
        """A separable convolution: each channel alone, then all of a position; LeakyRelu."""
        alone = self.quant(self.conv(x, taken, taken, 3, group=taken), 0.25)
        joined = self.node("LeakyRelu", self.conv(alone, taken, made, 1), alpha=0.1015625)
        return self.quant(joined, 0.25)

    def half(self, x: str) -> str:
        window = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0] * 4, "ceil_mode": 0}
        return self.quant(self.node("MaxPool", x, domain=LAST, **window), 0.25)

    def double(self, x: str) -> str:
        scales, nearest = self.constant([1, 2, 2, 1]), {"mode": "nearest", "nearest_mode": "floor"}
        given = {"coordinate_transformation_mode": "asymmetric", **nearest}
        return self.quant(self.node("Resize", x, self.constant([]), scales, **given), 0.25)

    def joined(self, a: str, b: str) -> str:
        return self.quant(self.node("Concat", a, b, axis=-1), 0.25)

    def model(self, last: str, channels: int) -> onnx.ModelProto:
        shape = [1, *self.shape]
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, [*shape[:3], channels])],
            self.constants,
        )  # fmt: skip
        domains = [("", 17), (QUANT, 1), (LAST, 1)]
        opsets = [helper.make_opsetid(*domain) for domain in domains]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def separable() -> onnx.ModelProto:
    """Separable convolutions one after the other."""
    q = Qonnx((5, 6, 3))
    x = q.block(q.quant("image", 0.0625), 3, 6)
    x = q.quant(q.conv(x, 6, 6, 3, group=6), 0.25)
    return q.model(q.conv(x, 6, 4, 1), 4)


def branched() -> onnx.ModelProto:
    """A branch at half the size, enlarged and joined with what it came from."""
    q = Qonnx((4, 6, 2), seed=1)
    top = q.block(q.quant("image", 0.0625), 2, 4)
    low = q.block(q.half(top), 4, 3)
    x = q.block(q.joined(q.double(low), top), 7, 4)
    return q.model(q.conv(x, 4, 2, 1), 2)


def unet() -> onnx.ModelProto:
    """Two levels down and up again."""
    q = Qonnx((4, 4, 2), seed=2)
    top = q.block(q.quant("image", 0.0625), 2, 3)
    middle = q.block(q.half(top), 3, 4)
    low = q.block(q.half(middle), 4, 4)
    middle = q.block(q.joined(q.double(low), middle), 8, 3)
    x = q.block(q.joined(q.double(middle), top), 6, 3)
    return q.model(q.conv(x, 3, 2, 1), 2)


def normalized(turned: bool) -> onnx.ModelProto:
    """Matrix products with batch normalization behind them.

    Args:
        turned: whether it is as OnnxMLTools 1.3 writes it, with the channels along the batch.
    """
    turn = "Transpose" if turned else "Identity"
    constants: dict[str, Array] = {}
    body, x, width = "", "x", 16
    for n, made in enumerate((12, 5)):
        body += f"""
            a{n} = Gemm ({x}, w{n}, c{n})
            t{n} = {turn} (a{n})
            b{n} = BatchNormalization <epsilon=0.001, spatial=1> (t{n}, g{n}, s{n}, m{n}, v{n})
            r{n} = {turn} (b{n})
            y{n} = Relu (r{n})"""
        constants |= {f"{name}{n}": normal(made, seed=n + ord(name)) for name in "cgsm"}
        constants |= {f"w{n}": normal(width, made, seed=n) / 4, f"v{n}": np.full(made, 0.5, "f4")}
        x, width = f"y{n}", made
    return network("float[1,16] x => float[1,5] y1", body, constants, opset=7)


def digits_mlp() -> onnx.ModelProto:
    """GELU, SiLU, HardSwish and softmax."""
    body = """
        flat = Flatten (image)
        a = Gemm (flat, w0, b0)
        gelu = Gelu (a)
        b = Gemm (gelu, w1, b1)
        gate = Sigmoid (b)
        silu = Mul (b, gate)
        c = Gemm (silu, w2, b2)
        swish = HardSwish (c)
        d = Gemm (swish, w3, b3)
        y = Softmax (d)"""
    widths = (64, 16, 12, 12, 10)
    return network("float[N,1,8,8] image => float[N,10] y", body, _layers(widths))


def digits_cnn() -> onnx.ModelProto:
    """The same activations behind convolutions."""
    body = """
        a = Conv <pads=[1,1,1,1]> (image, k0)
        gelu = Gelu (a)
        pooled = MaxPool <kernel_shape=[2,2], strides=[2,2]> (gelu)
        b = Conv <strides=[2,2], pads=[1,1,0,0]> (pooled, k1)
        gate = Sigmoid (b)
        silu = Mul (b, gate)
        flat = Flatten (silu)
        c = Gemm (flat, w0, b0)
        swish = HardSwish (c)
        d = Gemm (swish, w1, b1)
        y = Softmax (d)"""
    kernels = {"k0": normal(3, 1, 3, 3, seed=7) / 2, "k1": normal(4, 3, 3, 3, seed=8) / 3}
    layers = {**kernels, **_layers((16, 8, 10))}
    return network("float[N,1,8,8] image => float[N,10] y", body, layers)


def _layers(widths: tuple[int, ...]) -> dict[str, Array]:
    found = {}
    for n, (taken, made) in enumerate(pairwise(widths)):
        found[f"w{n}"] = normal(taken, made, seed=n, scale=1.5 / taken**0.5)
        found[f"b{n}"] = normal(made, seed=40 + n, scale=0.2)
    return found


def data_of(model: onnx.ModelProto, count: int = 24) -> Mapping[str, Array]:
    """Digits where it takes them, else random samples."""
    (given,) = model.graph.input
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim[1:]]
    if shape == [1, 8, 8]:
        return {given.name: np.load(DIGITS)["image"][:count]}
    return {given.name: normal(count, *shape, seed=3)}
