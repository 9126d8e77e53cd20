"""Binary kernels that repeat: a codebook of a layer's most frequent ones.

Of the 512 binary kernels of 3x3 a layer uses some far more often than others, so that few
of them stand for all (Wang et al., "Compacting Binary Neural Networks by Sparse Kernel
Selection", CVPR 2023). Hardware computes a kernel once per input channel, however many
output channels use it, and a memory holds an index in place of nine bits.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.numerics.weights.format import WeightFormat
from actc.numerics.weights.layer import DAMPING, QuantizedWeights, fitted_weights
from actc.numerics.weights.objective import PairedMoments, damped
from actc.numerics.weights.scales import refitted_scales

Array = np.ndarray[Any, Any]

MOST_WINDOW = 30
"""Weights of a kernel; more would not fit the integers that kernels are told apart by."""


@dataclass(frozen=True, eq=False, slots=True)
class Codebook:
    """The kernels of a layer, each one of a few.

    Attributes:
        entries: int8 [N, window], -1 and 1, the most frequent first.
        index: int64 [O, C]: the entry that stands for each kernel.
        distinct: kernels that the layer had before.
        changed: weights that differ from those before.
    """

    entries: Array
    index: Array
    distinct: int
    changed: int

    def codes(self, shape: tuple[int, ...]) -> Array:
        """The weights, int8 of the layer's shape [O, C, ...]."""
        return np.ascontiguousarray(self.entries[self.index].reshape(shape))

    @property
    def computed(self) -> int:
        """Kernels that are different within an input channel, summed over the channels."""
        return sum(len(np.unique(column)) for column in self.index.T)

    @property
    def packed_bytes(self) -> int:
        """Bytes of indices and entries."""
        index_bits = max(1, int(len(self.entries) - 1).bit_length())
        return -(-self.index.size * index_bits // 8) + -(-self.entries.size // 8)


def kernel_codebook(codes: Array, size: int) -> Codebook:
    """The `size` most frequent kernels; every kernel becomes the nearest in Hamming distance.

    Of equally frequent kernels the one with the smaller pattern comes first, of equally near
    ones the more frequent is taken.

    Args:
        codes: int8 [O, C, ...], -1 and 1, at most 30 per kernel.
        size: entries at most; 1 or more.
    """
    kernels = codes.reshape(codes.shape[0] * codes.shape[1], -1)
    window = kernels.shape[1]
    if not 1 <= window <= MOST_WINDOW:
        raise ValueError(f"kernels of {window} weights have no codebook")
    patterns = (kernels > 0) @ (1 << np.arange(window, dtype=np.int64))
    values, inverse, counts = np.unique(patterns, return_inverse=True, return_counts=True)
    kept = np.lexsort((values, -counts))[:size]
    entries = (((values[kept, None] >> np.arange(window)) & 1) * 2 - 1).astype(np.int8)
    all_kernels = ((values[:, None] >> np.arange(window)) & 1) * 2 - 1
    distance = (window - all_kernels @ entries.T.astype(np.int64)) // 2
    nearest = np.argmin(distance, axis=1)
    index = nearest[inverse.reshape(-1)].reshape(codes.shape[:2])
    changed = int((distance[np.arange(len(values)), nearest] * counts).sum())
    return Codebook(entries, index, len(values), changed)


def snapped_weights(
    weights: Array,
    quantized: QuantizedWeights,
    moments: PairedMoments,
    size: int,
    floor: Array | None = None,
) -> tuple[QuantizedWeights, Codebook]:
    """Binary weights whose kernels are those of a codebook, with scales and bias fitted again.

    Args:
        weights: float [O, C, ...], of the float network.
        quantized: what they were rounded to.
        moments: of what the layer reads in both networks.
        size: entries of the codebook.
        floor: float64 [O], the smallest scales allowed.
    """
    book = kernel_codebook(quantized.codes, size)
    groups, length = moments.quantized.mean.shape
    codes = book.codes(quantized.codes.shape)
    shaped = codes.reshape(groups, -1, length).astype(np.float64)
    target, shift = fitted_weights(weights, moments)
    rows = target.reshape(shaped.shape)
    hessian = damped(moments.quantized.covariance(), DAMPING)
    plain: WeightFormat = dataclasses.replace(quantized.form, group=0)
    before = quantized.scales.reshape(*shaped.shape[:2], 1)
    scales = refitted_scales(rows, hessian, shaped, before, plain, floor)
    residual = (rows - scales * shaped) @ moments.quantized.mean[:, :, None]
    correction = shift + residual.reshape(-1)
    found = dataclasses.replace(
        quantized, codes=codes, scales=scales.reshape(-1), correction=correction
    )
    return found, book
