"""The parameters of a convolution's kernel that only change how fast it is. No TVM import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a convolution (or matrix product) is cut, in place of what is modelled to be best.

    Attributes:
        pixels: output pixels of a register tile.
        blocks: vectors of output channels of a register tile; depthwise kernels have one.
        pieces: pieces of a sample, which threads share and between which caches change their
            contents; as many as can be had up to this number. 0: modelled.
        groups: ranges of output channels, at most, among these pieces; 0: modelled.
    """

    pixels: int
    blocks: int
    pieces: int = 0
    groups: int = 0
