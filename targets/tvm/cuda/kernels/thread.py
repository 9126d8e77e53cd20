"""What the kernels of a GPU share: threads, and buffers as a thread sees them.

Work is counted in items of a sample. A block has `THREADS` threads; a sample takes as many
blocks as it has items for, and samples of few items share a block, so that neither the batch
nor the items are ever divided by a number that is not known at compile time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.half import HALF
from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.strided import TableKind

THREADS = 256
WARP = 32


def device_func(name: str, body: Callable[[Any], None]) -> Any:
    """A PrimFunc of one kernel; `body(n)` writes its arguments and then its threads.

    `n`, the samples of the batch, is the first argument.
    """

    def whole() -> None:
        with tir.device_code():
            body(T.arg("n", tirx.Var("n", "int32")))

    return tir.prim_func(name, whole)


def int32(number: int) -> Any:
    """A constant."""
    return tirx.const(number, "int32")


def div(a: Any, b: int) -> Any:
    """Quotient of numbers that are not negative."""
    return a if b == 1 else tirx.truncdiv(a, int32(b))


def mod(a: Any, b: int) -> Any:
    """Remainder of numbers that are not negative."""
    return int32(0) if b == 1 else tirx.truncmod(a, int32(b))


def argument(name: str, size: Any, dtype: str) -> Any:
    """A flat buffer that the kernel takes."""
    return T.arg(name, T.buffer((size,), dtype))


@contextlib.contextmanager
def when(condition: Any) -> Iterator[None]:
    """A block that runs only where the condition holds (None: everywhere)."""
    with contextlib.ExitStack() as stack:
        if condition is not None:
            stack.enter_context(T.If(condition))
            stack.enter_context(T.Then())
        yield


@contextlib.contextmanager
def launch(blocks: Any, threads: int = THREADS) -> Iterator[tuple[Any, Any]]:
    """The kernel's threads: yields the numbers of the block and of the thread in it."""
    with (
        T.launch_thread("blockIdx.x", blocks) as block,
        T.launch_thread("threadIdx.x", threads) as thread,
    ):
        yield block, thread


