"""Constants in the order in which the kernels of the target `cuda` read them. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from actc.targets.tvm.cuda.half import Stored
from actc.targets.tvm.cuda.tiling import Tiling, pack_tiles
from actc.targets.tvm.kernels.binary_spec import WORD, BinaryConv, words
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.spec import ConvSpec, fold_bias, padded
from actc.targets.tvm.plan import Array, Call


def packed_constants(
    call: Call, constants: Mapping[str, Array], tiling: Tiling | None
) -> dict[str, Array]:
    """The constants of a call that its kernel reads in another form than the plan holds.

    Args:
        call: of the kernel.
        constants: of the plan.
        tiling: of the kernel, where it has tiles.
    """
    kernel: object = call.kernel
    if isinstance(kernel, Stored):
        kernel = kernel.kernel
    if isinstance(kernel, FloatConv):
        weight = call.inputs[1]
        return {weight: _ordered(constants[weight], tiling)}
    if isinstance(kernel, BinaryConv):
        weight = call.inputs[1]
        return {weight: _sign_words(constants[weight], kernel)}
    if not isinstance(kernel, ConvSpec):
        return {}
    _, weight, bias, *_ = call.inputs
    values = constants[weight]
    return {
        weight: _ordered(values, tiling),
        bias: fold_bias(constants[bias], values, kernel.x_zero),
    }


def _ordered(weight: Array, tiling: Tiling | None) -> Array:
    return _outputs_last(weight) if tiling is None else pack_tiles(weight, tiling)


def _outputs_last(weight: Array) -> Array:
    """(O, C, kh, kw) as (kh, kw, C, padded(O)): neighbouring threads read neighbouring weights.

    Channels behind the last are zeros.
    """
    moved = np.transpose(weight, (2, 3, 1, 0))
    room = padded(len(weight)) - len(weight)
    return np.ascontiguousarray(np.pad(moved, ((0, 0), (0, 0), (0, 0), (0, room))))


def _sign_words(signs: Array, spec: BinaryConv) -> Array:
    """(O, C, kh, kw) of -1, 0, 1 as words (taps, words, room): signs, then masks if ternary.

    `room` is O rounded up to whole words of bits, or to the sums of a pixel.
    """
    planes = [signs > 0, signs != 0] if spec.ternary else [signs > 0]
    depth = words(spec.in_c)
    room = words(spec.out_c) * WORD if spec.result == "bits" else padded(spec.out_c)
    found = []
    for plane in planes:
        taps = np.moveaxis(plane, 1, -1).reshape(spec.out_c, -1, spec.in_c)
        more = (0, room - spec.out_c), (0, 0), (0, depth * WORD - spec.in_c)
        packed = np.packbits(np.pad(taps, more), axis=-1, bitorder="little")
        found.append(np.moveaxis(np.ascontiguousarray(packed).view("<u4"), 0, -1))
    return np.ascontiguousarray(np.stack(found))
