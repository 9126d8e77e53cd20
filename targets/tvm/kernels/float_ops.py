"""Float32 convolution and matrix product, and piecewise-linear functions.

The convolutions are those of `conv_dense` and `conv_depthwise` with fused
multiply-adds as their arithmetic. Layout and arguments are those of `ConvSpec`
with its "accumulator" epilogue, every buffer float32 and the zero point unused.
Padding lanes of activations are never read into other lanes: they may hold NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_dense import dense_prim_func
from actc.targets.tvm.kernels.conv_depthwise import depthwise_prim_func, pack_depthwise
from actc.targets.tvm.kernels.conv_frame import Activation
from actc.targets.tvm.kernels.conv_isa import DotProduct, Weight
from actc.targets.tvm.kernels.conv_tiling import pack_dense
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, intrinsic, load, splat
from actc.targets.tvm.kernels.float_math import f32, i32, keep
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.kernels.tir import lanes_of, vector

Float32Array = npt.NDArray[np.float32]

_PERMUTED = 16
"""Entries of a float32 table in one 512-bit register."""


class FusedMultiplyAdd(DotProduct):
    """One float32 product per lane; a word is one channel."""

    operands = 1
    spread_cost = 0
    word_cost = 1
    channels = 1
    x_type = word_type = weight_type = total_type = "float32"

    def pixel_words(self, in_c: int) -> int:
        """A word per lane of the padded pixel."""
        return padded(in_c)

    def border(self, x_zero: int, lanes: int) -> Expr:
        """Zeros."""
        return splat(tirx.FloatImm("float32", 0.0), lanes)

    def pack(self, weight: Weight) -> Weight:
        """Order (word, block, lane)."""
        return np.ascontiguousarray(weight, np.float32).reshape(-1)

    def word_size(self, lanes: int) -> int:
        """One element per product."""
        return lanes

    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """One vector per block."""
        return [[T.Bind(load(packed, offset + b * lanes, lanes))] for b in range(blocks)]

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """The word in every lane."""
        return [T.Bind(splat(word, lanes))]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """One multiply-add, fused where the CPU can."""
        return self.multiply_add(total, activation[0], weight[0])

    def pack_lanes(self, weight: Weight) -> Weight:
        """Order (block, tap, lane)."""
        return np.ascontiguousarray(weight, np.float32).reshape(-1)

    def tap_size(self, lanes: int) -> int:
        """One element per lane."""
        return lanes

    def lane_weight(self, packed: Buffer, offset: Expr, lanes: int) -> Expr:
        """One vector."""
        return T.Bind(load(packed, offset, lanes))

    def lane_values(self, words: Buffer, word: Expr, lanes: int) -> Expr:
        """One vector."""
        return T.Bind(load(words, word, lanes))

    def multiply_add(self, total: Expr, value: Expr, factor: Expr) -> Expr:
        """``value * factor + total``, fused where the CPU can."""
        dtype = vector("float32", lanes_of(total))
        return intrinsic("llvm.fmuladd", dtype, value, factor, total)


def float_arithmetic(features: frozenset[str]) -> FusedMultiplyAdd:
    """Vector width and registers for a CPU."""
    if "avx512f" in features:
        return FusedMultiplyAdd(16, 32)
    return FusedMultiplyAdd(8, 16) if "avx" in features else FusedMultiplyAdd(4, 16)


def float_conv_prim_func(
    spec: ConvSpec,
    features: frozenset[str],
    name: str = "float_conv",
    activation: Activation | None = None,
    schedule: Schedule | None = None,
    residuals: int = 0,
) -> Expr:
    """A PrimFunc (x, packed_weight, bias, residuals, out), all float32.

    Zeros stand between the groups of a grouped (not depthwise) convolution, so an
    infinity in one group may become NaN in its neighbours.

    Args:
        spec: geometry, with the "accumulator" epilogue.
        features: LLVM's names of the CPU's features.
        name: global symbol.
        activation: maps a vector of results, and those of the residuals, to what is stored.
        schedule: how to cut it; None: as modelled.
        residuals: number of other tensors of the shape of the result that `activation` takes.
    """
    build = depthwise_prim_func if spec.depthwise else dense_prim_func
    dot = float_arithmetic(features)
    return build(spec, dot, features, name, activation, schedule, residuals)


def pack_float_weight(
    weight: Float32Array,
    spec: ConvSpec,
    features: frozenset[str],
    schedule: Schedule | None = None,
) -> Float32Array:
    """Weights (O, C/g, kh, kw) in the order that the PrimFunc of `schedule` reads, in a row."""
    pack = pack_depthwise if spec.depthwise else pack_dense
    packed: Float32Array = pack(weight, spec, float_arithmetic(features), schedule)
    return packed


def piecewise_linear(
    x: Expr,
    breakpoints: Sequence[float],
    slopes: Sequence[float],
    intercepts: Sequence[float],
    features: frozenset[str],
) -> Expr:
    """``slopes[i] * x + intercepts[i]`` with i the number of breakpoints <= x.

    Vectors with AVX-512 and 4 to 32 segments take a bisection whose tables are registers;
    everything else a chain of selections. LLVM may fuse the product and
    the sum into one rounding.

    Args:
        x: float32, any number of lanes.
        breakpoints: n - 1 increasing numbers.
        slopes, intercepts: n numbers.
        features: LLVM's names of the CPU's features.
    """
    narrow = lanes_of(x)
    fits = 4 <= len(slopes) <= 2 * _PERMUTED and 1 < narrow <= _PERMUTED
    if fits and narrow < _PERMUTED and "avx512f" in features:
        copies = [keep(x)] * (_PERMUTED // narrow)
        wide = keep(tirx.Shuffle(copies, list(range(_PERMUTED))))
        value = piecewise_linear(wide, breakpoints, slopes, intercepts, features)
        return tirx.Shuffle([keep(value)], list(range(narrow)))
    x = keep(x)
    if fits and "avx512f" in features:
        index = _segment_index(x, breakpoints)
        slope, intercept = _looked_up(slopes, index), _looked_up(intercepts, index)
    else:
        slope, intercept = f32(slopes[0], x), f32(intercepts[0], x)
        for at, *line in zip(breakpoints, slopes[1:], intercepts[1:], strict=True):
            behind = x >= f32(at, x)
            slope = keep(T.Select(behind, f32(line[0], x), slope))
            intercept = keep(T.Select(behind, f32(line[1], x), intercept))
    return slope * x + intercept


def _segment_index(x: Expr, breakpoints: Sequence[float]) -> Expr:
    """Number of breakpoints <= x; the tables are filled up with NaN, which no x reaches."""
    size = _PERMUTED if len(breakpoints) < _PERMUTED else 2 * _PERMUTED
    filled = [*breakpoints, *[float("nan")] * (size - len(breakpoints))]
    index = i32(0, x)
    step = size // 2
    while step:
        probe = _looked_up(filled, keep(index + i32(step - 1, x)))
        index = keep(T.Select(x >= probe, index + i32(step, x), index))
        step //= 2
    return index


def _looked_up(numbers: Sequence[float], index: Expr) -> Expr:
    """``numbers[index]`` for 16 indices into at most 32 numbers."""
    size = _PERMUTED if len(numbers) <= _PERMUTED else 2 * _PERMUTED
    filled = [*numbers, *[0.0] * (size - len(numbers))]
    dtype = vector("float32", _PERMUTED)
    low = _vector_constant(filled[:_PERMUTED])
    if size == _PERMUTED:
        return keep(intrinsic("llvm.x86.avx512.permvar.sf.512", dtype, low, index))
    high = _vector_constant(filled[_PERMUTED:])
    return keep(intrinsic("llvm.x86.avx512.vpermi2var.ps.512", dtype, low, index, high))


def _vector_constant(numbers: Sequence[float]) -> Expr:
    """A vector of given float32 numbers."""
    lanes = [tirx.FloatImm("float32", float(np.float32(number))) for number in numbers]
    return tirx.Shuffle(lanes, list(range(len(lanes))))
