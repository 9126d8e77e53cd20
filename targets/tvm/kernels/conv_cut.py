"""How the work of a convolution is cut into pieces that run at the same time.

A piece is a band of output rows (or a stretch of a single row) for a range of output
channels. Inside a piece one tile of output channels goes over all its pixels before
the next one starts, so that the packed weights of the tile stay in the cache. Weights
too large for the cache are cut by channels first: every piece then reads its own part
of them once.
"""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.tvm.kernels import parallel
from actc.targets.tvm.kernels.conv_input import needs_scratch
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_tiling import Tiling
from actc.targets.tvm.kernels.parallel import task_count
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec

_LARGE_WEIGHTS = 1 << 20
"""Bytes of packed weights that a core's second-level cache does not keep beside the rest."""

_FEWEST_STEPS = 4
"""Pixel tiles of a stretch of a row, at least."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Pieces of one sample: bands x segments x groups.

    Attributes:
        work: vector instructions of the sample.
        bands, band_rows: bands of so many rows; the last one may have fewer.
        segments, segment_steps: stretches of a row of so many pixel tiles, likewise.
        groups: ranges of output channels.
        shared: whether the copy of the input serves several pieces, and is made before them.
    """

    work: int
    bands: int
    band_rows: int
    segments: int
    segment_steps: int
    groups: int
    shared: bool

    @property
    def tasks(self) -> int:
        """Number of pieces."""
        return self.bands * self.segments * self.groups

    @property
    def whole_rows(self) -> bool:
        """Whether a piece writes all of its rows."""
        return self.segments == self.groups == 1


def steps_of(tiling: Tiling) -> int:
    """Pixel tiles of a row of the grid."""
    return -(-tiling.row_pixels // tiling.pixels)


def work_of(dot: DotProduct, tiling: Tiling) -> int:
    """Vector instructions of one sample."""
    taps = tiling.taps[0] * tiling.taps[1]
    per_pixel = sum(len(t.starts) * t.words * t.repeats for t in tiling.tiles) * taps
    return per_pixel * tiling.rows * tiling.row_pixels * dot.word_cost


def dense_cut(spec: ConvSpec, tiling: Tiling, schedule: Schedule | None = None) -> Cut:
    """Cut a convolution that is not depthwise."""
    work = work_of(tiling.dot, tiling)
    wanted = task_count(work, tiling.rows * steps_of(tiling) * _most_repeats(tiling))
    groups = 1
    if schedule is not None and schedule.pieces:
        wanted = schedule.pieces
    if schedule is not None and schedule.groups:
        groups = _even(_most_repeats(tiling), schedule.groups)[0]
    elif _weight_bytes(tiling) > _LARGE_WEIGHTS:
        groups = _even(_most_repeats(tiling), wanted)[0]
    bands, band_rows = _even(tiling.rows, -(-wanted // groups))
    left = -(-wanted // (groups * bands)) if tiling.rows == 1 else 1
    segments, segment_steps = _even(
        steps_of(tiling), min(left, max(1, steps_of(tiling) // _FEWEST_STEPS))
    )
    left = -(-wanted // (groups * bands * segments))
    if groups == 1 and left > 1 and not (schedule is not None and schedule.groups):
        groups = _even(_most_repeats(tiling), left)[0]
    shared = needs_scratch(spec, tiling.folded) and (groups > 1 or segments > 1)
    return Cut(work, bands, band_rows, segments, segment_steps, groups, shared)


def row_bands(rows: int, work: int, schedule: Schedule | None = None) -> tuple[int, int]:
    """(bands, rows of a band) of a map whose rows are independent."""
    pieces = 0 if schedule is None else schedule.pieces
    return _even(rows, pieces or task_count(work, rows))


def across_cut(tiling: Tiling, schedule: Schedule | None = None) -> tuple[int, int]:
    """(pixels of a piece, groups) of a kernel over the pixels of all samples."""
    work = work_of(tiling.dot, tiling)
    pixel_work = max(1, work // tiling.row_pixels)
    tile = tiling.pixels
    wanted = 0 if schedule is None else schedule.groups
    groups = _even(_most_repeats(tiling), wanted or task_count(work, _most_repeats(tiling)))[0]
    return tile * -(-parallel.TASK_WORK * groups // (pixel_work * tile)), groups


def _most_repeats(tiling: Tiling) -> int:
    return max(tile.repeats for tile in tiling.tiles)


def _weight_bytes(tiling: Tiling) -> int:
    return tiling.packed_size() * (1 if tiling.dot.weight_type == "int8" else 4)


def _even(extent: int, parts: int) -> tuple[int, int]:
    """(parts, size of a part): at most `parts` of equal size, the last one maybe smaller."""
    size = -(-extent // max(1, min(parts, extent)))
    return -(-extent // size), size
