"""The vocabulary in which generic kernels are written: scalar loops over TIR buffers.

Importing this module imports TVM.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.registry import RULES
from actc.targets.tvm.generic.spec import Attribute, Generic, TensorType
from actc.targets.tvm.kernels.tir import prim_func

Expr: TypeAlias = Any
Index: TypeAlias = Sequence[Any]

WIDER = {"float16": "float32", "bfloat16": "float32"}
"""Storage type -> the type that kernels compute in, where they differ."""

_BYTES = {"bool": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def compute_type(dtype: str) -> str:
    """The type that elements of `dtype` have once loaded."""
    return WIDER.get(dtype, dtype)


def is_float(dtype: str) -> bool:
    """Whether a type is a floating-point one."""
    return "float" in dtype


def is_signed(dtype: str) -> bool:
    """Whether a type is a signed integer."""
    return dtype.startswith("int")


def const(value: float, dtype: str) -> Expr:
    """A number or truth value as `dtype`."""
    return tirx.const(bool(value) if dtype == "bool" else value, dtype)


def dtype_of(value: Expr) -> str:
    """Element type of an expression."""
    return str(value.ty.dtype)


def int64(value: Any) -> Expr:
    """An index: int64 throughout."""
    if isinstance(value, int):
        return tirx.const(value, "int64")
    return value if dtype_of(value) == "int64" else tirx.Cast("int64", value)


class Array:
    """A buffer argument, row-major.

    Attributes:
        dtype: as stored.
        shape: extents, ints or the batch variable; () for a tensor without axes.
        buffer: TIR buffer, with one axis of extent 1 where there are none.
    """

    def __init__(self, name: str, kind: TensorType, batch: Expr) -> None:
        self.dtype = kind.dtype
        self.shape: list[Any] = [batch if extent is None else extent for extent in kind.shape]
        extents = [int64(extent) for extent in self.shape] or [int64(1)]
        align = _BYTES.get(kind.dtype) or int(kind.dtype.lstrip("uint")) // 8
        self.buffer = T.arg(name, T.buffer(extents, kind.dtype, align=align))

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def compute(self) -> str:
        """Type of a loaded element."""
        return compute_type(self.dtype)

    def __getitem__(self, index: Index) -> Expr:
        """The element, widened to the type that is computed in."""
        return (
            tirx.Cast(self.compute, self._raw(index)) if self.dtype in WIDER else self._raw(index)
        )

    def _raw(self, index: Index) -> Expr:
        return self.buffer[tuple(self._complete(index))]

    def broadcast(self, index: Index) -> Expr:
        """The element that belongs to `index` of a shape that this one broadcasts to."""
        own = list(index)[len(index) - self.rank :] if self.rank else []
        return self[[0 if e == 1 else i for i, e in zip(own, self.shape, strict=True)]]

    def store(self, index: Index, value: Expr) -> None:
        """Write an element; the value has the computed type, or exactly the stored one."""
        if dtype_of(value) != self.dtype:
            value = tirx.Cast(self.dtype, value)
        T.buffer_store(self.buffer, value, self._complete(index))

    def _complete(self, index: Index) -> list[Expr]:
        assert len(index) == self.rank, (index, self.shape)
        return [int64(i) for i in index] or [int64(0)]


@dataclass(frozen=True)
class Kernel:
    """What a kernel's function works with.

    Attributes:
        spec: the call.
        inputs: as the spec's; None for what is absent.
        out: what it writes.
    """

    spec: Generic
    inputs: Sequence[Any]
    out: Array

    def attribute(self, name: str, default: Attribute) -> Any:
        """An attribute of the call; the defaults of ONNX are float32 numbers."""
        exact = float(np.float32(default)) if isinstance(default, float) else default
        return dict(self.spec.attributes).get(name, exact)

    @property
    def given(self) -> list[Array]:
        """The inputs that are there."""
        return [item for item in self.inputs if item is not None]


KernelFunction: TypeAlias = Callable[[Kernel], None]


def generic_prim_func(name: str, spec: Generic, features: frozenset[str]) -> Any:
    """The PrimFunc of a generic kernel: its inputs that are there, then the output."""
    family = importlib.import_module(f"actc.targets.tvm.generic.{RULES[spec.op].module}")
    emit: KernelFunction = family.KERNELS[spec.op]

    def body() -> None:
        batch = tirx.Var("n", "int64")
        inputs = [
            None if kind is None else Array(f"x{i}", kind, batch)
            for i, kind in enumerate(spec.inputs)
        ]
        emit(Kernel(spec, inputs, Array("out", spec.output, batch)))

    return prim_func(name, body)


@contextlib.contextmanager
def nest(extents: Sequence[Any]) -> Iterator[list[Expr]]:
    """Nested loops; yields their variables (int64)."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(T.serial(int64(0), int64(extent))) for extent in extents]


@contextlib.contextmanager
def when(condition: Expr) -> Iterator[None]:
    """Statements that run only where `condition` holds."""
    with T.If(condition), T.Then():
        yield


class Cell:
    """A variable of a kernel, not for truth values."""

    def __init__(self, value: Expr) -> None:
        self.dtype = dtype_of(value)
        self._place = T.alloc_buffer((1,), self.dtype)
        self.set(value)

    def set(self, value: Expr) -> None:
        """Assign."""
        T.buffer_store(self._place, value, [0])

    @property
    def value(self) -> Expr:
        """What was assigned last."""
        return self._place[0]


def keep(value: Expr) -> Expr:
    """Compute once what is used several times, and round it there; truth values stay as they are.

    TVM's simplifier would otherwise treat floating-point sums as algebra.
    """
    return value if dtype_of(value) == "bool" else Cell(value).value


def require(condition: Expr, message: str) -> None:
    """Let the call fail with `message` unless `condition` holds at run time."""
    frame = T.Assert(condition, message, "ValueError")
    frame.__enter__()
    frame.__exit__(None, None, None)


def select(condition: Expr, chosen: Expr, other: Expr) -> Expr:
    """One of two values; both are computed."""
    return T.Select(condition, chosen, other)