@contextlib.contextmanager
def each_item(n: Any, items: int) -> Iterator[tuple[Any, Any]]:
    """One thread for every item of every sample: yields the sample and the item."""
    if items >= THREADS:
        per_sample = -(-items // THREADS)
        with launch(n * per_sample) as (block, thread):
            sample = T.Bind(div(block, per_sample))
            item = T.Bind(mod(block, per_sample) * THREADS + thread)
            with when(item < items if items % THREADS else None):
                yield sample, item
        return
    together = THREADS // items
    with launch(div(n + (together - 1), together)) as (block, thread):
        sample = T.Bind(block * together + div(thread, items))
        item = T.Bind(mod(thread, items))
        inside = sample < n
        if THREADS % items:
            inside = tirx.And(inside, thread < together * items)
        with when(inside):
            yield sample, item


@contextlib.contextmanager
def each_row(n: Any, rows: int) -> Iterator[tuple[Any, Any, Any]]:
    """A warp for every row of every sample: yields the sample, the row and the lane."""
    together = THREADS // WARP
    with launch(div(n * rows + (together - 1), together)) as (block, thread):
        index = T.Bind(block * together + div(thread, WARP))
        with when(index < n * rows):
            yield T.Bind(div(index, rows)), T.Bind(mod(index, rows)), T.Bind(mod(thread, WARP))


@contextlib.contextmanager
def shared_out(count: int, lane: Any) -> Iterator[Any]:
    """A warp's loop over `count` elements: yields those of the lane, every 32nd."""
    with T.serial(0, -(-count // WARP)) as step:
        place = T.Bind(step * WARP + lane)
        with when(place < count if count % WARP else None):
            yield place


def warp_sum(value: Any, dtype: str) -> Any:
    """The sum over a warp, for every lane."""
    return T.Bind(T.call_extern(dtype, "actc_warp_sum", value))


def warp_max(value: Any, dtype: str) -> Any:
    """The largest of a warp, for every lane."""
    return T.Bind(T.call_extern(dtype, "actc_warp_max", value))


def indices_of(item: Any, dims: Sequence[int]) -> list[Any]:
    """An item's index along each of `dims`, innermost last."""
    found: list[Any] = []
    for position, extent in enumerate(dims):
        inner = math.prod(dims[position + 1 :])
        index = div(item, inner)
        found.append(T.Bind(index if position == 0 else mod(index, extent)))
    return found


@contextlib.contextmanager
def loops(extents: Sequence[int]) -> Iterator[list[Any]]:
    """Nested loops of a thread; yields their variables."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(T.serial(0, extent)) for extent in extents]


class Register:
    """A variable of the thread."""

    def __init__(self, dtype: str, start: Any) -> None:
        self._buffer = T.alloc_buffer((1,), dtype, scope="local")
        self.set(tirx.const(start, dtype) if isinstance(start, (int, float)) else start)

    @property
    def value(self) -> Any:
        """What it holds."""
        return self._buffer[0]

    def set(self, value: Any) -> None:
        """Replace it."""
        T.buffer_store(self._buffer, value, [0])

    @property
    def address(self) -> Any:
        """A pointer to it."""
        return T.address_of(self._buffer[0])


def memory(name: str, size: Any, dtype: str) -> Any:
    """A flat buffer that the kernel takes; halves are float16 as bits, see `half`."""
    return argument(name, size, "uint16" if dtype == HALF else dtype)


def widened(value: Any, dtype: str) -> Any:
    """What was read from memory of type `dtype`; halves as float32."""
    if dtype != HALF:
        return value
    return T.call_pure_extern("float32", "actc_widen", value)


def narrowed(value: Any, dtype: str) -> Any:
    """`value` as it is written to memory of type `dtype`; float32 rounded to halves."""
    if dtype != HALF:
        return value
    return T.call_pure_extern("uint16", "actc_narrow", value)


class View:
    """A buffer argument with the strides of its operand."""

    def __init__(self, name: str, operand: Operand, n: Any) -> None:
        count = tirx.Cast("int64", n) * operand.size if operand.batched else operand.size
        self.operand = operand
        self.data = memory(name, count, operand.dtype)

    def at(self, sample: Any, indices: Sequence[Any]) -> Any:
        """Index of the element that the loops' `indices` belong to."""
        return place(self.operand, sample, indices)

    def load(self, sample: Any, indices: Sequence[Any]) -> Any:
        """An element."""
        return self.get(self.at(sample, indices))

    def get(self, at: Any) -> Any:
        """The element at a flat index."""
        return widened(self.data[at], self.operand.dtype)

    def store(self, sample: Any, indices: Sequence[Any], value: Any) -> None:
        """Write an element."""
        self.put(self.at(sample, indices), value)

    def put(self, at: Any, value: Any) -> None:
        """Write an element at a flat index."""
        T.buffer_store(self.data, narrowed(value, self.operand.dtype), [at])


def place(operand: Operand, sample: Any, indices: Sequence[Any]) -> Any:
    """Flat index into an operand: 64 bits where samples are counted, 32 inside one."""
    inner = int32(operand.offset)
    for index, stride in zip(indices, operand.strides, strict=True):
        if stride:
            inner = inner + index * int32(stride)
    if not operand.batched:
        return inner
    return tirx.Cast("int64", sample) * operand.size + tirx.Cast("int64", inner)


class Finish:
    """What follows an operation: requantization, then a table; its arguments are declared here."""

    def __init__(
        self,
        requantize: Epilogue | None,
        table: TableKind,
        operands: Sequence[Operand],
        table_size: int,
        n: Any,
    ) -> None:
        rest = list(operands)
        self._epilogue = requantize
        self._multiplier = View("multiplier", rest.pop(0), n) if requantize else None
        self._offset = View("offset", rest.pop(0), n) if table == "channel" else None
        self._table = argument("table", table_size, "uint8") if table != "none" else None

    def store(self, value: Any, out: View, sample: Any, indices: Sequence[Any]) -> None:
        """Write what becomes of `value`."""
        if self._multiplier is not None and self._epilogue is not None:
            factor = self._multiplier.load(sample, indices)
            value = tir.requantize(T.Bind(value), factor, self._epilogue)
        if self._table is not None:
            base = int32(0) if self._offset is None else self._offset.load(sample, indices)
            value = tir.lookup(self._table, T.Bind(value), base)
        out.store(sample, indices, value)
