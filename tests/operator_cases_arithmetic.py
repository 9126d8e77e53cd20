"""Products, reductions, arithmetic and normalizations, also decomposed."""

from __future__ import annotations

import numpy as np
from models import normal
from operator_case import IMAGE, TOKENS, Case, ints, one

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
