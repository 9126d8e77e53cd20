"""Convolutions, pooling, resizing and movement, with every attribute that matters."""

from __future__ import annotations

import numpy as np
from models import normal
from operator_case import FLAT, IMAGE, SEQUENCE, TOKENS, VOLUME, Case, ints, one

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
