"""Codes and sums to packed bits, and back."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.binary_bits import bit_of_lane, joined_bits
from actc.targets.tvm.kernels.binary_spec import WORD, Pack, Unpack, words
from actc.targets.tvm.kernels.conv_vector import constant, load, splat, store
from actc.targets.tvm.kernels.elementwise import loops, pieces
from actc.targets.tvm.kernels.spec import padded

_VECTOR = 16
"""Lanes of a step: sums of 32 bits fill a register of 512."""


def _parts(channels: int) -> list[tuple[int, int]]:
    """First channel and lanes of the vectors of a word of which `channels` are used."""
    found, start = [], 0
    for lanes in [_VECTOR] * (channels // _VECTOR) + pieces(channels % _VECTOR, _VECTOR):
        found.append((start, lanes))
        start += lanes
    return found


def pack_prim_func(name: str, spec: Pack, features: frozenset[str]) -> Any:
    """The PrimFunc of `Pack`."""
    depth = words(spec.channels)

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        count = batch * (spec.height * spec.width)
        x_arg = T.arg("x", T.buffer((batch, spec.height, spec.width, spec.lanes), spec.dtype))
        points = flips = None
        if spec.each:
            points = T.arg("points", T.buffer((depth * WORD,), "int32"))
            flips = T.arg("flips", T.buffer((depth,), "uint32"))
        out_arg = T.arg("out", T.buffer((batch, spec.height, spec.width, depth), "uint32"))
        x = tir.flat(x_arg, count * spec.lanes)
        out = tir.flat(out_arg, count * depth)

        def word(pixel: Any, index: Any, used: int) -> None:
            tests = []
            for first, lanes in _parts(used):
                value = load(x, pixel * spec.lanes + index * WORD + first, lanes)
                if points is None:
                    test = value > constant(spec.above, spec.dtype, lanes)
                else:
                    test = value >= load(points, index * WORD + first, lanes)
                tests.append((test, first, lanes))
            found = joined_bits(tests)
            if flips is not None:
                found = found ^ flips[index]
            store(out, pixel * depth + index, found)

        with loops([count]) as (pixel,):
            whole, rest = divmod(spec.channels, WORD)
            if whole:
                with loops([whole]) as (index,):
                    word(pixel, index, WORD)
            if rest:
                word(pixel, whole, rest)

    return tir.prim_func(name, body)


def unpack_prim_func(name: str, spec: Unpack, features: frozenset[str]) -> Any:
    """The PrimFunc of `Unpack`; lanes beyond the last channel hold the smaller code."""
    depth, width = words(spec.channels), padded(spec.channels)

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        count = batch * (spec.height * spec.width)
        x_arg = T.arg("x", T.buffer((batch, spec.height, spec.width, depth), "uint32"))
        out_arg = T.arg("out", T.buffer((batch, spec.height, spec.width, width), "uint8"))
        x = tir.flat(x_arg, count * depth)
        out = tir.flat(out_arg, count * width)

        def word(pixel: Any, index: Any, used: int) -> None:
            found = T.Bind(x[pixel * depth + index])
            for first, lanes in _parts(used):
                own = splat(found, lanes) & bit_of_lane(first, lanes)
                code = tirx.Select(
                    own != constant(0, "uint32", lanes),
                    constant(spec.high, "uint8", lanes),
                    constant(spec.low, "uint8", lanes),
                )
                store(out, pixel * width + index * WORD + first, code, lanes)

        with loops([count]) as (pixel,):
            whole, rest = divmod(width, WORD)
            if whole:
                with loops([whole]) as (index,):
                    word(pixel, index, WORD)
            if rest:
                word(pixel, whole, rest)

    return tir.prim_func(name, body)
