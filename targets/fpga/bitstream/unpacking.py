"""Programs that turn a bitstream into text."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from actc.targets.fpga.flow.execute import Limits, execute, prepare, require
from actc.targets.fpga.flow.programs import find_program

LIMITS = Limits(seconds=600, memory=24 << 30)
"""Of unpacking."""


def unpacked(
    program: str, bitstream: Path, name: str, arguments: Sequence[str], result: str
) -> str:
    """What a program makes of a bitstream.

    Args:
        program: of the flow, as "ecpunpack".
        name: what the bitstream is called in the folder where the program runs.
        arguments: of the program.
        result: the file that it writes, UTF-8.

    Raises:
        MissingTool: ACT0501, ACT0502, it is not installed.
        ToolFailed: ACT0510..0513, ACT0584, ACT0585, it refused the file or exceeded a limit.
    """
    found = find_program(program)
    prepare([found])
    with tempfile.TemporaryDirectory(prefix="actc-bitstream-") as folder_name:
        folder = Path(folder_name).resolve()
        (folder / name).write_bytes(bitstream.read_bytes())
        execute(found, arguments, folder, limits=LIMITS, log=folder / "log")
        require(folder, [result], found, folder / "log")
        return (folder / result).read_text("utf-8")
