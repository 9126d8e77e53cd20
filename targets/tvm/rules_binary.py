"""Rules for layers of signs: packed bits between them, XNOR and population count. Pure Python.

A layer whose input has two codes and whose weights have one size (`actc.ir.binary`) counts
equal bits instead of multiplying. Its input is packed to bits unless it lies in bits already;
where its sums only meet a threshold per channel in front of another such layer, the kernel
stores bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from actc.ir.binary import BinaryLayer, Threshold, binary_layer, threshold
from actc.ir.graph import dims
from actc.targets.tvm import rules_conv as convs
from actc.targets.tvm import rules_shape as shapes
from actc.targets.tvm import rules_steps as staircases
from actc.targets.tvm.binary_base import Geometry, limits, rows_of_pixels, sums
from actc.targets.tvm.kernels.binary_spec import WORD, BinaryConv, Pack, Unpack, words
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.layout import Bits, Shape, Tensor, channels_last, plain, rows
from actc.targets.tvm.planner import Planner
from actc.targets.tvm.rules_common import ensure

LEAST_CHANNELS = 16
"""With fewer channels a word of bits is too empty to be faster than products of bytes."""

TAKES_BITS = frozenset(
    {"actc::IntConv", "actc::IntMatMul", "::Flatten", "::MaxPool", "::Reshape", "::Identity"}
)
"""Operators whose rules look for packed bits themselves."""


def suitable(planner: Planner, node: ir.Node) -> BinaryLayer | None:
    """`node` as a layer of signs that is faster on bits; None for any other."""
    layer = binary_layer(node, planner.codes)
    x = dims(node.inputs[0])
    if layer is None or x is None:
        return None
    if node.op_type == "IntMatMul":
        fits = layer.weight.ndim == 2 and len(x) >= 2
        return layer if fits and layer.weight.shape[0] >= LEAST_CHANNELS else None
    fits = len(x) in (3, 4) and node.attributes["group"].as_int() == 1
    return layer if fits and layer.weight.shape[1] >= LEAST_CHANNELS else None


def wanted_axis(planner: Planner, value: ir.Value) -> int | None:
    """The axis of channels along which a layer of signs wants `value` packed, None if none does."""
    shape = dims(value)
    if shape is None or len(planner.codes.get(value, ())) != 2:
        return None
    for use in value.uses():
        user = use.node
        if suitable(planner, user) is not None and use.idx == 0:
            return 1 if user.op_type == "IntConv" else len(shape) - 1
        pooled = user.op_type == "MaxPool" and len(user.outputs) == 1 and len(shape) in (3, 4)
        if pooled and wanted_axis(planner, user.outputs[0]) == 1:
            return 1
        if user.op_type in ("Flatten", "Reshape") and _joins(shape, dims(user.outputs[0])):
            full = shape[1] is not None and shape[1] >= LEAST_CHANNELS
            if full and wanted_axis(planner, user.outputs[0]) is not None:
                return 1
    return None


def _joins(shape: Shape, flat: Shape | None) -> bool:
    """Whether a reshape joins all axes of a map behind the batch."""
    return flat is not None and len(shape) in (2, 3, 4) and len(flat) == 2


def int_matmul(planner: Planner, node: ir.Node) -> None:
    """IntMatMul: on bits where both factors are signs."""
    layer = suitable(planner, node)
    if layer is None:
        planner.need_codes(node.inputs[0])
        convs.int_matmul(planner, node)
        return
    x = _packed(planner, node, layer, last=True)
    depth, channels = layer.weight.shape
    if x.flat:
        weight = layer.weight.reshape(*(d or 0 for d in x.shape[1:]), channels)
        weight = np.moveaxis(np.moveaxis(weight, -1, 0), x.axis, 1)
        weight = weight.reshape(channels, x.channels, *x.map)
        shape: Shape = (x.shape[0], channels)
    else:
        weight = layer.weight.T.reshape(channels, depth, 1, 1)
        shape = (*x.shape[:-1], channels)
    geometry = Geometry(weight, x.map, (1, 1), (0, 0, 0, 0), (1, 1))
    out = rows(str(node.outputs[0].name), "int32", shape)
    _emit(planner, _Layer(layer, x, geometry, out, len(shape) - 1))


def int_conv(planner: Planner, node: ir.Node) -> None:
    """IntConv: on bits where both factors are signs."""
    layer = suitable(planner, node)
    if layer is None:
        planner.need_codes(node.inputs[0])
        convs.int_conv(planner, node)
        return
    x = _packed(planner, node, layer, last=False)
    rank = len(x.shape)
    weight = layer.weight[:, :, None, :] if rank == 3 else layer.weight
    _, strides, pads, dilations = convs.window(node, rank)
    geometry = Geometry(weight, x.map, strides, pads, dilations)
    spatial = geometry.out[1:] if rank == 3 else geometry.out
    shape = (x.shape[0], weight.shape[0], *spatial)
    out = channels_last(str(node.outputs[0].name), "int32", shape)
    _emit(planner, _Layer(layer, x, geometry, out, 1))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer of signs with its places in memory.

    Attributes:
        layer: what the graph says.
        x: its input.
        geometry: weights (O, C, kh, kw) and the window.
        out: where its sums would lie.
        axis: of the output's channels.
    """

    layer: BinaryLayer
    x: Bits
    geometry: Geometry
    out: Tensor
    axis: int


