"""What lies between an accumulator and a quantizer, as a function of the integer sum."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.ir.sites import SiteFunction
from actc.numerics.quantization import QuantizationParameters
from actc.passes.affine import affine_coefficients
from actc.passes.quantized.rounding import Affine, quantize

Array = np.ndarray[Any, Any]


def composed(
    affine: Affine, function: SiteFunction | None, channels: int
) -> Callable[[Array], Array]:
    """The real number behind each sum: [n, C] -> [n, C].

    An affine function stays an `Affine`, whose ties are decided exactly.
    """
    if function is None:
        return affine
    found = affine_coefficients(function.body)
    if found is not None:
        factor, offset = (np.broadcast_to(part.reshape(-1), channels) for part in found)
        return Affine(affine.factor * factor, affine.offset * factor + offset)
    return lambda sums: _by_channel(function, affine(sums))


def _by_channel(function: SiteFunction, real: Array) -> Array:
    """Apply a site's function to [n, C]."""
    if function.channels == 1:
        return np.asarray(function(real.reshape(-1)).reshape(real.shape))
    shape = [1] * function.rank
    shape[0 if function.axis else -1], shape[function.axis] = real.shape
    place = real if function.axis else real.T
    result = np.broadcast_to(function.evaluate(place.reshape(shape)), shape)
    rows = np.asarray(result, np.float64).reshape(place.shape)
    return np.asarray(rows if function.axis else rows.T)


def split_clamp(
    function: SiteFunction | None, p: QuantizationParameters
) -> tuple[SiteFunction | None, QuantizationParameters]:
    """Move a clamp that ends an otherwise affine function into the codes of the result.

    Rounding and a clamp may change places: both rise throughout, and the codes of the
    clamp's ends are what its values round to.
    """
    if function is None or affine_coefficients(function.body) is not None:
        return function, p
    low, high, current = -np.inf, np.inf, function.body.outputs[0]
    clamps: list[tuple[float, float]] = []
    while (producer := current.producer()) is not None and _ends(producer) is not None:
        clamps.insert(0, _ends(producer) or (low, high))
        source = producer.inputs[0]
        assert source is not None
        current = source
    inner = affine_coefficients(function.body, current)
    if not clamps or inner is None:
        return function, p
    for first, last in clamps:
        low, high = float(np.clip(low, first, last)), float(np.clip(high, first, last))
    codes = quantize(np.array([low, high]), p)
    if codes[0] == codes[1]:
        return function, p
    head = _head(function, current)
    return head, dataclasses.replace(p, low=int(codes[0]), high=int(codes[1]))


def _ends(node: ir.Node) -> tuple[float, float] | None:
    """What a node clamps to."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip":
        return None
    given = [constant(v) if v is not None else None for v in [*node.inputs[1:], None, None][:2]]
    low, high = (None if a is None or a.size != 1 else float(a.item()) for a in given)
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _head(function: SiteFunction, output: ir.Value) -> SiteFunction | None:
    """The part of a function up to `output`, None when that is its input."""
    if output is function.body.inputs[0]:
        return None
    body = function.body.clone()
    produced = {v.name: v for node in body for v in node.outputs}
    body.outputs[0] = produced[output.name]
    return dataclasses.replace(function, body=body)
