"""What the rules share: fusing what follows an accumulator, and emitting loop nests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.operand import Operand, collapse
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.strided import Copy, Elementwise, Operation, TableKind
from actc.targets.tvm.layout import Shape, Tensor
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported, place

SMALL = 16
"""An innermost loop this short is not worth a vector."""


@dataclass(frozen=True, eq=False)
class Tail:
    """What a kernel does to its result before it stores it.

    Attributes:
        value: the model's value that the kernel then computes.
        requantize: parameters of Requantize; None when there is none.
        multiplier: its multiplier, int32.
        table: whether a look-up follows.
        codes: the table, uint8.
        offset: int32 added to the code, for a table per channel.
    """

    value: ir.Value
    requantize: Epilogue | None = None
    multiplier: Array | None = None
    table: TableKind = "none"
    codes: Array | None = None
    offset: Array | None = None

    @property
    def table_size(self) -> int:
        """Elements of the table."""
        return 0 if self.codes is None else int(self.codes.size)

    def constants(self) -> list[tuple[str, Array]]:
        """The broadcast operands, in the kernels' order."""
        found = [("multiplier", self.multiplier), ("offset", self.offset)]
        return [(name, array) for name, array in found if array is not None]


def requantize_tail(planner: Planner, node: ir.Node) -> Tail:
    """The tail that starts with the Requantize node `node`, with the table behind it."""
    multiplier = planner.need_constant(node, 1, "the multiplier")
    shift, zero, low, high = (
        int(planner.scalar(node, i, what))
        for i, what in enumerate(("the shift", "the zero point", "low", "high"), start=2)
    )
    epilogue = Epilogue("requantize", shift, zero, low, high)
    tail = Tail(node.outputs[0], epilogue, multiplier.astype(np.int32))
    return table_tail(planner, tail)


def table_tail(planner: Planner, tail: Tail) -> Tail:
    """`tail` with the table that alone reads its value, if there is one."""
    shared = planner.only_consumer(tail.value, "Table")
    if shared is not None:
        codes = planner.need_constant(shared, 1, "the table")
        planner.fuse(shared)
        return replace(tail, value=shared.outputs[0], table="shared", codes=codes)
    channel = planner.only_consumer(tail.value, "ChannelTable")
    if channel is not None:
        codes = planner.need_constant(channel, 1, "the table")
        offset = planner.need_constant(channel, 2, "the table offset")
        planner.fuse(channel)
        value = channel.outputs[0]
        return replace(tail, value=value, table="channel", codes=codes, offset=offset)
    return tail


def accumulator_tail(planner: Planner, node: ir.Node) -> Tail:
    """What follows an operator that gives an int32 accumulator."""
    follower = planner.only_consumer(node.outputs[0], "Requantize")
    if follower is None:
        return Tail(node.outputs[0])
    planner.fuse(follower)
    return requantize_tail(planner, follower)


def pad_axis(array: Array, rank: int, axis: int, extent: int) -> Array:
    """A broadcast constant whose logical `axis` is extended with zeros to `extent`."""
    at = array.ndim - rank + axis
    if at < 0 or array.shape[at] == 1:
        return array
    widths = [(0, 0)] * array.ndim
    widths[at] = (0, extent - array.shape[at])
    return np.pad(array, widths)


@dataclass(frozen=True, eq=False)
class Source:
    """An input of a loop nest: an activation or a constant, from `start` in steps.

    Attributes:
        name: buffer name, or a name for the constant.
        data: where it lies, or the array.
        start: logical axis -> first index (default 0).
        step: logical axis -> step (default 1).
        looked_up: whether it is a table that the operation indexes itself.
    """

    name: str
    data: Tensor | Array
    start: tuple[tuple[int, int], ...] = ()
    step: tuple[tuple[int, int], ...] = ()
    looked_up: bool = False


def operand_of(
    planner: Planner, source: Source, out: Tensor, axes: Sequence[int], extents: Sequence[int]
) -> tuple[Operand, str]:
    """Operand and buffer or constant name of a source in a nest over `axes` of `out`."""
    if isinstance(source.data, Tensor):
        tensor = source.data
        steps = dict(source.step)
        offset = sum(tensor.stride(axis) * first for axis, first in source.start)
        operand = planner.operand(tensor, axes, offset=offset)
        strides = (s * steps.get(a, 1) for s, a in zip(operand.strides, axes, strict=True))
        return replace(operand, strides=tuple(strides)), tensor.name
    rank = len(out.shape)
    array = source.data
    if source.looked_up:
        still = (0,) * len(axes)
        walk = Operand(str(array.dtype), array.shape, False, still)
        return walk, planner.add_constant(source.name, array)
    for axis, extent in zip(axes, extents, strict=True):
        array = pad_axis(array, rank, axis, max(extent, out.extent(axis)))
    return planner.constant_operand(array, rank, axes), planner.add_constant(source.name, array)


