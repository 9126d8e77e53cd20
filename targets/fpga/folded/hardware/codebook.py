"""A memory of weights that holds indices of kernels, and a decoder that gives their weights.

A window gives all places of a word before the next word, so that in as many clocks as a kernel has
places each weight of a clock is one of one kernel after the other. Kernels are read a few at a
time: in each of these clocks some indices, which become kernels in registers that shift. Weights
of those that are read first wait for the last. So the memory's words are as narrow as they can be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.targets.fpga.folded.folding import Folding, Storage
from actc.targets.fpga.folded.hardware.memories import STYLES, packed
from actc.targets.fpga.folded.hardware.parts import module_text, vector
from actc.targets.fpga.folded.kernels import Kernels, Reads, reads_of
from actc.targets.fpga.folded.program import MatrixStage


def kernel_memory(name: str, stage: MatrixStage, folding: Folding, kernels: Kernels) -> str:
    """The module of a stage's weights, in the order in which a window gives its words.

    Ports as of :func:`~actc.targets.fpga.folded.hardware.memories.rom`. A first step must be
    followed by steps to the end of a word's places, and data comes
    :attr:`~actc.targets.fpga.folded.kernels.Reads.clocks` later.
    """
    lanes, places = folding.pe * folding.simd, kernels.entries.shape[1]
    reads = reads_of(stage, folding.pe, folding.simd)
    words = _words(stage, folding, kernels, reads)
    body = [
        *_steps(len(words), places, reads),
        *_memory(words, reads.width * kernels.index_bits, folding.weights),
        *_kernels(kernels, reads.width),
    ]
    for lane in range(lanes):
        body += _lane(lane, places, reads)
    ends = [*[","] * (lanes - 1), ""]
    order = reversed(range(lanes))
    body += [
        "assign data = {",
        *(f"  weight_{lane}{end}" for lane, end in zip(order, ends, strict=True)),
        "};",
    ]
    comments = [
        f"Weights of {len(kernels.entries)} kernels, told by indices of {kernels.index_bits} bits.",
        f"Of {lanes} kernels at a time {reads.width} are read in a clock.",
    ]
    ports = ["input clk", "input reset", "input step", f"output {vector(lanes)}data"]
    return module_text(comments, name, ports, body)


def _words(stage: MatrixStage, folding: Folding, kernels: Kernels, reads: Reads) -> list[int]:
    """For each block of outputs and each word of the window: indices, as they are read."""
    outputs, channels = kernels.index.shape
    pe, simd = folding.pe, folding.simd
    blocks = kernels.index.reshape(outputs // pe, pe, channels // simd, simd)
    rows = blocks.transpose(0, 2, 1, 3).reshape(-1, pe * simd)
    padded = np.pad(rows, ((0, 0), (0, reads.count * reads.width - pe * simd)))
    return packed(padded.reshape(-1, reads.width), [kernels.index_bits] * reads.width)


def _steps(count: int, places: int, reads: Reads) -> list[str]:
    """Lines that make `address`, `came`: whose indices are there, and `load`: whose kernels."""
    a, p = (max((size - 1).bit_length(), 1) for size in (count, places))
    digits = f"{p}'d"
    reading = "step" if reads.count == places else f"step & (place < {digits}{reads.count})"
    return [
        f"reg [{a - 1}:0] address = {a}'d0;",
        f"reg [{p - 1}:0] place = {p}'d0;",
        f"reg [{reads.count - 1}:0] came = {reads.count}'d0;",
        f"reg [{reads.count - 1}:0] load = {reads.count}'d0;",
        f"wire reading = {reading};",
        "always @(posedge clk) begin",
        f"  if (step) place <= place == {digits}{places - 1} ? {digits}0 : place + 1'b1;",
        f"  if (reading) address <= address == {a}'d{count - 1} ? {a}'d0 : address + 1'b1;",
        "  load <= came;",
        *(f"  came[{at}] <= step & (place == {digits}{at});" for at in range(reads.count)),
        "  if (reset) begin",
        f"    address <= {a}'d0;",
        f"    place <= {digits}0;",
        "  end",
        "end",
    ]


def _memory(words: Sequence[int], width: int, storage: Storage) -> list[str]:
    """Lines that make `indices`."""
    digits = -(-width // 4)
    return [
        f"{STYLES[storage]}reg {vector(width)}words [0:{len(words) - 1}];",
        f"reg [{width - 1}:0] indices;",
        "initial begin",
        *(f"  words[{place}] = {width}'h{word:0{digits}x};" for place, word in enumerate(words)),
        "end",
        "always @(posedge clk) indices <= words[address];",
    ]


def _kernels(kernels: Kernels, width: int) -> list[str]:
    """Lines that make the kernels of `indices`; of an index that no kernel has, any.

    Registers keep synthesis from decoding anew in front of each register behind them.
    """
    places, bits = kernels.entries.shape[1], kernels.index_bits
    values = [
        sum(bit << place for place, bit in enumerate(entry)) for entry in kernels.entries.tolist()
    ]
    lines = [
        f"function [{places - 1}:0] kernel(input [{bits - 1}:0] index);",
        "  case (index)",
        *(
            f"    {bits}'d{number}: kernel = {places}'h{value:0{-(-places // 4)}x};"
            for number, value in enumerate(values)
        ),
        f"    default: kernel = {{{places}{{1'bx}}}};",
        "  endcase",
        "endfunction",
    ]
    for at in range(width):
        chosen = f"kernel(indices[{at * bits} +: {bits}])"
        lines += [
            f"reg [{places - 1}:0] kernel_{at};",
            f"always @(posedge clk) kernel_{at} <= {chosen};",
        ]
    return lines


def _lane(lane: int, places: int, reads: Reads) -> list[str]:
    """Lines that make one weight: the places of a kernel, one behind the other."""
    group, at = divmod(lane, reads.width)
    lines = [
        f"reg [{places - 1}:0] places_{lane};",
        f"always @(posedge clk) places_{lane} <= load[{group}] ? kernel_{at}"
        f" : {{places_{lane}[{places - 1}], places_{lane}[{places - 1}:1]}};",
    ]
    late = reads.count - 1 - group
    if not late:
        return [*lines, f"wire weight_{lane} = places_{lane}[0];"]
    shifted = f"places_{lane}[0]"
    if late > 1:
        shifted = f"{{late_{lane}[{late - 2}:0], {shifted}}}"
    return [
        *lines,
        f"reg [{late - 1}:0] late_{lane};",
        f"always @(posedge clk) late_{lane} <= {shifted};",
        f"wire weight_{lane} = late_{lane}[{late - 1}];",
    ]
