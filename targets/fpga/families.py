"""The FPGA families that costs are known for: their cells and their sizes.

Costs are compared in *logic cells*, the sites that hold one look-up table. Hard
multipliers and block memories are other resources; so that one number can be compared,
each counts as its share of a common device of the family: an ECP5-25K has 24288 logic
cells and 28 multipliers, so a multiplier counts as 867 logic cells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Role = Literal["lut", "carry", "mux", "dsp", "bram", "ff", "clock", "none"]


@dataclass(frozen=True, slots=True)
class CellKind:
    """Cells of one role.

    Attributes:
        pattern: regular expression of the whole cell type.
        role: what the cell counts as.
        sites: for "lut", "carry": logic cells that it takes; for "dsp", "bram": units of
            the resource, as on the family's device.
    """

    pattern: str
    role: Role
    sites: int = 1


@dataclass(frozen=True, slots=True)
class Family:
    """An FPGA family.

    Attributes:
        name: as written by users.
        title: what it is.
        lut_inputs: inputs of a look-up table.
        wide_inputs: inputs of the widest one that mapping takes for the sake of depth,
            made of several by dedicated multiplexers.
        cells: the first match decides what a cell type counts as.
        device: the device that `logic_cells`, `dsps` and `brams` are those of.
        bram_shapes: (address bits, data bits) of one block memory.
        dsp_inputs: bits of the two (signed) operands of one hard multiplier.
        carry_inside: a carry cell holds the look-up tables of its chain.
        ff_behind_lut: the data of a flip-flop comes through the look-up table of its cell.
    """

    name: str
    title: str
    lut_inputs: int
    wide_inputs: int
    cells: tuple[CellKind, ...]
    device: str
    logic_cells: int
    dsps: int
    brams: int
    bram_shapes: tuple[tuple[int, int], ...]
    dsp_inputs: tuple[int, int]
    carry_inside: bool
    ff_behind_lut: bool = False

    @property
    def dsp_rate(self) -> int:
        """Logic cells that one hard multiplier counts as."""
        return round(self.logic_cells / self.dsps)

    @property
    def bram_rate(self) -> int:
        """Logic cells that one block memory counts as."""
        return round(self.logic_cells / self.brams)

    def kind(self, cell: str) -> CellKind | None:
        """What a cell type counts as; None if it is not known."""
        return next((kind for kind in self.cells if re.fullmatch(kind.pattern, cell)), None)


_ICE40 = Family(
    name="ice40",
    title="Lattice iCE40",
    lut_inputs=4,
    wide_inputs=4,
    cells=(
        CellKind(r"SB_LUT4", "lut"),
        # shares the logic cell of its look-up table; synthesis counts those that have none
        CellKind(r"SB_CARRY", "carry", 0),
        CellKind(r"SB_MAC16", "dsp"),
        CellKind(r"SB_RAM40_4K\w*", "bram"),
        CellKind(r"SB_DFF\w*", "ff"),
        CellKind(r"SB_PLL40_\w+|SB_GB", "clock"),
    ),
    device="iCE40UP5K",
    logic_cells=5280,
    dsps=8,
    brams=30,
    bram_shapes=((8, 16), (9, 8), (10, 4), (11, 2)),
    dsp_inputs=(16, 16),
    carry_inside=False,
    ff_behind_lut=True,
)
_ECP5 = Family(
    name="ecp5",
    title="Lattice ECP5",
    lut_inputs=4,
    wide_inputs=7,
    cells=(
        CellKind(r"LUT4", "lut"),
        CellKind(r"CCU2C", "carry", 2),
        CellKind(r"PFUMX|L6MUX21", "mux", 0),
        CellKind(r"MULT18X18D|ALU54B", "dsp"),
        CellKind(r"DP16KD|PDPW16KD", "bram"),
        CellKind(r"TRELLIS_DPR16X4", "lut", 4),
        CellKind(r"TRELLIS_FF|FD1\w+|IFS1\w+|OFS1\w+", "ff"),
        CellKind(r"EHXPLLL|DCCA", "clock"),
    ),
    device="LFE5U-25F",
    logic_cells=24288,
    dsps=28,
    brams=56,
    bram_shapes=((9, 36), (10, 18), (11, 9), (12, 4), (13, 2), (14, 1)),
    dsp_inputs=(18, 18),
    carry_inside=True,
)
_GOWIN = Family(
    name="gowin",
    title="Gowin LittleBee and Arora",
    lut_inputs=4,
    wide_inputs=8,
    cells=(
        CellKind(r"LUT[1-4]|INV", "lut"),
        CellKind(r"ALU", "carry"),
        CellKind(r"MUX2_LUT[5-8]", "mux", 0),
        CellKind(r"MULT\d+X\d+|MULTALU\d+X\d+|MULTADDALU\d+X\d+", "dsp"),
        CellKind(r"SDPX?9?B|DPX?9?B|pROMX?9?|SPX?9?", "bram"),
        CellKind(r"RAM16SDP[124]|RAM16SP[124]", "lut", 4),
        CellKind(r"DFF\w*|DL\w*", "ff"),
        CellKind(r"r?PLL\w*|BUF[GS]", "clock"),
        CellKind(r"VCC|GND", "none", 0),
    ),
    device="GW2AR-18",
    logic_cells=20736,
    dsps=48,
    brams=46,
    bram_shapes=((9, 36), (10, 18), (11, 9), (12, 4), (13, 2), (14, 1)),
    dsp_inputs=(18, 18),
    carry_inside=True,
)


def _xilinx_cells(carry: str, generation: str) -> tuple[CellKind, ...]:
    """Cells of 7 series and later: their carry cell, and how names of hard blocks end."""
    return (
        CellKind(r"LUT[1-6]|INV", "lut"),
        # its look-up tables are cells of their own
        CellKind(carry, "carry", 0),
        CellKind(r"MUXF[789]", "mux", 0),
        CellKind(f"DSP48{generation}", "dsp"),
        CellKind(f"RAMB36{generation}", "bram", 2),
        CellKind(f"RAMB18{generation}", "bram"),
        CellKind(r"SRL16E|SRLC32E|RAM\d+X\d+[SD]\w*", "lut"),
        CellKind(r"RAM\d+M\w*", "lut", 4),
        CellKind(r"FD[RSCP]E\w*|LD[CP]E\w*", "ff"),
    )


_XC7 = Family(
    name="xc7",
    title="AMD (Xilinx) 7 series",
    lut_inputs=6,
    wide_inputs=6,
    cells=_xilinx_cells(r"CARRY4", "E1"),
    device="XC7A35T",
    logic_cells=20800,
    dsps=90,
    brams=100,
    bram_shapes=((9, 36), (10, 18), (11, 9), (12, 4), (13, 2), (14, 1)),
    dsp_inputs=(25, 18),
    carry_inside=False,
)
_XCUP = replace(
    _XC7,
    name="xcup",
    title="AMD (Xilinx) UltraScale+",
    cells=_xilinx_cells(r"CARRY[48]", "E2"),
    device="XCVU9P",
    logic_cells=1182240,
    dsps=6840,
    brams=4320,
    dsp_inputs=(27, 18),
)

FAMILIES: dict[str, Family] = {f.name: f for f in (_ICE40, _ECP5, _GOWIN, _XC7)}
"""The families whose costs are known before synthesis, by name."""
SYNTHESIZED: dict[str, Family] = {**FAMILIES, _XCUP.name: _XCUP}
"""The families that designs are synthesized for, by name."""


def find_family(name: str, among: Mapping[str, Family] = FAMILIES) -> Family:
    """The family called `name`.

    Raises:
        UsageError: ACT0530, there is none.
    """
    found = among.get(name)
    if found is None:
        raise UsageError(
            Diagnostic(
                "ACT0530",
                f"there is no FPGA family {name!r}",
                help=f"write one of {', '.join(among)}",
            )
        )
    return found
