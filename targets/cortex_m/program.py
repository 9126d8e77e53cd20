"""Linking a program for an emulated Cortex-M, and running it: no library lies behind it.

The program reads samples from a file and writes results to another, through the emulator
(semihosting).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actc import toolchain
from actc.targets.cortex_m.board import Board, Core

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
COMPILER_HELP = "apt-get install gcc-arm-none-eabi"
EMULATOR_HELP = "apt-get install qemu-system-arm"
SOURCE, RESULT = "in.bin", "out.bin"
"""What the program reads and writes, in the emulator's working directory."""
_SECONDS = 300.0
_FOLDER = Path(__file__).parent


def start(name: str, buffers: str, body: str) -> str:
    """The C of a start-up that runs a network on each sample.

    Args:
        name: of the network's header.
        buffers: definitions of arrays.
        body: of the loop over samples: it moves arrays with ``move(READ, source, ...)`` and
            ``move(WRITE, result, ...)``, and ends the program with ``leave``.
    """
    return _filled("start.c.in", NAME=name, BUFFERS=buffers, BODY=body)


def link_script(board: Board) -> str:
    """The linker's script for a board."""
    return _filled(
        "board.ld.in",
        VECTORS=hex(board.vectors),
        FLASH=hex(board.flash),
        FLASH_BYTES=str(board.flash_bytes),
        RAM=hex(board.ram),
        RAM_BYTES=str(board.ram_bytes),
    )


def _filled(name: str, **values: str) -> str:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    for place, value in values.items():
        text = text.replace(f"@{place}@", value)
    return text


def link(core: Core, objects: Sequence[str], folder: Path, libraries: Sequence[str] = ()) -> Path:
    """Link objects of a folder for a core's board.

    Args:
        libraries: the linker's options behind the objects, such as ``-lgcc``.

    Returns:
        the program.

    Raises:
        MissingTool, ToolFailed: of the compiler.
    """
    compiler = str(toolchain.find(COMPILER, COMPILER_HELP))
    (folder / "board.ld").write_text(link_script(core.board), encoding="utf-8")
    command = [compiler, "-nostdlib", *core.machine, "-T", "board.ld", *objects, *libraries]
    toolchain.run([*command, "-o", "network.elf"], timeout=_SECONDS, cwd=folder)
    return folder / "network.elf"


def run_command(core: Core, program: Path) -> tuple[str, ...]:
    """The command that runs a program on a core's board, where its files lie.

    Raises:
        MissingTool: of the emulator.
    """
    emulator = str(toolchain.find(EMULATOR, EMULATOR_HELP))
    return (
        *(emulator, "-M", core.board.name, "-display", "none", "-serial", "none"),
        *("-monitor", "none", "-semihosting-config", "enable=on,target=native"),
        *("-kernel", str(program)),
    )
