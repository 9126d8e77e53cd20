"""Regions of interest: means or maxima of linear samples in the bins of boxes."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tvm import tirx

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.convolutions import whole
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
    require,
    select,
)
from actc.targets.tvm.generic.places import both, clamped, inside
from actc.targets.tvm.generic.resampling import floor, real, wide


def _roi_align(k: Kernel) -> None:
    """He et al., 2017: means or maxima of linear samples in the bins of boxes."""
    x, rois, batches = k.inputs
    height, width = int(x.shape[2]), int(x.shape[3])
    scale = real(k.attribute("spatial_scale", 1.0))
    half = 0.5 if k.attribute("coordinate_transformation_mode", "half_pixel") == "half_pixel" else 0
    rows, columns = int(k.out.shape[2]), int(k.out.shape[3])
    ratio, largest = k.attribute("sampling_ratio", 0), k.attribute("mode", "avg") == "max"
    with nest(k.out.shape) as index:
        box, channel, row, column = index
        ends = [keep(wide(rois[[box, int64(i)]]) * scale - real(half)) for i in range(4)]
        sample = keep(int64(batches[[box]]))
        require(inside(sample, x.shape[0]), "a box is of a sample that is not there")
        sides = [keep(ends[3] - ends[1]), keep(ends[2] - ends[0])]
        if not half:
            sides = [keep(select(s < real(1), real(1), s)) for s in sides]
        bins = [keep(s / real(c)) for s, c in zip(sides, (rows, columns), strict=True)]
        counts: list[Any] = [
            int64(ratio) if ratio > 0 else keep(whole(n.intrinsic("ceil", b))) for b in bins
        ]
        total = Cell(const(-math.inf, "float64") if largest else real(0))
        with nest(counts) as inner:
            at = []
            for a, (start, place) in enumerate(((ends[1], row), (ends[0], column))):
                part = keep((wide(inner[a]) + real(0.5)) / wide(counts[a]))
                at.append(keep(start + (wide(place) + part) * bins[a]))
            products = _bilinear(x, [sample, channel], at, (height, width))
            if largest:
                for product in products:
                    total.set(n.maximum(keep(total.value), product))
            else:
                for product in products:
                    total.set(total.value + product)
        value = total.value
        if not largest:
            area = keep(counts[0] * counts[1])
            value = keep(value / wide(keep(select(area < int64(1), int64(1), area))))
        k.out.store(index, tirx.Cast(k.out.compute, value))


def _bilinear(x: Array, plane: list[Expr], at: list[Expr], extents: tuple[int, int]) -> list[Expr]:
    """Four weighted elements around a place; zero beyond one element outside of the plane."""
    known = both(
        *(p >= real(-1) for p in at),
        *(p <= real(e) for p, e in zip(at, extents, strict=True)),
    )
    taps = []
    for place, extent in zip(at, extents, strict=True):
        held = keep(n.bounded(place, real(0), real(extent - 1)))
        low = clamped(whole(floor(held)), 0, extent - 1)
        up = keep(held - wide(low))
        high = clamped(low + int64(1), 0, extent - 1)
        taps.append([(low, keep(real(1) - up)), (high, up)])
    products = []
    for (row, one), (column, two) in itertools.product(*taps):
        value = keep(one * two * tirx.Cast("float64", x[[*plane, row, column]]))
        products.append(keep(select(known, value, real(0))))
    return products


KERNELS: dict[str, KernelFunction] = {"RoiAlign": _roi_align}
