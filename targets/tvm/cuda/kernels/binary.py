"""Layers of signs: exclusive or and population count, a channel per lane of a warp.

Neighbouring threads have neighbouring channels, whose weights lie side by side; the words of a
pixel are the same for all of a warp. A thread counts for some pixels of a row at once, so that a
weight is read once for all of them. Where the result is bits, a warp's vote makes a word of them.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import (
    WARP,
    Register,
    argument,
    device_func,
    each_item,
    indices_of,
    int32,
    mod,
    when,
)
from actc.targets.tvm.kernels.binary_spec import BinaryConv, words
from actc.targets.tvm.kernels.spec import padded

STRIP = 4
"""Results of a thread along a row."""


def channel_room(spec: BinaryConv) -> int:
    """Channels with those that only fill the last word, or group of four sums."""
    return words(spec.out_c) * WARP if spec.result == "bits" else padded(spec.out_c)


def binary_conv(name: str, spec: BinaryConv) -> Any:
    """The kernel of :class:`BinaryConv`.

    Weights lie as uint32 (taps, words, channels), then the masks of weights that are not zero.
    """
    depth, taps = words(spec.in_c), spec.kernel[0] * spec.kernel[1]
    room = channel_room(spec)

    def body(n: Any) -> None:
        pixels = tirx.Cast("int64", n) * (spec.in_h * spec.in_w * depth)
        x = argument("x", pixels, "uint32")
        planes = 2 if spec.ternary else 1
        weight = argument("weight", taps * depth * room * planes, "uint32")
        base = argument("base", spec.classes * spec.out_c, "int32")
        many = spec.classes > 1
        kind = argument("place", spec.out_h * spec.out_w, "int32") if many else None
        bits = spec.result == "bits"
        count = tirx.Cast("int64", n) * (spec.out_h * spec.out_w * spec.out_lanes)
        out = argument("out", count, "uint32" if bits else "int32")
        _Strips(spec, n, x, weight, base, kind, out).emit()

    return device_func(name, body)


class _Strips:
    """Writes the code of a thread."""

    def __init__(
        self, spec: BinaryConv, n: Any, x: Any, weight: Any, base: Any, kind: Any, out: Any
    ) -> None:
        self._spec, self._n, self._x, self._weight = spec, n, x, weight
        self._base, self._kind, self._out = base, kind, out
        self._depth, self._room = words(spec.in_c), channel_room(spec)
        self._strip = min(STRIP, spec.out_w)

    def emit(self) -> None:
        """All of it, behind the arguments."""
        spec = self._spec
        dims = (spec.out_h, -(-spec.out_w // self._strip), self._room)
        with each_item(self._n, dims[0] * dims[1] * dims[2]) as (sample, item):
            i, strip, self._channel = indices_of(item, dims)
            size = spec.in_h * spec.in_w * self._depth
            first = T.Bind(tirx.Cast("int64", sample) * size)
            self._counts = T.alloc_buffer((self._strip,), "int32", scope="local")
            for p in range(self._strip):
                T.buffer_store(self._counts, int32(0), [p])
            with T.serial(0, spec.kernel[0]) as u, T.serial(0, spec.kernel[1]) as v:
                row = T.Bind(i * spec.strides[0] + u * spec.dilations[0] - spec.pads[0])
                self._count(first, row, strip, u, v)
            start = T.Bind(tirx.Cast("int64", sample) * (spec.out_h * spec.out_w * spec.out_lanes))
            for p in range(self._strip):
                j = T.Bind(strip * self._strip + p)
                with when(j < spec.out_w if spec.out_w % self._strip else None):
                    self._store(start, T.Bind(i * spec.out_w + j), p)

    def _count(self, first: Any, row: Any, strip: Any, u: Any, v: Any) -> None:
        """One tap of the window, for all pixels of the strip."""
        spec = self._spec
        down = tirx.And(row >= 0, row < spec.in_h)
        places, tests = [], []
        for p in range(self._strip):
            j = strip * self._strip + p
            column = T.Bind(j * spec.strides[1] + v * spec.dilations[1] - spec.pads[1])
            test = tirx.And(down, tirx.And(column >= 0, column < spec.in_w))
            tests.append(T.Bind(test))
            places.append(T.Bind((row * spec.in_w + column) * self._depth))
        with T.serial(0, self._depth) as k:
            at = ((u * spec.kernel[1] + v) * self._depth + k) * self._room + self._channel
            signs = T.Bind(self._weight[at])
            mask = None
            if spec.ternary:
                behind = spec.kernel[0] * spec.kernel[1] * self._depth * self._room
                mask = T.Bind(self._weight[at + behind])
            for p in range(self._strip):
                word = Register("uint32", 0)
                with when(tests[p]):
                    word.set(self._x[first + tirx.Cast("int64", places[p] + k)])
                differ = word.value ^ signs
                differ = differ if mask is None else differ & mask
                more = T.call_pure_extern("int32", "__popc", differ)
                T.buffer_store(self._counts, self._counts[p] + more, [p])

    def _store(self, start: Any, pixel: Any, p: int) -> None:
        spec, last = self._spec, self._spec.out_c - 1
        row = int32(0) if self._kind is None else self._kind[pixel] * spec.out_c
        channel = tirx.Min(self._channel, int32(last))
        base = T.Bind(self._base[row + channel])
        if spec.result == "sums":
            at = start + tirx.Cast("int64", pixel * spec.out_lanes + self._channel)
            T.buffer_store(self._out, base - self._counts[p] * spec.step, [at])
            return
        passed = tirx.And(self._counts[p] <= base, self._channel <= last)
        vote = tirx.Select(passed, int32(1), int32(0))
        word = T.Bind(T.call_extern("uint32", "actc_warp_bits", vote))
        with when(tirx.EQ(mod(self._channel, WARP), int32(0))):
            inner = pixel * spec.out_lanes + tirx.truncdiv(self._channel, int32(WARP))
            T.buffer_store(self._out, word, [start + tirx.Cast("int64", inner)])
