"""actc::FakeQuantize in golden: exactly the codes that the model's own quantizer gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context
from actc.ir.dialect import DOMAIN
from actc.ir.formats import parameters_of
from actc.ir.graph import is_given, is_op, only_user
from actc.ir.sites import SiteFunction
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.numerics.requantize import choose_multiplier
from actc.passes.integer import attention, elementwise, movement
from actc.passes.integer.builder import Accumulator, Builder, Codes
from actc.passes.quantized.exact import Exact, decide, exact_codes
from actc.passes.quantized.functions import composed, split_clamp
from actc.passes.quantized.instance_steps import instance_steps
from actc.passes.quantized.monotone import is_monotone
from actc.passes.quantized.quantizer import (
    Quantizer,
    axis_of,
    from_codes,
    is_quantizer,
    steps,
    warn,
)
from actc.passes.quantized.rounding import (
    Affine,
    Staircase,
    enumerated,
    padded,
    quantize,
    staircase,
)
from actc.passes.quantized.sampled import FEW_CODES, sampled_staircase
from actc.passes.quantized.sums import quantized_sum, sums_for_quantizer
from actc.passes.quantized.transposes import permutation

Array = np.ndarray[Any, Any]

_MOST_SUMS = 2**24
"""Sums over which a function is tabulated that is not monotone."""
_MULTIPLIER_BITS = (24, 31)
_SHOWN = 10
_FINER_BITS = 12
"""How much finer an output's steps may become for the sake of its bias."""


def activation(builder: Builder, node: ir.Node) -> None:
    """A site; one that only a quantizer reads is lowered with it."""
    if not is_quantizer(only_user(node.outputs[0])):
        attention.activation(builder, node)


def add(builder: Builder, node: ir.Node) -> None:
    """Add; one that only a quantizer reads is lowered with it."""
    if not sums_for_quantizer(node):
        elementwise.add(builder, node)


def subtract(builder: Builder, node: ir.Node) -> None:
    """Sub; one that only a quantizer reads is lowered with it."""
    if not sums_for_quantizer(node):
        elementwise.subtract(builder, node)


def transpose(builder: Builder, node: ir.Node) -> None:
    """Transpose of codes; at an output, of the sums of a layer whose integers are given."""
    source, output = node.inputs[0], node.outputs[0]
    accumulator = None if source is None else builder.accumulator(source)
    given = bool(builder.context.facts.get("given")) and "perm" in node.attributes
    last = output.is_graph_output() and not output.uses()
    if accumulator is None or accumulator.scale.ndim > 1 or not (given and last):
        movement.move(builder, node)
        return
    kind, axes = accumulator.value.dtype, permutation(node)
    assert kind is not None
    moved = builder.emit(
        "Transpose",
        [accumulator.value],
        output,
        kind,
        name=str(output.name),
        attributes={"perm": axes},
        domain="",
    )
    axis = axes.index(accumulator.axis % len(axes))
    builder.set_accumulator(output, dataclasses.replace(accumulator, value=moved, axis=axis))


def fake_quantize(builder: Builder, node: ir.Node) -> None:
    """actc::FakeQuantize -> Requantize, Steps, Table or QuantizeLinear, exactly."""
    quantizer = _quantizer(builder, node)
    site, producer = quantizer.site, quantizer.source.producer()
    result = instance_steps(builder, quantizer)
    if producer is not None and sums_for_quantizer(producer):
        result = quantized_sum(builder, quantizer, producer)
    result = result or _lowered(builder, quantizer)
    if site is not None:
        site.form = site.form if site.form == "rows" else "quantizer"
        site.certificate = None
        result.metadata_props["actc.site"] = site.id
    builder.set_codes(quantizer.output, Codes(result, quantizer.parameters))


def _lowered(builder: Builder, quantizer: Quantizer) -> ir.Value:
    """The quantizer of an accumulator, of a float tensor, or of codes."""
    source, parameters = quantizer.source, quantizer.parameters
    plain, accumulator = builder.plain(source), builder.accumulator(source)
    if accumulator is not None and accumulator.scale.ndim < 2:
        return _from_accumulator(builder, quantizer, accumulator)
    if plain is not None and quantizer.site is None:
        codes = builder.quantize(quantizer.output, plain, parameters)
        return _saturated(builder, quantizer, codes)
    if accumulator is not None:
        warn(builder, quantizer, "its factors differ from place to place")
    return from_codes(builder, quantizer)


