"""Rules for float32 operators other than elementwise ones. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.float_spec import (
    FloatConv,
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.operand import collapse
from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, padded
from actc.targets.tvm.layout import Tensor, channels_last, like, reshaped, rows
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Source, ensure, operand_of, output_operand
from actc.targets.tvm.rules_function import function_behind
from actc.targets.tvm.rules_shape import pooled_extent


def _ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    found = node.attributes.get(name)
    return [int(v) for v in found.as_ints()] if found else default


def _int(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get(name)
    return found.as_int() if found else default


def _explicit_pads(node: ir.Node, spatial: int) -> list[int]:
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
    if auto not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad={auto}", "write explicit pads")
    return _ints(node, "pads", [0] * (2 * spatial))


def _pair(values: Sequence[int], filler: int) -> tuple[int, int]:
    return (filler, values[0]) if len(values) == 1 else (values[0], values[1])


def _quadruple(pads: Sequence[int]) -> tuple[int, int, int, int]:
    return (0, pads[0], 0, pads[1]) if len(pads) == 2 else (pads[0], pads[1], pads[2], pads[3])


def conv(planner: Planner, node: ir.Node) -> None:
    """Conv over one or two spatial axes with a constant weight."""
    x = planner.tensor(node, 0)
    weight = planner.need_constant(node, 1, "the weight")
    rank = len(x.shape)
    if rank not in (3, 4) or x.dtype != "float32":
        raise Unsupported(f"Conv of rank {rank} over {x.dtype}")
    spatial = rank - 2
    pads = _explicit_pads(node, spatial)
    bias = (
        planner.need_constant(node, 2, "the bias")
        if len(node.inputs) > 2 and node.inputs[2] is not None
        else np.zeros(weight.shape[0], np.float32)
    )
    if rank == 3:
        weight = weight[:, :, None, :]
    in_h, in_w = (1, x.extent(2)) if rank == 3 else (x.extent(2), x.extent(3))
    spec = ConvSpec(
        x.batch, in_h, in_w, x.extent(1), weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        _pair(_ints(node, "strides", [1] * spatial), 1),
        _quadruple(pads),
        _pair(_ints(node, "dilations", [1] * spatial), 1),
        _int(node, "group", 1), 0, Epilogue("accumulator"),
    )  # fmt: skip
    places = (spec.out_w,) if rank == 3 else (spec.out_h, spec.out_w)
    if spec.in_w == spec.kernel[1] == 1 and not spec.pads[1] and not spec.pads[3]:
        # A single column is a row to the kernel, whose tiles lie along rows.
        spec, weight = _turned(spec), weight.swapaxes(2, 3)
    shape = (x.batch, spec.out_c, *places)
    value, function = function_behind(planner, node.outputs[0])
    out = channels_last(str(value.name), "float32", shape)
    source = ensure(planner, x, channels_last(x.name, "float32", x.shape))
    _emit_conv(planner, FloatConv(spec, function), source, weight, bias, out, value)


def _turned(spec: ConvSpec) -> ConvSpec:
    """The same convolution with height and width exchanged."""
    top, left, bottom, right = spec.pads
    return replace(
        spec,
        in_h=spec.in_w,
        in_w=spec.in_h,
        kernel=spec.kernel[::-1],
        strides=spec.strides[::-1],
        pads=(left, top, right, bottom),
        dilations=spec.dilations[::-1],
    )


def _emit_conv(
    planner: Planner,
    kernel: FloatConv,
    x: Tensor,
    weight: Array,
    bias: Array,
    out: Tensor,
    value: ir.Value,
) -> None:
    spec = kernel.conv
    lanes = padded(spec.out_c)
    names = [
        x.name,
        planner.add_constant(f"{out.name}.weight", np.ascontiguousarray(weight)),
        planner.add_constant(f"{out.name}.bias", np.pad(bias, (0, lanes - spec.out_c))),
    ]
    planner.emit(kernel, names, out, value, (spec.out_h, spec.out_w, lanes))


def matmul(planner: Planner, node: ir.Node) -> None:
    """MatMul with a constant right side (and the bias behind it), or of two activations."""
    weight = planner.constant(node.inputs[1])
    if weight is None:
        _product(planner, node)
        return
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    if weight.ndim != 2 or rank < 2:
        raise Unsupported(f"MatMul of rank {rank} with a constant of rank {weight.ndim}")
    depth, width = weight.shape
    value, bias = _bias_behind(planner, node.outputs[0], width)
    count = math.prod(x.extent(axis) for axis in range(1, rank - 1))
    spec = ConvSpec(
        x.batch, 1, count, depth, width, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1,
        0, Epilogue("accumulator"),
    )  # fmt: skip
    source = ensure(planner, x, rows(x.name, "float32", x.shape))
    value, function = function_behind(planner, value)
    out = rows(str(value.name), "float32", (*x.shape[:-1], width))
    kernel = np.ascontiguousarray(weight.T)[:, :, None, None]
    _emit_conv(planner, FloatConv(spec, function), source, kernel, bias, out, value)


def _bias_behind(planner: Planner, value: ir.Value, width: int) -> tuple[ir.Value, Array]:
    """The value after the addition of a constant row, and the row (zeros if there is none)."""
    reader = planner.only_reader(value)
    if reader is not None and (reader.domain, reader.op_type) == ("", "Add"):
        other = reader.inputs[1] if reader.inputs[0] is value else reader.inputs[0]
        row = planner.constant(other)
        if row is not None and row.size == width and row.shape[-1:] == (width,):
            planner.fuse(reader)
            return reader.outputs[0], row.reshape(-1)
    return value, np.zeros(width, np.float32)


def _product(planner: Planner, node: ir.Node) -> None:
    """MatMul of two activations of equal rank; axes in front may broadcast."""
    a, b = planner.tensor(node, 0), planner.tensor(node, 1)
    rank = len(a.shape)
    if len(b.shape) != rank or rank < 3 or a.batch != b.batch or a.shape[-1] != b.shape[-2]:
        raise Unsupported(f"MatMul of shapes {a.shape} and {b.shape}")
    front = list(range(1, rank - 2))
    if any(1 != a.extent(i) != b.extent(i) != 1 for i in front):
        raise Unsupported(f"MatMul of shapes {a.shape} and {b.shape}")
    outer = [max(a.extent(i), b.extent(i)) for i in front]
    row, column = rank - 2, rank - 1
    shape = (a.batch, *outer, a.extent(row), b.extent(column))
    out = rows(str(node.outputs[0].name), "float32", shape)
    left = planner.operand(a, front)
    left = replace(left, strides=(*left.strides, a.stride(row), 0, a.stride(column)))
    right = planner.operand(b, front)
    right = replace(right, strides=(*right.strides, 0, b.stride(column), b.stride(row)))
    dims = (*outer, a.extent(row), b.extent(column))
    result = output_operand(out, [*front, row, column], None)
    kernel = FloatMatMul(a.batch, dims, a.extent(column), left, right, result)
    planner.emit(kernel, [a.name, b.name], out, node.outputs[0])


def pool(planner: Planner, node: ir.Node) -> None:
    """MaxPool or AveragePool over one or two spatial axes."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    if rank not in (3, 4) or len(node.outputs) > 1:
        raise Unsupported(f"{node.op_type} with rank {rank} and {len(node.outputs)} outputs")
    spatial = rank - 2
    pads = _explicit_pads(node, spatial)
    kernel = _ints(node, "kernel_shape", [])
    strides = _ints(node, "strides", [1] * spatial)
    dilations = _ints(node, "dilations", [1] * spatial)
    ceil_mode, whole = (bool(_int(node, name, 0)) for name in ("ceil_mode", "count_include_pad"))
    if ceil_mode and whole and node.op_type == "AveragePool":
        raise Unsupported("AveragePool with both ceil_mode and count_include_pad")
    outs = [
        pooled_extent(x.extent(2 + i), kernel[i], strides[i], dilations[i], pads[i],
                      pads[i + spatial], ceil_mode)
        for i in range(spatial)
    ]  # fmt: skip
    source = ensure(planner, x, channels_last(x.name, "float32", x.shape))
    out = channels_last(str(node.outputs[0].name), "float32", (x.batch, x.shape[1], *outs))
    in_h, in_w = _pair([x.extent(2 + i) for i in range(spatial)], 1)
    out_h, out_w = _pair(outs, 1)
    spec = FloatPool(
        x.batch, in_h, in_w, source.lanes, out_h, out_w, _pair(kernel, 1), _pair(strides, 1),
        _quadruple(pads)[:2], _pair(dilations, 1),
        "max" if node.op_type == "MaxPool" else "average", whole,
    )  # fmt: skip
    planner.emit(spec, [source.name], out, node.outputs[0], (out_h, out_w, out.lanes))


