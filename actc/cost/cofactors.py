"""How much logic a truth table is: its distinct cofactors.

Fixing the first bits of the input leaves functions of the other bits, the cofactors.
The distinct ones, taken as one with their complements and over all output bits, are the
nodes of the shared binary decision diagram (Bryant, 1986; complemented edges: Brace,
Rudell and Bryant, 1990). Synthesis builds nearly that: whole cofactors of as many
variables as a look-up table has inputs become tables, those of more variables become
multiplexers, or single gates where one side is constant or the complement of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TruthTable = npt.NDArray[np.uint8]
"""uint8 [outputs, 2**inputs], 0 or 1."""
_WORD = 16
"""Entries of the cofactors that are folded once each: those of four variables."""


@dataclass(frozen=True, slots=True)
class Level:
    """The distinct cofactors of `variables` variables, without constants and variables.

    Attributes:
        variables: the last so many inputs are free.
        muxes: neither of the two halves is constant, or the complement of the other.
        gates: one half is constant.
        exclusives: each half is the complement of the other.
        kept: both halves are equal.
    """

    variables: int
    muxes: int
    gates: int
    exclusives: int
    kept: int


def truth_table(values: npt.NDArray[np.int64], width: int) -> TruthTable:
    """The lowest `width` bits of each value; uint8 [width, values]."""
    return ((values[None, :] >> np.arange(width)[:, None]) & 1).astype(np.uint8)


def without_idle_inputs(table: TruthTable) -> tuple[TruthTable, tuple[int, ...]]:
    """The table over the inputs that any of its outputs depends on; and their places.

    Places count from the last input, 0, on.
    """
    outputs, place, kept = len(table), 0, []
    outer, inner = table.shape[1] // 2, 1
    while outer:
        halves = table.reshape(outputs, outer, 2, inner)
        if np.array_equal(halves[:, :, 0], halves[:, :, 1]):
            table = halves[:, :, 0].reshape(outputs, -1)
        else:
            inner *= 2
            kept.append(place)
        outer //= 2
        place += 1
    return table, tuple(kept)


def supports(table: TruthTable) -> npt.NDArray[np.int64]:
    """How many inputs each output depends on; int64 [outputs]."""
    outputs, outer, inner = len(table), table.shape[1] // 2, 1
    found = np.zeros(outputs, np.int64)
    while outer:
        halves = table.reshape(outputs, outer, 2, inner)
        found += np.any(halves[:, :, 0] != halves[:, :, 1], axis=(1, 2))
        outer, inner = outer // 2, inner * 2
    return found


def levels(table: TruthTable) -> list[Level]:
    """The distinct cofactors of 1, 2, ... all variables, last inputs first."""
    start = np.zeros(1, np.bool_)
    if table.shape[1] <= _WORD:
        constants = np.zeros(table.shape, np.int64)
        return _fold(_Functions(constants, table.astype(np.int64), start))[0]
    # the last levels repeat themselves most: fold each distinct word once
    words = np.packbits(table.reshape(len(table), -1, _WORD), axis=-1).view(">u2")[..., 0]
    place = np.zeros(1 << _WORD, np.int64)
    place[words] = 1
    distinct = np.flatnonzero(place)
    place[distinct] = np.arange(len(distinct))
    bits = (distinct[:, None] >> np.arange(_WORD - 1, -1, -1)) & 1
    found, folded = _fold(_Functions(np.zeros(bits.shape, np.int64), bits, start))
    classes, complements = (part[place[words], 0] for part in folded[:2])
    return found + _fold(_Functions(classes, complements, folded.variables), len(found))[0]


class _Functions(NamedTuple):
    """Functions, each as its class and whether it is the complement of the class.

    Attributes:
        classes: int64; 0 is the constant.
        complements: int64 of the same shape, 0 or 1.
        variables: bool [classes], whether the class is a single variable.
    """

    classes: npt.NDArray[np.int64]
    complements: npt.NDArray[np.int64]
    variables: npt.NDArray[np.bool_]


def _fold(functions: _Functions, variables: int = 0) -> tuple[list[Level], _Functions]:
    """Join neighbours along the last axis until one function is left in each row."""
    found = []
    while functions.classes.shape[1] > 1:
        low, high = functions.classes[:, 0::2], functions.classes[:, 1::2]
        complements = functions.complements[:, 0::2]
        differ = complements ^ functions.complements[:, 1::2]
        # functions of fewer variables have negative keys, the constant -1
        count = len(functions.variables)
        keys = np.where((low == high) & (differ == 0), -1 - low, (low * count + high) * 2 + differ)
        distinct, places = np.unique(np.append(keys, -1), return_inverse=True)
        level, single = _level(variables + 1, distinct, functions.variables)
        # the constant's place and the first one change roles
        names = np.arange(len(distinct))
        constant = int(places[-1])
        names[[0, constant]] = constant, 0
        variables += 1
        functions = _Functions(names[places[:-1]].reshape(keys.shape), complements, single[names])
        found.append(level)
    return found, functions


def _level(
    variables: int, keys: npt.NDArray[np.int64], single: npt.NDArray[np.bool_]
) -> tuple[Level, npt.NDArray[np.bool_]]:
    """Count the kinds of the distinct functions of a level; and which are variables."""
    old = keys < 0
    low, high = np.divmod(np.maximum(keys, 0) // 2, len(single))
    before = single[np.clip(-1 - keys, 0, len(single) - 1)]
    new_single = np.where(old, before, (low == 0) & (high == 0))
    exclusives = ~old & ~new_single & (low == high)
    gates = ~old & ((low == 0) ^ (high == 0))
    muxes = ~old & ~new_single & ~exclusives & ~gates
    kept = old & (keys < -1) & ~new_single
    counts = (int(np.count_nonzero(kind)) for kind in (muxes, gates, exclusives, kept))
    return Level(variables, *counts), new_single
