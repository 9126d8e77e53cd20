"""The input map of a convolution as words, padded or folded where needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    constant,
    copy_words,
    fill_words,
    load,
    splat,
    store,
)
from actc.targets.tvm.kernels.spec import ConvSpec

Scratch: TypeAlias = tuple[Buffer | None, Buffer | None]


@dataclass(frozen=True, slots=True)
class WordMap:
    """Pixels of words.

    Attributes:
        buffer: flat buffer of words.
        row, pixel, word: distance from one row, pixel or word of a pixel to the next.
        dilation: pixels between the taps of a kernel row.
        first: row of the padded map that the buffer starts with.
    """

    buffer: Buffer
    row: int
    pixel: int
    word: int
    dilation: int
    first: Expr = 0


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of the padded map.

    Attributes:
        first: the first one.
        rows: how many; fewer where the map ends.
    """

    first: Expr
    rows: int


def whole_map(spec: ConvSpec) -> Band:
    """All rows of the padded map."""
    return Band(0, spec.in_h + spec.pads[0] + spec.pads[2])


def needs_scratch(spec: ConvSpec, folded: int) -> bool:
    """Whether the kernel reads a copy of its input."""
    return any(spec.pads) or bool(folded)


def allocate_scratch(spec: ConvSpec, dot: DotProduct, folded: int, rows: int) -> Scratch:
    """Scratch buffers for `rows` rows, padded and folded; None where not needed."""
    width = spec.in_w + spec.pads[1] + spec.pads[3]
    padded_copy = folded_copy = None
    if any(spec.pads):
        padded_copy = T.alloc_buffer((rows * width * dot.pixel_words(spec.in_c),), dot.word_type)
    if folded:
        folded_copy = T.alloc_buffer((rows * _folded_width(spec) * folded,), dot.word_type)
    return padded_copy, folded_copy


def _folded_width(spec: ConvSpec) -> int:
    width = spec.in_w + spec.pads[1] + spec.pads[3]
    return width - spec.dilations[1] * (spec.kernel[1] - 1)


def _rows_of(band: Band, spec: ConvSpec) -> Expr:
    """How many rows of a band there are."""
    height = whole_map(spec).rows
    return band.rows if band.rows == height else T.min(band.rows, height - band.first)


def _pad(source: Buffer, target: Buffer, spec: ConvSpec, dot: DotProduct, band: Band) -> None:
    """Copy the band's rows into `target` with the zero point around the map."""
    words = dot.pixel_words(spec.in_c)
    top, left, bottom, right = spec.pads
    size = spec.in_w * words
    row = size + (left + right) * words

    def zero(lanes: int) -> Expr:
        return dot.border(spec.x_zero, lanes)

    def copied(start: Expr, y: Expr) -> None:
        fill_words(target, start, zero, left * words)
        copy_words(target, start + left * words, source, y * size, size)
        fill_words(target, start + (left * words + size), zero, right * words)

    with T.serial(0, _rows_of(band, spec)) as local:
        start = T.Bind(local * row)
        y = T.Bind(band.first + local - top)
        if not top and not bottom:
            copied(start, y)
            return
        with T.If(T.And(y >= 0, y < spec.in_h)):
            with T.Then():
                copied(start, y)
            with T.Else():
                fill_words(target, start, zero, row)


def _fold(source: WordMap, target: Buffer, spec: ConvSpec, folded: int, band: Band) -> None:
    """Gather the channels of a row of taps into the bytes of neighbouring words."""
    width = _folded_width(spec)
    lanes = 16
    while lanes > width:
        lanes //= 2
    with T.serial(0, _rows_of(band, spec)) as local, T.serial(0, -(-width // lanes)) as step:
        x = T.min(step * lanes, width - lanes)
        y = band.first + local - source.first
        for word in range(folded):
            total: Expr = constant(0, "int32", lanes)
            for byte in range(4):
                tap, channel = divmod(4 * word + byte, spec.in_c)
                if tap == spec.kernel[1]:
                    break
                pixel = load(source.buffer, y * source.row + x + tap * source.dilation, lanes)
                value = (pixel >> splat(8 * channel, lanes)) & constant(0xFF, "int32", lanes)
                total = total | (value << splat(8 * byte, lanes))
            store(target, (local * folded + word) * width + x, total, lanes)


def prepare_input(
    words: Buffer,
    spec: ConvSpec,
    dot: DotProduct,
    scratch: Scratch,
    folded: int,
    band: Band | None = None,
) -> WordMap:
    """Write a band of one sample (None: all rows) to the scratch buffers; the map to convolve."""
    if band is None:
        band = whole_map(spec)
    pixel = dot.pixel_words(spec.in_c)
    padded_copy, folded_copy = scratch
    source = WordMap(words, spec.in_w * pixel, pixel, 1, spec.dilations[1])
    if padded_copy is not None:
        _pad(words, padded_copy, spec, dot, band)
        width = spec.in_w + spec.pads[1] + spec.pads[3]
        source = WordMap(padded_copy, width * pixel, pixel, 1, spec.dilations[1], band.first)
    if folded_copy is not None:
        _fold(source, folded_copy, spec, folded, band)
        width = _folded_width(spec)
        return WordMap(folded_copy, folded * width, 1, width, 1, band.first)
    return source
