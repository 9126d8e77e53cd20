"""Division of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm, code_type
from actc.passes.integer.elementwise import operand, product
from actc.passes.integer.hints import IN_FLOAT

Array = np.ndarray[Any, Any]

_MOST_RATIO, _MOST_NARROW_RATIO = 4.0, 16.0
"""Largest divisor over smallest up to which a table of reciprocals is fine enough, for quotients
of more than 8 bits and for others, whose own rounding is as coarse."""
_REACH = 30
"""Bits of the magnitude of a quotient."""
_HEADROOM = 4
"""Bits of it that the calibration data leaves free."""
_PROBES = 257
"""Divisors at which a function is tried that may be a guard."""


def divide(builder: Builder, node: ir.Node) -> None:
    """Div -> a table of reciprocals and actc::IntMul; of wide ranges, actc::IntDivide."""
    low, high = _divisor_range(builder, node.inputs[1])
    wide = builder.formats(node.outputs[0]).bits > 8
    if low > 0 and high > (_MOST_RATIO if wide else _MOST_NARROW_RATIO) * low:
        _divide(builder, node)
    elif low <= 0 <= high:
        raise NoIntegerForm(
            f"it divides by numbers from {low:g} to {high:g}, which can be 0",
            f"keep the divisor away from 0, or {IN_FLOAT}",
        )
    else:
        _by_reciprocals(builder, node, low, high)


def _by_reciprocals(builder: Builder, node: ir.Node, low: float, high: float) -> None:
    output, name = node.outputs[0], str(node.outputs[0].name)
    a, bits = operand(builder, node.inputs[0]), builder.formats(output).bits
    b = operand(builder, node.inputs[1], bits)
    ends = sorted((1 / low, 1 / high))
    parameters = QuantizationParameters.from_range(
        ends[0], ends[1], bits=bits, power_of_two=builder.power_of_two
    )
    table = parameters.quantize(1 / np.clip(b.parameters.values(), low, high))
    reciprocal = builder.emit(
        "Table",
        [b.value, builder.constant(f"{name}.reciprocal", table)],
        b.value,
        code_type(parameters),
        name=f"{name}.divisor",
    )
    builder.set_accumulator(
        output, product(builder, a, Codes(reciprocal, parameters), output, name)
    )


@dataclass(frozen=True, slots=True)
class _Operand:
    """Integers of one scale: real = scale * (value - zero), at most `bound` in magnitude."""

    value: ir.Value
    zero: Array
    scale: float
    bound: int


def _divide(builder: Builder, node: ir.Node) -> None:
    """One exact division of integers, sums as they are; only the quotient is rounded."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    a = _integers(builder, node.inputs[0])
    b = _integers(builder, _unclamped(builder, node.inputs[1]))
    formats = builder.formats(output)
    largest = max(abs(float(formats.values()[code])) for code in (formats.low, formats.high))
    ratio = a.scale / b.scale
    wanted = np.floor(np.log2(2.0 ** (_REACH - _HEADROOM) * ratio / max(largest, 1e-30)))
    unit = 2 ** int(np.clip(wanted, 0, 52 - a.bound.bit_length()))
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_zero", a.zero),
        builder.constant(f"{name}.b_zero", b.zero),
        builder.constant(f"{name}.least", np.array(1, np.int32)),
        builder.constant(f"{name}.unit", np.array(unit, np.int64)),
    ]
    quotient = builder.emit("IntDivide", inputs, output, ir.DataType.INT32, name=name)
    scale = np.array(ratio / unit)
    builder.set_accumulator(output, Accumulator(quotient, scale, 1, 2**_REACH))


def _integers(builder: Builder, value: ir.Value | None) -> _Operand:
    accumulator = None if value is None else builder.accumulator(value)
    if (
        accumulator is not None
        and accumulator.scale.size == 1
        and accumulator.residual is None
        and accumulator.value.dtype == ir.DataType.INT32
    ):
        zero = np.array(0, np.int32)
        scale = float(accumulator.scale.reshape(()))
        return _Operand(accumulator.value, zero, scale, accumulator.bound)
    x = operand(builder, value)
    p = x.parameters
    return _Operand(x.value, np.array(p.zero_point, p.dtype), p.scale, largest_code(p.bits))


def _unclamped(builder: Builder, value: ir.Value | None) -> ir.Value | None:
    """What a clamp reads that changes nothing on the data: the division keeps off 0 itself."""
    node = None if value is None else value.producer()
    source = None if node is None else node.inputs[0]
    if node is None or source is None or not is_op(node, "Activation", domain=DOMAIN):
        return value
    if builder.accumulator(source) is None or str(source.name) not in builder.context.ranges:
        return value
    site = builder.context.sites[node.metadata_props["actc.site"]]
    seen = builder.context.ranges[str(source.name)]
    x = np.linspace(seen.low, seen.high, _PROBES)
    same = site.function.channels == 1 and np.allclose(site.function(x), x, rtol=1e-6, atol=0)
    return source if same else value


def _divisor_range(builder: Builder, divisor: ir.Value | None) -> tuple[float, float]:
    array = constant(divisor)
    if array is not None:
        return float(array.min()), float(array.max())
    assert divisor is not None
    builder.codes(divisor)  # raises when nothing stands for it
    seen = builder.context.ranges[str(divisor.name)]
    return seen.low, seen.high
