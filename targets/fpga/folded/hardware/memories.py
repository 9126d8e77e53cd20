"""Read-only memories: weights, and the parameters of channels, in the order of their use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from actc.targets.fpga.folded.hardware.parts import module_text, vector
from actc.targets.fpga.folded.program import Integers

Storage = Literal["block", "logic"]

STYLES: Mapping[Storage, str] = {
    "block": '(* rom_style = "block" *) ',
    "logic": '(* rom_style = "logic" *) ',
}
"""What stands in front of a read-only memory."""


def rom(name: str, words: Sequence[int], width: int, storage: Storage, comment: str) -> str:
    """A module that shows its words one after the other, and begins again.

    Ports: clk, reset, step, data. A clock with `step` shows the next word in the clock behind
    it; the first step shows the first word.
    """
    count = len(words)
    address = max((count - 1).bit_length(), 1)
    digits = -(-width // 4)
    body = [
        f"{STYLES[storage]}reg {vector(width)}words [0:{count - 1}];",
        f"reg [{address - 1}:0] address = {address}'d0;",
        "initial begin",
        *(f"  words[{place}] = {width}'h{word:0{digits}x};" for place, word in enumerate(words)),
        "end",
        "always @(posedge clk) begin",
        "  data <= words[address];",
        f"  if (step) address <= address == {address}'d{count - 1} ? {address}'d0"
        " : address + 1'b1;",
        f"  if (reset) address <= {address}'d0;",
        "end",
    ]
    ports = ["input clk", "input reset", "input step", f"output reg {vector(width)}data"]
    return module_text([comment], name, ports, body)


def shared_rom(
    name: str, blocks: Sequence[Sequence[int]], width: int, storage: Storage, comment: str
) -> str:
    """One memory of several blocks of words, each shown in its own order as by :func:`rom`.

    Ports: clk, reset, step (a bit for each block, one of them set at most), data.
    """
    words = [word for block in blocks for word in block]
    address = max((len(words) - 1).bit_length(), 1)
    digits = -(-width // 4)
    begins = [sum(map(len, blocks[:place])) for place in range(len(blocks))]
    ends = [begin + len(block) - 1 for begin, block in zip(begins, blocks, strict=True)]
    chosen = " | ".join(
        f"({{{address}{{step[{place}]}}}} & address_{place})" for place in range(len(blocks))
    )
    body = [
        f"{STYLES[storage]}reg {vector(width)}words [0:{len(words) - 1}];",
        *(
            f"reg [{address - 1}:0] address_{place} = {address}'d{begin};"
            for place, begin in enumerate(begins)
        ),
        f"wire [{address - 1}:0] address = {chosen};",
        "initial begin",
        *(f"  words[{place}] = {width}'h{word:0{digits}x};" for place, word in enumerate(words)),
        "end",
        "always @(posedge clk) begin",
        "  data <= words[address];",
    ]
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        own = f"address_{place}"
        body += [
            f"  if (step[{place}]) {own} <= {own} == {address}'d{end} ? {address}'d{begin}"
            f" : {own} + 1'b1;",
            f"  if (reset) {own} <= {address}'d{begin};",
        ]
    body.append("end")
    ports = ["input clk", "input reset", f"input {vector(len(blocks))}step"]
    return module_text([comment], name, [*ports, f"output reg {vector(width)}data"], body)


def packed(rows: Integers, widths: Sequence[int]) -> list[int]:
    """Words of the numbers in each row, the first in the lowest bits.

    Args:
        rows: int64 [words, numbers].
        widths: bits of each number of a row; two's complement.
    """
    found = [0] * len(rows)
    place = 0
    for column, width in zip(rows.T, widths, strict=True):
        mask = (1 << width) - 1
        for number, value in enumerate(column.tolist()):
            found[number] |= (value & mask) << place
        place += width
    return found


def matrix_words(weights: Integers, pe: int, simd: int, groups: int, width: int) -> list[int]:
    """Weights in the order in which a window gives its words.

    Args:
        weights: int64 [outputs, kernel rows, kernel columns, channels of a group].
        pe, simd: outputs and channels at a time.
        groups: of channels; each has its own outputs.
        width: bits of a weight.

    Returns:
        for each group, each block of outputs, each place of the kernel and each block of
        channels: the weights of the first output, then of the next.
    """
    outputs, rows, columns, channels = weights.shape
    blocks = outputs // pe
    shaped = weights.reshape(blocks, pe, rows, columns, channels // simd, simd)
    # blocks of outputs come group by group
    assert blocks % groups == 0
    ordered = shaped.transpose(0, 2, 3, 4, 1, 5).reshape(-1, pe * simd)
    return packed(ordered, [width] * (pe * simd))


def channel_words(parameters: Sequence[Integers], widths: Sequence[int], lanes: int) -> list[int]:
    """The parameters of `lanes` channels at a time: all of the first channel, then the next."""
    rows = np.stack(parameters, axis=1).reshape(-1, lanes * len(parameters))
    return packed(rows, list(widths) * lanes)
