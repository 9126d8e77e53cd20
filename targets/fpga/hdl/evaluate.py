"""The meaning of a module: numpy integers, every wire checked against its range."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import InternalError
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.hdl.module import Module, port_name

Values = npt.NDArray[Any]
"""int64, or Python integers (object) where a wire of the module exceeds 62 bits."""

_INT64_WIDTH = 62


def evaluate(module: Module, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Values]:
    """Outputs of a module for many inputs at once.

    Args:
        inputs: name of each input -> integers, arrays of one shape. In a module with
            registers the first axis is time: one entry per clock.

    Returns:
        name of each output -> integers of that shape.

    Raises:
        ValueError: an input is missing, unknown, no integer or outside its range,
            shapes differ, or there are registers and no axis for their time.
        InternalError: ACT0520, a wire left its range: a claim of `narrow` is wrong.
    """
    wires = module.wires()
    wide = max(wire.width for wire in (*wires, *module.inputs)) > _INT64_WIDTH
    dtype = np.dtype(object if wide else np.int64)
    given = _inputs(module, inputs, dtype)
    shape = next(iter(given.values())).shape if given else ()
    values: dict[int, Values] = {}
    for wire in wires:
        if isinstance(wire.operator, op.Input):
            found = given[wire.operator.name]
        else:
            operands = tuple(values[operand.index] for operand in wire.operands)
            if isinstance(wire.operator, op.Register):
                operands = (_in_time(module, operands[0], shape),)
            found = np.asarray(compute(wire.operator, operands), dtype)
        values[wire.index] = _checked(module, wire, found)
    return {out.name: np.broadcast_to(values[out.wire.index], shape) for out in module.outputs}


def _inputs(
    module: Module, inputs: Mapping[str, npt.ArrayLike], dtype: np.dtype[Any]
) -> dict[str, Values]:
    names = [port_name(wire) for wire in module.inputs]
    if set(names) != set(inputs):
        raise ValueError(f"{module.name} has the inputs {names}, not {list(inputs)}")
    given = {}
    for wire, name in zip(module.inputs, names, strict=True):
        array = np.asarray(inputs[name])
        if array.dtype.kind not in "iuO":
            raise ValueError(f"{name} takes integers, not {array.dtype}")
        if array.size and not (wire.range.low <= array.min() and array.max() <= wire.range.high):
            raise ValueError(f"{name} takes {wire.range}")
        given[name] = array.astype(dtype)
    if len({array.shape for array in given.values()}) > 1:
        raise ValueError("all inputs have the same shape")
    return given


def _in_time(module: Module, values: Values, shape: tuple[int, ...]) -> Values:
    """Values with an entry per clock: those of constants have none."""
    if not shape:
        raise ValueError(f"{module.name} has registers: the first axis of its inputs is time")
    return np.broadcast_to(values, shape)


def _checked(module: Module, wire: Wire, values: Values) -> Values:
    if values.size and not (wire.range.low <= values.min() and values.max() <= wire.range.high):
        claim = wire.operator.reason if isinstance(wire.operator, op.Narrow) else "its operands"
        raise InternalError(
            Diagnostic(
                "ACT0520",
                f"a wire of {module.name} has {values.min()}..{values.max()}, not {wire.range}",
                notes=(f"the range was claimed because of: {claim}",),
                help="correct the claim where the module is built",
            )
        )
    return values


@singledispatch
def compute(operator: op.Operator, operands: tuple[Values, ...]) -> Any:
    """The result of an operator on arrays of integers."""
    raise NotImplementedError(type(operator).__name__)


@compute.register
def _(operator: op.Constant, operands: tuple[Values, ...]) -> Any:
    return operator.value


@compute.register
def _(operator: op.Add, operands: tuple[Values, ...]) -> Any:
    return operands[0] + operands[1]


@compute.register
def _(operator: op.Subtract, operands: tuple[Values, ...]) -> Any:
    return operands[0] - operands[1]


@compute.register
def _(operator: op.Negate, operands: tuple[Values, ...]) -> Any:
    return -operands[0]


@compute.register
def _(operator: op.Invert, operands: tuple[Values, ...]) -> Any:
    return -1 - operands[0]


@compute.register
def _(operator: op.Multiply, operands: tuple[Values, ...]) -> Any:
    return operands[0] * operands[1]


@compute.register
def _(operator: op.ShiftLeft, operands: tuple[Values, ...]) -> Any:
    return operands[0] << operator.amount


@compute.register
def _(operator: op.ShiftRight, operands: tuple[Values, ...]) -> Any:
    return operands[0] >> operator.amount


@compute.register
def _(operator: op.Bits, operands: tuple[Values, ...]) -> Any:
    half = 1 << (operator.count - 1) if operator.as_signed else 0
    return (((operands[0] >> operator.low) + half) & ((1 << operator.count) - 1)) - half


@compute.register
def _(operator: op.Concatenate, operands: tuple[Values, ...]) -> Any:
    word = operands[0]
    for part, width in zip(operands[1:], operator.widths[1:], strict=True):
        word = word << width | part
    return word


@compute.register
def _(operator: op.Compare, operands: tuple[Values, ...]) -> Any:
    a, b = operands
    if operator.kind == "<":
        return a < b
    if operator.kind == ">=":
        return a >= b
    return a == b if operator.kind == "==" else a != b


@compute.register
def _(operator: op.Reaches, operands: tuple[Values, ...]) -> Any:
    return operands[0] >= operator.bound


@compute.register
def _(operator: op.Logic, operands: tuple[Values, ...]) -> Any:
    a, b = operands
    if operator.kind == "&":
        return a & b
    return a | b if operator.kind == "|" else a ^ b


@compute.register
def _(operator: op.Select, operands: tuple[Values, ...]) -> Any:
    index, *options = np.broadcast_arrays(*operands)
    stacked = np.stack(options)
    return np.take_along_axis(stacked, index[None].astype(np.int64), axis=0)[0]


@compute.register
def _(operator: op.Lookup, operands: tuple[Values, ...]) -> Any:
    return np.array(operator.values, operands[0].dtype)[operands[0].astype(np.int64)]


@compute.register
def _(operator: op.Saturate, operands: tuple[Values, ...]) -> Any:
    return np.minimum(np.maximum(operands[0], operator.range.low), operator.range.high)


@compute.register
def _(operator: op.Narrow, operands: tuple[Values, ...]) -> Any:
    return operands[0]


@compute.register
def _(operator: op.Register, operands: tuple[Values, ...]) -> Any:
    delayed = np.empty_like(operands[0])
    delayed[:1] = operator.initial
    delayed[1:] = operands[0][:-1]
    return delayed
