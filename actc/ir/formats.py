"""Integer formats of float values, kept in the values' metadata."""

from __future__ import annotations

import onnx_ir as ir

from actc.numerics.quantization import QuantizationParameters

_KEYS = ("actc.scale", "actc.zero_point", "actc.low", "actc.high")
_BITS = "actc.bits"


def annotate(value: ir.Value, parameters: QuantizationParameters) -> None:
    """Write `parameters` on `value`; floats in their shortest exact spelling."""
    numbers = (parameters.scale, parameters.zero_point, parameters.low, parameters.high)
    for key, number in zip(_KEYS, numbers, strict=True):
        value.metadata_props[key] = repr(number)
    value.metadata_props.pop(_BITS, None)
    if parameters.bits != 8:
        value.metadata_props[_BITS] = repr(parameters.bits)


def parameters_of(value: ir.Value) -> QuantizationParameters | None:
    """The parameters written on `value`, None when there are none."""
    found = [value.metadata_props.get(key) for key in _KEYS]
    if any(text is None for text in found):
        return None
    scale, zero, low, high = (str(text) for text in found)
    bits = int(value.metadata_props.get(_BITS, "8"))
    return QuantizationParameters(float(scale), int(zero), int(low), int(high), bits)
