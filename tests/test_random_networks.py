"""Random convolutional networks: exact against the specification, close to float."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_models import compiled
from models import network, random_data

Array = np.ndarray[Any, Any]

_ACTIVATIONS = (
    "Relu ({0})",
    "Tanh ({0})",
    "Sigmoid ({0})",
    "HardSwish ({0})",
    "Elu ({0})",
    "Mish ({0})",
)
_LAYER = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from([1, 2, 3]),
        "stride": st.sampled_from([1, 1, 2]),
        "pad": st.integers(0, 2),
        "dilation": st.sampled_from([1, 1, 2]),
        "group": st.sampled_from([1, 1, 2, 4]),
        "bias": st.booleans(),
        "activation": st.sampled_from([*_ACTIVATIONS, None]),
        "then": st.sampled_from(["", "", "residual", "maxpool", "averagepool", "concat", "scale"]),
    }
)


class _Stack:
    """A network under construction: layer upon layer, as text and weights."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.weights: dict[str, Array] = {}
        self.lines: list[str] = []
        self.value, self.channels, self.size = "x", 4, 12

    def weight(self, name: str, *shape: int) -> str:
        fan = int(np.prod(shape[1:])) or 1
        numbers = self.generator.standard_normal(shape) / np.sqrt(fan)
        self.weights[name] = numbers.astype(np.float32)
        return name

    def add(self, number: int, layer: dict[str, Any]) -> None:
        """A convolution, its activation and what follows; nothing where the image is too small."""
        kernel, stride, dilation = layer["kernel"], layer["stride"], layer["dilation"]
        reach = (kernel - 1) * dilation + 1
        pad = min(layer["pad"], reach - 1)
        extent = (self.size + 2 * pad - reach) // stride + 1
        if extent < 2:
            return
        group = layer["group"]
        operands = [
            self.value,
            self.weight(f"w{number}", 8, self.channels // group, kernel, kernel),
        ]
        if layer["bias"]:
            operands.append(self.weight(f"b{number}", 8))
        made = f"c{number}"
        self.lines.append(
            f"{made} = Conv <strides = [{stride},{stride}], pads = [{pad},{pad},{pad},{pad}],"
            f" dilations = [{dilation},{dilation}], group = {group}> ({', '.join(operands)})"
        )
        if layer["activation"]:
            self.lines.append(f"a{number} = {layer['activation'].format(made)}")
            made = f"a{number}"
        self.then(number, layer["then"], made, extent)

    def then(self, number: int, step: str, made: str, extent: int) -> None:
        out, lines, channels = f"t{number}", self.lines, 8
        if step == "residual" and (extent, self.channels) == (self.size, 8):
            lines.append(f"{out} = Add ({made}, {self.value})")
        elif step == "maxpool":
            lines.append(f"{out} = MaxPool <kernel_shape = [2,2], pads = [0,0,1,1]> ({made})")
        elif step == "averagepool":
            lines.append(f"{out} = AveragePool <kernel_shape = [2,2]> ({made})")
            extent -= 1
        elif step == "concat":
            lines.append(f"n{number} = Neg ({made})")
            lines.append(f"{out} = Concat <axis = 1> ({made}, n{number})")
            channels = 16
        elif step == "scale":
            lines.append(f"g{number} = GlobalAveragePool ({made})")
            lines.append(f"s{number} = Sigmoid (g{number})")
            lines.append(f"{out} = Mul ({made}, s{number})")
        else:
            out = made
        self.value, self.size, self.channels = out, extent, channels


def _random_network(layers: list[dict[str, Any]], head: str, seed: int) -> onnx.ModelProto:
    stack = _Stack(seed)
    for number, layer in enumerate(layers):
        stack.add(number, layer)
    if head == "mean":
        stack.lines.append(f"f = ReduceMean <keepdims = 0> ({stack.value}, axes)")
        stack.weights["axes"] = np.array([2, 3])
    else:
        stack.lines.append(f"m = GlobalMaxPool ({stack.value})\n f = Flatten (m)")
    stack.weight("last", stack.channels, 5)
    stack.lines.append("y = MatMul (f, last)")
    return network("float[N,4,12,12] x => float[N,5] y", "\n".join(stack.lines), stack.weights)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(_LAYER, min_size=1, max_size=4), st.sampled_from(["mean", "max"]), st.integers(0, 99)
)
def test_random_networks(layers: list[dict[str, Any]], head: str, seed: int) -> None:
    model = _random_network(layers, head, seed)
    compiled(model, random_data(model, 24, seed), noise=0.12)