def _emit(planner: Planner, one: _Layer) -> None:
    """The kernel call: bits where a threshold follows in front of another layer, else sums."""
    layer, geometry, out = one.layer, one.geometry, one.out
    step = layer.size * (layer.high - layer.low)
    classes, places = rows_of_pixels(geometry, layer.low != layer.zero)
    base = sums(geometry, layer, classes)
    signs = np.sign(geometry.weight)
    follower = _threshold_behind(planner, one)
    if follower is not None:
        base, signs = limits(base, signs, step, follower[1])
    height, width = geometry.out
    spec = BinaryConv(
        one.x.shape[0], *one.x.map, one.x.channels, signs.shape[0],
        (signs.shape[2], signs.shape[3]), geometry.strides, geometry.pads, geometry.dilations,
        layer.ternary, "sums" if follower is None else "bits", step, len(base),
    )  # fmt: skip
    name = out.name
    names = [
        one.x.name,
        planner.add_constant(f"{name}.signs", signs.astype(np.int8)),
        planner.add_constant(f"{name}.base", base.astype(np.int32)),
    ]
    if len(base) > 1:
        names.append(planner.add_constant(f"{name}.place", places.astype(np.int32)))
    if follower is None:
        shape = (height, width, padded(spec.out_c))
        planner.emit(spec, names, out, layer.node.outputs[0], shape)
        return
    node, found = follower
    planner.fuse(node)
    _emit_bits(planner, spec, names, node.outputs[0], out.shape, one.axis, (found.low, found.high))


def _emit_bits(
    planner: Planner,
    kernel: BinaryConv | Pack,
    names: list[str],
    value: ir.Value,
    shape: Shape,
    axis: int,
    codes: tuple[int, int],
) -> Bits:
    """A kernel call that writes the bits of `value`."""
    bits = Bits(f"{value.name}.bits", shape, axis, *codes)
    buffer = (*bits.map, words(bits.channels))
    out = plain(bits.name, "uint32", (shape[0], *buffer))
    planner.emit(kernel, names, out, None, buffer)
    planner.bits[str(value.name)] = bits
    return bits


def _threshold_behind(planner: Planner, one: _Layer) -> tuple[ir.Node, Threshold] | None:
    """The Steps node that alone reads a layer's sums, if its codes are wanted as bits."""
    node = planner.only_consumer(one.layer.node.outputs[0], "Steps")
    if node is None:
        return None
    found = _thresholds(planner, node, one.out.shape, one.axis)
    return None if found is None else (node, found)


def _thresholds(planner: Planner, node: ir.Node, shape: Shape, axis: int) -> Threshold | None:
    """One threshold per channel along `axis`, if the codes are wanted as bits along it."""
    found, offset = threshold(node, planner.codes), planner.constant(node.inputs[3])
    if found is None or offset is None or offset.ndim > len(shape):
        return None
    if wanted_axis(planner, node.outputs[0]) != axis:
        return None
    given = (1,) * (len(shape) - offset.ndim) + offset.shape
    channels = shape[axis]
    assert channels is not None
    if given[axis] not in (1, channels) or given[axis] != offset.size:
        return None
    points = np.broadcast_to(found.points, (channels,))
    return replace(found, points=points, rising=np.broadcast_to(found.rising, (channels,)))


def steps(planner: Planner, node: ir.Node) -> None:
    """Steps: to bits where a layer of signs wants them, else to codes."""
    x = planner.tensor(node, 0)
    axis = wanted_axis(planner, node.outputs[0])
    found = None if axis is None else _thresholds(planner, node, x.shape, axis)
    if found is None or axis is None or x.dtype != "int32":
        staircases.steps(planner, node)
        return
    source = ensure(planner, x, _ordered(x, axis))
    name, kind = str(node.outputs[0].name), np.iinfo(np.int32)
    depth = words(len(found.points))
    points = np.full(depth * WORD, kind.max, np.int64)
    points[: len(found.points)] = np.clip(found.points, kind.min, kind.max)
    falls = np.zeros(depth * WORD, bool)
    falls[: len(found.points)] = ~found.rising
    flips = np.packbits(falls, bitorder="little").view("<u4")
    bits = Bits("", x.shape, axis, found.low, found.high)
    spec = Pack(x.batch, *bits.map, bits.channels, source.lanes, "int32", each=True)
    names = [
        source.name,
        planner.add_constant(f"{name}.points", points.astype(np.int32)),
        planner.add_constant(f"{name}.flips", flips),
    ]
    codes = (found.low, found.high)
    _emit_bits(planner, spec, names, node.outputs[0], x.shape, axis, codes)


