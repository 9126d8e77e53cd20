"""Which schedules of a kernel are timed, and in which order.

Importing this module imports TVM.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from actc.targets.tvm.kernels.conv import int8_arithmetic
from actc.targets.tvm.kernels.conv_amx import amx_plan
from actc.targets.tvm.kernels.conv_cut import Cut, across_cut, dense_cut, row_bands
from actc.targets.tvm.kernels.conv_depthwise import depthwise_work, modelled_pixels
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_tiling import dense_tiling, register_tiles
from actc.targets.tvm.kernels.float_ops import float_arithmetic
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec

Tunable: TypeAlias = ConvSpec | FloatConv
MOST_PIECES = 64
_FACTORS = (2.0, 0.5, 4.0, 0.25)
"""Numbers of pieces that are tried, in terms of the modelled one."""


def geometry(kernel: Tunable) -> ConvSpec:
    """The geometry of a kernel."""
    return kernel.conv if isinstance(kernel, FloatConv) else kernel


def products(kernel: Tunable) -> int:
    """Products that a kernel sums for one sample."""
    spec = geometry(kernel)
    taps = spec.kernel[0] * spec.kernel[1] * spec.in_c // spec.group
    return spec.out_h * spec.out_w * spec.out_c * taps


def arithmetic(kernel: Tunable, features: frozenset[str]) -> tuple[ConvSpec, DotProduct]:
    """The geometry of a kernel, and how it multiplies on a CPU."""
    multiply = float_arithmetic if isinstance(kernel, FloatConv) else int8_arithmetic
    return geometry(kernel), multiply(features)


def is_amx(kernel: Tunable, features: frozenset[str]) -> bool:
    """Whether a kernel is computed by AMX where no schedule tells that it is not."""
    return not isinstance(kernel, FloatConv) and amx_plan(kernel, features) is not None


def tiles(kernel: Tunable, features: frozenset[str]) -> list[Schedule]:
    """Register tiles in the order of their modelled cost, the one that is modelled best first.

    Depthwise kernels have no such order: theirs is by the distance from the first.
    """
    spec, dot = arithmetic(kernel, features)
    if not spec.depthwise:
        return [Schedule(pixels, blocks) for pixels, blocks in register_tiles(spec, dot)]
    first = modelled_pixels(spec, dot)
    most = min(spec.out_w, dot.registers // 2)
    pixels = sorted(range(1, most + 1), key=lambda count: (abs(count - first), -count))
    return [Schedule(count, 1) for count in pixels]


def cuts(kernel: Tunable, features: frozenset[str], tile: Schedule) -> list[Schedule]:
    """`tile` with numbers of pieces and of ranges of channels that make a difference."""
    spec, dot = arithmetic(kernel, features)
    known = {_cut(spec, dot, tile)}
    found = []
    for schedule in _variants(spec, dot, tile):
        cut = _cut(spec, dot, schedule)
        if cut not in known:
            known.add(cut)
            found.append(schedule)
    return found


def is_candidate(kernel: Tunable, features: frozenset[str], schedule: Schedule) -> bool:
    """Whether a kernel can be cut so."""
    tile = replace(schedule, pieces=0, groups=0)
    fits = 0 <= schedule.pieces <= MOST_PIECES and 0 <= schedule.groups <= MOST_PIECES
    return fits and tile in tiles(kernel, features)


def _cut(spec: ConvSpec, dot: DotProduct, schedule: Schedule) -> Cut | tuple[int, int]:
    if spec.depthwise:
        return row_bands(spec.out_h, depthwise_work(spec, dot), schedule)
    tiling = dense_tiling(spec, dot, schedule)
    if tiling.across_samples:
        return across_cut(tiling, schedule)
    return dense_cut(spec, tiling, schedule)


def _variants(spec: ConvSpec, dot: DotProduct, tile: Schedule) -> Iterator[Schedule]:
    cut = _cut(spec, dot, tile)
    if isinstance(cut, Cut):
        pieces, groups = cut.tasks, cut.groups
    else:
        pieces, groups = (cut[0], 1) if spec.depthwise else (0, cut[1])
    sizes = [round(pieces * factor) for factor in _FACTORS]
    for count in (1, *sizes):
        if 0 < count <= MOST_PIECES:
            yield replace(tile, pieces=count)
    if spec.depthwise:
        return
    for count in (2 * groups, groups // 2, 4 * groups, 1):
        if 0 < count <= MOST_PIECES:
            yield replace(tile, groups=count)
            if pieces:
                yield replace(tile, pieces=min(MOST_PIECES, 2 * pieces), groups=count)
