"""Rules for the operators of the golden dialect. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, fold_bias, padded
from actc.targets.tvm.kernels.strided import (
    Add,
    Copy,
    Dequantize,
    Embed,
    LayerNorm,
    Mul,
    Operation,
    Quantize,
    Reduce,
    Softmax,
    collapse,
)
from actc.targets.tvm.layout import Shape, Tensor, channels_last, like, plain, reshaped, rows
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import (
    Source,
    Tail,
    accumulator_tail,
    broadcast,
    emit_nest,
    ensure,
    operand_of,
    out_dtype,
    output_operand,
    requantize_tail,
    table_tail,
)


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
    kernel, strides, pads, dilations = _window(node, rank)
    tail = accumulator_tail(planner, node)
    channels = weight.shape[0]
    epilogue, rest = _conv_epilogue(tail, rank, 1, channels)
    group = node.attributes["group"].as_int()
    spec = ConvSpec(
        x.batch, in_h, in_w, x.extent(1), channels, kernel, strides, pads, dilations,
        group, x_zero, epilogue,
    )  # fmt: skip
    spatial = (spec.out_w,) if rank == 3 else (spec.out_h, spec.out_w)
    shape = (x.batch, channels, *spatial)
    out = channels_last(str(rest.value.name), epilogue.out_dtype, shape)
    _emit_conv(planner, spec, source, weight, bias.reshape(-1), tail, rest, out)


def _window(
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
    epilogue, rest = _conv_epilogue(tail, rank, rank - 1, channels)
    count = math.prod(x.extent(axis) for axis in range(1, rank - 1))
    spec = ConvSpec(
        x.batch, 1, count, depth, channels, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1),
        1, x_zero, epilogue,
    )  # fmt: skip
    shape = (*x.shape[:-1], channels)
    out = rows(str(rest.value.name), epilogue.out_dtype, shape)
    kernel = np.ascontiguousarray(weight.T)[:, :, None, None]
    _emit_conv(planner, spec, source, kernel, bias.reshape(-1), tail, rest, out)


def _conv_epilogue(tail: Tail, rank: int, axis: int, channels: int) -> tuple[Epilogue, Tail]:
    """The kernel's epilogue, and `tail` as the kernel takes it."""
    if tail.requantize is None:
        return Epilogue("accumulator"), tail
    base = tail.requantize
    kinds = {"none": "requantize", "shared": "requantize+table"}
    if tail.table == "channel":
        wanted = 256 * np.arange(channels)
        offset = channel_vector(tail.offset, rank, axis, channels)
        if not np.array_equal(offset, wanted):
            raise Unsupported("the table offset is not 256 times the channel")
    kind = kinds.get(tail.table, "requantize+channel_table")
    return Epilogue(kind, base.shift, base.zero, base.low, base.high), tail  # type: ignore[arg-type]