def note_calibrated(model: ir.Model, context: Context) -> None:
    """Say which values of a quantized model have formats from the data (ACT0114)."""
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    made = context.facts.get("binarized", {}).get("inputs", {})  # the pass's, not the model's
    given = {parameters_of(v) for v in values if is_given(v) and v.name not in made}
    used = context.facts.get("golden", {})
    rest = [v for v in values if v.name in used and parameters_of(v) not in given]
    names = [str(value.name) for value in rest]
    if not given or not names:
        return
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    context.sink.add(
        Diagnostic(
            "ACT0114",
            f"the model quantizes other values, but not {shown}{more}",
            severity="note",
            place=Place(context.file),
            help="their formats come from the data; quantize them in training to fix them",
        )
    )


def with_residual(builder: Builder, value: ir.Value, accumulator: Accumulator) -> Accumulator:
    """An accumulator in smaller steps, which takes in what the integer bias left out.

    Args:
        value: the output of the model that it stands for.
    """
    assert accumulator.residual is not None
    kind = accumulator.value.dtype
    limit = 30 if kind == ir.DataType.INT32 else 50
    finer = 2 ** max(min(limit - accumulator.bound.bit_length(), _FINER_BITS), 0)
    scale = accumulator.scale / finer
    extra = np.rint(accumulator.residual / scale)
    shape = [1] * len(value.shape or ())
    shape[accumulator.axis] = -1
    dtype = np.int32 if kind == ir.DataType.INT32 else np.int64
    name, result = f"{value.name}.fine", accumulator.value
    for op, array in (("Mul", np.array(finer)), ("Add", extra.reshape(shape))):
        term = builder.constant(f"{name}.{op.lower()}", array.astype(dtype))
        assert kind is not None
        result = builder.emit(op, [result, term], value, kind, name=name, domain="")
    bound = accumulator.bound * finer + int(np.abs(extra).max(initial=0))
    return Accumulator(result, scale, accumulator.axis, bound)


def _quantizer(builder: Builder, node: ir.Node) -> Quantizer:
    source, site = node.inputs[0], None
    assert source is not None
    producer = source.producer()
    between = is_op(producer, "Activation", domain=DOMAIN) and only_user(source) is node
    if producer is not None and between:
        site = builder.context.sites[producer.metadata_props["actc.site"]]
        source = producer.inputs[0]
        assert source is not None
    return Quantizer(node, source, site, builder.formats(node.outputs[0]))


def _from_accumulator(builder: Builder, quantizer: Quantizer, accumulator: Accumulator) -> ir.Value:
    site, channels = quantizer.site, _channels(quantizer, accumulator)
    function, p = split_clamp(None if site is None else site.function, quantizer.parameters)
    if p.bits > 8:
        return _wide(builder, quantizer, accumulator, function, p)
    if channels is None:
        warn(builder, quantizer, "channels of the layer and the function lie along other axes")
        return from_codes(builder, quantizer)
    factor = np.broadcast_to(accumulator.scale, channels)
    residual = 0.0 if accumulator.residual is None else accumulator.residual
    affine = Affine(factor, np.broadcast_to(residual, channels))
    real = composed(affine, function, channels)
    fractions = None if function is None else Exact(affine, function)
    stairs = _stairs(real, channels, accumulator.bound, p, function, fractions)
    if stairs is None:
        warn(builder, quantizer, "the function is not monotone and takes too many sums or values")
        return from_codes(builder, quantizer)
    narrowed = dataclasses.replace(quantizer, parameters=p)
    exact = _as_requantize(builder, narrowed, accumulator, stairs, real)
    return exact or steps(builder, narrowed, accumulator, stairs)


def _wide(
    builder: Builder,
    quantizer: Quantizer,
    accumulator: Accumulator,
    function: SiteFunction | None,
    p: QuantizationParameters,
) -> ir.Value:
    """More than 8 bits: multiplier and shift; functions go through a format of the data."""
    warn(builder, quantizer, "its codes have more than 8 bits")
    if function is None:
        return builder.requantize(quantizer.output, accumulator, p)
    return from_codes(builder, quantizer)


