"""Loop nests over elements: arithmetic, tables, copies in another order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.targets.c.form import C_TYPES, Form, index, integer
from actc.targets.c.kernels.finish import finish
from actc.targets.c.program import Array, Program
from actc.targets.tvm.kernels.attention_spec import Logic
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import (
    Add,
    Concat,
    Copy,
    Count,
    Dequantize,
    Elementwise,
    Mul,
    Quantize,
    Search,
)
from actc.targets.tvm.plan import Call

LOWEST_BITS = "0xFF7FFFFFu"
"""The lowest finite float32, as its bits."""


def bits_of(number: float) -> str:
    """A float32 as the bits of a C constant."""
    return f"0x{int(np.float32(number).view(np.uint32)):08X}u"


def elementwise(kernel: Elementwise, call: Call, program: Program) -> Form:
    """The function of one loop nest."""
    form = Form(kernel.out.dtype)
    names = list(call.inputs)
    extra = int(kernel.requantize is not None) + int(kernel.table == "channel")
    count = len(kernel.inputs) - extra
    operands = kernel.inputs[:count]
    values = _values(form, kernel, names[:count], operands, program)
    tail = finish(
        form, program, names[count:], kernel.inputs[count:], kernel.out,
        kernel.requantize, kernel.table,
    )  # fmt: skip
    with form.loops(kernel.dims) as variables:
        value = values.value(variables)
        plain = kernel.requantize is None and kernel.table == "none"
        if plain and values.dtype != kernel.out.dtype:
            value = f"({C_TYPES[kernel.out.dtype]})({value})"
        elif kernel.requantize is not None and values.dtype != "int32":
            value = f"(int32_t)({value})"
        tail.store(value, variables)
    return form


def source_of(name: str, program: Program, dtype: str) -> str | Array:
    """A buffer's name, or a constant as its elements lie in memory."""
    if name not in program.constants:
        return name
    array = program.constants[name]
    return array.view(np.uint32) if dtype == "float32" else array.astype(dtype)


class _Values:
    """The operation of a nest as expressions.

    Attributes:
        dtype: of the expressions.
    """

    def __init__(self, form: Form, operation: object, operands: Sequence[Operand]) -> None:
        self.form, self.operation, self.operands = form, operation, operands
        self.dtype = _type_of(operation, operands)

    def value(self, variables: Sequence[str]) -> str:
        """The value at the loops' variables; may add lines before."""
        loaded = [f"x{i}[{index(operand, variables)}]" for i, operand in enumerate(self.operands)]
        match self.operation:
            case Copy():
                return loaded[0]
            case Add(a_mul, b_mul, bias):
                self.form.calls("signed32")
                terms = [
                    f"(uint32_t){value} * (uint32_t)({integer(factor)})"
                    for value, factor in zip(loaded, (a_mul, b_mul), strict=True)
                ]
                return f"signed32({terms[0]} + {terms[1]} + (uint32_t)({integer(bias)}))"
            case Mul(a_zero, b_zero):
                self.form.calls("signed32")
                parts = [
                    f"((uint32_t){value} - (uint32_t)({integer(zero)}))"
                    for value, zero in zip(loaded, (a_zero, b_zero), strict=True)
                ]
                return f"signed32({parts[0]} * {parts[1]})"
            case Quantize(scale, zero):
                return f"{self.form.calls('quantize')}({loaded[0]}, {bits_of(scale)}, {zero})"
            case Dequantize(zero):
                self.form.calls("dequantize")
                return f"dequantize((int32_t){loaded[0]}, {integer(zero)}, {loaded[1]})"
            case Logic():
                return self._logic(self.operation, loaded)
        raise AssertionError(self.operation)

    def _logic(self, operation: Logic, loaded: Sequence[str]) -> str:
        match operation.kind:
            case "hide":
                return f"({loaded[1]} == 0u) ? {loaded[0]} : {LOWEST_BITS}"
            case "equal":
                return f"({loaded[0]} == {loaded[1]}) ? 1u : 0u"
            case "not":
                return f"1u - {loaded[0]}"
            case "or":
                return f"{loaded[0]} | {loaded[1]}"
            case "and":
                return f"{loaded[0]} & {loaded[1]}"
        if operation.dtype == "bool":
            return f"({loaded[0]} != 0) ? 1u : 0u"
        return self._converted(loaded[0], operation.dtype)

    def _converted(self, value: str, dtype: str) -> str:
        wide = f"(uint32_t){value}"
        if dtype == "int32" and self.operands[0].dtype == "int64":
            return f"{self.form.calls('signed32')}({wide})"
        if dtype == "int8":
            return f"{self.form.calls('signed8')}({wide})"
        return f"({C_TYPES[dtype]}){value}"


