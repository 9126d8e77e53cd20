"""A choice of integer formats for all tensors and weights of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from actc.ir.context import Context
from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import QuantizedWeights


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of a float value.

    Attributes:
        wide: its format.
        narrow: the second one, in which linear operators take it; None: they take the first.
    """

    wide: QuantizationParameters
    narrow: QuantizationParameters | None = None

    @property
    def linear(self) -> QuantizationParameters:
        """The format in which linear operators take the value."""
        return self.narrow or self.wide


@dataclass(frozen=True, eq=False, slots=True)
class Setting:
    """Formats of all tensors and integer weights of all layers.

    Attributes:
        formats: value name -> formats.
        weights: node name -> weights; a layer that is missing has 8 bits, rounded to nearest.
    """

    formats: Mapping[str, Formats]
    weights: Mapping[str, QuantizedWeights] = field(default_factory=dict)


def setting_of(model: ir.Model, context: Context) -> Setting:
    """What the passes `quantize` and `weights` chose for a model."""
    formats = {}
    for value in [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]:
        wide = parameters_of(value)
        if wide is not None:
            formats[str(value.name)] = Formats(wide, narrow_parameters_of(value))
    return Setting(formats, dict(context.facts.get("weights", {})))
