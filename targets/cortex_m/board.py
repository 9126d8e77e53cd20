"""The cores that QEMU has boards with, and which of them runs code for a core by LLVM's name."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Board:
    """A board of QEMU's, and the memories of it that a program takes.

    Attributes:
        name: QEMU's.
        vectors: where the core starts.
        flash, ram: where code with constants lies, and data.
        flash_bytes, ram_bytes: of these.
    """

    name: str
    vectors: int
    flash: int
    ram: int
    flash_bytes: int = 4 * MIB
    ram_bytes: int = 4 * MIB


@dataclass(frozen=True, slots=True)
class Core:
    """A core and the board that QEMU has with it.

    Attributes:
        title: its name.
        cpu: gcc's name.
        board: QEMU's board.
        flags: more of the compiler's.
    """

    title: str
    cpu: str
    board: Board
    flags: tuple[str, ...] = ()

    @property
    def machine(self) -> tuple[str, ...]:
        """The compiler's flags for the core."""
        return ("-mthumb", f"-mcpu={self.cpu}", *self.flags)


# Vectors take the first KiB of the flash where the core starts there. The boards with TrustZone
# start secure, and see their memories at the secure addresses.
_MPS2 = (0, 0x400, 0x20000000, 4 * MIB - 0x400)
CORTEX_M3 = Core("Cortex-M3", "cortex-m3", Board("mps2-an385", *_MPS2))
CORTEX_M4 = Core("Cortex-M4", "cortex-m4", Board("mps2-an386", *_MPS2))
CORTEX_M7 = Core("Cortex-M7", "cortex-m7", Board("mps2-an500", *_MPS2))
CORTEX_M33 = Core(
    "Cortex-M33",
    "cortex-m33",
    Board("mps2-an505", 0x10000000, 0x10000400, 0x38000000, 4 * MIB - 0x400),
)
CORTEX_M55 = Core(
    "Cortex-M55", "cortex-m55", Board("mps3-an547", 0, 0x01000000, 0x21000000, 2 * MIB)
)
HELIUM_M55 = Core("Cortex-M55", "cortex-m55", CORTEX_M55.board, ("-mfloat-abi=hard",))
"""With vectors, which gcc only takes where floating point has registers of its own."""

_CORES = {
    CORTEX_M3: ("cortex-m0", "cortex-m0plus", "cortex-m1", "cortex-m3", "sc000", "sc300"),
    CORTEX_M4: ("cortex-m4",),
    CORTEX_M7: ("cortex-m7",),
    CORTEX_M33: ("cortex-m23", "cortex-m33", "cortex-m35p", "star-mc1"),
    CORTEX_M55: ("cortex-m52", "cortex-m55", "cortex-m85"),
}
"""A core -> LLVM's names of those whose instructions it takes."""


def core_for(mcpu: str) -> Core | None:
    """The emulated core that runs code for a core by LLVM's name; None: QEMU has no such board."""
    return next((core for core, names in _CORES.items() if mcpu in names), None)
