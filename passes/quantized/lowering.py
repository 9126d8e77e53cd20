"""actc::FakeQuantize in golden: exactly the codes that the model's own quantizer gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op, only_user
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.numerics.requantize import choose_multiplier
from actc.passes.integer import attention, elementwise, movement
from actc.passes.integer.builder import Accumulator, Builder, Codes, code_type
from actc.passes.quantized.functions import composed, split_clamp
from actc.passes.quantized.monotone import is_monotone
from actc.passes.quantized.rounding import (
    Affine,
    Staircase,
    enumerated,
    padded,
    quantize,
    staircase,
)
from actc.passes.quantized.transposes import permutation

Array = np.ndarray[Any, Any]

FAKE_QUANTIZE = "FakeQuantize"
_MOST_SUMS = 2**24
"""Sums over which a function is tabulated that is not monotone."""
_MULTIPLIER_BITS = (24, 31)
_FINER_BITS = 12
"""How much finer an output's steps may become for the sake of its bias."""


@dataclass(frozen=True, slots=True)
class _Quantizer:
    """A quantizer with what it takes in.

    Attributes:
        node: actc::FakeQuantize.
        source: the value that the whole reads.
        site: the activation between, None when there is none.
        parameters: the format of the result.
    """

    node: ir.Node
    source: ir.Value
    site: Site | None
    parameters: QuantizationParameters

    @property
    def output(self) -> ir.Value:
        return self.node.outputs[0]


def activation(builder: Builder, node: ir.Node) -> None:
    """A site; one that only a quantizer reads is lowered with it."""
    if not _is_quantizer(only_user(node.outputs[0])):
        attention.activation(builder, node)


def add(builder: Builder, node: ir.Node) -> None:
    """Add; one that only a quantizer reads is lowered with it."""
    if not _sums_for_quantizer(node):
        elementwise.add(builder, node)


def subtract(builder: Builder, node: ir.Node) -> None:
    """Sub; one that only a quantizer reads is lowered with it."""
    if not _sums_for_quantizer(node):
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
    source, site = quantizer.source, quantizer.site
    producer = source.producer()
    plain = builder.plain(source)
    accumulator = builder.accumulator(source)
    if producer is not None and _sums_for_quantizer(producer):
        result = _sum(builder, quantizer, producer)
    elif accumulator is not None and accumulator.scale.ndim < 2:
        result = _from_accumulator(builder, quantizer, accumulator)
    elif plain is not None and site is None:
        result = _saturated(
            builder, quantizer, builder.quantize(quantizer.output, plain, quantizer.parameters)
        )
    else:
        if accumulator is not None:
            _warn(builder, quantizer, "its factors differ from place to place")
        result = _from_codes(builder, quantizer)
    if site is not None:
        site.form = site.form if site.form == "rows" else "quantizer"
        site.certificate = None
        result.metadata_props["actc.site"] = site.id
    builder.set_codes(quantizer.output, Codes(result, quantizer.parameters))


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


def _is_quantizer(node: ir.Node | None) -> bool:
    return is_op(node, FAKE_QUANTIZE, domain=DOMAIN)


def _quantizer(builder: Builder, node: ir.Node) -> _Quantizer:
    source, site = node.inputs[0], None
    assert source is not None
    producer = source.producer()
    between = is_op(producer, "Activation", domain=DOMAIN) and only_user(source) is node
    if producer is not None and between:
        site = builder.context.sites[producer.metadata_props["actc.site"]]
        source = producer.inputs[0]
        assert source is not None
    return _Quantizer(node, source, site, builder.formats(node.outputs[0]))


def _sums_for_quantizer(node: ir.Node) -> bool:
    """Whether `node` adds two tensors for one quantizer, perhaps through an activation."""
    if not is_op(node, "Add", "Sub") or any(constant(v) is not None for v in node.inputs):
        return False
    user = only_user(node.outputs[0])
    if is_op(user, "Activation", domain=DOMAIN) and user is not None:
        user = only_user(user.outputs[0])
    return _is_quantizer(user)


