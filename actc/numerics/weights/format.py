"""Integer formats of weights: which codes there are, and how scales are shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Array = np.ndarray[Any, Any]
Granularity = Literal["channel", "tensor"]

GRANULARITIES: tuple[Granularity, ...] = ("channel", "tensor")
SPELLINGS = ("8", "7", "6", "5", "4", "3", "2", "ternary", "binary")
_TRITS_PER_BYTE = 5  # 3**5 = 243 of 256
_LARGEST_INT8 = 127
_MOST_FACTOR_BITS = 4
_NAMED = {"ternary": 2, "binary": 1}


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """Codes of weights: real = scale * factor * code, code an int8 of few values.

    The codes are symmetric, so that no zero point is needed: ``-(2**(bits-1)-1) ..
    2**(bits-1)-1`` from 3 to 8 bits, -1..1 when ternary, -1 and 1 when binary. Two bits
    hold the four odd codes -3, -1, 1, 3: the symmetric codes with zero would be ternary
    and leave one of the four unused, and four levels halve the error of three on
    bell-shaped weights. (The uniform quantizers of Max, "Quantizing for minimum
    distortion", 1960; of two codes the best scale is the mean size of the weights:
    Rastegari et al., "XNOR-Net", ECCV 2016.)

    With groups, runs of `group` weights of a channel share a factor, an integer of at most
    four bits, small enough that factor * code is an int8: scales of two levels, so that
    the product is what integer operators take (VS-Quant: Dai et al., "Per-vector Scaled
    Quantization for Accurate Low-Precision Neural Network Inference", MLSys 2021).
    Without, every factor is 1.

    Attributes:
        bits: 1..8; 2 when ternary, 1 when binary.
        ternary: the codes are -1, 0, 1.
        granularity: one scale per output "channel" or per "tensor".
        power_of_two: scales are powers of two.
        group: weights that share a factor, consecutive ones of a row; 0: no groups.
    """

    bits: int = 8
    ternary: bool = False
    granularity: Granularity = "channel"
    power_of_two: bool = False
    group: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"weights have 1 to 8 bits, not {self.bits}")
        if self.ternary and self.bits != 2:
            raise ValueError("ternary weights have 2 bits")
        if self.granularity not in GRANULARITIES:
            raise ValueError(f"unknown granularity '{self.granularity}'")
        if self.group < 0:
            raise ValueError(f"a group cannot have {self.group} weights")

    @classmethod
    def parse(
        cls, text: str, granularity: Granularity = "channel", power_of_two: bool = False
    ) -> WeightFormat:
        """The format spelled "8", ..., "2", "ternary" or "binary".

        Raises:
            UsageError: ACT0226, no such format.
        """
        if text not in SPELLINGS:
            help_text = f"choose one of: {', '.join(SPELLINGS)}"
            message = f"weights cannot have the format '{text}'"
            raise UsageError(Diagnostic("ACT0226", message, help=help_text))
        ternary = text == "ternary"
        bits = _NAMED[text] if text in _NAMED else int(text)
        return cls(bits, ternary, granularity, power_of_two)

    def __str__(self) -> str:
        names = {"ternary": self.ternary, "binary": self.binary}
        return next((name for name, holds in names.items() if holds), str(self.bits))

    @property
    def binary(self) -> bool:
        """The codes are -1 and 1."""
        return self.bits == 1

    @property
    def magnitudes(self) -> Array:
        """The non-negative codes, increasing; float64."""
        if self.step == 2:
            return np.arange(1.0, self.largest + 1, 2)
        return np.arange(float(self.largest) + 1)

    @property
    def largest(self) -> int:
        """The largest code."""
        if self.binary:
            return 1
        if self.bits == 2:
            return 1 if self.ternary else 3
        return int(2 ** (self.bits - 1)) - 1

    @property
    def step(self) -> int:
        """Distance of neighbouring codes."""
        return 2 if self.bits <= 2 and not self.ternary else 1

    @property
    def factor_bits(self) -> int:
        """Bits that hold a group's factor less one: none at 8 bits, at most four."""
        room = _LARGEST_INT8 // self.largest
        return min(_MOST_FACTOR_BITS, room.bit_length() - 1)

    @property
    def factors(self) -> int:
        """The largest factor, a power of two; 1: there is nothing to choose."""
        return int(2**self.factor_bits) if self.group else 1

    def groups_of(self, size: int) -> int:
        """Groups of a row of `size` weights; 1 where there is nothing to choose."""
        return -(-size // self.group) if self.factors > 1 else 1

    def nearest(self, steps: Array) -> Array:
        """The codes nearest to real numbers; ties go to the even code, or away from zero.

        Of two codes a tie at zero goes to the positive one.

        Args:
            steps: float64, any shape: weights divided by their scale.

        Returns:
            float64 of the same shape, integers.
        """
        if self.step == 1:
            return np.clip(np.rint(steps), -self.largest, self.largest)
        size = 1.0 if self.binary else np.where(np.abs(steps) < 2, 1.0, 3.0)
        return np.asarray(size * np.where(steps < 0, -1.0, 1.0))

    def packed_bytes(self, count: int) -> int:
        """Bytes that `count` codes take when packed: five to a byte when ternary."""
        if self.ternary:
            return -(-count // _TRITS_PER_BYTE)
        return -(-count * self.bits // 8)
