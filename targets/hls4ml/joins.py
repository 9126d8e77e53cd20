"""Streams that are joined, and positions that are repeated, as layers of hls4ml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from actc.targets.fpga.folded.program import RepeatStage
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import identifier
from actc.targets.hls4ml.functions import Unique
from actc.targets.hls4ml.layers import HlsLayer


def concat_layers(
    given: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    ranges: Mapping[str, Range],
    scope: str,
    unique: Unique,
) -> list[HlsLayer]:
    """Layers that join two tensors at a time, the first two first.

    A tensor that is joined with itself is copied: a stream is read once.

    Args:
        given: layers whose results are joined, each of [channels] or [rows, columns, channels].
        shapes, ranges: of what layers give.
        scope: of the layers.
    """
    made: list[HlsLayer] = []
    name, shape, range = given[0], shapes[given[0]], ranges[given[0]]
    for place, other in enumerate(given[1:]):
        if other in given[: place + 1]:
            attributes = {"factor": 1, "offset": 0}
            copy = HlsLayer(
                unique(f"{other}_copy"), "ActcAffine", (other,), shapes[other], ranges[other],
                attributes, scope=scope,
            )  # fmt: skip
            made.append(copy)
            second = copy.name
        else:
            second = other
        range = range.hull(ranges[other])
        channels = shape[-1] + shapes[other][-1]
        shape = (*shape[:-1], channels)
        layer = HlsLayer(
            unique(identifier(scope)), "ActcConcat", (name, second), shape, range,
            {"out_channels": channels}, scope=scope,
        )  # fmt: skip
        made.append(layer)
        name = layer.name
    return made


def repeat_layer(stage: RepeatStage, given: str, range: Range, unique: Unique) -> HlsLayer:
    """The layer that repeats positions.

    Args:
        given: the layer that is read, of [rows, columns, channels].
        range: of its elements, as they are carried.
    """
    rows, columns, channels = stage.output.shape
    assert prod(stage.factors) * stage.input.positions == rows * columns
    attributes = {
        "factor_rows": stage.factors[0], "factor_columns": stage.factors[1],
        "out_rows": rows, "out_columns": columns,
    }  # fmt: skip
    return HlsLayer(
        unique(identifier(stage.name)), "ActcRepeat", (given,), (rows, columns, channels), range,
        attributes, scope=stage.name,
    )  # fmt: skip
