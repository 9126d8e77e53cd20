"""Sums of two tensors behind a quantizer: exact over all pairs of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op, only_user
from actc.passes.integer import elementwise
from actc.passes.integer.builder import Accumulator, Builder, Codes
from actc.passes.quantized.functions import split_clamp
from actc.passes.quantized.quantizer import (
    Quantizer,
    apply,
    family,
    from_codes,
    is_quantizer,
    steps,
    warn,
)
from actc.passes.quantized.rounding import enumerated, quantize

Array = np.ndarray[Any, Any]

_FRACTIONS = (20, 19, 18, 17, 16)
"""How many bits finer than the result a sum may be in int32."""


def sums_for_quantizer(node: ir.Node) -> bool:
    """Whether `node` adds two tensors for one quantizer, perhaps through an activation."""
    if not is_op(node, "Add", "Sub") or any(constant(v) is not None for v in node.inputs):
        return False
    user = only_user(node.outputs[0])
    if is_op(user, "Activation", domain=DOMAIN) and user is not None:
        user = only_user(user.outputs[0])
    return is_quantizer(user)


def quantized_sum(builder: Builder, quantizer: Quantizer, node: ir.Node) -> ir.Value | None:
    """actc::IntAdd and Requantize where that is exact for all pairs of codes, else Steps.

    Returns:
        None where pairs are not to be enumerated: codes of more than 8 bits, and
        functions per channel. The Add is lowered in the usual way then.
    """
    a, b = (builder.codes(value) for value in node.inputs[:2])
    if a.wide or b.wide or quantizer.parameters.bits > 8 or family(quantizer.site):
        lower = elementwise.add if node.op_type == "Add" else elementwise.subtract
        lower(builder, node)
        warn(builder, quantizer, "it is a sum of tensors of more than 8 bits, or has channels")
        return None
    sign = -1 if node.op_type == "Sub" else 1
    used = [np.arange(x.parameters.low, x.parameters.high + 1) for x in (a, b)]
    first, second = (x - c.parameters.zero_point for x, c in zip(used, (a, b), strict=True))
    real = (first * a.parameters.scale)[:, None] + sign * second * b.parameters.scale
    wanted = quantize(apply(quantizer.site, real.reshape(-1)), quantizer.parameters)
    function, p = split_clamp(
        None if quantizer.site is None else quantizer.site.function, quantizer.parameters
    )
    scales = np.array([a.parameters.scale, b.parameters.scale])
    for fraction in _FRACTIONS:
        shift = int(np.clip(fraction - np.ceil(np.log2(scales.max() / p.scale)), 1, 43))
        unit = p.scale * 2.0**-shift
        factors = np.rint(scales / unit).astype(np.int64) * np.array([1, sign])
        totals = ((factors[0] * first)[:, None] + factors[1] * second).reshape(-1)
        rounded = ((totals + 2 ** (shift - 1)) >> shift) + p.zero_point
        if function is None and np.array_equal(np.clip(rounded, p.low, p.high), wanted):
            added = _add(builder, node, (a, b), factors, unit)
            one = np.array(1, np.int32)
            return builder.scale_and_round(quantizer.output, added.value, one, shift, p)
    # Factors of 21 bits, which are exact where the scales' ratio is a power of two.
    unit = 2.0 ** np.ceil(np.log2(scales.max())) * 2.0**-21
    factors = np.rint(scales / unit).astype(np.int64) * np.array([1, sign])
    totals = ((factors[0] * first)[:, None] + factors[1] * second).reshape(-1)
    added = _add(builder, node, (a, b), factors, unit)
    found = enumerated(totals, wanted)
    if found is None:
        warn(builder, quantizer, "its codes take more than 255 steps of the sum")
        builder.set_accumulator(quantizer.source, added)
        return from_codes(builder, quantizer)
    return steps(builder, quantizer, added, found)


def _add(
    builder: Builder, node: ir.Node, operands: tuple[Codes, Codes], factors: Array, unit: float
) -> Accumulator:
    """actc::IntAdd, in steps of `unit`."""
    a, b = operands
    zeros = np.array([a.parameters.zero_point, b.parameters.zero_point])
    name = str(node.outputs[0].name)
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_mul", np.array(factors[0], np.int32)),
        builder.constant(f"{name}.b_mul", np.array(factors[1], np.int32)),
        builder.constant(f"{name}.offset", np.array(-int((factors * zeros).sum()), np.int32)),
    ]
    added = builder.emit("IntAdd", inputs, node.outputs[0], ir.DataType.INT32, name=name)
    return Accumulator(added, np.array(unit), 1, int((np.abs(factors) * 255).sum()))