def _ordered(x: Tensor, axis: int) -> Tensor:
    """The layout of `x` with the channels of `axis` innermost."""
    last = axis == len(x.shape) - 1
    return (rows if last else channels_last)(x.name, x.dtype, x.shape)


def _packed(planner: Planner, node: ir.Node, layer: BinaryLayer, *, last: bool) -> Bits:
    """The input of a layer as bits along its channels; packed here unless it lies so.

    Raises:
        Unsupported: the input is a constant.
    """
    value = node.inputs[0]
    assert value is not None
    found = planner.bits.get(str(value.name))
    if found is not None and (found.flat or found.axis == (len(found.shape) - 1 if last else 1)):
        return found
    planner.need_codes(value)
    x = planner.tensor(node, 0)
    axis = len(x.shape) - 1 if last else 1
    source = ensure(planner, x, _ordered(x, axis))
    bits = Bits("", x.shape, axis, layer.low, layer.high)
    spec = Pack(x.batch, *bits.map, bits.channels, source.lanes, "uint8", layer.low)
    codes = (layer.low, layer.high)
    return _emit_bits(planner, spec, [source.name], value, x.shape, axis, codes)


def unpack(planner: Planner, value: ir.Value) -> None:
    """Give a value that lies in packed bits a tensor of codes."""
    bits = planner.bits[str(value.name)]
    name = planner.temporary(f"{value.name}.codes")
    last = bits.axis == len(bits.shape) - 1
    out = (rows if last else channels_last)(name, "uint8", bits.shape)
    spec = Unpack(bits.shape[0], *bits.map, bits.channels, bits.low, bits.high)
    shape = (*bits.map, padded(bits.channels))
    planner.emit(spec, [bits.name], out, None if bits.flat else value, shape)
    if bits.flat:
        size = int(np.prod([d or 0 for d in bits.shape[1:]]))
        shapes.reshape_to(planner, out, value, (bits.shape[0], size))


def max_pool(planner: Planner, node: ir.Node) -> None:
    """MaxPool: of bits an OR, since the larger code is 1."""
    bits = _of(planner, node)
    if bits is None or bits.axis != 1 or bits.flat or len(bits.shape) < 3:
        planner.need_codes(node.inputs[0])
        shapes.max_pool(planner, node)
        return
    spec, shape = shapes.pooling(node, bits.shape, words(bits.channels), "uint32")
    value = node.outputs[0]
    buffer = (spec.out_h, spec.out_w, spec.lanes)
    out = plain(f"{value.name}.bits", "uint32", (shape[0], *buffer))
    planner.emit(spec, [bits.name], out, None, buffer)
    planner.bits[str(value.name)] = replace(bits, name=out.name, shape=shape)


def _of(planner: Planner, node: ir.Node) -> Bits | None:
    """The packed bits of a node's input, unless its codes are there too."""
    value = node.inputs[0]
    assert value is not None
    name = str(value.name)
    return None if name in planner.tensors else planner.bits.get(name)


def flatten(planner: Planner, node: ir.Node) -> None:
    """Flatten: bits stay where they are."""
    if not _flat_bits(planner, node):
        planner.need_codes(node.inputs[0])
        shapes.flatten(planner, node)


def reshape(planner: Planner, node: ir.Node) -> None:
    """Reshape: bits stay where they are if all axes behind the batch are joined."""
    if not _flat_bits(planner, node):
        planner.need_codes(node.inputs[0])
        shapes.reshape(planner, node)


def _flat_bits(planner: Planner, node: ir.Node) -> bool:
    """Take the bits of the input for those of the joined axes."""
    bits, value = _of(planner, node), node.outputs[0]
    flat = dims(value)
    if bits is None or flat is None or not _joins(bits.shape, flat):
        return False
    size = int(np.prod([d or 0 for d in bits.shape[1:]]))
    if flat[1] != size or flat[0] != bits.shape[0] or wanted_axis(planner, value) is None:
        return False
    planner.bits[str(value.name)] = replace(bits, flat=True)
    return True
