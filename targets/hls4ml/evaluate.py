"""What the layers of a network compute: the executable specification of the C++."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.hls4ml import rows
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork, Integers


def evaluate(network: HlsNetwork, samples: npt.ArrayLike) -> Integers:
    """The output of a network.

    Args:
        samples: integers [samples, ...] of the input's shape.

    Returns:
        int64 [samples, ...] of the output's shape.
    """
    return evaluate_all(network, samples)[network.output.name]


def evaluate_all(network: HlsNetwork, samples: npt.ArrayLike) -> dict[str, Integers]:
    """What each layer gives; int64 [samples, ...]."""
    given = np.asarray(samples, np.int64)
    values = {network.input: given.reshape(len(given), *network.shape)}
    for layer in network.layers:
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = evaluate_layer(layer, *inputs)
    return values


def evaluate_layer(layer: HlsLayer, *inputs: Integers) -> Integers:
    """What one layer gives; int64 [samples, ...]."""
    return _LAYERS[layer.op](layer, *inputs)


def _dense(layer: HlsLayer, x: Integers) -> Integers:
    found: Integers = x @ _array(layer, "weight") + _array(layer, "bias")
    return found


def _conv(layer: HlsLayer, x: Integers) -> Integers:
    found: Integers = np.tensordot(_windows(layer, x), _array(layer, "weight"), 3)
    return np.asarray(found + _array(layer, "bias"))


def _depthwise(layer: HlsLayer, x: Integers) -> Integers:
    windows, weight = _windows(layer, x), _array(layer, "weight")
    found: Integers = np.einsum("nijhwc,hwc->nijc", windows, weight)
    return np.asarray(found + _array(layer, "bias"))


def _agreeing(layer: HlsLayer, x: Integers) -> Integers:
    """Counts of bits that agree with their weights, by products of signs: float64 is exact here."""
    counted, weights = _int(layer, "counted"), _array(layer, "weights")
    bits = (weights[..., None] >> np.arange(_int(layer, "word"))) & 1
    if "kernel_shape" in layer.attributes:
        given = _windows(layer, x)
        given = given.reshape(*given.shape[:3], -1)
        inside = _windows(layer, np.ones((1, *_tuple(layer, "input_shape")), np.int64))
        known = inside.reshape(*inside.shape[:3], -1) if counted == 2 else np.ones_like(given[:1])
    else:
        given, known = x, np.ones_like(x[:1])
    terms = given.shape[-1]
    signs = 2.0 * bits.reshape(len(weights), -1)[:, :terms] - 1
    sums = (known * (2.0 * given - 1)) @ signs.T
    there = known.sum(axis=-1, keepdims=True)
    agree = (sums.astype(np.int64) + there) // 2
    outside = terms - there if counted == 2 else 0
    found = _int(layer, "factor") * (counted * agree + outside) + _array(layer, "bias")
    return np.asarray(found)


def _words(layer: HlsLayer, x: Integers) -> Integers:
    return _windows(layer, x).reshape(len(x), *layer.shape)


def _pool(layer: HlsLayer, x: Integers) -> Integers:
    found: Integers = _windows(layer, x).max(axis=(3, 4))
    return found


def _windows(layer: HlsLayer, x: Integers) -> Integers:
    """Elements [samples, rows, columns, kernel rows, kernel columns, channels]."""
    x = x.reshape(len(x), *_tuple(layer, "input_shape"))
    top, left, bottom, right = _tuple(layer, "pads")
    widths = [(0, 0), (top, bottom), (left, right), (0, 0)]
    outside = _int(layer, "outside") if "outside" in layer.attributes else 0
    padded = np.pad(x, widths, constant_values=outside)
    kernel, strides = _tuple(layer, "kernel_shape"), _tuple(layer, "strides")
    steps = _tuple(layer, "dilations") if "dilations" in layer.attributes else (1, 1)
    spans = tuple((k - 1) * step + 1 for k, step in zip(kernel, steps, strict=True))
    found = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    found = found[:, :: strides[0], :: strides[1], :, :: steps[0], :: steps[1]]
    return np.moveaxis(found, 3, 5)


def _reshape(layer: HlsLayer, x: Integers) -> Integers:
    return x.reshape(len(x), *layer.shape)


def _rows(layer: HlsLayer, x: Integers) -> Integers:
    """The row of each element's channel, of the shape of x."""
    row = np.arange(x.shape[-1]) if _int(layer, "rows") > 1 else np.zeros(x.shape[-1], np.int64)
    return np.broadcast_to(row, x.shape)


def _thresholds(layer: HlsLayer, x: Integers) -> Integers:
    limits, levels = _array(layer, "limits"), _array(layer, "levels")
    if len(limits) == 1:
        return np.asarray(levels[0, np.searchsorted(limits[0], x, side="right")])
    found = np.empty(x.shape, np.int64)
    for row, (own, values) in enumerate(zip(limits, levels, strict=True)):
        found[..., row] = values[np.searchsorted(own, x[..., row], side="right")]
    return found


