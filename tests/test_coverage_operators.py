"""The operators of ONNX that networks use, in the spellings of several opsets, in integers.

Each case is a small network around one operator, compiled to golden and compared with the
float model and with golden's own specification.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from integer_models import compiled, golden_of
from models import network, normal, random_data

from actc.errors import ModelError

Array = np.ndarray[Any, Any]

SEQUENCE = "float[N,3,16] x => float[N,a,b] y"
IMAGE = "float[N,4,8,8] x => float[N,a,b,c] y"
FLAT = "float[N,4,8,8] x => float[N,a] y"
VOLUME = "float[N,2,4,5,6] x => float[N,a,b,c,d] y"
TOKENS = "float[N,6,8] x => float[N,a,b] y"


@dataclass(frozen=True)
class Case:
    """A network.

    Attributes:
        signature, body, weights, opset: see `models.network`.
        noise: largest relative RMS error.
    """

    signature: str
    body: str
    weights: dict[str, Array] = field(default_factory=dict)
    opset: int = 21
    noise: float = 0.03


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def one(number: float) -> Array:
    return np.array(number, np.float32)


CONVOLUTIONS = {
    "1d": Case(
        SEQUENCE,
        "y = Conv <pads=[1,1], strides=[2]> (x, w, b)",
        {"w": normal(5, 3, 3), "b": normal(5)},
    ),
    "1d-dilated": Case(SEQUENCE, "y = Conv <dilations=[3]> (x, w)", {"w": normal(5, 3, 3)}),
    "2d-same-lower": Case(
        IMAGE, 'y = Conv <auto_pad="SAME_LOWER", strides=[2,2]> (x, w)', {"w": normal(5, 4, 4, 3)}
    ),
    "2d-valid": Case(IMAGE, 'y = Conv <auto_pad="VALID"> (x, w)', {"w": normal(5, 4, 3, 3)}),
    "2d-uneven-pads": Case(IMAGE, "y = Conv <pads=[0,1,2,3]> (x, w)", {"w": normal(5, 4, 3, 3)}),
    "3d": Case(VOLUME, "y = Conv <pads=[1,0,1,1,0,1]> (x, w)", {"w": normal(3, 2, 3, 2, 3)}),
    "3d-depthwise": Case(VOLUME, "y = Conv <group=2> (x, w)", {"w": normal(4, 1, 2, 2, 2)}),
    "transposed-1d": Case(
        SEQUENCE,
        "y = ConvTranspose <strides=[2], pads=[1,1], output_padding=[1]> (x, w)",
        {"w": normal(3, 5, 4)},
    ),
    "transposed-2d": Case(
        IMAGE,
        "y = ConvTranspose <strides=[2,2], pads=[1,1,1,1]> (x, w, b)",
        {"w": normal(4, 5, 3, 3), "b": normal(5)},
    ),
    "transposed-2d-dilated": Case(
        IMAGE, "y = ConvTranspose <dilations=[2,2]> (x, w)", {"w": normal(4, 5, 3, 3)}
    ),
    "transposed-2d-group": Case(
        IMAGE, "y = ConvTranspose <group=2, strides=[2,1]> (x, w)", {"w": normal(4, 3, 2, 3)}
    ),
    "transposed-2d-same": Case(
        IMAGE,
        'y = ConvTranspose <auto_pad="SAME_UPPER", strides=[2,2]> (x, w)',
        {"w": normal(4, 5, 3, 3)},
    ),
    "transposed-2d-output-shape": Case(
        IMAGE,
        "y = ConvTranspose <output_shape=[16,17], strides=[2,2]> (x, w)",
        {"w": normal(4, 5, 3, 3)},
    ),
    "transposed-3d": Case(
        VOLUME, "y = ConvTranspose <strides=[1,2,1]> (x, w)", {"w": normal(2, 3, 2, 2, 2)}
    ),
}

PRODUCTS = {
    "gemm": Case(
        "float[N,6] x => float[N,a] y",
        "y = Gemm <transB=1, alpha=0.5, beta=2.0> (x, w, b)",
        {"w": normal(5, 6), "b": normal(5)},
    ),
    "gemm-matrix-bias-row": Case(
        "float[N,6] x => float[N,a] y", "y = Gemm (x, w, b)", {"w": normal(6, 5), "b": normal(1, 5)}
    ),
    "matmul-tokens": Case(TOKENS, "y = MatMul (x, w)", {"w": normal(8, 5)}),
    "matmul-of-two": Case("float[N,6,8] x, float[N,8,5] z => float[N,6,5] y", "y = MatMul (x, z)"),
    "matmul-itself-transposed": Case(
        TOKENS, "t = Transpose <perm=[0,2,1]> (x)\n y = MatMul (x, t)"
    ),
    "matmul-batched-constant": Case(
        "float[N,2,6,8] x => float[N,2,6,a] y", "y = MatMul (x, w)", {"w": normal(2, 8, 5)}
    ),
    "einsum-tokens": Case(
        TOKENS, 'y = Einsum <equation="ntd,do->nto"> (x, w)', {"w": normal(8, 5)}
    ),
    "einsum-outer": Case(
        "float[N,6] x, float[N,5] z => float[N,6,5] y", 'y = Einsum <equation="na,nb->nab"> (x, z)'
    ),
    "einsum-ellipsis": Case(
        TOKENS, 'y = Einsum <equation="...d,do->...o"> (x, w)', {"w": normal(8, 5)}
    ),
}


def pools(name: str, *left_out: str) -> dict[str, Case]:
    """A pooling operator with every attribute, but for those of `left_out`."""
    spellings = {
        "plain": "kernel_shape=[2,2], strides=[2,2]",
        "padded": "kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]",
        "ceil": "kernel_shape=[3,3], strides=[2,2], ceil_mode=1",
        "ceil-padded": "kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,1], ceil_mode=1",
        "dilated": "kernel_shape=[2,3], dilations=[2,1]",
        "same": 'kernel_shape=[3,2], auto_pad="SAME_UPPER", strides=[2,3]',
    }
    return {
        f"{name}-{key}": Case(IMAGE, f"y = {name} <{spelled}> (x)")
        for key, spelled in spellings.items()
        if key not in left_out
    }


POOLING = {
    **pools("MaxPool"),
    **pools("AveragePool"),
    **pools("LpPool", "ceil", "ceil-padded", "same"),
    "LpPool-absolute": Case(IMAGE, "y = LpPool <kernel_shape=[2,2], p=1> (x)"),
    "AveragePool-counts-padding": Case(
        IMAGE, "y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x)"
    ),
    "AveragePool-counts-padding-ceil": Case(
        IMAGE,
        "y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2], ceil_mode=1,"
        " count_include_pad=1> (x)",
    ),
    "MaxPool-1d": Case(SEQUENCE, "y = MaxPool <kernel_shape=[3], strides=[2]> (x)"),
    "AveragePool-1d": Case(SEQUENCE, "y = AveragePool <kernel_shape=[3], strides=[2]> (x)"),
    "MaxPool-3d": Case(VOLUME, "y = MaxPool <kernel_shape=[2,2,3]> (x)"),
    "AveragePool-3d": Case(VOLUME, "y = AveragePool <kernel_shape=[2,2,3]> (x)"),
    "GlobalAveragePool": Case(IMAGE, "y = GlobalAveragePool (x)"),
    "GlobalAveragePool-1d": Case(SEQUENCE, "y = GlobalAveragePool (x)"),
    "GlobalMaxPool": Case(IMAGE, "y = GlobalMaxPool (x)"),
    "GlobalLpPool": Case(IMAGE, "y = GlobalLpPool (x)"),
    "GlobalLpPool-absolute": Case(IMAGE, "y = GlobalLpPool <p=1> (x)"),
    "LRN": Case(IMAGE, "y = LRN <size=3, alpha=0.2, beta=0.75, bias=1.0> (x)"),
    "LRN-wide": Case(IMAGE, "y = LRN <size=5> (x)"),
}

RESIZES = {
    f"{mode}-{coordinates}-{name}": Case(
        IMAGE,
        f'y = Resize <mode="{mode}", coordinate_transformation_mode="{coordinates}"> (x, , s)',
        {"s": np.array([1, 1, *factors], np.float32)},
    )
    for mode in ("nearest", "linear", "cubic")
    for coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    for name, factors in (("larger", (2, 2)), ("smaller", (0.5, 0.75)))
}
RESIZES.update(
    {
        f"nearest-{rounding}": Case(
            IMAGE,
            f'y = Resize <mode="nearest", nearest_mode="{rounding}",'
            ' coordinate_transformation_mode="asymmetric"> (x, , scales)',
            {"scales": np.array([1, 1, 1.5, 2.5], np.float32)},
        )
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    }
)
RESIZES["sizes"] = Case(
    "float[32,4,8,8] x => float[32,4,12,9] y",
    'y = Resize <mode="linear"> (x, , , sizes)',
    {"sizes": ints(32, 4, 12, 9)},
)
RESIZES["axes"] = Case(
    IMAGE, 'y = Resize <mode="linear", axes=[2,3]> (x, , , sizes)', {"sizes": ints(12, 9)}
)
RESIZES["antialias"] = Case(
    IMAGE,
    'y = Resize <mode="linear", antialias=1> (x, , scales)',
    {"scales": np.array([1, 1, 0.5, 0.5], np.float32)},
)
RESIZES["1d"] = Case(
    SEQUENCE,
    'y = Resize <mode="linear"> (x, , scales)',
    {"scales": np.array([1, 1, 2], np.float32)},
)
RESIZES["3d"] = Case(
    VOLUME,
    'y = Resize <mode="linear"> (x, , scales)',
    {"scales": np.array([1, 1, 2, 1, 2], np.float32)},
)
RESIZES["upsample-9"] = Case(
    IMAGE,
    'y = Upsample <mode="nearest"> (x, scales)',
    {"scales": np.array([1, 1, 2, 2], np.float32)},
    opset=9,
)

MOVEMENT = {
    "concat-negative": Case(IMAGE, "t = Tanh (x)\n y = Concat <axis=-3> (x, t)"),
    "split-13": Case(IMAGE, "a, y = Split <axis=1> (x, sizes)", {"sizes": ints(1, 3)}, 13),
    "split-even": Case(IMAGE, "a, y = Split <axis=-1, num_outputs=2> (x)"),
    "split-uneven": Case(IMAGE, "a, b, y = Split <axis=-1, num_outputs=3> (x)"),
    "slice-negative-step": Case(
        IMAGE,
        "y = Slice (x, s, e, a, t)",
        {"s": ints(-1, 6), "e": ints(-9, 1), "a": ints(-1, 2), "t": ints(-1, -2)},
    ),
    "slice-no-axes": Case(
        IMAGE, "y = Slice (x, s, e)", {"s": ints(0, 1, 1, 2), "e": ints(1 << 62, 3, -1, 7)}
    ),
    "pad-constant": Case(IMAGE, "y = Pad (x, p)", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "pad-number": Case(
        IMAGE, "y = Pad (x, p, v)", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0), "v": one(0.5)}
    ),
    "pad-channels": Case(IMAGE, "y = Pad (x, p)", {"p": ints(0, 1, 0, 0, 0, 2, 0, 0)}),
    "pad-crops": Case(IMAGE, "y = Pad (x, p)", {"p": ints(0, 0, -1, 0, 0, 0, 0, -2)}),
    "pad-reflect": Case(
        IMAGE, 'y = Pad <mode="reflect"> (x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}
    ),
    "pad-edge": Case(IMAGE, 'y = Pad <mode="edge"> (x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "pad-wrap": Case(IMAGE, 'y = Pad <mode="wrap"> (x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "pad-axes": Case(IMAGE, "y = Pad (x, p, , a)", {"p": ints(1, 2), "a": ints(-1)}),
    "pad-tokens": Case(TOKENS, "y = Pad (x, p)", {"p": ints(0, 1, 0, 0, 1, 0)}),
    "pad-vector": Case("float[N,6] x => float[N,a] y", "y = Pad (x, p)", {"p": ints(0, 1, 0, 2)}),
    "reshape-zero": Case(FLAT, "y = Reshape (x, s)", {"s": ints(0, -1)}),
    "flatten": Case(FLAT, "y = Flatten (x)"),
    "flatten-2": Case("float[32,4,8,8] x => float[128,64] y", "y = Flatten <axis=2> (x)"),
    "transpose": Case(IMAGE, "y = Transpose <perm=[0,3,1,2]> (x)"),
    "squeeze-13": Case("float[N,1,6] x => float[N,6] y", "y = Squeeze (x, a)", {"a": ints(1)}, 13),
    "squeeze-11": Case("float[N,1,6] x => float[N,6] y", "y = Squeeze <axes=[1]> (x)", {}, 11),
    "unsqueeze-11": Case("float[N,6] x => float[N,1,6] y", "y = Unsqueeze <axes=[1]> (x)", {}, 11),
    "expand": Case("float[N,1,6] x => float[N,5,6] y", "y = Expand (x, s)", {"s": ints(1, 5, 1)}),
    "tile": Case(TOKENS, "y = Tile (x, r)", {"r": ints(1, 2, 3)}),
    "depth-to-space": Case(IMAGE, "y = DepthToSpace <blocksize=2> (x)"),
    "depth-to-space-crd": Case(IMAGE, 'y = DepthToSpace <blocksize=2, mode="CRD"> (x)'),
    "space-to-depth": Case(IMAGE, "y = SpaceToDepth <blocksize=2> (x)"),
    "gather-scalar": Case(FLAT, "s = GlobalMaxPool (x)\n y = Squeeze (s, a)", {"a": ints(2, 3)}),
    "gather-one": Case(
        "float[N,6,8] x => float[N,8] y", "y = Gather <axis=1> (x, i)", {"i": np.array(0)}
    ),
    "gather-last": Case(
        "float[N,6,8] x => float[N,8] y", "y = Gather <axis=1> (x, i)", {"i": np.array(-1)}
    ),
    "gather-list": Case(TOKENS, "y = Gather <axis=-1> (x, i)", {"i": ints(3, 0, -2, 3)}),
    "gather-matrix": Case(
        "float[N,6,8] x => float[N,a,b,8] y",
        "y = Gather <axis=1> (x, i)",
        {"i": np.array([[0, 1], [1, 2], [2, 3]])},
    ),
    "embedding": Case("int64[N,5] x => float[N,5,6] y", "y = Gather (w, x)", {"w": normal(7, 6)}),
    "reverse-sequence": Case(
        "float[N,6,8] x => float[N,6,8] y",
        "y = Slice (x, s, e, a, t)",
        {"s": ints(-1), "e": ints(-7), "a": ints(1), "t": ints(-1)},
    ),
    "trilu": Case(TOKENS, "y = Trilu <upper=0> (x)"),
}

_REDUCED = ("Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp", "LogSum")


def reductions() -> dict[str, Case]:
    """Every reduction, axes as input and as attribute, kept and not."""
    cases = {}
    for kind in _REDUCED:
        before = "h = Exp (x)" if kind == "LogSum" else "h = Identity (x)"
        reduce = f"{before}\n y = Reduce{kind}"
        cases[f"{kind}-kept"] = Case(IMAGE, f"{reduce} (h, axes)", {"axes": ints(2)})
        cases[f"{kind}-dropped"] = Case(
            "float[N,4,8,8] x => float[N,a,b] y",
            f"{reduce} <keepdims=0> (h, axes)",
            {"axes": ints(-2)},
            18,
        )
        if kind != "Sum":  # its axes are an input since opset 13, the others' since 18
            axes = "-1" if kind == "LogSumExp" else "-1,-2"
            body = f"{reduce} <keepdims=1, axes=[{axes}]> (h)"
            cases[f"{kind}-attribute"] = Case(IMAGE, body, {}, 13)
    return cases


ARITHMETIC = {
    "residual": Case(IMAGE, "t = Conv (x, w)\n y = Add (x, t)", {"w": normal(4, 4, 1, 1)}),
    "gate": Case(
        IMAGE,
        "p = GlobalAveragePool (x)\n c = Conv (p, w)\n g = Sigmoid (c)\n y = Mul (x, g)",
        {"w": normal(4, 4, 1, 1)},
    ),
    "pow-of-two": Case(IMAGE, "t = Tanh (x)\n y = Pow (x, e)", {"e": one(2)}),
    "max-with-constant": Case(IMAGE, "y = Max (x, c)", {"c": normal(4, 1, 1)}),
    "max-of-broadcast": Case(IMAGE, "p = GlobalAveragePool (x)\n y = Max (x, p)", {}),
    "clip-tensors": Case(IMAGE, "y = Clip (x, l, h)", {"l": one(-0.5), "h": one(0.5)}),
    "clip-high": Case(IMAGE, "y = Clip (x, , h)", {"h": one(0.5)}),
    "clip-6": Case(IMAGE, "y = Clip <min=-0.5, max=0.75> (x)", {}, 10),
    "where-constant-mask": Case(
        IMAGE, "y = Where (m, x, c)", {"m": np.eye(8, dtype=bool), "c": one(0.25)}
    ),
    "where-two": Case(IMAGE, "t = Tanh (x)\n y = Where (m, x, t)", {"m": np.eye(8, dtype=bool)}),
    "where-compared": Case(IMAGE, "m = Greater (x, z)\n y = Where (m, x, z)", {"z": one(0.1)}),
    "where-compared-two": Case(
        IMAGE, "t = Tanh (x)\n g = GlobalAveragePool (x)\n m = Greater (x, g)\n y = Where (m, x, t)"
    ),
    "mask-input": Case(
        "float[N,4,8] x, bool[N,4,8] m => float[N,4,8] y", "y = Where (m, x, z)", {"z": one(0)}
    ),
    "mask-input-times": Case(
        "float[N,4,8] x, bool[N,4,8] m => float[N,4,8] y",
        "f = Cast <to=1> (m)\n y = Mul (x, f)",
    ),
    "cumsum": Case(TOKENS, "y = CumSum (x, a)", {"a": np.array(1)}),
    "cumsum-exclusive-reverse": Case(
        TOKENS, "y = CumSum <exclusive=1, reverse=1> (x, a)", {"a": np.array(-1)}
    ),
    "division": Case(
        TOKENS, "s = Sigmoid (x)\n m = ReduceMean (s, a)\n y = Div (x, m)", {"a": ints(1)}
    ),
    "division-by-softplus": Case(
        TOKENS, "s = Softplus (x)\n m = ReduceSum (s, a)\n y = Div (s, m)", {"a": ints(-1)}
    ),
    "squared-difference": Case(
        TOKENS, "m = ReduceMean (x, a)\n d = Sub (x, m)\n y = Mul (d, d)", {"a": ints(-1)}
    ),
    "reciprocal": Case(IMAGE, "s = Sigmoid (x)\n y = Reciprocal (s)"),
    "sum-of-three": Case(IMAGE, "t = Tanh (x)\n p = Sin (x)\n y = Sum (x, t, p)"),
    "mean-of-two": Case(IMAGE, "t = Tanh (x)\n y = Mean (x, t)"),
    "batch-norm": Case(
        IMAGE,
        "y = BatchNormalization (x, s, b, m, v)",
        {
            "s": normal(4),
            "b": normal(4, seed=1),
            "m": normal(4, seed=2),
            "v": np.abs(normal(4, seed=3)),
        },
    ),
    "batch-norm-13": Case(
        IMAGE,
        "y = BatchNormalization (x, s, b, m, v)",
        {
            "s": normal(4),
            "b": normal(4, seed=1),
            "m": normal(4, seed=2),
            "v": np.abs(normal(4, seed=3)),
        },
        13,
    ),
    "prelu-elements": Case(IMAGE, "y = PRelu (x, s)", {"s": normal(4, 8, 8)}),
    "one-minus": Case(IMAGE, "s = Sigmoid (x)\n y = Sub (o, s)", {"o": one(1)}),
    "minimum-of-two": Case(IMAGE, "t = Sin (x)\n y = Min (x, t)"),
    "abs-difference": Case(
        "float[N,6] x, float[N,6] z => float[N,6] y", "d = Sub (x, z)\n y = Abs (d)"
    ),
}

_GB = {"g": normal(8), "b": normal(8, seed=1)}
NORMALIZATION = {
    "layer": Case(TOKENS, "y = LayerNormalization (x, g, b)", _GB),
    "layer-no-bias": Case(TOKENS, "y = LayerNormalization (x, g)", _GB),
    "layer-two-axes": Case(
        IMAGE,
        "y = LayerNormalization <axis=2> (x, g, b)",
        {"g": normal(8, 8), "b": normal(8, 8, seed=1)},
    ),
    "layer-all-axes": Case(
        IMAGE,
        "y = LayerNormalization <axis=1> (x, g, b)",
        {"g": normal(4, 8, 8), "b": normal(4, 8, 8, seed=1)},
    ),
    "layer-decomposed": Case(
        TOKENS,
        "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Pow (d, two)\n v = ReduceMean (q, a)\n"
        "w = Add (v, e)\n r = Sqrt (w)\n n = Div (d, r)\n s = Mul (n, g)\n y = Add (s, b)",
        {**_GB, "a": ints(-1), "two": one(2), "e": one(1e-5)},
    ),
    "layer-channels-first": Case(
        IMAGE,
        "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Mul (d, d)\n v = ReduceMean (q, a)\n"
        "w = Add (v, e)\n r = Sqrt (w)\n n = Div (d, r)\n s = Mul (n, g)\n y = Add (s, b)",
        {"g": normal(4, 1, 1), "b": normal(4, 1, 1, seed=1), "a": ints(1), "e": one(1e-6)},
    ),
    "layer-two-axes-decomposed": Case(
        IMAGE,
        "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Mul (d, d)\n v = ReduceMean (q, a)\n"
        "w = Add (v, e)\n r = Sqrt (w)\n y = Div (d, r)",
        {"a": ints(2, 3), "e": one(1e-5)},
    ),
    "instance": Case(
        IMAGE, "y = InstanceNormalization (x, g, b)", {"g": normal(4), "b": normal(4, seed=1)}
    ),
    "group-21": Case(
        IMAGE,
        "y = GroupNormalization <num_groups=2> (x, g, b)",
        {"g": normal(4), "b": normal(4, seed=1)},
    ),
    "rms-23": Case(TOKENS, "y = RMSNormalization (x, g)", {"g": normal(8)}, 23),
    "rms-23-axes": Case(TOKENS, "y = RMSNormalization <axis=1> (x, g)", {"g": normal(6, 8)}, 23),
    "rms-decomposed": Case(
        TOKENS,
        "q = Pow (x, two)\n v = ReduceMean (q, a)\n w = Add (v, e)\n r = Sqrt (w)\n"
        "n = Div (x, r)\n y = Mul (n, g)",
        {"g": normal(8), "a": ints(-1), "two": one(2), "e": one(1e-6)},
    ),
    "rms-reciprocal": Case(
        TOKENS,
        "q = Mul (x, x)\n v = ReduceMean (q, a)\n w = Add (v, e)\n r = Sqrt (w)\n"
        "i = Reciprocal (r)\n n = Mul (x, i)\n y = Mul (g, n)",
        {"g": normal(8), "a": ints(-1), "e": one(1e-6)},
    ),
    "lp-normalization": Case(TOKENS, "y = LpNormalization (x)"),
    "l2-normalized": Case(
        TOKENS,
        "n = ReduceL2 (x, a)\n m = Max (n, e)\n y = Div (x, m)",
        {"a": ints(-1), "e": one(1e-12)},
    ),
    "l2-normalized-expanded": Case(
        TOKENS,
        "n = ReduceL2 <keepdims=1> (x, a)\n c = Clip (n, e)\n s = Shape (x)\n"
        "w = Expand (c, s)\n y = Div (x, w)",
        {"a": ints(-1), "e": one(1e-12)},
    ),
    "mean-variance": Case(
        IMAGE, "y = MeanVarianceNormalization (x)".replace("(x)", "<axes=[2,3]> (x)")
    ),
    "softmax": Case(TOKENS, "y = Softmax (x)"),
    "softmax-axis": Case(TOKENS, "y = Softmax <axis=1> (x)"),
    "softmax-11": Case("float[N,6] x => float[N,6] y", "y = Softmax (x)", {}, 11),
    "softmax-11-several-axes": Case(TOKENS, "y = Softmax (x)", {}, 11),
    "softmax-decomposed": Case(
        TOKENS, "e = Exp (x)\n s = ReduceSum (e, a)\n y = Div (e, s)", {"a": ints(-1)}
    ),
    "log-softmax": Case(TOKENS, "y = LogSoftmax (x)"),
    "log-of-softmax": Case(TOKENS, "s = Softmax (x)\n y = Log (s)"),
    "log-softmax-axis": Case(IMAGE, "y = LogSoftmax <axis=1> (x)"),
}

CASES = {
    f"{family}/{name}": case
    for family, cases in {
        "conv": CONVOLUTIONS,
        "product": PRODUCTS,
        "pool": POOLING,
        "resize": RESIZES,
        "movement": MOVEMENT,
        "reduction": reductions(),
        "arithmetic": ARITHMETIC,
        "normalization": NORMALIZATION,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str) -> None:
    case = CASES[name]
    model = network(case.signature, case.body, case.weights, opset=case.opset)
    compiled(model, noise=case.noise)


WITHOUT_INTEGERS = {
    # name: case, its operator, part of the reason
    "LpPool of other powers": (
        Case(IMAGE, "y = LpPool <kernel_shape=[2,2], p=3> (x)"), "LpPool", "no integer form"
    ),
    "log-sum-exp over two axes": (
        Case(IMAGE, "y = ReduceLogSumExp (x, a)", {"a": ints(1, 2)}), "ReduceLogSumExp", ""
    ),
    "product along an axis": (
        Case(IMAGE, "y = ReduceProd (x, a)", {"a": ints(2)}), "ReduceProd", ""
    ),
    "rows of another tensor": (
        Case(
            "float[N,6,8] x, int64[N,2,8] i => float[N,2,8] y",
            "y = GatherElements <axis=1> (x, i)",
        ),
        "GatherElements",
        "",
    ),
    "padding of the batch": (
        Case(IMAGE, "y = Pad (x, p)", {"p": ints(1, 0, 0, 0, 0, 0, 0, 0)}), "Pad", "the batch"
    ),
    "padding by what the network computes": (
        Case(
            "float[N,6] x, float[1] v => float[N,8] y", "s = Squeeze (v)\n y = Pad (x, p, s)",
            {"p": ints(0, 1, 0, 1)},
        ),
        "Pad",
        "another number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_INTEGERS)
def test_what_is_refused(name: str) -> None:
    case, operator, reason = WITHOUT_INTEGERS[name]
    model = network(case.signature, case.body, case.weights, opset=case.opset)
    data = random_data(model, 1 if "batch" in name or "computes" in name else 8)
    with pytest.raises(ModelError) as caught:
        golden_of(model, data)
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0103"
    assert problem.message.startswith(f"operator {operator} ")
    assert reason in problem.message
