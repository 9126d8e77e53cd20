"""Where a sliding window reads: what pooling and convolution have in common. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over the axes behind batch and channels.

    Attributes:
        extents: of the input.
        counts: of the output.
        kernel, strides, dilations: per axis.
        before, after: padding per axis.
    """

    extents: tuple[int, ...]
    counts: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def axes(self) -> range:
        """The axes' numbers, from 0."""
        return range(len(self.extents))

    def span(self, axis: int) -> int:
        """What a window covers along an axis."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1


def windows(
    attributes: Mapping[str, Any],
    extents: tuple[int, ...],
    counts: tuple[int, ...],
    kernel: tuple[int, ...],
) -> Windows:
    """The windows of a node with ONNX's attributes auto_pad, dilations, pads and strides.

    Args:
        attributes: of the node.
        extents: of the input, behind batch and channels.
        counts: of the output.
        kernel: extents of a window.
    """
    rank = len(extents)
    strides = tuple(attributes.get("strides", (1,) * rank))
    dilations = tuple(attributes.get("dilations", (1,) * rank))
    pads = tuple(attributes.get("pads", (0,) * (2 * rank)))
    found = Windows(extents, counts, kernel, strides, dilations, pads[:rank], pads[rank:])
    how = str(attributes.get("auto_pad", "NOTSET"))
    if how == "VALID":
        return Windows(extents, counts, kernel, strides, dilations, (0,) * rank, (0,) * rank)
    if not how.startswith("SAME"):
        return found
    totals = [
        max((-(-extents[a] // strides[a]) - 1) * strides[a] + found.span(a) - extents[a], 0)
        for a in found.axes
    ]
    small = tuple(total // 2 for total in totals)
    large = tuple(total - half for total, half in zip(totals, small, strict=True))
    ends = (small, large) if how == "SAME_UPPER" else (large, small)
    return Windows(extents, counts, kernel, strides, dilations, *ends)
