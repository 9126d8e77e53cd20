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
    """

    buffer: Buffer
    row: int
    pixel: int
    word: int
    dilation: int


def allocate_scratch(spec: ConvSpec, dot: DotProduct, folded: int) -> Scratch:
    """Scratch buffers for a padded copy and for folded words, None where not needed."""
    height = spec.in_h + spec.pads[0] + spec.pads[2]
    width = spec.in_w + spec.pads[1] + spec.pads[3]
    padded_copy = folded_copy = None
    if any(spec.pads):
        padded_copy = T.alloc_buffer((height * width * dot.pixel_words(spec.in_c),), dot.word_type)
    if folded:
        folded_copy = T.alloc_buffer((height * _folded_width(spec) * folded,), dot.word_type)
    return padded_copy, folded_copy


def _folded_width(spec: ConvSpec) -> int:
    width = spec.in_w + spec.pads[1] + spec.pads[3]
    return width - spec.dilations[1] * (spec.kernel[1] - 1)


def _pad(source: Buffer, target: Buffer, spec: ConvSpec, dot: DotProduct) -> None:
    """Copy the map into `target` and write the zero point around it."""
    words = dot.pixel_words(spec.in_c)
    top, left, bottom, right = spec.pads
    row = (spec.in_w + left + right) * words

    def zero(lanes: int) -> Expr:
        return dot.border(spec.x_zero, lanes)

    fill_words(target, 0, zero, top * row)
    with T.serial(0, spec.in_h) as y:
        start = (y + top) * row
        fill_words(target, start, zero, left * words)
        copy_words(target, start + left * words, source, y * spec.in_w * words, spec.in_w * words)
        fill_words(target, start + (left + spec.in_w) * words, zero, right * words)
    fill_words(target, (top + spec.in_h) * row, zero, bottom * row)


def _fold(source: WordMap, target: Buffer, spec: ConvSpec, folded: int) -> None:
    """Gather the channels of a row of taps into the bytes of neighbouring words."""
    height = spec.in_h + spec.pads[0] + spec.pads[2]
    width = _folded_width(spec)
    lanes = 16
    while lanes > width:
        lanes //= 2
    with T.serial(0, height) as y, T.serial(0, -(-width // lanes)) as step:
        x = T.min(step * lanes, width - lanes)
        for word in range(folded):
            total: Expr = constant(0, "int32", lanes)
            for byte in range(4):
                tap, channel = divmod(4 * word + byte, spec.in_c)
                if tap == spec.kernel[1]:
                    break
                pixel = load(source.buffer, y * source.row + x + tap * source.dilation, lanes)
                value = (pixel >> splat(8 * channel, lanes)) & constant(0xFF, "int32", lanes)
                total = total | (value << splat(8 * byte, lanes))
            store(target, (y * folded + word) * width + x, total, lanes)


def prepare_input(
    words: Buffer, spec: ConvSpec, dot: DotProduct, scratch: Scratch, folded: int
) -> WordMap:
    """Write the scratch buffers from one sample and return the map to convolve."""
    pixel = dot.pixel_words(spec.in_c)
    padded_copy, folded_copy = scratch
    source = WordMap(words, spec.in_w * pixel, pixel, 1, spec.dilations[1])
    if padded_copy is not None:
        _pad(words, padded_copy, spec, dot)
        width = spec.in_w + spec.pads[1] + spec.pads[3]
        source = WordMap(padded_copy, width * pixel, pixel, 1, spec.dilations[1])
    if folded_copy is not None:
        _fold(source, folded_copy, spec, folded)
        width = _folded_width(spec)
        return WordMap(folded_copy, folded * width, 1, width, 1)
    return source