def _channels(quantizer: Quantizer, accumulator: Accumulator) -> int | None:
    """Number of channels of layer and function together, None when their axes differ."""
    left = accumulator.residual
    own = max(accumulator.scale.size, 1 if left is None else left.size)
    site = quantizer.site
    if site is None or site.function.channels == 1:
        return own
    shape = quantizer.output.shape
    if own > 1 and (shape is None or site.function.axis != accumulator.axis % len(shape)):
        return None
    return site.function.channels


def _stairs(
    real: Callable[[Array], Array],
    channels: int,
    bound: int,
    p: QuantizationParameters,
    function: Any,
    exact: Exact | None,
) -> Staircase | None:
    if isinstance(real, Affine) or is_monotone(function.body):
        found = staircase(real, channels, bound, p)
        if exact is not None:
            decide(found, exact, bound, p)
        return found
    if channels * (2 * bound + 1) > _MOST_SUMS:
        few = p.high - p.low < FEW_CODES
        return sampled_staircase(real, channels, bound, p) if few else None
    sums = np.arange(-bound, bound + 1)
    known = None if exact is None else exact_codes(exact, sums, channels, p)
    spread = np.repeat(sums[:, None], channels, axis=1)
    codes = quantize(real(spread.astype(np.float64)), p) if known is None else known
    parts = [enumerated(sums, codes[:, channel]) for channel in range(channels)]
    if any(part is None for part in parts):
        return None
    full = [padded(part) for part in parts if part is not None]
    return Staircase(
        np.concatenate([part.points for part in full]),
        np.concatenate([part.codes for part in full]),
    )


def _as_requantize(
    builder: Builder,
    quantizer: Quantizer,
    accumulator: Accumulator,
    stairs: Staircase,
    real: Callable[[Array], Array],
) -> ir.Value | None:
    """actc::Requantize, if with some multiplier it takes every step where it has to be."""
    p = quantizer.parameters
    if not isinstance(real, Affine) or np.any(real.factor <= 0):
        return None
    for bits in _MULTIPLIER_BITS:
        multiplier, shift = choose_multiplier(
            real.factor / p.scale,
            max_accumulator=accumulator.bound,
            bits=bits,
            output_bits=p.bits,
        )
        if np.all(multiplier > 0) and _agrees(multiplier, shift, stairs, accumulator.bound, p):
            shape = [1] * len(quantizer.output.shape or ())
            if len(multiplier) > 1:
                shape[axis_of(quantizer, accumulator)] = -1
            factor = multiplier.reshape(shape if len(multiplier) > 1 else ())
            return builder.scale_and_round(quantizer.output, accumulator.value, factor, shift, p)
    return None


def _agrees(
    multiplier: Array, shift: int, stairs: Staircase, bound: int, p: QuantizationParameters
) -> bool:
    """Whether Requantize gives the codes of `stairs` for every sum.

    Both rise with the sum, so that they agree if they do beside every step of either.
    """
    levels = np.arange(p.low + 1, p.high + 1, dtype=np.int64)
    wanted = (levels - p.zero_point) * 2**shift - 2 ** (shift - 1)
    m = multiplier.astype(np.int64)[:, None]
    own = np.clip(-(-wanted // m), -bound, bound + 1)
    for channel, points in enumerate(own):
        edges = np.concatenate([points, stairs.points[channel]])
        sums = np.unique(np.clip(np.concatenate([edges - 1, edges]), -bound, bound))
        code = ((sums * int(m[channel, 0]) + 2 ** (shift - 1)) >> shift) + p.zero_point
        steps = np.searchsorted(stairs.points[channel], sums, side="right")
        if not np.array_equal(np.clip(code, p.low, p.high), stairs.codes[channel][steps]):
            return False
    return True


def _saturated(builder: Builder, quantizer: Quantizer, codes: ir.Value) -> ir.Value:
    """Codes that QuantizeLinear gave, kept from `low` to `high`."""
    p = quantizer.parameters
    if p.bits not in (8, 16) or (p.low, p.high) == (0, largest_code(p.bits)):
        return codes
    at_zero = dataclasses.replace(p, zero_point=0)
    unit = np.array(2, np.int32)
    return builder.scale_and_round(quantizer.output, codes, unit, 1, at_zero)