def _sum(builder: Builder, quantizer: _Quantizer, node: ir.Node) -> ir.Value:
    """Two tensors of codes: actc::IntAdd, and the codes of all pairs as steps of the sum."""
    a, b = (builder.codes(value) for value in node.inputs[:2])
    if a.wide or b.wide or quantizer.parameters.bits > 8 or _family(quantizer.site):
        elementwise.add(builder, node) if node.op_type == "Add" else elementwise.subtract(
            builder, node
        )
        accumulator = builder.accumulator(quantizer.source)
        assert accumulator is not None
        _warn(builder, quantizer, "it is a sum of tensors of more than 8 bits, or has channels")
        return _from_accumulator(builder, quantizer, accumulator)
    sign = -1 if node.op_type == "Sub" else 1
    used = [np.arange(x.parameters.low, x.parameters.high + 1) for x in (a, b)]
    first, second = (x - c.parameters.zero_point for x, c in zip(used, (a, b), strict=True))
    real = (first * a.parameters.scale)[:, None] + sign * second * b.parameters.scale
    wanted = quantize(_apply(quantizer.site, real.reshape(-1)), quantizer.parameters)
    scales = np.array([a.parameters.scale, b.parameters.scale])
    # Factors of 21 bits, which are exact where the scales' ratio is a power of two.
    unit = 2.0 ** np.ceil(np.log2(scales.max())) * 2.0**-21
    factors = np.rint(scales / unit).astype(np.int64) * np.array([1, sign])
    sums = (factors[0] * first)[:, None] + factors[1] * second
    found = enumerated(sums.reshape(-1), wanted)
    zeros = np.array([a.parameters.zero_point, b.parameters.zero_point])
    name = str(node.outputs[0].name)
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_mul", np.array(factors[0], np.int32)),
        builder.constant(f"{name}.b_mul", np.array(factors[1], np.int32)),
        builder.constant(f"{name}.offset", np.array(-int((factors * zeros).sum()), np.int32)),
    ]
    summed = builder.emit("IntAdd", inputs, node.outputs[0], ir.DataType.INT32, name=name)
    bound = int((np.abs(factors) * 255).sum())
    accumulator = Accumulator(summed, np.array(unit), 1, bound)
    if found is None:
        _warn(builder, quantizer, "its codes do not follow the rounded sums")
        builder.set_accumulator(quantizer.source, accumulator)
        return _from_codes(builder, quantizer)
    exact = _as_requantize(
        builder, quantizer, accumulator, found, Affine(np.array([unit]), np.zeros(1))
    )
    return exact or _steps(builder, quantizer, accumulator, found)


def _apply(site: Site | None, real: Array) -> Array:
    return real if site is None else site.function(real)


def _family(site: Site | None) -> bool:
    return site is not None and site.function.channels > 1


def _from_accumulator(
    builder: Builder, quantizer: _Quantizer, accumulator: Accumulator
) -> ir.Value:
    site, wide = quantizer.site, quantizer.parameters.bits > 8
    channels = _channels(quantizer, accumulator)
    reason = ""
    if wide:
        reason = "it has more than 8 bits"
    elif channels is None:
        reason = "the channels of the layer and of the function lie along different axes"
    if reason and site is None:
        _warn(builder, quantizer, reason)
        return builder.requantize(quantizer.output, accumulator, quantizer.parameters)
    stairs = None
    if not reason and channels is not None:
        function, p = split_clamp(None if site is None else site.function, quantizer.parameters)
        factor = np.broadcast_to(accumulator.scale, channels)
        residual = 0.0 if accumulator.residual is None else accumulator.residual
        affine = Affine(factor, np.broadcast_to(residual, channels))
        real = composed(affine, function, channels)
        stairs = _stairs(real, channels, accumulator.bound, p, function)
        reason = "the function between is not monotone, and takes too many sums or values"
    if stairs is None:
        _warn(builder, quantizer, reason)
        return _from_codes(builder, quantizer)
    narrowed = dataclasses.replace(quantizer, parameters=p)
    exact = _as_requantize(builder, narrowed, accumulator, stairs, real)
    return exact or _steps(builder, narrowed, accumulator, stairs)


