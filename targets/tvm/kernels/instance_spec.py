"""What the kernel of thresholds of the sample must compute: plain values, no TVM import."""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.tvm.kernels.operand import Operand


@dataclass(frozen=True, slots=True)
class InstanceSteps:
    """The operator InstanceSteps; see docs/internals.md.

    `x` and `out` have strides for the channels and then `positions`. PrimFunc buffers: x int32;
    weights int64 (channels * powers * 3 * digits); factor int64 (digits * limbs, times channels
    where `shared`); slope and offset int64 (channels * limbs); turned int64 (channels), -1
    where the slope is negative, else 1; values uint8 (3); out.

    Attributes:
        powers: of accumulators, whose sums make the statistic.
        digits: limbs of the statistic.
        limbs: of what is compared with zero.
        shared: whether all channels have one statistic.
        bits: accumulators lie within -2^bits .. 2^bits.
    """

    batch: int | None
    channels: int
    positions: tuple[int, ...]
    powers: tuple[int, ...]
    digits: int
    limbs: int
    shared: bool
    bits: int
    x: Operand
    out: Operand
