"""Statements of TVM as a GPU runs them: flat buffers, local memory, errors that end the launch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tvm
from tvm import tirx
from tvm.ir.expr import TensorLoad
from tvm_ffi import structural_map

FAIL = "actc_fail"
"""Device function that ends the launch with an error."""

Statement = Any


def number(extent: Any) -> int | None:
    """An extent that is known when the kernel is compiled; None for one of the batch."""
    return int(extent) if isinstance(extent, tirx.IntImm) else None


class Flat:
    """Rewrites statements: flat buffers, local allocations, assertions that end the launch.

    Args:
        batch: variable of the samples and what takes its place.
        views: what buffers are views of, by the hash of the buffer.
    """

    def __init__(self, batch: tuple[Any, Any] | None, views: dict[int, Any]) -> None:
        self._batch = batch
        self._views = views
        self._flat: dict[int, Any] = {}

    def __call__(self, statement: Statement) -> Statement:
        """The statement rewritten."""
        found = structural_map(statement, (tirx.AllocBuffer, self._allocated))
        return structural_map(
            found,
            [
                (TensorLoad, self._loaded),
                (tirx.BufferStore, self._stored),
                (tirx.AssertStmt, _checked),
                (tirx.DeclBuffer, _nothing),
                (tirx.Evaluate, _without_fence),
                (tvm.ir.Call, _plain_call),
                (tirx.Var, self._variable),
            ],
        )

    def argument(self, buffer: Any, name: str) -> Any:
        """The parameter that takes the place of a buffer."""
        return self._declare(buffer, name, "global")

    def _declare(self, buffer: Any, name: str, scope: str) -> Any:
        known = math.prod(found for e in buffer.shape if (found := number(e)) is not None)
        size: Any = tirx.const(known, "int64")
        if any(number(extent) is None for extent in buffer.shape) and self._batch is not None:
            size = self._batch[1] * size
        made = tirx.decl_buffer((size,), str(buffer.dtype), name, scope=scope)
        self._flat[hash(buffer)] = made
        return made

    def _extent(self, extent: Any) -> Any:
        return self._variable(extent) if isinstance(extent, tirx.Var) else extent

    def _variable(self, variable: Any) -> Any:
        if self._batch is not None and variable.same_as(self._batch[0]):
            return self._batch[1]
        return variable

    def _allocated(self, statement: Any) -> Any:
        return tirx.AllocBuffer(self._declare(statement.buffer, "own", "local"))

    def _of(self, buffer: Any) -> Any:
        """The flat buffer; None for one that is flat already."""
        return self._flat.get(hash(self._views.get(hash(buffer), buffer)))

    def _index(self, buffer: Any, indices: Sequence[Any]) -> list[Any]:
        whole: Any = indices[0]
        for extent, index in zip(list(buffer.shape)[1:], list(indices)[1:], strict=True):
            whole = whole * self._extent(extent) + index
        return [whole]

    def _loaded(self, load: Any) -> Any:
        flat = self._of(load.source)
        if flat is None:
            return load
        return tirx.BufferLoad(flat, self._index(load.source, load.indices))

    def _stored(self, store: Any) -> Any:
        flat = self._of(store.buffer)
        if flat is None:
            return store
        return tirx.BufferStore(flat, store.value, self._index(store.buffer, store.indices))


def _checked(statement: Any) -> Any:
    failing = tirx.Evaluate(tirx.call_extern("int32", FAIL))
    return tirx.IfThenElse(tirx.Not(statement.condition), failing, None)


def _nothing(_: Any) -> Any:
    return tirx.Evaluate(tirx.const(0, "int32"))


def _without_fence(statement: Any) -> Any:
    """`places.remainder` keeps LLVM from vectorizing a loop by a prefetch of nothing."""
    value = statement.value
    fence = isinstance(value, tvm.ir.Call) and str(value.op.name) == "tirx.prefetch"
    return _nothing(statement) if fence else statement


def _plain_call(call: Any) -> Any:
    """Bits taken for another type by a function: TVM's CUDA takes the address of constants."""
    if str(getattr(call.op, "name", "")) != "tirx.reinterpret" or not isinstance(
        call.ty, tvm.ir.PrimType
    ):
        return call
    dtype, source = str(call.ty.dtype), str(call.args[0].ty.dtype)
    name = f"actc_bits<{_C_TYPES[dtype]}, {_C_TYPES[source]}>"
    return tirx.call_pure_extern(dtype, name, call.args[0])


_C_TYPES = {
    "float32": "float", "float64": "double", "float16": "half", "bfloat16": "nv_bfloat16",
    **{f"{u}int{b}": f"{u}int{b}_t" for u in ("", "u") for b in (8, 16, 32, 64)},
}  # fmt: skip