def nest_extents(out: Tensor, sources: Sequence[Source]) -> list[int]:
    """Loop extents over the axes of `out`: with its padding lanes where no activation objects."""
    if not out.axes:
        return []
    inner = out.axes[-1]
    lanes = out.lanes if out.extent(inner) > 1 else 1
    for source in sources:
        t = source.data
        if not isinstance(t, Tensor) or t.stride(inner) == 0:
            continue
        if t.axes[-1] != inner or t.lanes < lanes or source.start or source.step:
            lanes = out.extent(inner)
    return [*(out.extent(axis) for axis in out.axes[:-1]), lanes]


def loop_order(out: Tensor, sources: Sequence[Source], extents: Sequence[int]) -> list[int]:
    """Positions of the loops: the axes of `out`, or a longer contiguous axis of the input last."""
    order = list(range(len(extents)))
    first = sources[0].data
    if not extents or extents[-1] >= SMALL or not isinstance(first, Tensor) or not first.axes:
        return order
    wanted = first.axes[-1]
    at = out.axes.index(wanted)
    if extents[at] > extents[-1]:
        order.remove(at)
        order.append(at)
    return order


def emit_nest(
    planner: Planner,
    out: Tensor,
    sources: Sequence[Source],
    operation: Operation,
    tail: Tail,
    shape: tuple[int, ...] | None = None,
) -> None:
    """Emit an elementwise kernel that writes the new buffer `out` and stands for `tail.value`."""
    kernel, names = nest(planner, out, sources, operation, tail, shape)
    planner.emit(kernel, names, out, tail.value, shape)


def nest(
    planner: Planner,
    out: Tensor,
    sources: Sequence[Source],
    operation: Operation,
    tail: Tail,
    shape: tuple[int, ...] | None = None,
    into: tuple[Tensor, int] | None = None,
) -> tuple[Elementwise, list[str]]:
    """An elementwise kernel and the names of its inputs.

    Args:
        planner: where constants go.
        out: what the loops run over.
        sources: inputs of the operation.
        operation: what is computed.
        tail: what follows.
        shape: shape of the written buffer, where it is not `out`'s own.
        into: a larger tensor that is written instead of `out`, from this element on.
    """
    extents = nest_extents(out, sources)
    order = loop_order(out, sources, extents)
    axes = [out.axes[i] for i in order]
    extents = [extents[i] for i in order]
    constants = [Source(f"{out.name}.{name}", array) for name, array in tail.constants()]
    pairs = [operand_of(planner, s, out, axes, extents) for s in (*sources, *constants)]
    whole, first = into or (out, 0)
    result = replace(output_operand(whole, axes, shape), offset=first)
    dims, operands = collapse(extents, [*(operand for operand, _ in pairs), result])
    names = [name for _, name in pairs]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{out.name}.table", tail.codes))
    kernel = Elementwise(
        out.batch, dims, operands[:-1], operands[-1], operation,
        tail.requantize, tail.table, tail.table_size,
    )  # fmt: skip
    return kernel, names


def output_operand(out: Tensor, axes: Sequence[int], shape: tuple[int, ...] | None) -> Operand:
    """How a nest over `axes` walks through a new buffer."""

    strides = tuple(out.stride(axis) for axis in axes)
    return Operand(out.dtype, shape or place(out), True, strides)


def ensure(planner: Planner, tensor: Tensor, wanted: Tensor) -> Tensor:
    """`tensor` in the memory order of `wanted`, converted by a copy only if it differs.

    A model input is always copied: it need not be aligned.
    """
    if tensor.order == wanted.order and planner.writes(tensor.name):
        return replace(wanted, name=tensor.name)
    target = replace(wanted, name=planner.temporary(tensor.name))
    kernel, names = nest(planner, target, [Source(tensor.name, tensor)], Copy(), _NO_TAIL)
    planner.emit(kernel, names, target, None)
    return target


_NO_TAIL = Tail(ir.Value(name=""))


def out_dtype(tail: Tail, accumulator: str = "int32") -> str:
    """Element type of what a kernel stores."""
    return accumulator if tail.requantize is None else "uint8"


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """numpy broadcasting of activation shapes of one rank; the batch must agree.

    Raises:
        Unsupported
    """
    ranks = {len(shape) for shape in shapes}
    if len(ranks) != 1:
        raise Unsupported("activations of different rank are combined")
    if len({shape[0] for shape in shapes}) != 1:
        raise Unsupported("activations with different batch extents are combined")
    result: list[int | None] = [shapes[0][0]]
    for extents in zip(*(shape[1:] for shape in shapes), strict=True):
        wide = {e for e in extents if e != 1}
        if len(wide) > 1:
            raise Unsupported(f"shapes {shapes} do not broadcast")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def with_constants(shape: Shape, sources: Sequence[Source]) -> Shape:
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