class _Count(_Values):
    """A staircase by comparisons: points and rises of all steps lie behind each other."""

    def __init__(
        self, form: Form, operands: Sequence[Operand], names: Sequence[str], program: Program,
        steps: int,
    ) -> None:  # fmt: skip
        super().__init__(form, Count(steps), operands)
        arrays = [program.constants[name].reshape(-1) for name in names[1:]]
        self.size = max(array.size for array in arrays)
        walks = [o for o, a in zip(operands[1:], arrays, strict=True) if a.size == self.size]
        self.walk, self.steps = walks[0], steps
        wide = [np.broadcast_to(array, self.size) for array in arrays]
        if steps:
            form.reads("x0", names[0], operands[0].dtype)
        form.reads("below", wide[0].astype(np.int32), "int32")
        if steps:
            kind = operands[0].dtype
            form.reads("points", np.concatenate(wide[1::2]).astype(kind), kind)
            form.reads("rises", np.concatenate(wide[2::2]).astype(np.int32), "int32")

    def value(self, variables: Sequence[str]) -> str:
        """Lines that count the steps; the code."""
        form = self.form
        form.say(
            f"const int32_t channel = {index(self.walk, variables)};",
            "int32_t code = below[channel];",
        )
        if not self.steps:
            return "(uint8_t)code"
        form.say(_sum(self.operands[0], variables))
        with form.loop("step", self.steps):
            place = f"step * {self.size} + channel"
            form.say(f"code += (sum >= points[{place}]) ? rises[{place}] : 0;")
        return "(uint8_t)code"


class _Search(_Values):
    """A staircase by binary search."""

    def __init__(
        self, form: Form, operands: Sequence[Operand], names: Sequence[str], program: Program,
        levels: int,
    ) -> None:  # fmt: skip
        super().__init__(form, Search(levels), operands)
        self.levels = levels
        dtypes = (operands[0].dtype, "int32", operands[0].dtype, "uint8")
        titles = ("x0", "first", "points", "codes")
        for title, name, dtype in zip(titles, names, dtypes, strict=True):
            form.reads(title, source_of(name, program, dtype), dtype)

    def value(self, variables: Sequence[str]) -> str:
        """Lines that search; the code."""
        form = self.form
        form.say(
            _sum(self.operands[0], variables),
            f"int32_t found = first[{index(self.operands[1], variables)}];",
        )
        with form.block(f"for (int32_t half = {1 << (self.levels - 1)}; half > 0; half /= 2)"):
            form.say("found += (sum >= points[found + half - 1]) ? half : 0;")
        return "codes[found]"


def _sum(operand: Operand, variables: Sequence[str]) -> str:
    return f"const {C_TYPES[operand.dtype]} sum = x0[{index(operand, variables)}];"


def _type_of(operation: object, operands: Sequence[Operand]) -> str:
    """Type of what an operation gives."""
    match operation:
        case Copy():
            return operands[0].dtype
        case Add() | Mul():
            return "int32"
        case Dequantize():
            return "float32"
        case Logic(kind="hide"):
            return "float32"
        case Logic(kind="convert"):
            return "uint8" if operation.dtype == "bool" else operation.dtype
    return "uint8" if isinstance(operation, (Quantize, Count, Search)) else "int32"


def _values(
    form: Form,
    kernel: Elementwise,
    names: Sequence[str],
    operands: Sequence[Operand],
    program: Program,
) -> _Values:
    """Take the arguments of an operation."""
    operation = kernel.operation
    if isinstance(operation, Count):
        return _Count(form, operands, names, program, operation.steps)
    if isinstance(operation, Search):
        return _Search(form, operands, names, program, operation.levels)
    for place, (name, operand) in enumerate(zip(names, operands, strict=True)):
        form.reads(f"x{place}", source_of(name, program, operand.dtype), operand.dtype)
    return _Values(form, operation, operands)


def concat(kernel: Concat, call: Call, program: Program) -> Form:
    """The function of several copies into one buffer."""
    form = Form(kernel.parts[0].out.dtype)
    for place, (part, name) in enumerate(zip(kernel.parts, call.inputs, strict=True)):
        dtype = part.inputs[0].dtype
        form.reads(f"x{place}", source_of(name, program, dtype), dtype)
    for place, part in enumerate(kernel.parts):
        with form.loops(part.dims) as variables:
            source = f"x{place}[{index(part.inputs[0], variables)}]"
            form.say(f"out[{index(part.out, variables)}] = {source};")
    return form
