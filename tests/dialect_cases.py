"""Calls of every operator of the dialect, with inputs at the ends of their types."""

from __future__ import annotations

from typing import Any

import numpy as np
from instance_cases import random as instances

RNG = np.random.default_rng(7)


def u8(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def u16(*shape: int) -> Any:
    return RNG.integers(0, 65536, shape, dtype=np.uint16)


def i8(*shape: int) -> Any:
    return RNG.integers(-128, 128, shape, dtype=np.int8)


def i32(*shape: int, bound: int = 1000) -> Any:
    return RNG.integers(-bound, bound, shape, dtype=np.int32)


def byte(value: int) -> Any:
    return np.array(value, np.uint8)


def word(value: int) -> Any:
    return np.array(value, np.uint16)


def long(value: int) -> Any:
    return np.array(value, np.int64)


def plain(value: int) -> Any:
    return np.array(value, np.int32)


CONV = "<strides=[2,1], pads=[1,0,2,1], dilations=[1,2], group={g}, kernel_shape=[3,2]>"
ALL_CODES = np.arange(256, dtype=np.uint8)

EXPONENTIALS = np.round(2.0**22 * np.exp(-0.05 * np.arange(256))).astype(np.int32)
LOGARITHMS = [
    np.round(2.0**20 * array).astype(np.int32)
    for array in (
        0.05 * np.arange(256),
        (np.arange(31) - 22) * np.log(2),
        np.log1p(np.arange(257) / 256),
    )
]
_ENDS = [end for k in range(31) for end in (2**k, 2 ** (k + 1) - 1)]
SUMS = np.array([0, *_ENDS, *RNG.integers(1, 2**31, 193)], np.int32)
"""Both ends of every octave of a sum, and more."""
MASK = RNG.integers(0, 2, (4, 1, 1, 10), dtype=np.uint8)
MASK[1], MASK[2], MASK[2, ..., 4] = 1, 1, 0  # no entry visible, one entry visible

CASES = {
    "IntConv": (
        "int32[a,b,c,d]",
        CONV.format(g=1),
        [u8(2, 5, 9, 8), i8(6, 5, 3, 2), i32(1, 6, 1, 1), byte(131)],
    ),
    "IntConv-extreme": (
        "int32[a,b,c,d]",
        CONV.format(g=1),
        [
            np.full((1, 64, 6, 6), 255, np.uint8),
            np.full((2, 64, 3, 2), -128, np.int8),
            i32(1, 2, 1, 1),
            byte(0),
        ],
    ),
    "IntConv-depthwise": (
        "int32[a,b,c,d]",
        CONV.format(g=6),
        [u8(2, 6, 9, 8), i8(6, 1, 3, 2), i32(1, 6, 1, 1), byte(3)],
    ),
    "IntConv-1d": (
        "int32[a,b,c]",
        "<strides=[1], pads=[2,0], dilations=[1], group=2, kernel_shape=[3]>",
        [u8(2, 4, 9), i8(6, 2, 3), i32(1, 6, 1), byte(250)],
    ),
    "IntMatMul": ("int32[a,b,c]", "", [u8(3, 4, 70), i8(70, 9), i32(9), byte(77)]),
    "Requantize": (
        "uint8[a,b]",
        "",
        [
            i32(50, 40, bound=2**31 - 1),
            np.array(1234567, np.int32),
            plain(44),
            byte(128),
            byte(1),
            byte(250),
        ],
    ),
    "Requantize-ties": (
        "uint8[a]",
        "",
        [
            np.arange(-700, 700, dtype=np.int32),
            np.array(1, np.int32),
            plain(2),
            byte(100),
            byte(0),
            byte(255),
        ],
    ),
    "Requantize-channels": (
        "uint8[a,b,c]",
        "",
        [
            i32(2, 5, 7, bound=2**22),
            RNG.integers(0, 2**24, (1, 5, 1), dtype=np.int32),
            plain(40),
            byte(7),
            byte(7),
            byte(255),
        ],
    ),
    "Table": ("uint8[a]", "", [ALL_CODES, u8(256)]),
    "ChannelTable": (
        "uint8[a,b,c]",
        "",
        [u8(2, 3, 50), u8(768), np.array([[[0], [256], [512]]], np.int32)],
    ),
    "Steps": (
        "uint8[a,b,c]",
        "",
        [
            i32(2, 3, 500),
            np.sort(i32(3, 256), axis=1).reshape(-1),
            u8(768),
            np.array([[[0], [256], [512]]], np.int32),
        ],
    ),
    "Steps-wide": (
        "uint8[a,b]",
        "",
        [
            i32(2, 600).astype(np.int64) << 40,
            np.sort(i32(256)).astype(np.int64) << 40,
            u8(256),
            np.array([[0]], np.int32),
        ],
    ),
    "InstanceSteps": (
        "uint8[a,b,c,d]",
        "<shared=0>",
        instances((3, 5, 4, 6), (3,), False, 90, 1, 900),
    ),
    "InstanceSteps-all": (
        "uint8[a,b,c]",
        "<shared=0>",
        instances((5, 4, 7), (1, 2, 3), False, 300, 2, 4000),
    ),
    "InstanceSteps-features": (
        "uint8[a,b]",
        "<shared=1>",
        instances((9, 7), (1, 3), True, 120, 3, 99),
    ),
    "InstanceSteps-long": (
        "uint8[a,b]",
        "<shared=1>",
        instances((9, 7), (2, 3), True, 250, 4, 60000),
    ),
    "InstanceSteps-large": (
        "uint8[a,b,c]",
        "<shared=0>",
        instances((2, 3, 2), (1,), False, 30, 5, 2**31 - 2),
    ),
    "IntAdd": (
        "int32[a,b,c]",
        "",
        [u8(2, 3, 4), u8(3, 1), plain(1 << 21), plain(-77), plain(-12345)],
    ),
    "IntMul": ("int32[a,b,c,d]", "", [u8(2, 3, 4, 4), u8(2, 3, 1, 1), byte(255), byte(9)]),
    "IntDivide": (
        "int32[a,b]",
        "",
        [i32(40, 30, bound=2**31 - 1), u8(40, 1), plain(0), byte(7), plain(1), long(1 << 21)],
    ),
    "IntDivide-codes": (
        "int32[a,b]",
        "",
        [ALL_CODES[:, None], ALL_CODES[None], byte(128), byte(3), plain(2), long(1 << 26)],
    ),
    "IntDivide-wide": (
        "int32[a,b]",
        "",
        [u16(40, 30), i32(40, 30, bound=2**31 - 1), word(9), plain(-5), plain(1), long(1 << 36)],
    ),
    "IntReduceMean": (
        "int32[a,b,c,d]",
        "<keepdims=1>",
        [u8(2, 3, 7, 9), byte(200), np.array([2, 3])],
    ),
    "IntReduceMean-wide": ("int32[a]", "<keepdims=0>", [u16(2, 300), word(200), np.array([1])]),
    "IntReduceSum": (
        "int32[a,b,c,d]",
        "<keepdims=1>",
        [u8(2, 3, 24, 24), byte(200), np.array([2, 3])],
    ),
    "IntSoftmax": (
        "float[a,b]",
        "<axis=1>",
        [u8(64, 10), np.round(2.0**22 * np.exp(-0.05 * np.arange(256))).astype(np.int32)],
    ),
    "IntProbabilities": ("uint16[a,b]", "<axis=1, bits=16>", [u8(64, 10), EXPONENTIALS]),
    "IntProbabilities-alone": (
        "uint16[a,b]",
        "<axis=1, bits=16>",
        [np.array([[9], [0]], np.uint8), EXPONENTIALS],
    ),
    "IntProbabilities-wide": (
        "uint16[a,b,c]",
        "<axis=1, bits=9>",
        [u16(6, 300, 2), np.repeat(EXPONENTIALS, 256)],
    ),
    "IntLogSoftmax": (
        "int32[a,b,c]",
        "<axis=1>",
        [u8(64, 10, 3), EXPONENTIALS, *LOGARITHMS],
    ),
    "IntLogSoftmax-alone": (
        "int32[a,b]",
        "<axis=1>",
        [np.array([[9], [0]], np.uint8), EXPONENTIALS, *LOGARITHMS],
    ),
    "IntLogSoftmax-octaves": (
        "int32[a,b]",
        "<axis=1>",
        [np.stack([0 * ALL_CODES + 255, 255 - ALL_CODES], axis=1)[1:], SUMS, *LOGARITHMS],
    ),
    "IntLogSoftmax-many": (
        "int32[a,b]",
        "<axis=1>",
        [u8(3, 200) // 64, EXPONENTIALS, *LOGARITHMS],
    ),
    "IntRmsNorm": (
        "int32[a,b,c]",
        "<axis=1>",
        [u8(2, 512, 9), byte(120), i32(1, 512, 1, bound=4096), np.array(0.37)],
    ),
    "IntRmsNorm-zeros": (
        "int32[a,b]",
        "<axis=1>",
        [np.full((2, 4), 9, np.uint8), byte(9), i32(1, 4), np.array(2.0**-20)],
    ),
    "IntRmsNorm-wide": (
        "int32[a,b]",
        "<axis=1>",
        [u16(5, 4096), word(30_000), i32(1, 4096, bound=4096), np.array(0.0)],
    ),
    "IntLayerNorm": (
        "int32[a,b,c]",
        "<axis=1, count=512>",
        [u8(2, 512, 9), i32(1, 512, 1), i32(1, 512, 1, bound=10**6), np.array(0.37, np.float64)],
    ),
    "IntLayerNorm-flat": (
        "int32[a,b]",
        "<axis=1, count=4>",
        [np.full((2, 4), 9, np.uint8), i32(1, 4), i32(1, 4), np.array(0.001, np.float64)],
    ),
    "WideConv": (
        "int64[a,b,c,d]",
        CONV.format(g=1),
        [u16(2, 5, 9, 8), i8(6, 5, 3, 2), i32(1, 6, 1, 1), word(40_131)],
    ),
    "WideConv-extreme": (
        "int64[a,b,c,d]",
        CONV.format(g=2),
        [
            np.full((1, 640, 6, 6), 65535, np.uint16),
            np.full((2, 320, 3, 2), -128, np.int8),
            i32(1, 2, 1, 1),
            word(0),
        ],
    ),
    "WideMatMul": ("int64[a,b,c]", "", [u16(3, 4, 700), i8(700, 9), i32(9), word(7_777)]),
    "IntHypot": (
        "int32[a,b]",
        "",
        [u16(50, 40), u16(50, 40), word(32_768), word(40_000), np.array(0.3)],
    ),
    "IntHypot-zero": (
        "int32[a]",
        "",
        [u8(300), u8(300) // 200 + 7, byte(0), byte(7), np.array(0.0)],
    ),
    "WideMul": ("int64[a,b,c,d]", "", [u16(2, 3, 4, 4), u16(2, 3, 1, 1), word(65535), word(9)]),
    "WideMaxPool": (
        "uint16[a,b,c,d]",
        "<strides=[2,1], pads=[1,0,1,1], dilations=[1,2], ceil_mode=1, kernel_shape=[3,2]>",
        [u16(2, 3, 10, 8)],
    ),
    "WideReduceMax": ("uint16[a,b,c]", "<keepdims=0>", [u16(2, 3, 4, 4), np.array([2])]),
    "Requantize-wide": (
        "uint16[a,b]",
        "",
        [
            RNG.integers(-(2**38), 2**38, (50, 40)),
            np.array(8191, np.int32),
            plain(35),
            word(32_768),
            word(1),
            word(65_530),
        ],
    ),
    "Requantize-narrower": (
        "uint8[a,b]",
        "",
        [
            RNG.integers(-(2**38), 2**38, (50, 40)),
            np.array(8191, np.int32),
            plain(43),
            byte(128),
            byte(0),
            byte(255),
        ],
    ),
    "Table-wide": ("uint16[a]", "", [u16(300), u16(65536)]),
    "Table-narrower": ("uint8[a]", "", [u16(300) % 4096, u8(4096)]),
    "ChannelTable-wide": (
        "uint8[a,b,c]",
        "",
        [u16(2, 3, 50), u8(3 * 65536), np.array([[[0], [65536], [131072]]], np.int32)],
    ),
    "IntAdd-wide": (
        "int64[a,b,c]",
        "",
        [u16(2, 3, 4), u8(3, 1), long(1 << 32), long(-77), long(-12345)],
    ),
    "IntMul-mixed": ("int32[a,b,c]", "", [u16(2, 3, 4), u8(3, 1), word(65535), byte(9)]),
    "IntReduceSum-wide": ("int32[a,b]", "<keepdims=0>", [u16(2, 3, 24), word(200), np.array([2])]),
    "IntSoftmax-wide": (
        "float[a,b]",
        "<axis=1>",
        [u16(64, 10), np.round(2.0**22 * np.exp(-1e-3 * np.arange(65536))).astype(np.int32)],
    ),
    "IntLayerNorm-wide": (
        "int32[a,b,c]",
        "<axis=1, count=1448>",
        [u16(2, 1448, 3), i32(1, 1448, 1), i32(1, 1448, 1, bound=10**6), np.array(0.37)],
    ),
    "IntBatchMatMul": (
        "int32[a,b,c,d]",
        "",
        [u8(2, 3, 5, 70), u8(1, 3, 70, 9), byte(77), byte(140)],
    ),
    "IntBatchMatMul-extreme": (
        "int32[a,b,c]",
        "",
        [
            np.full((2, 3, 33_000), 255, np.uint8),
            np.full((33_000, 2), 255, np.uint8),
            byte(0),
            byte(0),
        ],
    ),
    "WideBatchMatMul": (
        "int64[a,b,c,d]",
        "",
        [u16(2, 3, 5, 70), u8(3, 70, 9), word(40_000), byte(7)],
    ),
    **{
        f"IntMaskedSoftmax-{empty}": (
            "float[a,b,c,d]",
            f"<axis=3, empty={empty}>",
            [u8(4, 3, 5, 10), MASK, EXPONENTIALS],
        )
        for empty in (0, 1, 2)
    },
    "IntMaskedSoftmax-wide": (
        "float[a,b,c,d]",
        "<axis=2, empty=2>",
        [u16(4, 3, 10, 5), MASK.swapaxes(2, 3), np.repeat(EXPONENTIALS, 256)],
    ),
    "IntEmbed-wide": ("uint16[a,b,c]", "", [np.array([[-1, 0, 5, 6]], np.int32), u16(6, 3)]),
    "IntEmbed": ("uint8[a,b,c]", "", [np.array([[-1, 0, 4, 5, 6, 99]], np.int32), u8(6, 3)]),
}
TYPES = {
    np.uint8: "uint8",
    np.uint16: "uint16",
    np.int8: "int8",
    np.int32: "int32",
    np.int64: "int64",
    np.float64: "double",
}
