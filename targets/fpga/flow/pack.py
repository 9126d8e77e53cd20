"""From a routed design to the bitstream that a board loads."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from actc.targets.fpga.boards.device import Board
from actc.targets.fpga.flow.cached import execute_cached
from actc.targets.fpga.flow.execute import Limits, Progress, log_file, prepare, scratch
from actc.targets.fpga.flow.programs import find_program
from actc.targets.fpga.flow.route import Routed

PACKING_LIMITS = Limits(seconds=600, memory=24 << 30)
PACKERS = {"ice40": "icepack", "ecp5": "ecppack", "gowin": "gowin_pack"}
"""By family: the program that packs."""
UNPACKERS = {"ice40": ("iceunpack",), "ecp5": ("ecpunpack",)}
"""By family: programs that read bitstreams and are compiled at their first run."""
BITSTREAMS = {"ice40": ".bin", "ecp5": ".bit", "gowin": ".fs"}
"""By family: how the name of a bitstream ends."""


@dataclass(frozen=True, slots=True)
class Bitstream:
    """A packed bitstream.

    Attributes:
        path: its file.
        sha256: of its bytes, hexadecimal.
        bytes: how many.
        tool: name and version of the packer.
        seconds: wall time.
    """

    path: Path
    sha256: str
    bytes: int
    tool: str
    seconds: float


def pack(
    routed: Routed,
    work: Path,
    name: str,
    *,
    limits: Limits = PACKING_LIMITS,
    progress: Progress | None = None,
) -> Bitstream:
    """Pack the bitstream `work/<name><suffix>`; the same design gives the same bytes.

    Args:
        routed: of :func:`~actc.targets.fpga.flow.route.place_and_route`.
        work: folder that receives it and `logs/pack.log`.
        name: of the file, without its suffix.
        limits: of the run.
        progress: called with a line if the packer has to be prepared.

    Raises:
        MissingTool: ACT0501, ACT0502.
        ToolFailed: ACT0510..0513, ACT0584, ACT0585.
    """
    board = routed.board
    program = find_program(PACKERS[board.device.family])
    prepare([program], progress)
    suffix = BITSTREAMS[board.device.family]
    start = time.monotonic()
    with scratch(work) as folder:
        source = f"routed{routed.configuration.suffix}"
        (folder / source).write_bytes(routed.configuration.read_bytes())
        packed = f"packed{suffix}"
        log = log_file(work, "pack")
        execute_cached(
            "bitstream",
            program,
            _arguments(board, source, packed),
            folder,
            [packed],
            limits=limits,
            log=log,
            valid=lambda: None,
        )
        content = (folder / packed).read_bytes()
        path = work / f"{name}{suffix}"
        (folder / packed).replace(path)
    digest = hashlib.sha256(content).hexdigest()
    return Bitstream(path, digest, len(content), program.title, time.monotonic() - start)


def _arguments(board: Board, source: str, packed: str) -> list[str]:
    match board.device.family:
        case "gowin":
            return ["-d", board.device.packer, "-o", packed, source]
        case _:
            return [source, packed]
