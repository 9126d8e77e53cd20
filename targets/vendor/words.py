"""Samples as words of 64 bits, as a DMA brings them: elements have slots, the first one lowest.

A slot is the power of two of bits that holds an element; the last word of a sample is filled up
with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.hdl import Range

WORD = 64
"""Bits of a word."""


@dataclass(frozen=True, slots=True)
class Border:
    """Where samples come or go.

    Attributes:
        size: elements of a sample.
        range: of an element.
        bits: of an element, 1 to 64.
        code: of what is reported where words or integers are wrong.
    """

    size: int
    range: Range
    bits: int
    code: str

    @property
    def slots(self) -> int:
        """Elements of a word."""
        return slots_of(self.bits)

    @property
    def words(self) -> int:
        """Of a sample."""
        return -(-self.size // self.slots)


def slots_of(bits: int) -> int:
    """Elements of a word."""
    return int(WORD >> (bits - 1).bit_length())


def together(channels: int, bits: int) -> int:
    """Elements that are moved at a time: they divide those of a word, and those of a position."""
    return math.gcd(channels, slots_of(bits))


def pack(border: Border, codes: npt.ArrayLike) -> bytes:
    """Words, hexadecimal, one in each line.

    Args:
        codes: integers [samples, ...], in the order of the stream.

    Raises:
        ToolFailed: an integer is out of range.
    """
    flat = np.asarray(codes, np.int64)
    flat = flat.reshape(len(flat), -1)
    range, slots = border.range, border.slots
    if flat.size and not range.low <= flat.min() <= flat.max() <= range.high:
        raise ToolFailed(Diagnostic(border.code, f"samples leave the range {range} of the stream"))
    padded = np.zeros((len(flat), border.words * slots), np.uint64)
    mask = np.uint64((1 << (WORD // slots)) - 1)
    padded[:, : flat.shape[1]] = flat.astype(np.uint64) & mask
    shifts = np.arange(slots, dtype=np.uint64) * np.uint64(WORD // slots)
    found = np.bitwise_or.reduce(padded.reshape(-1, slots) << shifts, axis=1)
    data: bytes = found.astype(">u8").tobytes()
    return (data.hex("\n", 8) + "\n").encode("ascii")


def unpack(border: Border, text: bytes, samples: int) -> npt.NDArray[np.int64]:
    """Codes of words: int64 [samples, elements].

    Raises:
        ToolFailed: words are missing, or too many.
    """
    slots = border.slots
    slot = WORD // slots
    words = np.frombuffer(bytes.fromhex(text.decode("ascii")), ">u8").astype(np.uint64)
    if words.size != samples * border.words:
        message = f"{words.size} words came for {samples} samples, which is not as many as must"
        help = "the C++ was changed; compile again"
        raise ToolFailed(Diagnostic(border.code, message, help=help))
    shifts = np.arange(slots, dtype=np.uint64) * np.uint64(slot)
    parts = (words[:, None] >> shifts) & np.uint64((1 << slot) - 1)
    found: npt.NDArray[np.int64] = parts.reshape(samples, -1)[:, : border.size].astype(np.int64)
    if border.range.signed and slot < WORD:
        found = np.where(found >= 1 << (slot - 1), found - (1 << slot), found)
    return found


def format_of(
    name: str, interface: Mapping[str, Any], taken: Border, given: Border
) -> dict[str, Any]:
    """What a host has to know: how tensors become words, and words tensors.

    Args:
        name: of the network.
        interface: see :meth:`~actc.targets.fpga.folded.network.FoldedNetwork.interface`.
        taken, given: borders of its inputs and of its outputs.
    """
    rows = {"inputs": taken, "outputs": given}
    slotted = {
        key: [
            {**tensor, "slot_bits": WORD // border.slots, "elements": border.size,
             "words": border.words}
            for tensor in interface[key]
        ]
        for key, border in rows.items()
    }  # fmt: skip
    return {"name": name, "word_bits": WORD, **interface, **slotted}