def _emit_conv(
    planner: Planner,
    spec: ConvSpec,
    x: Tensor,
    weight: Array,
    bias: Array,
    tail: Tail,
    rest: Tail,
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
    planner.emit(spec, names, out, rest.value, (spec.out_h, spec.out_w, lanes))


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


def int_add(planner: Planner, node: ir.Node) -> None:
    """IntAdd with what follows."""
    a_mul, b_mul, bias = (
        int(planner.scalar(node, i, what))
        for i, what in enumerate(("a_mul", "b_mul", "the bias"), start=2)
    )
    _binary(planner, node, Add(a_mul, b_mul, bias))


def int_mul(planner: Planner, node: ir.Node) -> None:
    """IntMul with what follows."""
    zeros = [int(planner.scalar(node, i, "the zero point")) for i in (2, 3)]
    _binary(planner, node, Mul(zeros[0], zeros[1]))


def _binary(planner: Planner, node: ir.Node, operation: Operation) -> None:
    values = [node.inputs[0], node.inputs[1]]
    sources: list[Source] = []
    for value in values:
        assert value is not None
        constant = planner.constant(value)
        data = planner.tensors[str(value.name)] if constant is None else constant
        name = str(value.name) if constant is not None else planner.tensors[str(value.name)].name
        sources.append(Source(name, data))
    tensors = [s.data for s in sources if isinstance(s.data, Tensor)]
    if not tensors:
        raise Unsupported("both inputs are constants", "fold constants first")
    shape = _with_constants(broadcast([t.shape for t in tensors]), sources)
    widest = max(tensors, key=lambda t: t.size)
    tail = accumulator_tail(planner, node)
    out = like(widest, str(tail.value.name), out_dtype(tail), shape)
    emit_nest(planner, out, sources, operation, tail)


def _with_constants(shape: Shape, sources: Sequence[Source]) -> Shape:
    """`shape` widened by constants that broadcast against it."""
    result = list(shape)
    for source in sources:
        if isinstance(source.data, Tensor):
            continue
        for back, extent in enumerate(reversed(source.data.shape), start=1):
            if back >= len(result) and extent != 1:
                raise Unsupported("a constant differs between samples")
            if back < len(result) and extent != 1:
                result[-back] = extent
    return tuple(result)


def requantize(planner: Planner, node: ir.Node) -> None:
    """Requantize whose accumulator has other readers too, with the table behind it."""
    _unary(planner, node, Copy(), requantize_tail(planner, node), "uint8")


def table(planner: Planner, node: ir.Node) -> None:
    """Table that reads no accumulator of its own."""
    codes = planner.need_constant(node, 1, "the table")
    _unary(planner, node, Copy(), Tail(node.outputs[0], table="shared", codes=codes), "uint8")


def channel_table(planner: Planner, node: ir.Node) -> None:
    """ChannelTable that reads no accumulator of its own."""
    codes = planner.need_constant(node, 1, "the table")
    offset = planner.need_constant(node, 2, "the table offset").astype(np.int32)
    tail = Tail(node.outputs[0], table="channel", codes=codes, offset=offset)
    _unary(planner, node, Copy(), tail, "uint8")


def quantize_linear(planner: Planner, node: ir.Node) -> None:
    """QuantizeLinear from float32 to uint8, straight into the layout that its readers want."""
    x = planner.tensor(node, 0)
    scale = float(planner.scalar(node, 1, "the scale"))
    zero = planner.need_constant(node, 2, "the zero point")
    if x.dtype != "float32" or zero.dtype != np.uint8:
        raise Unsupported(f"QuantizeLinear from {x.dtype} to {zero.dtype}")
    value = node.outputs[0]
    out = _wanted_layout(planner, x, value)
    tail = table_tail(planner, Tail(value))
    out = Tensor(str(tail.value.name), "uint8", out.shape, out.axes, out.lanes)
    emit_nest(planner, out, [Source(x.name, x)], Quantize(scale, int(zero.reshape(()))), tail)


_LAYOUT_FREE = frozenset({"Table", "ChannelTable", "IntAdd", "IntMul", "Identity"})


def _wanted_layout(planner: Planner, x: Tensor, value: ir.Value) -> Tensor:
    """Channels-last if a convolution or pooling reads `value`, directly or after elementwise
    operators; else the layout of `x`, its last axis padded if that is its own."""
    seen, queue = set(), [value]
    while queue:
        current = queue.pop()
        for use in current.uses():
            user = use.node
            if user.op_type in ("IntConv", "MaxPool") and len(x.shape) in (3, 4):
                return channels_last(x.name, "uint8", x.shape)
            if user.op_type in _LAYOUT_FREE and user not in seen:
                seen.add(user)
                queue.append(user.outputs[0])
    if x.axes == tuple(range(1, len(x.shape))) and x.axes:
        return rows(x.name, "uint8", x.shape)
    return like(x, x.name, "uint8", x.shape)


def dequantize_linear(planner: Planner, node: ir.Node) -> None:
    """DequantizeLinear to float32, from uint8 or an int32 accumulator."""
    x = planner.tensor(node, 0)
    scale = planner.need_constant(node, 1, "the scale")
    zero = 0
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        zeros = planner.need_constant(node, 2, "the zero point")
        if np.unique(zeros).size > 1:
            raise Unsupported("one zero point per channel")
        zero = int(zeros.reshape(-1)[0])
    if x.dtype not in ("uint8", "int32") or scale.dtype != np.float32:
        raise Unsupported(f"DequantizeLinear from {x.dtype} with a {scale.dtype} scale")
    if scale.ndim == 1 and scale.size > 1:
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
        axis %= len(x.shape)
        scale = scale.reshape([-1 if a == axis else 1 for a in range(len(x.shape))])
    value = node.outputs[0]
    sources = [Source(x.name, x), Source(f"{value.name}.scale", scale)]
    if planner.is_output(value):
        out = plain(str(value.name), "float32", x.shape)
        shape = tuple(out.extent(axis) for axis in range(1, len(x.shape)))
        emit_nest(planner, out, sources, Dequantize(zero), Tail(value), shape)
    else:
        emit_nest(planner, like(x, str(value.name), "float32", x.shape), sources,
                  Dequantize(zero), Tail(value))  # fmt: skip


def _unary(planner: Planner, node: ir.Node, operation: Operation, tail: Tail, dtype: str) -> None:
    x = planner.tensor(node, 0)
    out = like(x, str(tail.value.name), dtype, x.shape)
    emit_nest(planner, out, [Source(x.name, x)], operation, tail)


def int_reduce_sum(planner: Planner, node: ir.Node) -> None:
    """IntReduceSum with what follows."""
    x = planner.tensor(node, 0)
    zero = int(planner.scalar(node, 1, "the zero point"))
    axes = [int(a) for a in planner.need_constant(node, 2, "the axes")]
    keep = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
    tail = accumulator_tail(planner, node)
    count = math.prod(x.extent(a % len(x.shape)) for a in axes if a % len(x.shape))
    emit_reduce(planner, x, axes, bool(keep), tail, "sum", -zero * count)


def reduce_max(planner: Planner, node: ir.Node) -> None:
    """ReduceMax on uint8."""
    x = planner.tensor(node, 0)
    if x.dtype != "uint8":
        raise Unsupported(f"ReduceMax of {x.dtype}")
    axes = [int(a) for a in planner.need_constant(node, 1, "the axes")]
    keep = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
    tail = table_tail(planner, Tail(node.outputs[0]))
    emit_reduce(planner, x, axes, bool(keep), tail, "max", 0)


def emit_reduce(
    planner: Planner,
    x: Tensor,
    axes: Sequence[int],
    keep: bool,
    tail: Tail,
    kind: str,
    bias: int,
) -> None:
    """Emit a reduction over logical `axes` in the memory order of `x`.

    Raises:
        Unsupported: the batch axis is reduced.
    """
    rank = len(x.shape)
    over = sorted({axis % rank for axis in axes})
    if 0 in over:
        raise Unsupported("the batch axis is reduced")
    dtype = out_dtype(tail, "int32" if kind == "sum" else "uint8")
    kept_shape = tuple(1 if a in over else d for a, d in enumerate(x.shape))
    wide = like(x, str(tail.value.name), dtype, kept_shape)
    stay = [a for a in x.axes if a not in over]
    extents = [wide.lanes if a == wide.axes[-1] else wide.extent(a) for a in stay]
    inner = [a for a in x.axes if a in over]
    constants = [Source(f"{wide.name}.{name}", array) for name, array in tail.constants()]
    pairs = [operand_of(planner, s, wide, stay, extents) for s in constants]
    result = _drop_axes(wide, over) if not keep else wide
    assert result is not None
    out = output_operand(wide, stay, None)
    source = planner.operand(x, stay)
    dims, (source, *operands) = collapse(extents, [source, *(o for o, _ in pairs), out])
    beyond = planner.operand(x, inner)
    over_dims, (beyond,) = collapse([x.extent(a) for a in inner], [beyond])
    source = replace(source, strides=source.strides + beyond.strides)
    names = [x.name, *(name for _, name in pairs)]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{wide.name}.table", tail.codes))
    kernel = Reduce(
        x.batch, dims, over_dims, "sum" if kind == "sum" else "max", source,
        tuple(operands[:-1]), operands[-1], bias, tail.requantize, tail.table, tail.table_size,
    )  # fmt: skip
    planner.emit(kernel, names, wide, tail.value)
    planner.view(tail.value, result)


def _drop_axes(tensor: Tensor, over: Sequence[int]) -> Tensor | None:
    shape = tuple(d for a, d in enumerate(tensor.shape) if a not in over)
    return reshaped(tensor, tensor.name, shape)


def int_softmax(planner: Planner, node: ir.Node) -> None:
    """IntSoftmax: float32 in the layout of its input."""
    x = planner.tensor(node, 0)
    codes = planner.need_constant(node, 1, "the table").astype(np.int32)
    axis = node.attributes["axis"].as_int() % len(x.shape)
    if axis == 0:
        raise Unsupported("softmax over the batch axis")
    value = node.outputs[0]
    out = like(x, str(value.name), "float32", x.shape)
    order = [a for a in x.axes if a != axis] + [axis]
    dims = tuple(x.extent(a) for a in order)
    kernel = Softmax(x.batch, dims, planner.operand(x, order), output_operand(out, order, None))
    names = [x.name, planner.add_constant(f"{value.name}.powers", codes)]
    planner.emit(kernel, names, out, value)


def int_layer_norm(planner: Planner, node: ir.Node) -> None:
    """IntLayerNorm with what follows."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    axis = node.attributes["axis"].as_int() % rank
    count = node.attributes["count"].as_int()
    if axis == 0 or x.extent(axis) != count:
        raise Unsupported(f"normalization over {count} elements of axis {axis}")
    gamma, beta = (planner.need_constant(node, i, "gamma or beta") for i in (1, 2))
    eps = float(planner.scalar(node, 3, "eps"))
    tail = accumulator_tail(planner, node)
    out = like(x, str(tail.value.name), out_dtype(tail), x.shape)
    order = [a for a in x.axes if a != axis] + [axis]
    dims = tuple(x.extent(a) for a in order)
    arrays = [("gamma", gamma), ("beta", beta), *tail.constants()]
    sources = [Source(f"{out.name}.{name}", array.astype(np.int32)) for name, array in arrays]
    pairs = [operand_of(planner, s, x, order, dims) for s in sources]
    names = [x.name, *(name for _, name in pairs)]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{out.name}.table", tail.codes))
    kernel = LayerNorm(
        x.batch, dims, (planner.operand(x, order), *(o for o, _ in pairs)),
        output_operand(out, order, None), eps, tail.requantize, tail.table, tail.table_size,
    )  # fmt: skip
    planner.emit(kernel, names, out, tail.value)


def int_embed(planner: Planner, node: ir.Node) -> None:
    """IntEmbed: rows of a constant table."""
    index = planner.tensor(node, 0)
    codes = planner.need_constant(node, 1, "the table")
    if index.dtype != "int32":
        raise Unsupported(f"an index of type {index.dtype}")
    count, width = codes.shape
    shape = (*index.shape, width)
    out = rows(str(node.outputs[0].name), "uint8", shape)
    order = list(range(1, len(shape)))
    dims = tuple(out.extent(a) for a in order)
    outer = planner.operand(index, order[:-1])
    walk = replace(outer, strides=(*outer.strides, 0))
    kernel = Embed(index.batch, dims, walk, output_operand(out, order, None), count, width)
    names = [index.name, planner.add_constant(f"{out.name}.table", codes)]
    planner.emit(kernel, names, out, node.outputs[0])
