"""Configurations of iCE40, bit by bit: what placement asked for, beside what a bitstream holds.

Both are texts of Project IceStorm (Wolf and Lasser, 2015), which name every bit: sections of
tiles with rows of bits, of block memories with hexadecimal rows, and single bits outside of tiles.
"""

from __future__ import annotations

import re

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import not_understood
from actc.targets.fpga.bitstream.trellis_bits import Compared

_MEMORY, _SINGLE = ".ram_data", ".extra_bit"
_SAID = (".comment", ".sym")
"""Sections that configure nothing."""
_WORD = 4
"""Hexadecimal digits of a word of a block memory."""
_ROW = re.compile(r"[0-9a-f]+")


def compare_tiles(routed: str, unpacked: str) -> Compared:
    """Compare all tiles and memories; what is not said is 0.

    Args:
        routed: what nextpnr wrote for the packer.
        unpacked: what a bitstream holds, from ``iceunpack``.

    Raises:
        ToolFailed: ACT0571, one is not a configuration.
    """
    asked, held = _read(routed), _read(unpacked)
    names = sorted(asked.keys() | held.keys())
    memories = {name: rows for name, rows in asked.items() if name.startswith(_MEMORY)}
    return Compared(
        sum("".join(rows).count("1") for name, rows in asked.items() if name not in memories),
        sum(len("".join(rows)) // _WORD for rows in memories.values()),
        tuple(name[1:] for name in names if _ones(asked, name) != _ones(held, name)),
    )


def _ones(sections: dict[str, list[str]], name: str) -> list[str]:
    """The rows of a section; none where all bits are 0."""
    rows = sections.get(name, [])
    return rows if any(row.strip("0") for row in rows) else []


def _read(text: str) -> dict[str, list[str]]:
    """Rows by section: its kind and place."""
    found: dict[str, list[str]] = {}
    rows: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("."):
            kind = line.split()[0]
            single = kind in (_SINGLE, ".device")  # said by its presence alone
            rows = None if kind in _SAID else found.setdefault(line.strip(), ["1"] * single)
        elif line.strip() and rows is not None:
            if not _ROW.fullmatch(line.strip()):
                raise ToolFailed(not_understood(f"a row '{line.strip()[:40]}'"))
            rows.append(line.strip())
    if not any(name.startswith(".logic_tile") for name in found):
        raise ToolFailed(not_understood("a configuration without tiles"))
    return found
