"""A quantizer of the model in golden, and what it may become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.dialect import DOMAIN
from actc.ir.graph import is_op
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Accumulator, Builder, code_type
from actc.passes.quantized.rounding import Staircase, padded, quantize

Array = np.ndarray[Any, Any]

FAKE_QUANTIZE = "FakeQuantize"


@dataclass(frozen=True, slots=True)
class Quantizer:
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
        """What the quantizer gives."""
        return self.node.outputs[0]


def is_quantizer(node: ir.Node | None) -> bool:
    """Whether `node` is a quantizer of the model."""
    return is_op(node, FAKE_QUANTIZE, domain=DOMAIN)


def apply(site: Site | None, real: Array) -> Array:
    """A site's function of real numbers [n]; the numbers themselves without a site."""
    return real if site is None else site.function(real)


def family(site: Site | None) -> bool:
    """Whether a site has a function per channel."""
    return site is not None and site.function.channels > 1


def axis_of(quantizer: Quantizer, accumulator: Accumulator) -> int:
    """The axis of the channels."""
    site = quantizer.site
    return site.function.axis if family(site) and site is not None else accumulator.axis


def steps(
    builder: Builder, quantizer: Quantizer, accumulator: Accumulator, stairs: Staircase
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
        shape[axis_of(quantizer, accumulator)] = -1
    offset = (256 * np.arange(channels)).reshape(shape)
    inputs = [
        accumulator.value,
        builder.constant(f"{name}.breakpoints", np.minimum(points, last).reshape(-1).astype(kind)),
        builder.constant(f"{name}.values", full.codes.reshape(-1).astype(np.uint8)),
        builder.constant(f"{name}.offset", offset.astype(np.int32)),
    ]
    return builder.emit("Steps", inputs, output, code_type(quantizer.parameters), name=name)


def from_codes(builder: Builder, quantizer: Quantizer) -> ir.Value:
    """A table over the codes of what the quantizer reads."""
    x, p, site = builder.codes(quantizer.source), quantizer.parameters, quantizer.site
    name, output = str(quantizer.output.name), quantizer.output
    if site is None and _same(x.parameters, p):
        return x.value
    used = np.clip(np.arange(x.parameters.entries), x.parameters.low, x.parameters.high)
    real = x.parameters.values()[used]
    codes = quantize(apply(site, real), p).astype(p.dtype)
    if not family(site):
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


def warn(builder: Builder, quantizer: Quantizer, reason: str) -> None:
    """Say that a quantizer is not met exactly."""
    builder.context.sink.add(
        Diagnostic(
            "ACT0113",
            f"quantizer '{quantizer.node.name}' is not exact: {reason}",
            severity="warning",
            place=Place(builder.context.file, str(quantizer.node.name), "QuantizeLinear"),
            help="its result may differ from the model's own by a code, or by what the format "
            "of the value in between loses",
        )
    )
