"""Constant matrices times vectors of wires."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.adders.build import build
from actc.targets.fpga.adders.digits import canonical_digits
from actc.targets.fpga.adders.options import AdderOptions
from actc.targets.fpga.adders.program import AdderGraph, Program, Term, needed
from actc.targets.fpga.adders.search import Search, Taste
from actc.targets.fpga.hdl import Range, Wire

Progress = Callable[[float], None]


def linear(
    matrix: npt.ArrayLike,
    inputs: Sequence[Wire],
    constants: Sequence[int] | npt.NDArray[np.int64],
    options: AdderOptions | None = None,
    progress: Progress | None = None,
) -> list[Wire]:
    """``matrix @ inputs + constants`` as shared adders.

    Args:
        matrix: integers [outputs, inputs].
        inputs: independent wires, signed or unsigned.
        constants: one per output.
        options: how the adders are searched for.
        progress: called with the done part, 0..1, now and then.

    Returns:
        one wire per output; its range is exact.

    Raises:
        ValueError: no inputs, no integers, or shapes that do not fit.
    """
    weights, biases = _checked(matrix, inputs, constants)
    graph = adder_graph(weights, [wire.range for wire in inputs], options, progress)
    return build(graph, inputs, biases)


def adder_graph(
    matrix: npt.ArrayLike,
    ranges: Sequence[Range],
    options: AdderOptions | None = None,
    progress: Progress | None = None,
) -> AdderGraph:
    """The adder graph of a constant matrix times a vector.

    Args:
        matrix: integers [outputs, inputs].
        ranges: of each input.
        options, progress: as for :func:`linear`.
    """
    options = options or AdderOptions()
    weights = np.asarray(matrix, np.int64)
    rows = [_terms(row) for row in weights]
    program = Program.of(ranges)
    limits = [_limit(len(row), options.max_depth) for row in rows]
    search = Search(program, rows, options.family, limits, Taste())
    search.share()
    outputs = search.finish(progress)
    return needed(program, outputs)


def _limit(terms: int, depth: int | None) -> int | None:
    return None if depth is None else max(depth, (max(terms, 1) - 1).bit_length())


def _terms(row: npt.NDArray[np.int64]) -> list[Term]:
    return [
        Term(index, place, sign)
        for index in np.flatnonzero(row).tolist()
        for place, sign in canonical_digits(int(row[index]))
    ]


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