_KINDS = {
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
}


def reduce(planner: Planner, node: ir.Node) -> None:
    """Reductions over other axes than the batch."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    if x.dtype != "float32":
        raise Unsupported(f"{node.op_type} of {x.dtype}")
    keep = bool(_int(node, "keepdims", 1))
    if node.op_type.startswith("Global"):
        axes = list(range(2, rank))
    elif len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = [int(a) for a in planner.need_constant(node, 1, "the axes")]
    else:
        axes = _ints(node, "axes", list(range(rank)))
    over = sorted({a % rank for a in axes})
    if 0 in over:
        raise Unsupported("the batch axis is reduced")
    value = node.outputs[0]
    wide = like(
        x, str(value.name), "float32", tuple(1 if a in over else d for a, d in enumerate(x.shape))
    )
    if x.axes[-1] in over:  # or the one number of a row would be padded, and none could go
        wide = replace(wide, lanes=1)
    stay, gone = [a for a in x.axes if a not in over], [a for a in x.axes if a in over]
    dims, (left, out) = collapse(
        [x.extent(a) for a in stay], [planner.operand(x, stay), output_operand(wide, stay, None)]
    )
    inner, (right,) = collapse([x.extent(a) for a in gone], [planner.operand(x, gone)])
    source = replace(left, strides=left.strides + right.strides)
    kernel = FloatReduce(x.batch, dims, inner, _KINDS[node.op_type], source, out)  # type: ignore[arg-type]
    planner.emit(kernel, [x.name], wide, value)
    if not keep:
        shape = tuple(d for a, d in enumerate(x.shape) if a not in over)
        view = reshaped(wide, wide.name, shape)
        assert view is not None  # only axes of extent 1 go
        planner.view(value, view)


def softmax(planner: Planner, node: ir.Node) -> None:
    """Softmax or LogSoftmax along one axis."""
    softmax_of(planner, node, planner.tensor(node, 0))


def softmax_of(planner: Planner, node: ir.Node, x: Tensor) -> None:
    """The softmax `node`, of `x` instead of its own input."""
    order = _axis_last(x, _int(node, "axis", -1))
    value = node.outputs[0]
    out = like(x, str(value.name), "float32", x.shape)
    kernel = FloatSoftmax(
        x.batch, tuple(x.extent(a) for a in order), planner.operand(x, order),
        output_operand(out, order, None), node.op_type == "LogSoftmax",
    )  # fmt: skip
    planner.emit(kernel, [x.name], out, value)


def _axis_last(x: Tensor, axis: int) -> list[int]:
    """The loops over `x` with logical `axis` innermost.

    Raises:
        Unsupported: it is the batch axis.
    """
    axis %= len(x.shape)
    if axis == 0:
        raise Unsupported("normalization over the batch axis")
    return [a for a in x.axes if a != axis] + [axis]


def layer_normalization(planner: Planner, node: ir.Node) -> None:
    """LayerNormalization over the last axis."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    if _int(node, "axis", -1) % rank != rank - 1:
        raise Unsupported("LayerNormalization over more than the last axis")
    if len(node.outputs) > 1 and any(list(v.uses()) for v in node.outputs[1:]):
        raise Unsupported("LayerNormalization whose mean or deviation is used")
    _normalization(planner, node, x, rank - 1)


