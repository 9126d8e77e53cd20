"""Functions of all channels of a position: the place of the largest, shares, normalization.

They compute what golden's operators do, by the same definitions (docs/internals.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.ir.spec.normalization import int_layer_norm, int_probabilities
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]
NORMAL = 1 << 12
"""Of 1 inside IntLayerNorm."""


class Row(ABC):
    """A function of the channels of one position."""

    @abstractmethod
    def evaluate(self, x: Integers) -> Integers:
        """The results: int64 [..., channels] -> int64 [..., outputs]."""

    @abstractmethod
    def ranges(self, channels: int) -> list[Range]:
        """What each output can be, of so many inputs."""


@dataclass(frozen=True, eq=False)
class ArgmaxRow(Row):
    """The channel of the largest element, of equal ones the first (ONNX ArgMax)."""

    def evaluate(self, x: Integers) -> Integers:
        """One output."""
        return np.asarray(x.argmax(axis=-1)[..., None], np.int64)

    def ranges(self, channels: int) -> list[Range]:
        """Of the one output."""
        return [Range(0, channels - 1)]


@dataclass(frozen=True, eq=False)
class SoftmaxRow(Row):
    """IntProbabilities: shares of powers in units of 2^-bits, 1 as the largest code.

    Attributes:
        table: int64 [n], the power of each distance to the largest element.
        bits: of a code.
    """

    table: Integers
    bits: int

    def evaluate(self, x: Integers) -> Integers:
        """As many outputs as inputs."""
        return np.asarray(int_probabilities(x, self.table, axis=-1, bits=self.bits), np.int64)

    def ranges(self, channels: int) -> list[Range]:
        """All codes."""
        return [Range(0, (1 << self.bits) - 1)] * channels


@dataclass(frozen=True, eq=False)
class LayerNormRow(Row):
    """IntLayerNorm: ``floor(4096 * d / sqrt(v + eps)) * gamma + beta``, in float64.

    d is ``count * x - sum(x)``, v is ``count * sum(x^2) - sum(x)^2``.

    Attributes:
        gamma, beta: int64 [channels].
        eps: what is added to v.
    """

    gamma: Integers
    beta: Integers
    eps: float

    def evaluate(self, x: Integers) -> Integers:
        """As many outputs as inputs."""
        given = self.gamma, self.beta, np.float64(self.eps)
        found = int_layer_norm(x, *given, axis=-1, count=len(self.gamma))
        return np.asarray(found, np.int64)

    def ranges(self, channels: int) -> list[Range]:
        """Of each output: d^2 is at most (count - 1) * v."""
        reach = isqrt(NORMAL * NORMAL * (channels - 1)) + 1
        normal = Range(-reach, reach)
        pairs = zip(self.gamma.tolist(), self.beta.tolist(), strict=True)
        return [(normal * Range(gamma, gamma)).plus(beta) for gamma, beta in pairs]
