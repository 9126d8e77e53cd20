"""Constant matrices times vectors of wires."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.adders.build import build
from actc.targets.fpga.adders.carries import with_carries
from actc.targets.fpga.adders.options import AdderOptions
from actc.targets.fpga.adders.program import AdderGraph, Term
from actc.targets.fpga.adders.repeat import best_graph
from actc.targets.fpga.adders.search import Row
from actc.targets.fpga.adders.signs import turned
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.popcount import Pair, all_agreements

Progress = Callable[[float], None]

_BIT = Range(0, 1)


def linear(
    matrix: npt.ArrayLike,
    inputs: Sequence[Wire],
    constants: Sequence[int] | npt.NDArray[np.int64],
    options: AdderOptions | None = None,
    progress: Progress | None = None,
    free: Sequence[bool] | None = None,
) -> list[Wire]:
    """``matrix @ inputs + constants`` as shared adders.

    Bits times weights of -1 and 1 are popcounts: a sixth smaller than the graph that is found.

    Args:
        matrix: integers [outputs, inputs].
        inputs: independent wires, signed or unsigned.
        constants: one per output.
        options: how the adders are searched for.
        progress: called with the done part, 0..1, now and then.
        free: for each output, whether it may be a constant less a sum; None: where the
            constant is not 0, as the adder that adds it subtracts as well.

    Returns:
        one wire per output; its range is exact.

    Raises:
        ValueError: no inputs, no integers, or shapes that do not fit.
    """
    weights, biases = _checked(matrix, inputs, constants)
    options = options or AdderOptions()
    if np.all(np.abs(weights) == 1) and all(wire.range == _BIT for wire in inputs):
        return _counted(weights, inputs, biases, options)
    if free is None:
        free = [constant != 0 for constant in biases]
    graph = adder_graph(weights, [wire.range for wire in inputs], options, progress, free)
    graph = turned(graph, free, options.family)
    return build(graph, inputs, biases)


def _counted(
    matrix: npt.NDArray[np.int64],
    inputs: Sequence[Wire],
    constants: list[int],
    options: AdderOptions,
) -> list[Wire]:
    """Inputs that agree with their weight, less how many weights are negative."""
    signs = {sign: inputs[0].graph.constant(int(sign > 0)) for sign in (-1, 1)}
    rows = [
        [Pair(wire, signs[weight]) for wire, weight in zip(inputs, row, strict=True)]
        for row in matrix.tolist()
    ]
    counts = all_agreements(rows, options.family)
    negative = np.count_nonzero(matrix < 0, axis=1).tolist()
    return [
        count + (constant - fewer)
        for count, constant, fewer in zip(counts, constants, negative, strict=True)
    ]


def adder_graph(
    matrix: npt.ArrayLike,
    ranges: Sequence[Range],
    options: AdderOptions | None = None,
    progress: Progress | None = None,
    free: Sequence[bool] | None = None,
) -> AdderGraph:
    """The adder graph of a constant matrix times a vector.

    Args:
        matrix: integers [outputs, inputs].
        ranges: of each input.
        options, progress: as for :func:`linear`.
        free: for each output, whether it may be a negative term; None: all may.
    """
    options = options or AdderOptions()
    rows, uses = _distinct(np.asarray(matrix, np.int64))
    graph = best_graph(ranges, rows, options, progress or (lambda done: None))
    outputs = []
    for number, shift, sign in uses:
        term = None if number is None else graph.outputs[number]
        outputs.append(term and Term(term.node, term.shift + shift, term.sign * sign))
    found = AdderGraph(graph.program, tuple(outputs))
    return with_carries(found, free or [True] * len(outputs), options)


_Use = tuple[int | None, int, int]
"""Which distinct row an output is, if it is not zero, with its shift and its sign."""


def _distinct(matrix: npt.NDArray[np.int64]) -> tuple[list[Row], list[_Use]]:
    """The rows of a matrix that are not shifts or negatives of others."""
    known: dict[tuple[tuple[int, int], ...], int] = {}
    uses: list[_Use] = []
    for weights in matrix:
        row = {index: int(weights[index]) for index in np.flatnonzero(weights).tolist()}
        if not row:
            uses.append((None, 0, 1))
            continue
        bits = 0
        for constant in row.values():
            bits |= constant
        shift = (bits & -bits).bit_length() - 1
        reduced = tuple((index, constant >> shift) for index, constant in row.items())
        negative = tuple((index, -constant) for index, constant in reduced)
        sign = -1 if negative in known else 1
        number = known[negative] if sign < 0 else known.setdefault(reduced, len(known))
        uses.append((number, shift, sign))
    return [dict(row) for row in known], uses


def _checked(
    matrix: npt.ArrayLike, inputs: Sequence[Wire], constants: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], list[int]]:
    weights, biases = np.asarray(matrix), np.asarray(constants)
    if not inputs:
        raise ValueError("a matrix product has inputs")
    if weights.ndim != 2 or weights.shape[1] != len(inputs):
        raise ValueError(f"a matrix of {weights.shape} does not fit {len(inputs)} inputs")
    if biases.shape != weights.shape[:1]:
        raise ValueError(f"{biases.shape} constants do not fit a matrix of {weights.shape}")
    if weights.dtype.kind not in "iu" or biases.dtype.kind not in "iuO":
        raise ValueError("matrices and constants are integers")
    return weights.astype(np.int64), [int(value) for value in biases]
