"""Rules for the golden dialect's convolution and matrix product. Pure Python."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, EpilogueKind, fold_bias, padded
from actc.targets.tvm.kernels.strided import TableKind
from actc.targets.tvm.layout import Tensor, channels_last, rows
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Tail, accumulator_tail, ensure


def _ints(node: ir.Node, name: str) -> list[int]:
    found = node.attributes.get(name)
    if found is None:
        raise Unsupported(f"attribute {name} is missing")
    return [int(v) for v in found.as_ints()]


def int_conv(planner: Planner, node: ir.Node) -> None:
    """IntConv with what follows: one convolution kernel, channels last."""
    x = planner.tensor(node, 0)
    weight = planner.need_constant(node, 1, "the weight")
    bias = planner.need_constant(node, 2, "the bias")
    x_zero = int(planner.scalar(node, 3, "the zero point"))
    rank = len(x.shape)
    if rank not in (3, 4):
        raise Unsupported(
            f"a convolution over {rank - 2} spatial axes", "only 1-D and 2-D convolutions"
        )
    if rank == 3:
        weight = weight[:, :, None, :]
    source = ensure(planner, x, channels_last(x.name, "uint8", x.shape))
    in_h, in_w = (1, x.extent(2)) if rank == 3 else (x.extent(2), x.extent(3))
    kernel, strides, pads, dilations = window(node, rank)
    tail = accumulator_tail(planner, node)
    channels = weight.shape[0]
    epilogue = _conv_epilogue(tail, rank, 1, channels)
    group = node.attributes["group"].as_int()
    spec = ConvSpec(
        x.batch, in_h, in_w, x.extent(1), channels, kernel, strides, pads, dilations,
        group, x_zero, epilogue,
    )  # fmt: skip
    spatial = (spec.out_w,) if rank == 3 else (spec.out_h, spec.out_w)
    shape = (x.batch, channels, *spatial)
    out = channels_last(str(tail.value.name), epilogue.out_dtype, shape)
    spec, weight = _lying_down(spec, weight)
    _emit_conv(planner, spec, source, weight, bias.reshape(-1), tail, out)


def _lying_down(spec: ConvSpec, weight: Array) -> tuple[ConvSpec, Array]:
    """A convolution down a map of one column as one along a row, which kernels cut in tiles.

    The memory is the same.
    """
    if spec.in_w != 1 or spec.in_h == 1 or spec.kernel[1] != 1 or spec.pads[1] or spec.pads[3]:
        return spec, weight
    top, _, bottom, _ = spec.pads
    along = replace(
        spec,
        in_h=1,
        in_w=spec.in_h,
        kernel=(1, spec.kernel[0]),
        strides=(1, spec.strides[0]),
        pads=(0, top, 0, bottom),
        dilations=(1, spec.dilations[0]),
    )
    return along, np.ascontiguousarray(weight.transpose(0, 1, 3, 2))


def window(
    node: ir.Node, rank: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int], tuple[int, int]]:
    """Kernel, strides, pads (top, left, bottom, right) and dilations as for rank 4."""
    kernel, strides, dilations = (
        _ints(node, name) for name in ("kernel_shape", "strides", "dilations")
    )
    pads = _ints(node, "pads")
    if rank == 3:
        return (1, kernel[0]), (1, strides[0]), (0, pads[0], 0, pads[1]), (1, dilations[0])
    return (
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
    )


def int_matmul(planner: Planner, node: ir.Node) -> None:
    """IntMatMul with what follows: a convolution over one row of pixels."""
    x = planner.tensor(node, 0)
    weight = planner.need_constant(node, 1, "the weight")
    bias = planner.need_constant(node, 2, "the bias")
    x_zero = int(planner.scalar(node, 3, "the zero point"))
    if weight.ndim != 2:
        raise Unsupported(f"the weight has {weight.ndim} axes instead of two")
    rank, (depth, channels) = len(x.shape), weight.shape
    if rank < 2:
        raise Unsupported("the batch axis is multiplied")
    source = ensure(planner, x, rows(x.name, "uint8", x.shape))
    tail = accumulator_tail(planner, node)
    epilogue = _conv_epilogue(tail, rank, rank - 1, channels)
    count = math.prod(x.extent(axis) for axis in range(1, rank - 1))
    spec = ConvSpec(
        x.batch, 1, count, depth, channels, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1),
        1, x_zero, epilogue,
    )  # fmt: skip
    shape = (*x.shape[:-1], channels)
    out = rows(str(tail.value.name), epilogue.out_dtype, shape)
    kernel = np.ascontiguousarray(weight.T)[:, :, None, None]
    _emit_conv(planner, spec, source, kernel, bias.reshape(-1), tail, out)


_EPILOGUES: dict[TableKind, EpilogueKind] = {
    "none": "requantize",
    "shared": "requantize+table",
    "channel": "requantize+channel_table",
}


def _conv_epilogue(tail: Tail, rank: int, axis: int, channels: int) -> Epilogue:
    """What the kernel does with its accumulators."""
    if tail.requantize is None:
        return Epilogue("accumulator")
    base = tail.requantize
    if tail.table == "channel":
        wanted = 256 * np.arange(channels)
        offset = channel_vector(tail.offset, rank, axis, channels)
        if not np.array_equal(offset, wanted):
            raise Unsupported("the table offset is not 256 times the channel")
    kind = _EPILOGUES[tail.table]
    return Epilogue(kind, base.shift, base.zero, base.low, base.high)


def _emit_conv(
    planner: Planner,
    spec: ConvSpec,
    x: Tensor,
    weight: Array,
    bias: Array,
    tail: Tail,
    out: Tensor,
) -> None:
    check_accumulator(weight, bias, spec.x_zero)
    names = [
        x.name,
        planner.add_constant(f"{out.name}.weight", weight),
        planner.add_constant(f"{out.name}.bias", bias),
    ]
    lanes = padded(spec.out_c)
    if tail.multiplier is not None:
        axis = 1 if out.axes[-1] == 1 and len(out.shape) > 2 else len(out.shape) - 1
        factors = channel_vector(tail.multiplier, len(out.shape), axis, spec.out_c)
        factors = np.pad(factors, (0, lanes - spec.out_c)).astype(np.int32)
        names.append(planner.add_constant(f"{out.name}.multiplier", factors))
    if tail.codes is not None:
        size = spec.epilogue.table_size(lanes)
        codes = np.pad(tail.codes, (0, size - tail.codes.size))
        names.append(planner.add_constant(f"{out.name}.table", codes))
    planner.emit(spec, names, out, tail.value, (spec.out_h, spec.out_w, lanes))


def check_accumulator(weight: Array, bias: Array, x_zero: int) -> None:
    """Refuse a convolution whose partial sums might leave int32.

    Raises:
        Unsupported
    """
    try:
        fold_bias(bias, weight, x_zero)
    except OverflowError as error:
        raise Unsupported(str(error), code="ACT0404") from error


def channel_vector(array: Array | None, rank: int, axis: int, channels: int) -> Array:
    """A scalar or broadcast constant as one number per channel.

    Raises:
        Unsupported: it varies along another axis.
    """
    assert array is not None
    if array.ndim > rank:
        raise Unsupported(f"a constant of shape {array.shape} has too many axes")
    shape = (1,) * (rank - array.ndim) + array.shape
    others = shape[:axis] + shape[axis + 1 :]
    if any(extent != 1 for extent in others) or shape[axis] not in (1, channels):
        raise Unsupported(f"a constant of shape {array.shape} is not one number per channel")
    return np.broadcast_to(array.reshape(-1), (channels,))
