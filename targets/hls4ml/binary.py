"""Binary convolutions and matrix products as layers: exclusive nor and counts of bits."""

from __future__ import annotations

import numpy as np

from actc.targets.fpga.folded.program import MatrixStage
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.functions import Unique
from actc.targets.hls4ml.layers import Attribute, HlsLayer, Integers, hull_of
from actc.targets.hls4ml.linear import is_dense, is_padded, window_attributes

WORD_BITS = 32
"""Bits of a constant with weights, at most."""


def is_binary(stage: MatrixStage) -> bool:
    """Whether bits are compared with weights; depthwise and grouped ones are sums of products."""
    if not stage.counted or stage.groups != 1:
        return False
    # where an agreement counts 2, what stands outside is between both values
    bit = stage.counted == 2 or stage.outside in (0, 1)
    return Range(0, 1).holds(stage.input.range) and (bit or not is_padded(stage.window))


def agreement_layer(stage: MatrixStage, given: str, unique: Unique) -> HlsLayer:
    """The layer of a binary stage: its totals, or where it is plain, its results.

    Weights are words of bits, those of one output behind each other in the order of rows, columns
    and channels; the first one is the lowest bit.

    Args:
        given: the layer that is read, as bits.
        unique: makes a name that no layer has.
    """
    weights = packed(stage.weights)
    plain = stage.plain is not None
    bias = np.zeros(len(weights), np.int64) if stage.plain is None else np.asarray(stage.plain)
    attributes: dict[str, Attribute] = {
        "weights": weights, "bias": bias, "word": min(stage.terms, WORD_BITS),
        "words": weights.shape[1], "counted": stage.counted, "factor": stage.factor if plain else 1,
    }  # fmt: skip
    shape: tuple[int, ...] = (len(weights),)
    if is_dense(stage):
        op = "ActcXnorDense"
        attributes |= {"results": len(weights)}
    else:
        op, shape = "ActcXnorConv2D", (*stage.window.positions(stage.input), *shape)
        attributes |= {
            **window_attributes(stage.window, stage.input), "dilations": stage.window.dilations,
            "outside": stage.outside if stage.counted == 1 else 0, "filters": len(weights),
        }  # fmt: skip
    totals = Range(0, stage.counted * stage.terms)
    types = {
        "weights": hull_of(weights).hull(Range(0, 7)),
        "bias": hull_of(bias).hull(Range(-1, 1)),
    }
    return HlsLayer(
        unique(stage.name), op, (given,), shape, stage.output.range if plain else totals,
        attributes, types, stage.name,
    )  # fmt: skip


def packed(weights: Integers) -> Integers:
    """Weights of -1 and 1 as bits in words.

    Args:
        weights: int64 [outputs, ...].

    Returns:
        int64 [outputs, words], 0 where there is no weight.
    """
    bits = (weights > 0).reshape(len(weights), -1)
    size = min(bits.shape[1], WORD_BITS)
    words = -(-bits.shape[1] // size)
    whole = np.zeros((len(bits), words * size), np.int64)
    whole[:, : bits.shape[1]] = bits
    found: Integers = whole.reshape(len(bits), words, size) @ (np.int64(1) << np.arange(size))
    return found
