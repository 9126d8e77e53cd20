"""Networks as ONNX text, so that the fast tests need no torch: one per family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from models import network, normal

from actc.ir.dialect import OPERATORS

Array = np.ndarray[Any, Any]

GOLDEN_OPERATORS = OPERATORS | {
    "Cast", "Concat", "DequantizeLinear", "Equal", "Expand", "Flatten", "Identity", "MaxPool",
    "Not", "Or", "QuantizeLinear", "ReduceMax", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
}  # fmt: skip
"""Those of docs/internals.md; a target that has them takes every network here."""


@dataclass(frozen=True)
class Text:
    """A network: signature, statements, weights."""

    signature: str
    body: str
    weights: dict[str, Array] = field(default_factory=dict)
    opset: int = 21

    def model(self) -> onnx.ModelProto:
        return network(self.signature, self.body, self.weights, opset=self.opset)


def _convolutions(**shapes: tuple[int, ...]) -> dict[str, Array]:
    """Weights [O, C/g, k, k] of the size that keeps values near one."""
    return {
        name: normal(*shape, seed=number) / np.float32(np.sqrt(np.prod(shape[1:])))
        for number, (name, shape) in enumerate(shapes.items())
    }


def _batch_norm(channels: int) -> dict[str, Array]:
    rng = np.random.default_rng(channels)
    ends = {"g": (0.6, 1.4), "b": (-0.3, 0.3), "m": (-0.3, 0.3), "v": (0.5, 1.5)}
    return {n: rng.uniform(a, b, channels).astype(np.float32) for n, (a, b) in ends.items()}


IMAGE = "float[N,3,12,12] x => float[N,a] y"
MAP = "float[N,3,12,12] x => float[N,a,b,c] y"
HEAD = "p = GlobalAveragePool (t)\nf = Flatten (p)\ny = Gemm <transB = 1> (f, fc, fb)"
HEAD_WEIGHTS = {"fc": normal(5, 8, seed=90), "fb": normal(5, seed=91)}

COMPILED: dict[str, Text] = {
    "residual with batch norm": Text(
        IMAGE,
        "c = Conv <pads = [1,1,1,1]> (x, w1)\nn = BatchNormalization (c, g, b, m, v)\n"
        "r = Relu (n)\nd = Conv <pads = [1,1,1,1]> (r, w2)\nk = BatchNormalization (d, g, b, m, v)"
        "\nq = Conv (x, w3)\ns = Add (k, q)\nt = Relu (s)\n" + HEAD,
        {
            **_convolutions(w1=(8, 3, 3, 3), w2=(8, 8, 3, 3), w3=(8, 3, 1, 1)),
            **_batch_norm(8),
            **HEAD_WEIGHTS,
        },
    ),
    "depthwise with squeeze and excitation": Text(
        IMAGE,
        "c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w1)\nh = HardSwish (c)\n"
        "d = Conv <group = 8, pads = [2,2,2,2]> (h, w2)\ne = Clip (d, zero, six)\n"
        "p0 = GlobalAveragePool (e)\ns1 = Conv (p0, w3)\ns2 = Relu (s1)\ns3 = Conv (s2, w4)\n"
        "g = HardSigmoid <alpha = 0.16666667> (s3)\nt = Mul (e, g)\n" + HEAD,
        {
            **_convolutions(w1=(8, 3, 3, 3), w2=(8, 1, 5, 5), w3=(4, 8, 1, 1), w4=(8, 4, 1, 1)),
            "zero": np.float32(0),
            "six": np.float32(6),
            **HEAD_WEIGHTS,
        },
    ),
    "gate expanded before it is used": Text(
        IMAGE,
        "h = Conv (x, w1)\np0 = GlobalAveragePool (h)\ns = Sigmoid (p0)\nshape = Shape (h)\n"
        "e = Expand (s, shape)\nt = Mul (h, e)\n" + HEAD,
        {**_convolutions(w1=(8, 3, 1, 1)), **HEAD_WEIGHTS},
    ),
    "dense block": Text(
        IMAGE,
        "a = Conv <pads = [1,1,1,1]> (x, w1)\nar = Relu (a)\ncat = Concat <axis = 1> (x, ar)\n"
        "b = Conv <pads = [1,1,1,1]> (cat, w2)\nt = AveragePool <kernel_shape = [2,2],"
        " strides = [2,2]> (b)\n" + HEAD,
        {**_convolutions(w1=(5, 3, 3, 3), w2=(8, 8, 3, 3)), **HEAD_WEIGHTS},
    ),
    "U-Net with a transposed convolution": Text(
        MAP,
        "a = Conv <pads = [1,1,1,1]> (x, w1)\nar = Relu (a)\n"
        "d = MaxPool <kernel_shape = [2,2], strides = [2,2]> (ar)\n"
        "u = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1],"
        " group = 2> (d, wt, bt)\nc = Concat <axis = 1> (u, ar)\ny = Conv (c, w2)",
        {
            **_convolutions(w1=(6, 3, 3, 3), w2=(2, 10, 1, 1)),
            "wt": normal(6, 2, 3, 3, scale=0.3),
            "bt": normal(4),
        },
    ),
    "U-Net with nearest neighbours": Text(
        MAP,
        'a = Conv <strides = [2,2]> (x, w1)\nu = Resize <mode = "nearest", nearest_mode = '
        '"floor", coordinate_transformation_mode = "asymmetric"> (a, , scales)\ny = Conv (u, w2)',
        {
            **_convolutions(w1=(6, 3, 3, 3), w2=(2, 6, 1, 1)),
            "scales": np.array([1, 1, 2, 3], np.float32),
        },
    ),
    "U-Net with bilinear upsampling": Text(
        MAP,
        'a = Conv <strides = [2,2]> (x, w1)\nu = Resize <mode = "linear"> (a, , scales)\n'
        "y = Conv (u, w2)",
        {
            **_convolutions(w1=(6, 3, 3, 3), w2=(2, 6, 1, 1)),
            "scales": np.array([1, 1, 2, 1.5], np.float32),
        },
    ),
    "channel shuffle of split halves": Text(
        IMAGE,
        "h = Conv (x, w1)\nl, r = Split <axis = 1, num_outputs = 2> (h)\nc = Conv (r, w2)\n"
        "cr = Relu (c)\nj = Concat <axis = 1> (l, cr)\ns1 = Reshape (j, apart)\n"
        "s2 = Transpose <perm = [0,2,1,3,4]> (s1)\nt = Reshape (s2, together)\n" + HEAD,
        {
            **_convolutions(w1=(8, 3, 1, 1), w2=(4, 4, 1, 1)),
            "apart": np.array([-1, 2, 4, 12, 12]),
            "together": np.array([-1, 8, 12, 12]),
            **HEAD_WEIGHTS,
        },
    ),
    "pixel shuffle": Text(
        MAP,
        'h = Conv (x, w1)\ny = DepthToSpace <blocksize = 2, mode = "CRD"> (h)',
        _convolutions(w1=(8, 3, 3, 3)),
    ),
    "space to depth": Text(
        MAP,
        "h = SpaceToDepth <blocksize = 2> (x)\ny = Conv (h, w1)",
        _convolutions(w1=(4, 12, 1, 1)),
    ),
    "causal convolution, last step": Text(
        "float[N,4,10] x => float[N,a] y",
        "p = Pad (x, widths)\nc = Conv <dilations = [2]> (p, w)\nr = Relu (c)\n"
        "y = Gather <axis = 2> (r, last)",
        {
            "widths": np.array([0, 0, 4, 0, 0, 0]),
            "w": normal(6, 4, 3, scale=0.3),
            "last": np.array(-1),
        },
    ),
    "padding by reflection and edges": Text(
        MAP,
        'a = Pad <mode = "reflect"> (x, widths)\nb = Pad <mode = "edge"> (a, widths)\n'
        "y = Conv (b, w1)",
        {**_convolutions(w1=(4, 3, 5, 5)), "widths": np.array([0, 0, 2, 1, 0, 0, 1, 3])},
    ),
    "selected channels": Text(
        MAP,
        "h = Conv (x, w1)\ny = Gather <axis = 1> (h, which)",
        {**_convolutions(w1=(6, 3, 1, 1)), "which": np.array([5, 3, 1, 0, 0, 2])},
    ),
    "gated linear unit": Text(
        "float[N,12] x => float[N,a] y",
        "h = Gemm (x, w1, b1)\na, b = Split <axis = 1, num_outputs = 2> (h)\ns = Sigmoid (b)\n"
        "g = Mul (a, s)\ny = MatMul (g, w2)",
        {"w1": normal(12, 16, scale=0.3), "b1": normal(16), "w2": normal(8, 4, scale=0.3)},
    ),
    "mixer block": Text(
        "float[N,6,8] x => float[N,6,8] y",
        "n = LayerNormalization <axis = -1> (x, g, b)\ns = Transpose <perm = [0,2,1]> (n)\n"
        "m = MatMul (s, w1)\nh = Gelu (m)\nk = MatMul (h, w2)\nd = Transpose <perm = [0,2,1]> (k)\n"
        "y = Add (x, d)",
        {
            "g": 1 + normal(8, scale=0.2),
            "b": normal(8, scale=0.2),
            "w1": normal(6, 12, scale=0.4),
            "w2": normal(12, 6, scale=0.3),
        },
    ),
    "group normalization": Text(
        MAP,
        "h = Conv (x, w1)\ny = GroupNormalization <num_groups = 2> (h, g, b)",
        {**_convolutions(w1=(8, 3, 3, 3)), "g": 1 + normal(8, scale=0.2), "b": normal(8)},
    ),
    "average over the border": Text(
        MAP,
        "h = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2], ceil_mode = 1>"
        " (x)\ny = Conv (h, w1)",
        _convolutions(w1=(4, 3, 1, 1)),
    ),
    "constant matrix on the left": Text(
        "float[N,6,4] x => float[N,6,5] y",
        "h = MatMul (adjacency, x)\ny = MatMul (h, w)",
        {"adjacency": normal(6, 6, scale=0.4), "w": normal(4, 5, scale=0.5)},
    ),
    "vector of unit length": Text(
        "float[N,12] x => float[N,a] y",
        "h = MatMul (x, w1)\nn = ReduceL2 (h, axes)\nc = Clip (n, tiny)\ny = Div (h, c)",
        {"w1": normal(12, 8), "axes": np.array([1]), "tiny": np.float32(1e-12)},
    ),
    "maxout and minimum": Text(
        "float[N,12] x => float[N,a] y",
        "a = MatMul (x, w1)\nb = MatMul (x, w2)\nc = MatMul (x, w3)\nm = Max (a, b)\n"
        "y = Min (m, c)",
        {f"w{k}": normal(12, 8, seed=k, scale=0.3) for k in (1, 2, 3)},
    ),
    "attention": Text(
        "float[N,5,6] x => float[N,5,a] y",
        "q = MatMul (x, w)\nk = MatMul (x, u)\nt = Transpose <perm = [0,2,1]> (k)\n"
        "s = MatMul (q, t)\np = Softmax (s)\nz = MatMul (p, q)\nd = MatMul (z, v)\n"
        "y = Tanh (d)",
        {"w": normal(6, 4), "u": normal(6, 4, seed=2), "v": normal(4, 4, seed=1)},
    ),
    "tokens": Text(
        "int64[N,7] i => float[N,a] y",
        "e = Gather (table, i)\nt = Transpose <perm = [0,2,1]> (e)\n"
        "c = Conv <pads = [1,1]> (t, w)\nr = Relu (c)\ny = ReduceMax <keepdims = 0> (r, axes)",
        {"table": normal(5, 6), "w": normal(8, 6, 3, scale=0.3), "axes": np.array([2])},
    ),
    "image of bytes": Text(
        "uint8[N,8,8,3] x => float[N,a,b,c] y",
        "t = Transpose <perm = [0,3,1,2]> (x)\nf = Cast <to = 1> (t)\ns = Mul (f, scale)\n"
        "y = Conv (s, w1)",
        {**_convolutions(w1=(4, 3, 3, 3)), "scale": np.float32(0.25)},
    ),
    "counts": Text(
        "int32[N,6] x => float[N,a] y",
        "f = Cast <to = 1> (x)\nl = Log (f)\ny = MatMul (f, w)",
        {"w": normal(6, 4)},
    ),
    "output that is used inside, and an input that is an output": Text(
        "float[N,6] x => float[N,4] h, float[N,4] y, float[N,6] x",
        "h = MatMul (x, w)\ny = Tanh (h)",
        {"w": normal(6, 4)},
    ),
    "recurrence": Text(
        "float[N,5,6] x => float[N,4] y",
        "t = Transpose <perm = [1,0,2]> (x)\nh, last = GRU <hidden_size = 4> (t, gw, gr)\n"
        "s = Squeeze (last, axes)\n"
        "y = MatMul (s, v)",
        {
            "gw": normal(1, 12, 6),
            "gr": normal(1, 12, 4),
            "v": normal(4, 4),
            "axes": np.array([0]),
        },
    ),
}
"""Networks that compile, one per thing that architectures differ in."""

DENSE = {"w": normal(6, 4), "v": normal(4, 4, seed=1)}
REFUSED: dict[str, tuple[Text, list[tuple[str, str]]]] = {
    # name: network, the (node output, operator) that are to blame
    "scores": (
        Text(
            "float[N,6] x => float[N,4] y, int64[a,b] best",
            "h = MatMul (x, w)\ny = Hardmax (h)\nbest = NonZero (h)",
            DENSE,
        ),
        [("y", "Hardmax"), ("best", "NonZero")],
    ),
    "two that hang on each other": (
        Text(
            "float[N,6] x => float[N,a] y",
            "c = Hardmax (x)\nh = MatMul (c, w)\nt = Tanh (h)\nd = Det (cube)\n"
            "k = Hardmax (t)\ny = Mul (k, d)",
            {"w": normal(6, 4), "cube": normal(2, 2)},
        ),
        [("c", "Hardmax"), ("k", "Hardmax")],
    ),
    "batch statistics": (
        Text(
            "float[N,6] x => float[N,4] y",
            "m = ReduceMean (x, axes)\nc = Sub (x, m)\ny = MatMul (c, w)",
            {**DENSE, "axes": np.array([0])},
        ),
        [("m", "ReduceMean")],
    ),
    "division by numbers around zero": (
        Text(
            "float[N,6] x => float[N,4] y",
            "a = MatMul (x, w)\nb = MatMul (x, u)\nd = Div (a, b)\ny = Tanh (d)",
            {**DENSE, "u": normal(6, 4, seed=2)},
        ),
        [("d", "Div")],
    ),
}
"""Networks without an integer form."""
