"""Division of tensors, and numbers that enter the network as integers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Builder, Codes, MissingInput, NoIntegerForm, code_type
from actc.passes.integer.elementwise import operand, product


def divide(builder: Builder, node: ir.Node) -> None:
    """Div -> a table of reciprocals of the divisor, and actc::IntMul."""
    dividend, divisor = node.inputs[:2]
    output, name = node.outputs[0], str(node.outputs[0].name)
    a, low, high = operand(builder, dividend), *_divisor_range(builder, divisor)
    if low <= 0 <= high:
        raise NoIntegerForm(
            f"it divides by numbers from {low:g} to {high:g}, which can be 0",
            "keep the divisor away from 0, or compile with --precision float32",
        )
    bits = builder.formats(output).bits
    b = operand(builder, divisor, bits)
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


def _divisor_range(builder: Builder, divisor: ir.Value | None) -> tuple[float, float]:
    array = constant(divisor)
    if array is not None:
        return float(array.min()), float(array.max())
    assert divisor is not None
    builder.codes(divisor)  # raises when nothing stands for it
    seen = builder.context.ranges[str(divisor.name)]
    return seen.low, seen.high


def cast(builder: Builder, node: ir.Node) -> None:
    """Cast of an integer input to float32: uint8 are codes already, others are quantized."""
    source, output = node.inputs[0], node.outputs[0]
    assert source is not None
    assert source.dtype is not None
    if output.dtype != ir.DataType.FLOAT:
        raise NoIntegerForm("it makes integers of what the network computes")
    golden = builder.plain(source)
    if golden is None:
        raise MissingInput(source, "is computed by operators without integer form")
    if source.dtype == ir.DataType.UINT8:
        builder.set_codes(output, Codes(golden, QuantizationParameters(1.0, 0)))
        return
    result = builder.emit(
        "Cast",
        [golden],
        output,
        ir.DataType.FLOAT,
        name=str(output.name),
        attributes={"to": int(ir.DataType.FLOAT)},
        domain="",
    )
    builder.set_plain(output, result)
