"""Softmax and layer normalization on integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm

Array = np.ndarray[Any, Any]

LONGEST_SEQUENCE = 4096
"""Positions that sums have room for along an axis of open length."""

_NORMAL_BITS = 12
"""Fraction bits of the normalized value inside actc::IntLayerNorm."""
_LENGTH_BITS = 17
"""Fraction bits of the part of the length inside actc::IntRmsNorm."""
SHARES = "actc.probabilities"
"""Metadata of a Softmax that gives codes: shares in units of 2^-16."""
_SHARE_BITS = 16


def softmax(builder: Builder, node: ir.Node) -> None:
    """Softmax -> actc::IntSoftmax: exponentials from a table, one exact division.

    One that is marked with :data:`SHARES` becomes actc::IntProbabilities.
    """
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    shape = dims(output)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    if shape is None:
        raise NoIntegerForm("its shape is not known")
    table = exponentials(x.parameters, shape[axis])
    inputs = [x.value, builder.constant(f"{name}.exp", table)]
    along = {"axis": axis % len(shape)}
    if SHARES in node.metadata_props:
        shares = builder.emit(
            "IntProbabilities",
            inputs,
            output,
            ir.DataType.UINT16,
            name=name,
            attributes={**along, "bits": _SHARE_BITS},
        )
        parameters = QuantizationParameters(2.0**-_SHARE_BITS, 0, bits=_SHARE_BITS)
        builder.set_codes(output, Codes(shares, parameters))
        return
    result = builder.emit(
        "IntSoftmax", inputs, output, ir.DataType.FLOAT, name=name, attributes=along
    )
    builder.set_plain(output, result)


def exponentials(x: QuantizationParameters, length: int | None) -> Array:
    """exp(-scale * distance) for every distance of codes, int32; sums of `length` fit 31 bits."""
    terms = max(LONGEST_SEQUENCE if length is None else length, 2)
    one = 2.0 ** min(24, 30 - int(np.ceil(np.log2(terms))))
    return np.asarray(np.rint(one * np.exp(-x.scale * np.arange(x.entries))), np.int32)


def layer_norm(builder: Builder, node: ir.Node) -> None:
    """actc::LayerNorm -> actc::IntLayerNorm.

    The scale of the input cancels: with d = n*q - sum(q), (x - mean) / sqrt(var + eps)
    is d / sqrt(n*sum(q^2) - sum(q)^2 + eps*n^2/scale^2), exact up to the square root.
    """
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    gamma, beta, shape = constant(node.inputs[1]), constant(node.inputs[2]), dims(output)
    axis = node.attributes["axis"].as_int()
    if shape is None or (count := shape[axis]) is None or gamma is None or beta is None:
        raise NoIntegerForm("its shape or its parameters are not known")
    longest = min(2**14, int(2**26.5) >> x.parameters.bits)
    if count > longest:
        raise NoIntegerForm(f"it normalizes over more than {longest} values")
    gamma, beta = gamma.astype(np.float64), beta.astype(np.float64)
    # |normal| <= sqrt(count): keep normal * gamma + beta within 30 bits.
    reach = np.sqrt(count) * 2.0**_NORMAL_BITS
    largest = max(float(np.abs(gamma).max()), float(np.abs(beta).max()) / np.sqrt(count), 1e-30)
    bits = np.floor(np.log2(2.0**29 / (reach * largest)))
    step = 2.0**-bits
    gamma_codes = np.rint(gamma / step).astype(np.int32)
    beta_codes = np.rint(beta / step * 2.0**_NORMAL_BITS).astype(np.int32)
    epsilon = node.attributes["epsilon"].as_float() * (count / x.parameters.scale) ** 2
    inputs = [
        x.value,
        builder.constant(f"{name}.gamma", gamma_codes),
        builder.constant(f"{name}.beta", beta_codes),
        builder.constant(f"{name}.eps", np.array(max(epsilon, 2.0**-20), np.float64)),
    ]
    accumulator = builder.emit(
        "IntLayerNorm",
        inputs,
        output,
        ir.DataType.INT32,
        name=name,
        attributes={"axis": axis, "count": count},
    )
    bound = int(reach * np.abs(gamma_codes).max() + np.abs(beta_codes).max()) + 1
    scale = np.array(step * 2.0**-_NORMAL_BITS)
    builder.set_accumulator(output, Accumulator(accumulator, scale, axis, bound))


def rms_norm(builder: Builder, node: ir.Node) -> None:
    """actc::RmsNorm -> actc::IntRmsNorm.

    With d = q - zero, x / sqrt(mean(x^2) + eps) is sqrt(n) * d / sqrt(sum(d^2) + eps * n /
    scale^2): the scale of the input cancels, and sqrt(n) goes into gamma.
    """
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    gamma, shape = constant(node.inputs[1]), dims(output)
    axis = node.attributes["axis"].as_int()
    if shape is None or (count := shape[axis]) is None or gamma is None:
        raise NoIntegerForm("its shape or its parameters are not known")
    longest = 1 << (52 - 2 * x.parameters.bits)
    if count > longest:
        raise NoIntegerForm(f"it normalizes over more than {longest} values")
    factor = gamma.astype(np.float64) * np.sqrt(count)
    largest = max(float(np.abs(factor).max()), 1e-30)
    step = 2.0 ** -np.floor(np.log2(2.0 ** (29 - _LENGTH_BITS) / largest))
    codes = np.rint(factor / step).astype(np.int32)
    epsilon = node.attributes["epsilon"].as_float() * count / x.parameters.scale**2
    inputs = [
        x.value,
        builder.zero(x, name),
        builder.constant(f"{name}.gamma", codes),
        builder.constant(f"{name}.eps", np.array(max(epsilon, 2.0**-20), np.float64)),
    ]
    normal = builder.emit(
        "IntRmsNorm", inputs, output, ir.DataType.INT32, name=name, attributes={"axis": axis}
    )
    bound = int(2**_LENGTH_BITS * np.abs(codes).max()) + 1
    scale = np.array(step * 2.0**-_LENGTH_BITS)
    builder.set_accumulator(output, Accumulator(normal, scale, axis, bound))
