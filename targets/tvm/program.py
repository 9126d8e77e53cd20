"""A Relax module of kernel calls as a straight-line program over an arena of bytes.

Importing this module imports TVM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax, tirx
from tvm_ffi import structural_walk

Array = np.ndarray[Any, Any]

ALIGNMENT = 64
"""Of the arena's values, as kernels expect it."""
_ON_STACK = 1024
"""Bytes from which TVM takes a kernel's own buffers from its workspace."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a kernel reads or writes.

    Attributes:
        constant: number of a constant; -1: a value in the arena.
        value: number of the value; -1: a constant.
        dtype: element type.
        shape: as the kernel declares it.
    """

    constant: int
    value: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelCall:
    """One call: the kernel's symbol and its operands, the output last."""

    kernel: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Kernel calls in order, on values whose places are planned.

    Attributes:
        calls: in execution order.
        constants: what kernels read beside values.
        sizes: bytes of each value.
        offsets: where each value begins in the arena.
        inputs, outputs: numbers of values.
        arena: bytes of the arena.
        scratch: bytes that one kernel takes for itself, at most.
    """

    calls: tuple[KernelCall, ...]
    constants: tuple[Array, ...]
    sizes: tuple[int, ...]
    offsets: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arena: int
    scratch: int


def program(module: Any) -> Program:
    """The program of a module that `actc.targets.tvm.codegen.ModuleBuilder` made.

    Raises:
        ValueError: a shape is not a number.
    """
    walk = _Walk(module)
    main = module["main"]
    for parameter in main.params:
        walk.define(parameter)
    inputs = tuple(range(len(main.params)))
    for block in main.body.blocks:
        for binding in block.bindings:
            walk.bind(binding)
    result = walk.tuples.get(main.body.body, main.body.body)
    outputs = tuple(walk.values[field] for field in result.fields)
    offsets, arena = _placed(walk.sizes, walk.lives(inputs, outputs))
    return Program(
        tuple(walk.calls),
        tuple(walk.constants),
        tuple(walk.sizes),
        tuple(offsets),
        inputs,
        outputs,
        arena,
        walk.scratch,
    )


class _Walk:
    """Collects the calls of `main`."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.values: dict[Any, int] = {}
        self.tuples: dict[Any, Any] = {}
        self.sizes: list[int] = []
        self.constants: list[Array] = []
        self.calls: list[KernelCall] = []
        self.scratch = 0
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def define(self, variable: Any) -> None:
        """Make a value for a variable."""
        self.values[variable] = len(self.sizes)
        kind = variable.ty
        self.sizes.append(_bytes(str(kind.dtype), _extents(kind.shape)))

    def bind(self, binding: Any) -> None:
        """Take up one binding of `main`."""
        value, variable = binding.value, binding.var
        if isinstance(value, relax.Tuple):
            self.tuples[variable] = value
        elif isinstance(value, relax.Var):
            self._alias(variable, value)
        elif value.op.name == "relax.reshape":
            self._alias(variable, value.args[0])
        else:
            self.define(variable)
            self._call(value, variable)

    def _alias(self, variable: Any, source: Any) -> None:
        if source in self.tuples:
            self.tuples[variable] = self.tuples[source]
        else:
            self.values[variable] = self.values[source]

    def _call(self, call: Any, variable: Any) -> None:
        symbol, arguments = call.args[0], call.args[1].fields
        function = self.module[symbol]
        operands = [
            self._operand(argument, parameter)
            for argument, parameter in zip((*arguments, variable), function.params, strict=True)
        ]
        self.scratch = max(self.scratch, _own_buffers(function))
        self.calls.append(KernelCall(str(symbol.name_hint), tuple(operands)))

    def _operand(self, argument: Any, parameter: Any) -> Operand:
        shape, dtype = _extents(parameter.shape), str(parameter.dtype)
        if isinstance(argument, tvm.ir.GenericConst):
            return Operand(self._constant(argument.value.numpy()), -1, dtype, shape)
        return Operand(-1, self.values[argument], dtype, shape)

    def _constant(self, array: Array) -> int:
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = len(self.constants)
            self.constants.append(array)
        return self._known[key]

    def lives(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> list[tuple[int, int]]:
        """First and last call of each value; inputs live from before the first, outputs on."""
        first, last = [len(self.calls)] * len(self.sizes), [-1] * len(self.sizes)
        for number in inputs:
            first[number] = -1
        for step, call in enumerate(self.calls):
            for operand in call.operands:
                if operand.value >= 0:
                    first[operand.value] = min(first[operand.value], step)
                    last[operand.value] = max(last[operand.value], step)
        for number in outputs:
            last[number] = len(self.calls)
        return list(zip(first, last, strict=True))


def _placed(sizes: list[int], lives: list[tuple[int, int]]) -> tuple[list[int], int]:
    """Offsets of values and the bytes of the arena: the largest first, as low as it goes."""
    offsets = [0] * len(sizes)
    done: list[int] = []
    for number in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        first, last = lives[number]
        others = [i for i in done if lives[i][0] <= last and first <= lives[i][1]]
        place = 0
        for other in sorted(others, key=lambda i: offsets[i]):
            if place + sizes[number] <= offsets[other]:
                break
            place = max(place, _up(offsets[other] + sizes[other]))
        offsets[number] = place
        done.append(number)
    return offsets, max((_up(offsets[i] + sizes[i]) for i in done), default=0)


def _own_buffers(function: Any) -> int:
    """Bytes of workspace that a kernel takes, at most: all that it allocates, together."""
    found: list[Any] = []
    structural_walk(function.body, (tirx.AllocBuffer, found.append))
    sizes = [_bytes(str(a.buffer.dtype), _extents(a.buffer.shape)) for a in found]
    return sum(_up(size) for size in sizes if size >= _ON_STACK)


def _extents(shape: Any) -> tuple[int, ...]:
    return tuple(int(extent) for extent in shape)


def _bytes(dtype: str, shape: tuple[int, ...]) -> int:
    return np.dtype(dtype).itemsize * math.prod(shape)


def _up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
