"""The largest values and where they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.numerics.quantization import MIN_BITS, QuantizationParameters
from actc.passes.integer.builder import (
    Accumulator,
    Array,
    Builder,
    Codes,
    NoIntegerForm,
    code_type,
)

_COMPARED_BITS = 16
"""Scores are compared in so many bits, whatever the others have: rounding makes ties."""
FEW_DIGITS = "actc.few_digits"
"""Metadata of an ArgMax that may multiply sums by numbers close to their scales.

In hardware these take an adder for each signed digit but the first.
"""
_SCORE_BITS = 7
_FRACTION = 3
_MOST_PLACES = 12


def arg_max(builder: Builder, node: ir.Node) -> None:
    """ArgMax or ArgMin: of sums where these compare as they are, else of codes."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    scores = _sums(builder, node)
    if scores is None:
        scores = _integers(builder, _scores(builder, node.inputs[0]), name)
    where = builder.emit(
        node.op_type,
        [scores],
        output,
        ir.DataType.INT64,
        name=name,
        attributes=attributes,
        domain="",
    )
    builder.set_plain(output, where)


def top_k(builder: Builder, node: ir.Node) -> None:
    """TopK of codes: the values stay codes."""
    largest, where = node.outputs
    name, count = str(largest.name or where.name), constant(node.inputs[1])
    if count is None:
        raise NoIntegerForm("its number of values is not constant")
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    x = _scores(builder, node.inputs[0])
    inputs = [_integers(builder, x, name), builder.constant(f"{name}.k", count)]
    found = builder.emit(
        "TopK", inputs, largest, ir.DataType.INT32, name=name, attributes=attributes, domain=""
    )
    golden = found.producer()
    assert golden is not None
    golden.resize_outputs(2)
    positions = golden.outputs[1]
    positions.name = builder.fresh(f"{name}.where")
    positions.type, positions.shape = ir.TensorType(ir.DataType.INT64), where.shape
    kind = code_type(x.parameters)
    codes = _cast(builder, found, largest, kind, name)
    builder.set_codes(largest, Codes(codes, x.parameters))
    builder.set_plain(where, positions)


def _scores(builder: Builder, value: ir.Value | None) -> Codes:
    """The codes of a value; where sums stand for it, finer ones than its format has."""
    accumulator = None if value is None else builder.accumulator(value)
    if value is None or accumulator is None:
        return builder.codes(value)
    p = builder.formats(value)
    ends = p.scale * (p.low - p.zero_point), p.scale * (p.high - p.zero_point)
    fine = QuantizationParameters.from_range(*ends, bits=_COMPARED_BITS)
    return Codes(builder.requantize(value, accumulator, fine), fine)


def _sums(builder: Builder, node: ir.Node) -> ir.Value | None:
    """Sums that compare as the real numbers do, None where there are none of 32 bits."""
    value = node.inputs[0]
    found = None if value is None else builder.accumulator(value)
    if value is None or found is None or found.residual is not None or found.scale.ndim > 1:
        return None
    if found.value.dtype != ir.DataType.INT32:
        return None
    axis = node.attributes.get_int("axis", 0) % max(len(value.shape or ()), 1)
    if np.all(found.scale == found.scale.reshape(-1)[0]) or found.axis != axis:
        return found.value
    if FEW_DIGITS not in node.metadata_props:
        return None
    multipliers, shift, parameters = _multiples(found)
    shape = [1] * len(value.shape or ())
    shape[axis] = -1
    codes = builder.scale_and_round(
        value, found.value, multipliers.reshape(shape), shift, parameters
    )
    return _integers(builder, Codes(codes, parameters), str(value.name))


def _multiples(sums: Accumulator) -> tuple[Array, int, QuantizationParameters]:
    """Multipliers, a shift and a format that bring sums of different scales into one.

    Scores are then off by one in 2^_SCORE_BITS at most, and have _FRACTION more bits than
    the sums of the largest scale, if 16 are enough.
    """
    ratios = sums.scale / sums.scale.max()
    candidates = [_shortest(ratios * 2.0**places) for places in range(_MOST_PLACES)]
    _, places = min((sum(map(_digits, m)), at) for at, m in enumerate(candidates) if m)
    width = sums.bound.bit_length() + 1
    kept = min(_FRACTION, places, _COMPARED_BITS - width)
    # a Requantize shifts by one place at least
    more = max(1 - (places - kept), 0)
    bits = max(width + kept, MIN_BITS)
    scale = float(sums.scale.max()) * 2.0**-kept
    parameters = QuantizationParameters(scale, 1 << (bits - 1), bits=bits)
    return np.array(candidates[places]) << more, places - kept + more, parameters


def _shortest(wanted: Array) -> list[int]:
    """The integers of fewest signed digits that are close to some numbers; none where one has none.

    Of equally many digits the closest is taken.
    """
    found = []
    for number in wanted.reshape(-1).tolist():
        slack = number * 2.0**-_SCORE_BITS
        close = range(math.ceil(number - slack), math.floor(number + slack) + 1)
        if not close:
            return []
        found.append(min(close, key=lambda m: (_digits(m), abs(m - number))))
    return found


def _digits(number: int) -> int:
    """Digits of the non-adjacent form, which stand where n and 3 n differ."""
    return (number ^ 3 * number).bit_count()


def _integers(builder: Builder, x: Codes, name: str) -> ir.Value:
    """Codes as int32, which every runtime can compare."""
    return _cast(builder, x.value, x.value, ir.DataType.INT32, name)


def _cast(builder: Builder, x: ir.Value, like: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
    to: dict[str, Any] = {"to": int(dtype)}
    return builder.emit("Cast", [x], like, dtype, name=name, attributes=to, domain="")
