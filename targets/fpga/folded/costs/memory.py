"""Memories of a width and a depth, in block memories or in logic."""

from __future__ import annotations

from functools import lru_cache

from actc.targets.fpga.families import Family

DISTRIBUTED = {"ecp5": (16, 4, 4), "gowin": (16, 4, 4)}
"""Families with small RAMs in logic: words, bits and logic cells of one."""


BLOCK_COSTS = {"ice40": 64, "ecp5": 128, "gowin": 128}
"""By family, what yosys takes a block memory to cost; a bit of a multiplexer costs a half."""


@lru_cache(maxsize=1 << 16)
def memory_blocks(width: int, depth: int, family: Family) -> int:
    """Block memories of `depth` words of `width` bits, in the shape that yosys chooses.

    Fewer and deeper ones side by side need fewer multiplexers than many shallow ones.
    """
    return _shape(width, depth, family)[0]


def block_cells(width: int, depth: int, family: Family) -> float:
    """Logic cells that choose among the rows of these block memories."""
    rows = _shape(width, depth, family)[1]
    if rows == 1 or family.wide_inputs == family.lut_inputs:
        return width * _multiplexers(rows, family)
    # a look-up table chooses one of two, and dedicated multiplexers are behind it
    return width * (-(-rows // 2) + _multiplexers(rows, family))


@lru_cache(maxsize=1 << 16)
def _shape(width: int, depth: int, family: Family) -> tuple[int, int]:
    """Block memories, and how many of them lie one behind the other."""
    cost = BLOCK_COSTS.get(family.name, 128)

    def price(shape: tuple[int, int]) -> tuple[float, int, int]:
        address, wide = shape
        rows = -(-depth // (1 << address))
        number = rows * -(-width // wide)
        return cost * number + width * (rows - 1) / 2, number, rows

    return min(map(price, family.bram_shapes))[1:]


def rom_cells(width: int, depth: int, family: Family) -> float:
    """Logic cells of a table of constants, in which nothing is regular.

    Every bit is `depth` constants: look-up tables of all the family's inputs, and trees of
    multiplexers behind them.
    """
    entries = 1 << family.lut_inputs
    tables = -(-depth // entries)
    return width * (tables + _multiplexers(tables, family))


def ram_cells(width: int, depth: int, family: Family) -> float:
    """Logic cells of a RAM in logic with one port to write and one to read."""
    if family.name not in DISTRIBUTED:  # flip-flops and multiplexers of four to two cells
        return width * depth * 2 / 3
    words, bits, cells = DISTRIBUTED[family.name]
    rows = -(-depth // words)
    return rows * -(-width // bits) * cells + width * _multiplexers(rows, family)


def ram_flip_flops(width: int, depth: int, family: Family) -> int:
    """Flip-flops of the same."""
    return 0 if family.name in DISTRIBUTED else width * depth


def _multiplexers(inputs: int, family: Family) -> float:
    """Logic cells of a multiplexer of one bit, beyond dedicated ones."""
    free = 1 << (family.wide_inputs - family.lut_inputs)
    left = -(-inputs // free)
    return (left - 1) * 2 / 3  # two tables choose one of four
