"""The index of the largest output, chosen by integers as by golden's floats.

Golden's outputs are float32: accumulators times a scale per channel, rounded. Under one scale
the accumulators compare as the outputs do. Under several, each is multiplied by an integer
close to its scale, of the fewest bits with which a larger output always has a larger key;
the scales themselves, as integers, are the last resort. Outputs that are equal only because
float32 rounded them may have different keys: then any of these largest ones is chosen. Of
equal keys the first wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import argmax
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Tensor, array_of
from actc.targets.fpga.network.interface import Result
from actc.targets.fpga.network.products import product

Integers = npt.NDArray[np.int64]
AXIS = 1
"""Axis of the classes, as ONNX has channels."""

_MOST_VALUES = 1 << 21
_SCALE_BITS = range(4, 27)
_MANTISSA_BITS = 24
_FARTHEST = 12
"""Binary places between the largest and the smallest scale: keys stay below 2^62."""
_CODE = "ACT0554"


def largest_index(builder: Builder, result: Result, tensor: Tensor) -> Elements:
    """The place of the largest along axis 1; of equal ones the first.

    Raises:
        Unsupported: ACT0554, the order of the outputs cannot be told by integers.
    """
    if len(tensor.shape) < AXIS:
        raise Unsupported("the output has no axis of classes", "", _CODE)
    if result.kind == "scores":
        _check_table(result.parameters["table"])
    elements = tensor.elements
    if result.kind == "accumulator":
        elements = _keys(builder, result.parameters, tensor)
    elif result.kind == "log_softmax":
        raise Unsupported(
            "the logarithm of a softmax may round scores to the same output",
            "take the outputs of the model in front of it",
            _CODE,
        )
    wires = builder.wires(Tensor(elements, tensor.layer))
    columns = wires.reshape(wires.shape[0], -1).T
    found = (Element(argmax(list(column))) for column in columns)
    return array_of(found, wires.shape[1:])


def _check_table(table: Sequence[int]) -> None:
    """Two numerators that differ enough never round to the same float32 quotient."""
    rest = table[1:]
    if rest and max(rest) > table[0] * (1 - 2.0**-22):
        raise Unsupported(
            "scores of the softmax are too fine: different ones give the same probability",
            "give the scores fewer bits",
            _CODE,
        )


def _keys(builder: Builder, parameters: dict[str, Any], tensor: Tensor) -> Elements:
    scales, factors, offsets = (
        _column(parameters[name], tensor.shape[0]) for name in ("scale", "multiplier", "offset")
    )
    rows = tensor.elements.reshape(tensor.shape[0], -1)
    if parameters["axis"] != AXIS and any(len(set(v.tolist())) > 1 for v in (scales, offsets)):
        raise Unsupported("its scales do not lie along axis 1", "", _CODE)
    settled = np.vectorize(builder.settle, otypes=[object])(rows)
    ranges = [_hull(row) for row in settled]
    multipliers = _multipliers(ranges, scales, factors.astype(np.int64), offsets.astype(np.int64))
    made = []
    for row, multiplier, factor, offset in zip(
        settled, multipliers, factors.tolist(), offsets.tolist(), strict=True
    ):
        matrix = np.array([[multiplier * factor]])
        bias = np.array([multiplier * offset])
        made += [product(builder, matrix, [element], bias)[0] for element in row]
    return array_of(made, tensor.shape)


def _column(number: Any, count: int) -> npt.NDArray[Any]:
    return np.broadcast_to(np.asarray(number).reshape(-1), (count,))


def _hull(row: Sequence[Element]) -> Range:
    return Range(min(e.range.low for e in row), max(e.range.high for e in row))


def _multipliers(
    ranges: Sequence[Range],
    scales: npt.NDArray[np.float64],
    factors: Integers,
    offsets: Integers,
) -> list[int]:
    """The smallest multipliers found under which keys compare as the floats do."""
    if sum(range.high - range.low + 1 for range in ranges) > _MOST_VALUES:
        raise Unsupported("there are too many values to compare all", "", _CODE)
    sums = [
        np.arange(range.low, range.high + 1) * factor + offset
        for range, factor, offset in zip(ranges, factors, offsets, strict=True)
    ]
    # as DequantizeLinear does: to float32 first, then one rounded product
    floats = np.concatenate(
        [s.astype(np.float32) * np.float32(scale) for s, scale in zip(sums, scales, strict=True)]
    )
    order = np.argsort(floats, kind="stable")
    first = np.flatnonzero(np.diff(floats[order], prepend=-np.inf) > 0)
    for candidate in _candidates(scales):
        keys = np.concatenate([s * m for s, m in zip(sums, candidate, strict=True)])[order]
        lowest = np.minimum.reduceat(keys, first)
        highest = np.maximum.reduceat(keys, first)
        if np.all(lowest[1:] > highest[:-1]):
            return candidate
    raise Unsupported(
        "the scales of its channels are too far apart",
        'take end="outputs", and choose the largest on the host',
        _CODE,
    )


def _candidates(scales: npt.NDArray[np.float64]) -> Iterator[list[int]]:
    """Multipliers close to the scales, the shortest first; at last the scales themselves."""
    largest = float(scales.max())
    if np.all(scales == largest):
        yield [1] * len(scales)
    for bits in _SCALE_BITS:
        found = np.rint(scales / largest * (1 << bits)).astype(np.int64)
        if found.min() > 0:
            yield [int(number) for number in found]
    mantissas, exponents = np.frexp(scales)
    places = exponents - exponents.min()
    if places.max() <= _FARTHEST:
        whole = np.ldexp(mantissas, _MANTISSA_BITS + places).astype(np.int64)
        yield [int(number) for number in whole]
