"""Float values of the golden graph: what outputs and float islands read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from actc.passes.integer.builder import Accumulator, Builder, Codes
from actc.passes.quantized.lowering import with_residual


def output_value(builder: Builder, value: ir.Value) -> ir.Value:
    """An output of the model as float: from its accumulator where one of 32 bits is left.

    Raises:
        NoIntegerForm: nothing stands for the value.
    """
    plain = builder.plain(value)
    if plain is not None:
        return plain
    name, accumulator = f"{value.name}.out", _with_bias(builder, value)
    if accumulator is not None and _is_direct(accumulator):
        return _from_accumulator(builder, value, accumulator, name)
    return from_codes(builder, value, builder.codes(value), name)


def exact_value(builder: Builder, value: ir.Value, accumulator: Accumulator) -> ir.Value:
    """An accumulator as float, without the rounding to codes.

    What DequantizeLinear does not take (sums of 64 bits, factors that differ from place
    to place) is converted and multiplied, each step rounded once to float32.
    """
    found, name = _with_bias(builder, value) or accumulator, f"{value.name}.real"
    if _is_direct(found):
        return _from_accumulator(builder, value, found, name)
    to = {"to": int(ir.DataType.FLOAT)}
    sums = _float(builder, "Cast", [found.value], value, f"{name}.sums", to)
    factors = found.scale
    if factors.ndim == 1:
        shape = [1] * len(value.shape or ())
        shape[found.axis] = -1
        factors = factors.reshape(shape)
    scale = builder.constant(f"{name}.scale", factors.astype(np.float32))
    return _float(builder, "Mul", [sums, scale], value, name)


def from_codes(builder: Builder, value: ir.Value, codes: Codes, name: str) -> ir.Value:
    """Codes as float."""
    inputs = [codes.value, *builder.parameter_constants(name, codes.parameters)]
    return _float(builder, "DequantizeLinear", inputs, value, name)


def _with_bias(builder: Builder, value: ir.Value) -> Accumulator | None:
    """The accumulator of a value, with what its integer bias left out."""
    found = builder.accumulator(value)
    if found is None or found.residual is None:
        return found
    return with_residual(builder, value, found)


def _is_direct(accumulator: Accumulator) -> bool:
    return accumulator.scale.ndim < 2 and accumulator.value.dtype == ir.DataType.INT32


def _from_accumulator(
    builder: Builder, value: ir.Value, accumulator: Accumulator, name: str
) -> ir.Value:
    scale = builder.constant(f"{name}.scale", accumulator.scale.astype(np.float32))
    attributes = {"axis": accumulator.axis} if accumulator.scale.ndim == 1 else {}
    inputs = [accumulator.value, scale]
    return _float(builder, "DequantizeLinear", inputs, value, name, attributes)


def _float(
    builder: Builder,
    op: str,
    inputs: Sequence[ir.Value],
    like: ir.Value,
    name: str,
    attributes: dict[str, int] | None = None,
) -> ir.Value:
    return builder.emit(
        op, inputs, like, ir.DataType.FLOAT, name=name, attributes=attributes, domain=""
    )
