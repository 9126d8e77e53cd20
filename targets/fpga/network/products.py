"""Sums of elements times constant weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.adders import linear
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.network.builder import Builder
from actc.targets.fpga.network.elements import Element
from actc.targets.fpga.network.merging import merged

Integers = npt.NDArray[np.int64]


def product(
    builder: Builder,
    matrix: npt.NDArray[Any],
    elements: Sequence[Element],
    constants: Integers,
    *,
    leaves: bool = False,
) -> list[Element]:
    """``matrix @ elements + constants``.

    Constant elements and offsets go into the constants, weights of the same wire are
    added, and outputs without a common input are built apart: equal parts are then found
    again wherever they stand.

    Args:
        matrix: integers [outputs, inputs].
        elements: one per column.
        constants: integers [outputs].
        leaves: whether the host reads the sums: it adds their constants itself, but to
            positive sums only.
    """
    weights, elements = merged(builder, matrix.astype(np.int64), elements)
    columns: dict[int, Integers] = {}
    wires: dict[int, Wire] = {}
    constants = constants.astype(np.int64)
    for element, column in zip(elements, weights.T, strict=True):
        settled = builder.settle(element)
        constants = constants + column * settled.offset
        wire, scaled = settled.wire, column * settled.factor
        if wire.value is not None:
            constants = constants + scaled * wire.value
        elif scaled.any():
            columns[wire.index] = columns.get(wire.index, 0) + scaled
            wires[wire.index] = wire
    rows = _rows(builder, columns, wires, constants, leaves)
    return [Element(wire) for wire in rows]


def _rows(
    builder: Builder,
    columns: dict[int, Integers],
    wires: dict[int, Wire],
    constants: Integers,
    leaves: bool,
) -> list[Wire]:
    found: list[Wire | None] = [None] * len(constants)
    order = sorted(columns)
    shape = len(order), len(constants)
    matrix = np.array([columns[index] for index in order], np.int64).reshape(shape).T
    for outputs, inputs in _parts(matrix):
        if not inputs:
            for output in outputs:
                found[output] = builder.graph.constant(int(constants[output]))
            continue
        part = matrix[np.ix_(outputs, inputs)]
        biases = constants[outputs]

        build = partial(_adders, builder, part, biases, leaves)
        key = ("linear", part.shape, part.tobytes(), biases.tobytes(), leaves)
        given = [wires[order[index]] for index in inputs]
        made = builder.template(key, given, build, _ranges(part, given, biases))
        for output, wire in zip(outputs, made, strict=True):
            found[output] = wire
    return [wire for wire in found if wire is not None]


def _ranges(matrix: Integers, wires: Sequence[Wire], constants: Integers) -> list[Range]:
    """From the least to the largest sum of independent inputs."""
    ends = np.array([[wire.range.low, wire.range.high] for wire in wires])
    positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
    low = positive @ ends[:, 0] + negative @ ends[:, 1] + constants
    high = positive @ ends[:, 1] + negative @ ends[:, 0] + constants
    return [Range(*pair) for pair in zip(low.tolist(), high.tolist(), strict=True)]


def _adders(
    builder: Builder, matrix: Integers, constants: Integers, leaves: bool, wires: list[Wire]
) -> list[Wire]:
    free = [False] * len(constants) if leaves else None
    return linear(matrix, wires, constants, builder.options.adders, None, free)


def _parts(matrix: Integers) -> list[tuple[list[int], list[int]]]:
    """Outputs and inputs of the connected parts of a matrix; outputs without any come alone."""
    used = matrix != 0
    rest = list(range(matrix.shape[0]))
    parts = []
    while rest:
        outputs, count = np.zeros(matrix.shape[0], bool), 0
        outputs[rest[0]] = True
        while outputs.sum() > count:
            count = int(outputs.sum())
            inputs = used[outputs].any(axis=0)
            outputs |= used[:, inputs].any(axis=1)
        parts.append((np.flatnonzero(outputs).tolist(), np.flatnonzero(inputs).tolist()))
        rest = [row for row in rest if not outputs[row]]
    return parts
