"""How layers are folded: what can be chosen, its clocks, and an estimate of what it takes.

Clocks are those of the loops: one per iteration. A tool adds the depth of a loop's pipeline each
time that the loop starts, which is left out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, gcd
from typing import Literal, TypeAlias

from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import (
    POPCOUNTS,
    Layer,
    MatrixLayer,
    MaximumLayer,
    Port,
)
from actc.targets.fpga.folded.program import Window

Windows: TypeAlias = Literal["", "ring", "lines"]

WIDEST = 4096
"""Bits of a word, as many as the vendor's types have."""
_LUT_ROM = 64
"""Words of a memory of one look-up table per bit."""
_BLOCK_BITS, _BLOCK_WIDTH = 18 << 10, 36
"""Of a block memory (half of one of 36 kbit)."""
_BLOCK_LUTS = 150.0
"""Look-up tables that a block memory is worth: about the ratio of both in these devices."""


@dataclass(frozen=True, slots=True)
class Folding:
    """Of one layer.

    Attributes:
        pe: channels of the result at a time.
        simd: inputs of each of these at a time: channels of a tap, or all of a window.
        windows: how these are gathered: word by word from a ring of rows in memory, whole from
            line buffers, or not at all.
    """

    pe: int
    simd: int = 1
    windows: Windows = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A folding with what it means.

    Attributes:
        reads, gives: elements of words.
        clocks: per sample.
        luts: look-up tables; an estimate.
        blocks: block memories of 18 kbit; an estimate.
    """

    folding: Folding
    reads: int
    gives: int
    clocks: int
    luts: float
    blocks: int

    @property
    def cost(self) -> float:
        """What is made small."""
        return self.luts + _BLOCK_LUTS * self.blocks


def divisors(number: int) -> list[int]:
    """All of them, in order."""
    return [d for d in range(1, number + 1) if number % d == 0]


def options(layer: Layer, function: Function) -> list[Option]:
    """All ways to build a layer, each cheaper, faster or of other words than the rest."""
    found = [option_of(layer, function, folding) for folding in foldings(layer)]
    kept: list[Option] = []
    for option in sorted(found, key=lambda o: (o.cost, o.clocks, o.folding.pe, o.folding.simd)):
        words = option.reads, option.gives
        if not any((k.reads, k.gives) == words and k.clocks <= option.clocks for k in kept):
            kept.append(option)
    return kept


def foldings(layer: Layer) -> Iterator[Folding]:
    """All foldings of a layer whose words are not too wide."""
    bits, result = layer.input.code.bits, layer.output.code.bits
    channels, outputs = layer.input.channels, layer.output.channels
    pes = [pe for pe in divisors(outputs) if pe * result <= WIDEST]
    if isinstance(layer, MatrixLayer) and not layer.depthwise:
        weights = layer.weight_bits
        most = WIDEST // max(bits, weights) - layer.taps
        simds = [simd for simd in divisors(channels) if simd == 1 or simd <= most]
        windows: Windows = "ring" if layer.windowed else ""
        yield from (Folding(pe, simd, windows) for pe in pes for simd in simds)
        if layer.windowed and layer.terms <= most:
            yield from (Folding(pe, layer.terms, "lines") for pe in pes)
        return
    if isinstance(layer, (MatrixLayer, MaximumLayer)):
        yield from (Folding(pe, 1, "ring") for pe in pes if pe * bits <= WIDEST)
        taps = layer.window.kernel[0] * layer.window.kernel[1]
        if isinstance(layer, MaximumLayer) and taps * channels * bits <= WIDEST:
            yield Folding(outputs, taps, "lines")
        return
    wide = max(port.code.bits for port in layer.inputs)
    yield from (Folding(pe) for pe in pes if pe * wide <= WIDEST)


def option_of(layer: Layer, function: Function, folding: Folding) -> Option:
    """A folding with what it means."""
    luts = folding.pe * (function.luts + layer.totals.width)
    blocks, own = memory(function.memory_bits, _rows(function, folding))
    luts += own
    if isinstance(layer, MatrixLayer):
        luts += folding.pe * product_luts(layer, folding.simd)
        width = folding.pe * folding.simd * layer.weight_bits
        words = layer.weights.size // (folding.pe * folding.simd)
        found, own = memory(width * words, words)
        blocks, luts = blocks + found, luts + own
    elif isinstance(layer, MaximumLayer):
        luts += folding.pe * folding.simd * layer.input.code.bits
    if folding.windows:
        found, own = _window_memory(layer, folding)
        blocks, luts = blocks + found, luts + own
    reads, gives = words_of(layer, folding)
    return Option(folding, reads, gives, max(layer_clocks(layer, folding)), luts, blocks)


def words_of(layer: Layer, folding: Folding) -> tuple[int, int]:
    """Elements of the words that a layer reads and gives."""
    if folding.windows == "lines":
        return layer.input.channels, folding.pe
    dense = isinstance(layer, MatrixLayer) and not layer.depthwise
    return folding.simd if dense else folding.pe, folding.pe


def layer_clocks(layer: Layer, folding: Folding) -> tuple[int, int]:
    """Clocks per sample of the windows and of what reads them."""
    if not isinstance(layer, (MatrixLayer, MaximumLayer)):
        return 0, layer.output.size // folding.pe
    folds = layer.output.channels // folding.pe
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    if isinstance(layer, MatrixLayer) and not layer.depthwise:
        steps = layer.terms // folding.simd
    else:
        steps = taps // folding.simd
    computed = layer.output.positions * folds * steps
    return window_clocks(layer, layer.window, folding), computed


def window_clocks(layer: Layer, window: Window, folding: Folding) -> int:
    """Clocks in which windows are gathered; as actc_windows.h does it."""
    source, (rows, columns) = layer.input, (layer.output.rows, layer.output.columns)
    if folding.windows == "lines":
        padded = [
            extent + window.before[axis] + window.after[axis]
            for axis, extent in enumerate((source.rows, source.columns))
        ]
        return padded[0] * padded[1]
    if not folding.windows:
        return 0
    groups = source.channels // words_of(layer, folding)[0]
    given = columns * window.kernel[0] * window.kernel[1] * groups
    span = (window.kernel[0] - 1) * window.dilations[0] + 1
    clocks = arrived = 0
    for row in range(-1, rows):
        needed = min((row + 1) * window.strides[0] - window.before[0] + span, source.rows)
        needed = source.rows if row == rows - 1 else needed
        taken = max(needed - arrived, 0) * source.columns * groups
        clocks += max(taken, 0 if row < 0 else given)
        arrived = max(arrived, needed)
    return clocks


def kept_rows(layer: Layer, window: Window) -> int:
    """Rows of the ring, a power of two: of a window, and those that come next."""
    span = (window.kernel[0] - 1) * window.dilations[0] + 1
    least = min(span + window.strides[0], layer.input.rows)
    return 1 << (least - 1).bit_length()


def transfer_clocks(port: Port, source: int, reader: int) -> int:
    """Per sample, of what lies between words of `source` and `reader` elements."""
    return port.size // gcd(source, reader)


def transfer_luts(port: Port, source: int, reader: int) -> float:
    """Of that; an estimate."""
    if source == reader:
        return 0
    part = gcd(source, reader)
    return sum(float(word * port.code.bits) for word in (source, reader) if word != part)


def product_luts(layer: MatrixLayer, simd: int) -> float:
    """Of the products and their sum, of one channel; an estimate.

    Counting n bits takes about n look-up tables of six inputs, the XNOR included; adding n
    integers of b bits about n * b.
    """
    bits = layer.input.code.bits
    if layer.product in POPCOUNTS:
        return 1.1 * simd
    if layer.product == "signs":
        return simd * (bits + 1.0)
    if bits == 1:
        return simd * (layer.weight_bits + 1.0)
    return simd * (bits * layer.weight_bits + bits + 1.0)


def memory(bits: int, words: int) -> tuple[int, float]:
    """Block memories and look-up tables of constants; an estimate.

    Args:
        words: how many lie behind each other; 1: they are wired.
    """
    if words <= 1 or not bits:
        return 0, 0.0
    width = ceil(bits / words)
    luts = width * ceil(words / _LUT_ROM)
    if is_block(bits, words):
        return ceil(width / _BLOCK_WIDTH) * ceil(words / (_BLOCK_BITS // _BLOCK_WIDTH)), 0.0
    return 0, float(luts)


def is_block(bits: int, words: int) -> bool:
    """Whether constants lie in block memories: these take less than look-up tables then."""
    if words <= _LUT_ROM:
        return False
    width = ceil(bits / words)
    blocks = ceil(width / _BLOCK_WIDTH) * ceil(words / (_BLOCK_BITS // _BLOCK_WIDTH))
    return width * ceil(words / _LUT_ROM) > _BLOCK_LUTS * blocks


def _rows(function: Function, folding: Folding) -> int:
    return max(function.rows // folding.pe, 1)


def _window_memory(layer: Layer, folding: Folding) -> tuple[int, float]:
    assert isinstance(layer, (MatrixLayer, MaximumLayer))
    window, source = layer.window, layer.input
    if folding.windows == "lines":
        span = (window.kernel[0] - 1) * window.dilations[0] + 1
        columns = source.columns + window.before[1] + window.after[1]
        width = source.channels * source.code.bits
        blocks, luts = memory(max(span - 1, 0) * columns * width, columns)
        return blocks, luts + span * window.kernel[1] * width / 2
    word = words_of(layer, folding)[0] * source.code.bits
    words = kept_rows(layer, window) * source.columns * (source.size // source.positions)
    words //= words_of(layer, folding)[0]
    blocks, luts = memory(word * words, words)
    return blocks, luts + 60.0