def _channels(quantizer: _Quantizer, accumulator: Accumulator) -> int | None:
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
) -> Staircase | None:
    if isinstance(real, Affine) or is_monotone(function.body):
        return staircase(real, channels, bound, p)
    if channels * (2 * bound + 1) > _MOST_SUMS:
        return None
    sums = np.arange(-bound, bound + 1)
    codes = quantize(real(np.repeat(sums[:, None], channels, axis=1).astype(np.float64)), p)
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
    quantizer: _Quantizer,
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
                shape[_axis(quantizer, accumulator)] = -1
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


def _axis(quantizer: _Quantizer, accumulator: Accumulator) -> int:
    site = quantizer.site
    return site.function.axis if _family(site) and site is not None else accumulator.axis


def _steps(
    builder: Builder, quantizer: _Quantizer, accumulator: Accumulator, stairs: Staircase
) -> ir.Value:
    """actc::Steps."""
    full, output, name = padded(stairs), quantizer.output, str(quantizer.output.name)
    channels = len(full.points)
    wide = accumulator.value.dtype == ir.DataType.INT64
    kind = np.int64 if wide else np.int32
    last = np.iinfo(kind).max
    points = np.concatenate([full.points, np.full((channels, 1), last)], axis=1)
    shape = [1] * len(output.shape or ())
    if channels > 1:
        shape[_axis(quantizer, accumulator)] = -1
    offset = (256 * np.arange(channels)).reshape(shape)
    inputs = [
        accumulator.value,
        builder.constant(f"{name}.breakpoints", np.minimum(points, last).reshape(-1).astype(kind)),
        builder.constant(f"{name}.values", full.codes.reshape(-1).astype(np.uint8)),
        builder.constant(f"{name}.offset", offset.astype(np.int32)),
    ]
    return builder.emit("Steps", inputs, output, code_type(quantizer.parameters), name=name)


def _from_codes(builder: Builder, quantizer: _Quantizer) -> ir.Value:
    """A table over the codes of what the quantizer reads."""
    x, p, site = builder.codes(quantizer.source), quantizer.parameters, quantizer.site
    name, output = str(quantizer.output.name), quantizer.output
    if site is None and _same(x.parameters, p):
        return x.value
    used = np.clip(np.arange(x.parameters.entries), x.parameters.low, x.parameters.high)
    real = x.parameters.values()[used]
    codes = quantize(_apply(site, real), p).astype(p.dtype)
    if not _family(site):
        inputs = [x.value, builder.constant(f"{name}.table", codes)]
        return builder.emit("Table", inputs, output, code_type(p), name=name)
    assert site is not None
    shape = [1] * site.function.rank
    shape[site.function.axis] = -1
    offset = (x.parameters.entries * np.arange(site.function.channels)).reshape(shape)
    inputs = [
        x.value,
        builder.constant(f"{name}.table", np.ascontiguousarray(codes.T).reshape(-1)),
        builder.constant(f"{name}.offset", offset.astype(np.int32)),
    ]
    return builder.emit("ChannelTable", inputs, output, code_type(p), name=name)


def _same(a: QuantizationParameters, b: QuantizationParameters) -> bool:
    """Whether codes of `a` are codes of `b` as they stand."""
    grid = (a.scale, a.zero_point, a.dtype) == (b.scale, b.zero_point, b.dtype)
    return grid and b.low <= a.low and a.high <= b.high


def _saturated(builder: Builder, quantizer: _Quantizer, codes: ir.Value) -> ir.Value:
    """Codes that QuantizeLinear gave, kept from `low` to `high`."""
    p = quantizer.parameters
    if p.bits not in (8, 16) or (p.low, p.high) == (0, largest_code(p.bits)):
        return codes
    at_zero = dataclasses.replace(p, zero_point=0)
    unit = np.array(2, np.int32)
    return builder.scale_and_round(quantizer.output, codes, unit, 1, at_zero)


def _warn(builder: Builder, quantizer: _Quantizer, reason: str) -> None:
    builder.context.sink.add(
        Diagnostic(
            "ACT0113",
            f"quantizer '{quantizer.node.name}' is not exact: {reason}",
            severity="warning",
            place=Place(builder.context.file, str(quantizer.node.name), "QuantizeLinear"),
            help="its result may be one code away from the model's own now and then",
        )
    )
