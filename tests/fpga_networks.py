"""Small float networks of every kind that FPGA targets unroll, with data and bits for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from models import network, normal

Array = np.ndarray[Any, Any]

SAMPLES = 60


@dataclass(frozen=True)
class Case:
    """A float model, and how it is compiled.

    Attributes:
        model: the network.
        data: samples by input.
        weights, activations: bits.
    """

    model: onnx.ModelProto
    data: Mapping[str, Array]
    weights: str = "3"
    activations: str = "4"
    options: Mapping[str, Any] = field(default_factory=dict)


def images(*shape: int, seed: int = 7) -> Array:
    """Smooth pictures: neighbours have similar values."""
    noise = normal(SAMPLES, *shape, seed=seed)
    for axis in range(1 + len(shape) - min(len(shape), 2), 1 + len(shape)):
        noise = noise + np.roll(noise, 1, axis)
    return noise.astype(np.float32)


def spread(*shape: int, seed: int) -> Array:
    """Weights of the usual size: one over the root of the inputs."""
    inputs = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
    return (normal(*shape, seed=seed) / np.sqrt(inputs)).astype(np.float32)


def cnn() -> Case:
    """Conv, SiLU, max pool, dense."""
    weights = {
        "k": spread(3, 1, 3, 3, seed=1),
        "b": normal(3, seed=2) / 4,
        "w": spread(12, 4, seed=3),
        "c": normal(4, seed=4) / 4,
    }
    body = """
        conv = Conv<kernel_shape=[3,3]>(x, k, b)
        gate = Sigmoid(conv)
        silu = Mul(conv, gate)
        pool = MaxPool<kernel_shape=[2,2], strides=[2,2]>(silu)
        flat = Flatten<axis=1>(pool)
        y = Gemm(flat, w, c)
    """
    model = network("float[N,1,6,6] x => float[N,4] y", body, weights)
    return Case(model, {"x": images(1, 6, 6)})


def separable() -> Case:
    """Depthwise and pointwise convolutions with HardSwish, then a global average."""
    weights = {
        "d": spread(2, 1, 3, 3, seed=1),
        "p": spread(4, 2, 1, 1, seed=2),
        "b": normal(4, seed=3) / 4,
        "w": spread(4, 3, seed=4),
    }
    body = """
        depthwise = Conv<kernel_shape=[3,3], group=2, pads=[1,1,1,1], strides=[2,2]>(x, d)
        first = HardSwish(depthwise)
        pointwise = Conv<kernel_shape=[1,1]>(first, p, b)
        second = HardSwish(pointwise)
        pool = GlobalAveragePool(second)
        flat = Flatten<axis=1>(pool)
        y = MatMul(flat, w)
    """
    model = network("float[N,2,5,5] x => float[N,3] y", body, weights)
    return Case(model, {"x": images(2, 5, 5)})


def residual() -> Case:
    """A block whose input is added to what it computes; an average pool behind it."""
    weights = {
        "k": spread(2, 2, 3, 3, seed=1),
        "l": spread(2, 2, 3, 3, seed=2),
        "b": normal(2, seed=3) / 4,
        "w": spread(8, 3, seed=4),
    }
    body = """
        first = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, k, b)
        hidden = Relu(first)
        second = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(hidden, l)
        sum = Add(second, x)
        out = Relu(sum)
        pool = AveragePool<kernel_shape=[2,2], strides=[2,2]>(out)
        flat = Flatten<axis=1>(pool)
        y = MatMul(flat, w)
    """
    model = network("float[N,2,4,4] x => float[N,3] y", body, weights)
    return Case(model, {"x": images(2, 4, 4)})


def binary(compared: bool = False) -> Case:
    """Weights and activations of -1 and +1: Sign behind BatchNormalization."""
    ones = {
        name: np.sign(normal(*shape, seed=seed)).astype(np.float32)
        for name, shape, seed in (("a", (16, 12), 1), ("b", (12, 8), 2), ("c", (8, 3), 3))
    }
    norms: dict[str, Array] = {}
    for number, size in enumerate((12, 8)):
        norms |= {
            f"g{number}": 1 + normal(size, seed=10 + number) / 4,
            f"h{number}": normal(size, seed=20 + number) / 2,
            f"m{number}": normal(size, seed=30 + number) / 2,
            f"v{number}": 8 + normal(size, seed=40 + number) ** 2,
        }
    norms |= {"zero": np.float32(0), "one": np.float32(1), "minus": np.float32(-1)}
    sign = {
        False: "{1} = Sign({0})",
        True: "{1}g = Greater({0}, zero)\n{1} = Where({1}g, one, minus)",
    }
    body = f"""
        {sign[compared].format("x", "s")}
        first = MatMul(s, a)
        norm0 = BatchNormalization(first, g0, h0, m0, v0)
        {sign[compared].format("norm0", "sign0")}
        second = MatMul(sign0, b)
        norm1 = BatchNormalization(second, g1, h1, m1, v1)
        {sign[compared].format("norm1", "sign1")}
        y = MatMul(sign1, c)
    """
    model = network("float[N,16] x => float[N,3] y", body, ones | norms)
    return Case(model, {"x": normal(SAMPLES, 16, seed=5)}, weights="2", activations="4")


def kan(sizes: tuple[int, ...] = (4, 3, 2)) -> Case:
    """Layers of edges: sums of ramps, one spline per edge."""
    body, weights, source = "", {}, "x"
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        places = np.linspace(-2, 1.75, 5)[:-1]
        lines = [f"c{layer} = Clip({source}, low, high)", f"u{layer} = Unsqueeze(c{layer}, last)"]
        weights[f"s{layer}"] = normal(inputs, outputs, seed=10 + layer) / 2
        total = f"s{layer}"
        for knot, place in enumerate(places):
            name = f"{layer}_{knot}"
            weights[f"p{name}"] = np.float32(place)
            weights[f"t{name}"] = normal(inputs, outputs, seed=20 + 5 * layer + knot) / 2
            lines += [
                f"d{name} = Sub(u{layer}, p{name})",
                f"r{name} = Relu(d{name})",
                f"m{name} = Mul(r{name}, t{name})",
                f"e{name} = Add({total}, m{name})",
            ]
            total = f"e{name}"
        source = "y" if layer == len(sizes) - 2 else f"l{layer}"
        lines.append(f"{source} = ReduceSum<keepdims=0>({total}, middle)")
        body += "\n".join(lines) + "\n"
    constants = {
        "low": np.float32(-2),
        "high": np.float32(1.75),
        "last": np.array([-1]),
        "middle": np.array([1]),
    }
    model = network(f"float[N,{sizes[0]}] x => float[N,{sizes[-1]}] y", body, weights | constants)
    return Case(model, {"x": normal(SAMPLES, sizes[0], seed=5)}, weights="8")


ACTIVATIONS = {
    "gelu": "h = Gelu(a)",
    "silu": "g = Sigmoid(a)\nh = Mul(a, g)",
    "mish": "h = Mish(a)",
    "snake": "p = Sin(a)\nq = Mul(p, p)\nh = Add(a, q)",
    "hardswish": "h = HardSwish(a)",
    "prelu": "h = PRelu(a, slope)",
    "clip": "h = Clip(a, low, high)",
    "sign": "h = Sign(a)",
    "softsign": "h = Softsign(a)",
    "tanh": "h = Tanh(a)",
    "elu": "h = Elu(a)",
}


def dense(activation: str, end: str = "y = Add(c, e)", outputs: int = 3) -> Case:
    """Two dense layers."""
    weights = {
        "v": spread(6, 4, seed=1),
        "b": normal(4, seed=2) / 4,
        "w": spread(4, outputs, seed=3),
        "e": normal(outputs, seed=4) / 4,
        "slope": np.array([0.1, 0.2, -0.1, 0.5], np.float32),
        "low": np.float32(-0.5),
        "high": np.float32(1.2),
    }
    body = f"m = MatMul(x, v)\na = Add(m, b)\n{ACTIVATIONS[activation]}\nc = MatMul(h, w)\n{end}"
    kept = {name: array for name, array in weights.items() if re.search(rf"\b{name}[,)]", body)}
    model = network(f"float[N,6] x => float[N,{outputs}] y", body, kept)
    return Case(model, {"x": normal(SAMPLES, 6, seed=5)})


def two_inputs() -> Case:
    """A picture and a vector, joined."""
    weights = {
        "k": spread(2, 1, 2, 2, seed=1),
        "v": spread(11, 4, seed=2),
        "w": spread(4, 2, seed=3),
    }
    body = """
        conv = Conv<kernel_shape=[2,2]>(image, k)
        relu = Relu(conv)
        flat = Flatten<axis=1>(relu)
        both = Concat<axis=1>(flat, more)
        dense = MatMul(both, v)
        h = Tanh(dense)
        y = MatMul(h, w)
    """
    model = network("float[N,1,3,3] image, float[N,3] more => float[N,2] y", body, weights)
    return Case(model, {"image": images(1, 3, 3), "more": normal(SAMPLES, 3, seed=6)})


ENDS = {
    "softmax": ("o = Add(c, e)\ny = Softmax<axis=1>(o)", 3),
    "log-softmax": ("o = Add(c, e)\ny = LogSoftmax<axis=1>(o)", 3),
    "sigmoid": ("o = Add(c, e)\ny = Sigmoid(o)", 1),
    "regression": ("y = Add(c, e)", 1),
}

CASES: dict[str, Callable[[], Case]] = {
    "cnn": cnn,
    "separable": separable,
    "residual": residual,
    "binary": binary,
    "compared": lambda: binary(True),
    "kan": kan,
    "two inputs": two_inputs,
    **{name: (lambda name=name: dense(name)) for name in ACTIVATIONS},
    **{name: (lambda end=end: dense("silu", *end)) for name, end in ENDS.items()},
}
