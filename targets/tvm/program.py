"""The function of a network, as C calls it: operands, constants, memory.

Importing this module imports TVM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import tirx
from tvm_ffi import structural_walk

from actc.targets.tvm.arena import ALIGNMENT

Array = np.ndarray[Any, Any]

_ON_STACK = 1024
"""Bytes from which TVM takes a kernel's own buffers from its workspace."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that the function reads or writes."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Program:
    """What the function takes, in this order: inputs, constants, results.

    Attributes:
        symbol: its name.
        inputs: of the model.
        constants: all in one block of bytes.
        results: distinct outputs.
        outputs: for each output of the model, the number of its result.
        scratch: bytes that it and one kernel take for themselves, at most.
    """

    symbol: str
    inputs: tuple[Operand, ...]
    constants: Array
    results: tuple[Operand, ...]
    outputs: tuple[int, ...]
    scratch: int


def program(module: Any, outputs: Mapping[str, str], symbol: str = "network") -> Program:
    """The program of a module that `actc.targets.tvm.codegen.ModuleBuilder` made.

    Args:
        module: of a plan whose batch is a number.
        outputs: of the plan.
        symbol: of the function that runs it.
    """
    function = module[symbol]
    blocks: list[Any] = []
    structural_walk(module["main"].body, (tvm.ir.GenericConst, blocks.append))
    arrays = [block.value for block in blocks if hasattr(block.value, "numpy")]
    (constants,) = (array.numpy() for array in arrays)
    operands = [Operand(str(p.dtype), _extents(p.shape)) for p in function.params]
    distinct = list(dict.fromkeys(outputs.values()))
    split = len(operands) - len(distinct) - 1
    kernels = [
        kernel
        for name, kernel in module.functions_items()
        if isinstance(kernel, tirx.PrimFunc) and name.name_hint != symbol
    ]
    return Program(
        symbol,
        tuple(operands[:split]),
        constants,
        tuple(operands[split + 1 :]),
        tuple(distinct.index(name) for name in outputs.values()),
        # each kernel gives its scratch back before the next begins
        _own(function) + max(map(_own, kernels), default=0),
    )


def _own(function: Any) -> int:
    """Bytes of workspace that a function takes, at most: all that it allocates, together."""
    found: list[Any] = []
    structural_walk(function.body, (tirx.AllocBuffer, found.append))
    sizes = [Operand(str(a.buffer.dtype), _extents(a.buffer.shape)).size for a in found]
    return sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes if size >= _ON_STACK)


def _extents(shape: Any) -> tuple[int, ...]:
    return tuple(int(extent) for extent in shape)
