"""All steps of the flow, one after the other."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actc.errors import ActcError, MissingTool
from actc.targets.fpga.boards.constraints import SUFFIXES, write_constraints
from actc.targets.fpga.boards.device import Board
from actc.targets.fpga.flow.execute import LOGS, Progress, prepare
from actc.targets.fpga.flow.fit import DEEPER, timing_missed
from actc.targets.fpga.flow.pack import PACKERS, UNPACKERS, Bitstream, pack
from actc.targets.fpga.flow.programs import Program, find_program
from actc.targets.fpga.flow.route import PLACERS, Routed, place_and_route
from actc.targets.fpga.flow.synthesize import Synthesis, find_yosys, synthesize_design


@dataclass(frozen=True, slots=True)
class Built:
    """A design from Verilog to bitstream: what each step made."""

    synthesis: Synthesis
    routed: Routed
    bitstream: Bitstream

    @property
    def tools(self) -> tuple[str, ...]:
        """Name and version of each tool, in the order of the steps."""
        return (self.synthesis.tool, self.routed.tool, self.bitstream.tool)


def build_bitstream(
    files: Mapping[str, str],
    top: str,
    board: Board,
    work: Path,
    *,
    ports: Mapping[str, str],
    clock_mhz: float,
    seeds: Sequence[int] = (1,),
    jobs: int = 1,
    dsp: bool = False,
    kept: Sequence[tuple[str, str]] = (),
    drivers: Mapping[str, str] | None = None,
    core: str = "",
    require_clock: bool = True,
    remedy: str = DEEPER,
    progress: Progress | None = None,
) -> Built:
    """Synthesize, place, route and pack a design.

    Every file appears in `work` under its name only when it is complete. All tools are
    looked for before the first one runs. Where a step fails, copies of the logs are kept in
    a temporary folder that the error names: `work` may be one that a failure removes.

    Args:
        files: name -> Verilog text.
        top: the top module.
        board: where it shall run.
        work: folder that receives netlist.json, the constraint file, what
            :func:`~actc.targets.fpga.flow.route.place_and_route` writes, `<top>` with the
            suffix of bitstreams, and `logs/`.
        ports: port of `top` -> role of a pin of the board.
        clock_mhz: that the design must reach.
        seeds, jobs: see :func:`~actc.targets.fpga.flow.route.place_and_route`.
        dsp: whether multiplications may take hard multipliers.
        kept: modules and wires of them whose names the netlist must keep.
        drivers: see :func:`~actc.targets.fpga.flow.synthesize.synthesize_design`.
        core: path of the instance that is the network, to tell it from what is around it.
        require_clock: whether a missed clock is an error; else the bitstream is packed.
        remedy: what a missed clock is answered with: what makes the network itself faster.
        progress: called with a line for each step.

    Raises:
        ModelError: ACT0581. BudgetMissed: ACT0583. UsageError: ACT0531, ACT0588.
        MissingTool: ACT0501..0503, ACT0586. ToolFailed: ACT0510..0513, ACT0582, ACT0584,
            ACT0585, ACT0565.
    """
    say = progress or _silent
    constraints = write_constraints(board, ports)
    family = board.device.family
    find_yosys()
    prepare(_programs(family), progress)
    with _keeping_logs(work):
        say(f"synthesis for {board.device.title}")
        synthesis = synthesize_design(
            files, top, board.device, work, dsp=dsp, kept=kept, drivers=drivers
        )
        say(f"placing and routing {synthesis.total.logic_cells} logic cells")
        (work / f"{top}{SUFFIXES[family]}").write_text(constraints, "ascii")
        routed = place_and_route(
            synthesis,
            board,
            work,
            constraints=constraints,
            clock_mhz=clock_mhz,
            seeds=seeds,
            jobs=jobs,
            progress=progress,
        )
        if require_clock and not routed.met:
            path = routed.critical_path
            raise timing_missed(synthesis, board, routed.fmax_mhz, clock_mhz, path, core, remedy)
        say("packing the bitstream")
        return Built(synthesis, routed, pack(routed, work, top, progress=progress))


def _programs(family: str) -> list[Program]:
    """What runs after synthesis, and what verification reads the bitstream with.

    Raises:
        MissingTool: ACT0501, ACT0502, ACT0586, of placer and packer.
    """
    found = [find_program(PLACERS[family]), find_program(PACKERS[family])]
    with contextlib.suppress(MissingTool):  # verification says what it lacks
        found += [find_program(name) for name in UNPACKERS.get(family, ())]
    return found


@contextlib.contextmanager
def _keeping_logs(work: Path) -> Iterator[None]:
    """Errors that name logs in `work` name lasting copies of them instead."""
    try:
        yield
    except ActcError as problem:
        logs = str(work / LOGS)
        if not any(logs in note for found in problem.diagnostics for note in found.notes):
            raise
        try:
            kept = tempfile.mkdtemp(prefix="actc-logs-")
            shutil.copytree(logs, kept, dirs_exist_ok=True)
        except OSError:  # a full disk: what failed first matters more than its log
            raise problem from None
        raise type(problem)(
            replace(found, notes=tuple(note.replace(logs, kept) for note in found.notes))
            for found in problem.diagnostics
        ) from problem


def _silent(line: str) -> None:
    """No progress is shown."""