def _table(layer: HlsLayer, x: Integers) -> Integers:
    found: Integers = _array(layer, "levels")[_rows(layer, x), x - _int(layer, "first")]
    return found


def _bipartite(layer: HlsLayer, x: Integers) -> Integers:
    i, low = x - _int(layer, "first"), _int(layer, "low")
    both = ((i >> _int(layer, "high")) << low) | (i & ((1 << low) - 1))
    large = _array(layer, "initial")[i >> _int(layer, "coarse")] << _int(layer, "left")
    found: Integers = (large + _array(layer, "offset")[both]) >> _int(layer, "guard")
    return found


def _segment(layer: HlsLayer, x: Integers) -> Integers:
    """The segment that each element lies in."""
    return np.asarray(np.searchsorted(_array(layer, "limits"), x, side="right"))


def _lines(layer: HlsLayer, x: Integers) -> Integers:
    segment = _segment(layer, x)
    sums = _array(layer, "slopes")[segment] * x + _array(layer, "offsets")[segment]
    return np.asarray(sums >> _int(layer, "shift"))


def _shifted_lines(layer: HlsLayer, x: Integers) -> Integers:
    segment = _segment(layer, x)
    digits = _array(layer, "digits")
    powers = np.int64(1) << np.maximum((digits >> 1) - 1, 0)
    slopes = np.where(digits, powers * (1 - 2 * (digits & 1)), 0).sum(axis=1)
    sums = slopes[segment] * x + _array(layer, "offsets")[segment]
    return np.asarray(sums >> _int(layer, "shift"))


def _requantize(layer: HlsLayer, x: Integers) -> Integers:
    rows = _rows(layer, x)
    scaled = _array(layer, "multiplier")[rows] * x + _array(layer, "offset")[rows]
    rounded = (scaled >> _int(layer, "shift")) + _int(layer, "zero")
    return np.asarray(np.clip(rounded, _int(layer, "low"), _int(layer, "high")))


def _affine(layer: HlsLayer, x: Integers) -> Integers:
    return x * _int(layer, "factor") + _int(layer, "offset")


def _sum(layer: HlsLayer, a: Integers, b: Integers) -> Integers:
    return a * _int(layer, "first") + b * _int(layer, "second")


def _product(layer: HlsLayer, a: Integers, b: Integers) -> Integers:
    return (a - _int(layer, "first")) * (b - _int(layer, "second"))


def _concat(layer: HlsLayer, a: Integers, b: Integers) -> Integers:
    return np.concatenate([a, b], axis=-1)


def _repeat(layer: HlsLayer, x: Integers) -> Integers:
    along = _int(layer, "factor_rows"), _int(layer, "factor_columns")
    return x.repeat(along[0], axis=1).repeat(along[1], axis=2)


UNITS = frozenset(
    {
        *("ActcThresholds", "ActcSearch", "ActcTable", "ActcBipartite", "ActcPiecewiseLinear"),
        *("ActcShiftedLines", "ActcRequantize", "ActcAffine"),
    }
)
"""Activation units: functions of each element, one for all channels or one for each (`rows`)."""

_LAYERS: Mapping[str, Callable[..., Integers]] = {
    "ActcDense": _dense,
    "ActcConv2D": _conv,
    "ActcArrayConv2D": _conv,
    "ActcDepthwiseConv2D": _depthwise,
    "ActcXnorConv2D": _agreeing,
    "ActcXnorDense": _agreeing,
    "ActcMaxPool": _pool,
    "ActcReshape": _reshape,
    "ActcWindows": _words,
    "ActcThresholds": _thresholds,
    "ActcSearch": _thresholds,
    "ActcTable": _table,
    "ActcBipartite": _bipartite,
    "ActcPiecewiseLinear": _lines,
    "ActcShiftedLines": _shifted_lines,
    "ActcRequantize": _requantize,
    "ActcAffine": _affine,
    "ActcSum": _sum,
    "ActcProduct": _product,
    "ActcArgmax": rows.argmax,
    "ActcSoftmax": rows.softmax,
    "ActcLayerNorm": rows.layer_norm,
    "ActcConcat": _concat,
    "ActcRepeat": _repeat,
}


def _array(layer: HlsLayer, name: str) -> np.ndarray[Any, Any]:
    value = layer.attributes[name]
    assert isinstance(value, np.ndarray)
    return value


def _tuple(layer: HlsLayer, name: str) -> tuple[int, ...]:
    value = layer.attributes[name]
    assert isinstance(value, tuple)
    return value


def _int(layer: HlsLayer, name: str) -> int:
    value = layer.attributes[name]
    assert isinstance(value, int)
    return value