def normalization(planner: Planner, node: ir.Node) -> None:
    """actc::LayerNorm or actc::RmsNorm over one axis."""
    x = planner.tensor(node, 0)
    _normalization(planner, node, x, _int(node, "axis", -1))


def _normalization(planner: Planner, node: ir.Node, x: Tensor, axis: int) -> None:
    order = _axis_last(x, axis)
    gamma = planner.need_constant(node, 1, "the scale")
    beta = (
        planner.need_constant(node, 2, "the bias")
        if len(node.inputs) > 2 and node.inputs[2] is not None
        else np.zeros_like(gamma)
    )
    value = node.outputs[0]
    out = like(x, str(value.name), "float32", x.shape)
    dims = tuple(x.extent(a) for a in order)
    eps = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    sources = [Source(f"{value.name}.{n}", a) for n, a in (("gamma", gamma), ("beta", beta))]
    pairs = [operand_of(planner, s, x, order, dims) for s in sources]
    operands = (planner.operand(x, order), *(o for o, _ in pairs))
    kernel = FloatLayerNorm(
        x.batch, dims, operands, output_operand(out, order, None), eps,
        centred=node.op_type != "RmsNorm",
    )  # fmt: skip
    planner.emit(kernel, [x.name, *(name for _, name in pairs)], out, value)
