"""Products with constant weights as sums of shifted inputs, and the logic that they take.

An unrolled linear layer has no multipliers: a constant weight is a few signed powers of
two (its canonical signed digits, Reitwiesner 1960), and each of them a shifted copy of
the input, a row. Synthesis adds all rows of an output by levels of full adders, which
turn three bits into two, and the last two rows by a carry chain. What a full adder and a
bit of a chain take in logic cells is fitted, per family, to layers that yosys
synthesized (``benchmarks/network_cost.py``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

COEFFICIENTS = "data/network.json"


@dataclass(frozen=True, slots=True)
class Rows:
    """What sums of rows consist of.

    Attributes:
        compressor_bits: full adders in front of the last two rows: each takes one bit away.
        adder_bits: bits of carry chains.
        negative_rows: rows that are subtracted.
    """

    compressor_bits: float = 0.0
    adder_bits: float = 0.0
    negative_rows: float = 0.0

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            self.compressor_bits + other.compressor_bits,
            self.adder_bits + other.adder_bits,
            self.negative_rows + other.negative_rows,
        )

    def __mul__(self, times: float) -> Rows:
        return Rows(
            times * self.compressor_bits, times * self.adder_bits, times * self.negative_rows
        )


FEATURES = tuple(field.name for field in fields(Rows))


def signed_digits(values: Array) -> Array:
    """How many signed powers of two each integer is the sum of, at least; int64.

    The non-adjacent form of n has a digit where n and 3 n differ.
    """
    magnitudes = np.abs(np.asarray(values, np.int64))
    bits = np.unpackbits(np.ascontiguousarray(magnitudes ^ (3 * magnitudes)).view(np.uint8))
    return np.asarray(bits.reshape(*magnitudes.shape, 64).sum(axis=-1), np.int64)


def matrix_rows(codes: Array, input_bits: int) -> Rows:
    """The rows of ``codes @ x`` for unsigned x.

    Args:
        codes: integers [outputs, inputs].
        input_bits: of each x.
    """
    codes = np.asarray(codes, np.int64).reshape(len(codes), -1)
    digits = signed_digits(codes)
    count = digits.sum(axis=1)
    width = _bits(np.abs(codes).sum(axis=1) * (2**input_bits - 1)) + 1
    added = count >= 2
    surplus = np.maximum(input_bits * count - 2 * width, 0)
    negative = np.where(codes < 0, digits, 0).sum(axis=1)
    return Rows(
        float(surplus[added].sum()), float(width[added].sum()), float(negative[added].sum())
    )


def sum_rows(widths: Sequence[int]) -> Rows:
    """The rows of a sum of variables of so many bits each."""
    if len(widths) < 2:
        return Rows()
    total = max(widths) + (len(widths) - 1).bit_length()
    return Rows(float(max(sum(widths) - 2 * total, 0)), float(total))


def product_rows(first: int, second: int) -> Rows:
    """The rows of a product of two variables of so many bits, beside its partial products."""
    return sum_rows([max(first, second)] * min(first, second))


def cells(rows: Rows, family: str) -> float:
    """Logic cells that sums take in a family.

    Args:
        family: a name of :data:`actc.cost.FAMILIES`.
    """
    return weighted(rows, coefficients()[family])


def weighted(rows: Rows, weights: Mapping[str, float]) -> float:
    """Counts times coefficients, by name."""
    return float(sum(weights[name] * getattr(rows, name) for name in FEATURES))


@functools.cache
def coefficients() -> dict[str, dict[str, float]]:
    """Logic cells per count, by family."""
    text = resources.files("actc.cost").joinpath(COEFFICIENTS).read_text("utf-8")
    found: dict[str, dict[str, float]] = json.loads(text)["families"]
    return found


def _bits(values: Array) -> Array:
    """Bits of non-negative integers."""
    return np.ceil(np.log2(np.asarray(values, np.float64) + 1)).astype(np.int64)
