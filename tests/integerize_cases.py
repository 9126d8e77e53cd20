"""Operators that have integers, each in a small network, and the operators that golden has."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import normal

FRONT = "h = Conv <pads = [1,1,1,1]> (x, w)\n"
FRONT_WEIGHTS = {"w": normal(6, 3, 3, 3, scale=0.3)}
IMAGE = "float[N,3,8,8] x => float[N,a,b,c] y"
FLAT = "float[N,3,8,8] x => float[N,a] y"

HANDLER_CASES: dict[str, tuple[str, str, dict[str, np.ndarray[Any, Any]], list[str]]] = {
    # name: signature, body, weights, golden operators behind the first convolution
    "Add": (IMAGE, "g = Neg (x)\n k = Conv (g, v)\n y = Add (h, k)", {"v": normal(6, 3, 1, 1)}, []),
    "Add-broadcast": (
        IMAGE,
        "p = GlobalAveragePool (h)\n y = Add (h, p)",
        {},
        ["IntReduceSum", "Requantize", "IntAdd"],
    ),
    "Add-constant": (IMAGE, "y = Add (h, c)", {"c": normal(6, 8, 8)}, ["IntAdd"]),
    "Sub": (
        IMAGE,
        "p = GlobalAveragePool (h)\n y = Sub (p, h)",
        {},
        ["IntReduceSum", "Requantize", "IntAdd"],
    ),
    "Mul": (
        IMAGE,
        "p = GlobalMaxPool (h)\n y = Mul (h, p)",
        {},
        ["ReduceMax", "IntMul"],
    ),
    "Mul-constant": (IMAGE, "y = Mul (c, h)", {"c": normal(6, 8, 8)}, ["IntMul"]),
    "AveragePool": (IMAGE, "y = AveragePool <kernel_shape = [2,3]> (h)", {}, ["IntConv"]),
    "AveragePool-padded": (
        IMAGE,
        "y = AveragePool <kernel_shape = [3,3], pads = [1,0,1,2], strides = [2,1],"
        " count_include_pad = 1> (h)",
        {},
        ["IntConv"],
    ),
    "AveragePool-border": (
        IMAGE,
        "y = AveragePool <kernel_shape = [3,3], pads = [1,0,1,2], strides = [2,1]> (h)",
        {},
        ["IntConv"],
    ),
    "AveragePool-ceil": (
        IMAGE,
        "y = AveragePool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1> (h)",
        {},
        ["IntConv"],
    ),
    "Concat": (
        IMAGE,
        "t = Mul (h, ten)\n s = Tanh (h)\n y = Concat <axis = 1> (h, s, x)",
        {"ten": np.array(10, np.float32)},
        [],
    ),
    "Concat-constant": (
        IMAGE,
        "r = Reshape (h, shape)\n y = Concat <axis = 1> (r, c)",
        {"shape": np.array([1, -1, 8, 8]), "c": normal(1, 2, 8, 8)},
        [],
    ),
    "Conv": (
        IMAGE,
        "y = Conv <strides = [2,1]> (h, v, b)",
        {"v": normal(4, 6, 3, 2), "b": normal(4)},
        ["IntConv"],
    ),
    "Div": (
        IMAGE,
        "p = GlobalMaxPool (h)\n q = Sigmoid (p)\n r = Add (q, one)\n y = Div (h, r)",
        {"one": np.array(1, np.float32)},
        ["ReduceMax", "IntMul"],
    ),
    "Max": (IMAGE, "g = Conv (x, v)\n y = Max (h, g)", {"v": normal(6, 3, 1, 1)}, []),
    "Min": (IMAGE, "g = Conv (x, v)\n y = Min (g, h)", {"v": normal(6, 3, 1, 1)}, []),
    "Pad": (IMAGE, "y = Pad (h, widths)", {"widths": np.array([0, 0, 1, 2, 0, 0, 0, 3])}, []),
    "ReduceMin": (FLAT, "y = ReduceMin <keepdims = 0> (h, axes)", {"axes": np.array([2, 3])}, []),
    "ReduceSum": (FLAT, "y = ReduceSum <keepdims = 0> (h, axes)", {"axes": np.array([2, 3])}, []),
    "GlobalAveragePool": (IMAGE, "y = GlobalAveragePool (h)", {}, ["IntReduceSum"]),
    "GlobalMaxPool": (IMAGE, "y = GlobalMaxPool (h)", {}, ["ReduceMax"]),
    "MatMul": (IMAGE, "y = MatMul (h, v)", {"v": normal(8, 5)}, ["IntMatMul"]),
    "MatMul-bias": (
        IMAGE,
        "p = MatMul (h, v)\n y = Add (b, p)",
        {"v": normal(8, 5), "b": normal(5)},
        ["IntMatMul"],
    ),
    "MaxPool": (
        IMAGE,
        "y = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]> (h)",
        {},
        ["MaxPool"],
    ),
    "MaxPool-ceil": (
        IMAGE,
        "y = MaxPool <kernel_shape = [3,2], strides = [2,3], ceil_mode = 1> (h)",
        {},
        ["MaxPool"],
    ),
    "ReduceMax": (FLAT, "y = ReduceMax <keepdims = 0> (h, axes)", {"axes": np.array([-1, 2])}, []),
    "ReduceMean": (
        FLAT,
        "y = ReduceMean <keepdims = 0> (h, axes)",
        {"axes": np.array([2, -1])},
        ["IntReduceSum"],
    ),
    "ReduceMean-kept": (IMAGE, "y = ReduceMean (h, axes)", {"axes": np.array([1])}, []),
    "Softmax": (IMAGE, "y = Softmax <axis = 1> (h)", {}, ["IntSoftmax"]),
    "Softmax-inside": (
        IMAGE,
        "s = Softmax (h)\n y = MatMul (s, v)",
        {"v": normal(8, 5)},
        ["IntSoftmax", "IntMatMul"],
    ),
    "LayerNorm": (
        IMAGE,
        "y = LayerNormalization (h, g, b)",
        {"g": normal(8), "b": normal(8, seed=1)},
        ["IntLayerNorm"],
    ),
    "Hypot": (
        IMAGE,
        "a, b = Split <axis = 1, num_outputs = 2> (h)\n c = Mul (a, a)\n d = Mul (b, b)\n"
        "e = Add (c, d)\n y = Sqrt (e)",
        {},
        ["Split", "IntHypot"],
    ),
    "Hypot-other-formats": (
        IMAGE,
        "a = Tanh (h)\n c = Mul (a, a)\n d = Pow (h, two)\n e = Add (d, c)\n"
        "f = Add (tiny, e)\n y = Sqrt (f)",
        {"two": np.float32(2), "tiny": np.float32(0.1)},
        [],
    ),
    "LayerNorm-instance": (
        IMAGE,
        "y = InstanceNormalization (h, g, b)",
        {"g": normal(6), "b": normal(6, seed=1)},
        [],
    ),
    "LayerNorm-group": (
        IMAGE,
        "y = GroupNormalization <num_groups = 2> (h, g, b)",
        {"g": normal(6), "b": normal(6, seed=1)},
        [],
    ),
    "Activation": (IMAGE, "s = Sigmoid (h)\n y = Mul (h, s)", {}, ["Table"]),
    "Activation-family": (
        IMAGE,
        "y = PRelu (h, s)",
        {"s": np.linspace(-0.5, 0.5, 6, dtype=np.float32).reshape(6, 1, 1)},
        ["ChannelTable"],
    ),
    "Activation-clamp": (IMAGE, "y = Relu (h)", {}, []),
    "Activation-clamp-inside": (
        IMAGE,
        "r = Clip (h, low, high)\n y = Conv (r, v)",
        {"v": normal(4, 6, 1, 1), "low": np.float32(-0.5), "high": np.float32(2)},
        ["IntConv"],
    ),
    "Reshape": (FLAT, "y = Reshape (h, shape)", {"shape": np.array([-1, 384])}, ["Reshape"]),
    "Flatten": (FLAT, "y = Flatten (h)", {}, ["Flatten"]),
    "Transpose": (IMAGE, "y = Transpose <perm = [0,2,3,1]> (h)", {}, ["Transpose"]),
    "Squeeze": (
        "float[N,3,8,8] x => float[N,a,b] y",
        "p = GlobalMaxPool (h)\n y = Squeeze (p, axes)",
        {"axes": np.array([-1])},
        ["ReduceMax", "Squeeze"],
    ),
    "Unsqueeze": (
        "float[N,3,8,8] x => float[N,a,b,c,d] y",
        "y = Unsqueeze (h, axes)",
        {"axes": np.array([2])},
        ["Unsqueeze"],
    ),
    "Slice": (
        IMAGE,
        "y = Slice (h, start, end, axes, steps)",
        {
            "start": np.array([1, -1]),
            "end": np.array([5, -9]),
            "axes": np.array([1, 3]),
            "steps": np.array([2, -2]),
        },
        ["Slice"],
    ),
    "Split": (
        "float[N,3,8,8] x => float[N,a,b,c] y, float[N,d,e,f] z",
        "y, z = Split <axis = 1> (h, sizes)",
        {"sizes": np.array([2, 4])},
        ["Split"],
    ),
}  # fmt: skip
