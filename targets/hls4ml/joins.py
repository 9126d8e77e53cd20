"""Streams that are joined, repeated, and read by many, as layers of hls4ml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from actc.targets.fpga.folded.program import RepeatStage
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import identifier
from actc.targets.hls4ml.functions import Unique
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork

MOST_READERS = 7
"""Streams that hls4ml makes of one, at most."""


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
            made.append(_copy(unique(f"{other}_copy"), other, shapes[other], ranges[other]))
            second = made[-1].name
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


def spread(network: HlsNetwork, unique: Unique) -> HlsNetwork:
    """The network; of streams with more readers than hls4ml has clones for, some read a copy."""
    layers: list[HlsLayer] = []
    left = {name: readers for name, readers in _readers(network).items() if readers > MOST_READERS}
    source = {name: name for name in left}
    taken = dict.fromkeys(left, 0)
    shapes = {network.input: network.shape, **{x.name: x.shape for x in network.layers}}
    for layer in network.layers:
        inputs = list(layer.inputs)
        for place, name in enumerate(layer.inputs):
            if name not in left:
                continue
            if taken[name] == MOST_READERS - 1 and left[name] > 1:
                range = network.range_of(name)
                copy = _copy(unique(f"{name}_copy"), source[name], shapes[name], range)
                layers.append(copy)
                source[name], taken[name] = copy.name, 0
            inputs[place] = source[name]
            taken[name] += 1
            left[name] -= 1
        layers.append(replace(layer, inputs=tuple(inputs)))
    return replace(network, layers=tuple(layers))


def _readers(network: HlsNetwork) -> dict[str, int]:
    """Of each layer that is read by others; the host alone reads the last one."""
    found: dict[str, int] = {}
    for layer in network.layers:
        for name in layer.inputs:
            found[name] = found.get(name, 0) + 1
    return found


def _copy(name: str, given: str, shape: tuple[int, ...], range: Range) -> HlsLayer:
    return HlsLayer(name, "ActcAffine", (given,), shape, range, {"factor": 1, "offset": 0})
