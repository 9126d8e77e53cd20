"""Activations as tables; Add, Sub and Mul of two tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.approx.certificate import certify_table
from actc.approx.channel_table import certify_channel_table, fit_channel_table
from actc.approx.function import ScalarFunction, not_a_number
from actc.approx.table import fit_table
from actc.errors import ModelError
from actc.ir.graph import constant
from actc.ir.sites import Site
from actc.numerics.compare import root_mean_square
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.numerics.requantize import max_shift
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm, code_type
from actc.passes.integer.linear import biased_matmul

Array = np.ndarray[Any, Any]

_FRACTION_BITS = 20
"""Bits of the factors of a sum: 255 * 2^20 * 2 and the offset stay within int32."""
_WIDE_FRACTION_BITS = 30
"""Of a sum of wide codes, in int64."""


def activation(builder: Builder, node: ir.Node) -> None:
    """actc::Activation -> actc::Table (or ChannelTable); a clamp is nothing at all."""
    site = builder.context.sites[node.metadata_props["actc.site"]]
    source, output = node.inputs[0], node.outputs[0]
    x = builder.codes(source)
    if site.form == "clamp":
        builder.set_codes(output, Codes(x.value, x.parameters))
        return
    parameters = builder.formats(output)
    if site.function.channels == 1:
        table = _table(site, x.parameters, parameters)
        inputs = [x.value, builder.constant(f"{output.name}.table", table)]
        dtype = code_type(parameters)
        result = builder.emit("Table", inputs, output, dtype, name=str(output.name))
    else:
        result = _channel_table(builder, site, x, output, parameters)
    result.metadata_props["actc.site"] = site.id
    builder.set_codes(output, Codes(result, parameters))


def _table(site: Site, x: QuantizationParameters, y: QuantizationParameters) -> Array:
    target = ScalarFunction(site.label, site.function)
    fit = fit_table(ScalarFunction(site.label, site.effective), x, y)
    attained = y.values()[fit.form.values]
    used = slice(x.low, x.high + 1)
    site.details.update(
        _errors(attained[used], target(x.values())[used]), entries=x.high - x.low + 1
    )
    if np.isfinite(fit.lower_bound):  # where the function is infinite no table comes near
        site.details["lower_bound"] = fit.lower_bound
    site.curves = [(x.values()[used], target(x.values())[used], attained[used])]
    site.certificate = site.certificate or certify_table(site.label, fit)
    return fit.form.values


def _errors(attained: Array, wanted: Array) -> dict[str, float]:
    """Largest and RMS difference, where the function is finite (a table saturates elsewhere)."""
    finite = np.isfinite(wanted)
    error = np.abs(attained[finite] - wanted[finite])
    return {"max_error": float(error.max(initial=0.0)), "rms_error": root_mean_square(error)}


def _channel_table(
    builder: Builder, site: Site, x: Codes, output: ir.Value, y: QuantizationParameters
) -> ir.Value:
    points, used = x.parameters.values(), slice(x.parameters.low, x.parameters.high + 1)
    real = site.function(points)
    undefined = np.isnan(real[used]).any(axis=1)
    if undefined.any():
        raise ModelError(not_a_number(site.label, points[used][undefined]))
    table = fit_channel_table(real, y)
    attained = y.values()[table.T]
    site.details.update(_errors(attained[used], real[used]), entries=table.size)
    site.curves = [(points, real[:, c], attained[:, c]) for c in _shown(site)]
    site.certificate = certify_channel_table(site.label, real, table, x.parameters, y)
    floor = float.fromhex(site.certificate["lower_bound"])
    if np.isfinite(floor):
        site.details["lower_bound"] = floor
    name, shape = str(output.name), [1] * site.function.rank
    shape[site.function.axis] = -1
    offset = (x.parameters.entries * np.arange(site.function.channels)).reshape(shape)
    inputs = [
        x.value,
        builder.constant(f"{name}.table", table.reshape(-1)),
        builder.constant(f"{name}.offset", offset.astype(np.int32)),
    ]
    return builder.emit("ChannelTable", inputs, output, code_type(y), name=name)


def _shown(site: Site) -> list[int]:
    """Channels of a family that a report shows: four at most, spread evenly."""
    return sorted({int(c) for c in np.linspace(0, site.function.channels - 1, 4)})


def add(builder: Builder, node: ir.Node) -> None:
    """Add (or a MatMul's bias) -> actc::IntAdd and a shift."""
    if not biased_matmul(builder, node):
        _sum(builder, node, 1)


def subtract(builder: Builder, node: ir.Node) -> None:
    """Sub -> actc::IntAdd with a negative factor."""
    _sum(builder, node, -1)


def operand(builder: Builder, value: ir.Value | None, bits: int = 8) -> Codes:
    """The codes of an operand; those of a constant have at least `bits` bits."""
    if value is not None and constant(value) is not None:
        return builder.constant_codes(value, bits)
    return builder.codes(value)


def _sum(builder: Builder, node: ir.Node, sign: int) -> None:
    output, name = node.outputs[0], str(node.outputs[0].name)
    parameters = builder.formats(output)
    a, b = (operand(builder, value, parameters.bits) for value in node.inputs[:2])
    wide = a.wide or b.wide or parameters.bits > 8
    fraction, dtype = (_WIDE_FRACTION_BITS, np.int64) if wide else (_FRACTION_BITS, np.int32)
    ratios = np.array([a.parameters.scale, b.parameters.scale]) / parameters.scale
    most = max_shift(parameters.bits)
    shift = int(np.clip(fraction - np.ceil(np.log2(ratios.max())), 1, most))
    factors = np.rint(ratios * 2.0**shift).astype(np.int64) * np.array([1, sign])
    if np.abs(factors).max() > 2 ** (fraction + 1):
        raise NoIntegerForm("the formats of its operands and its result are too far apart")
    zeros = np.array([a.parameters.zero_point, b.parameters.zero_point])
    offset = -int((factors * zeros).sum())
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_mul", np.array(factors[0], dtype)),
        builder.constant(f"{name}.b_mul", np.array(factors[1], dtype)),
        builder.constant(f"{name}.offset", np.array(offset, dtype)),
    ]
    kind = ir.DataType.from_numpy(np.dtype(dtype))
    accumulator = builder.emit("IntAdd", inputs, output, kind, name=name)
    reach = [largest_code(x.parameters.bits) for x in (a, b)]
    bound = int((np.abs(factors) * reach).sum())
    scale = np.array(parameters.scale * 2.0**-shift)
    builder.set_accumulator(output, Accumulator(accumulator, scale, 1, bound))


def multiply(builder: Builder, node: ir.Node) -> None:
    """Mul of two tensors -> actc::IntMul."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    a, b = (operand(builder, value) for value in node.inputs[:2])
    builder.set_accumulator(output, product(builder, a, b, output, name))


def product(builder: Builder, a: Codes, b: Codes, output: ir.Value, name: str) -> Accumulator:
    """Two tensors multiplied: actc::IntMul, or WideMul where 32 bits are too few."""
    p, q = a.parameters, b.parameters
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_zero", np.array(p.zero_point, p.dtype)),
        builder.constant(f"{name}.b_zero", np.array(q.zero_point, q.dtype)),
    ]
    bound = largest_code(p.bits) * largest_code(q.bits)
    wide = bound >= 2**31
    operator = "WideMul" if wide else "IntMul"
    dtype = ir.DataType.INT64 if wide else ir.DataType.INT32
    accumulator = builder.emit(operator, inputs, output, dtype, name=name)
    return Accumulator(accumulator, np.array(p.scale * q.scale), 1, bound)
