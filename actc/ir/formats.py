"""Integer formats of float values, kept in the values' metadata."""

from __future__ import annotations

import onnx_ir as ir

from actc.numerics.quantization import QuantizationParameters

_WIDE, _NARROW = "actc.", "actc.narrow."
_FIELDS = ("scale", "zero_point", "low", "high")
_BITS = "bits"


def annotate(value: ir.Value, parameters: QuantizationParameters) -> None:
    """Write `parameters` on `value`; floats in their shortest exact spelling."""
    _write(value, _WIDE, parameters)


def parameters_of(value: ir.Value) -> QuantizationParameters | None:
    """The parameters written on `value`, None when there are none."""
    return _read(value, _WIDE)


def annotate_narrow(value: ir.Value, parameters: QuantizationParameters) -> None:
    """Write the second, narrow format of `value`: the one in which multipliers take it."""
    _write(value, _NARROW, parameters)


def narrow_parameters_of(value: ir.Value) -> QuantizationParameters | None:
    """The second, narrow format of `value`, None when it has none."""
    return _read(value, _NARROW)


def _write(value: ir.Value, prefix: str, parameters: QuantizationParameters) -> None:
    for field in _FIELDS:
        value.metadata_props[prefix + field] = repr(getattr(parameters, field))
    value.metadata_props.pop(prefix + _BITS, None)
    if parameters.bits != 8:
        value.metadata_props[prefix + _BITS] = repr(parameters.bits)


def _read(value: ir.Value, prefix: str) -> QuantizationParameters | None:
    found = [value.metadata_props.get(prefix + field) for field in _FIELDS]
    if any(text is None for text in found):
        return None
    scale, zero, low, high = (str(text) for text in found)
    bits = int(value.metadata_props.get(prefix + _BITS, "8"))
    return QuantizationParameters(float(scale), int(zero), int(low), int(high), bits)
