"""Placement and routing by nextpnr, from several seeds at a time.

The outcome depends on the netlist, the constraints, the clock, the seeds and the tool's
version alone: seeds are ranked in the order given, never by which run ended first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

from actc.errors import ActcError
from actc.targets.fpga.boards.constraints import SUFFIXES
from actc.targets.fpga.boards.device import Board
from actc.targets.fpga.flow.cached import execute_cached
from actc.targets.fpga.flow.execute import (
    Limits,
    Progress,
    damaged,
    end_all,
    log_file,
    prepare,
    scratch,
)
from actc.targets.fpga.flow.fit import check_fit, explain_routing
from actc.targets.fpga.flow.places import Places
from actc.targets.fpga.flow.programs import Program, find_program
from actc.targets.fpga.flow.report import (
    Clock,
    CriticalPath,
    Use,
    read_clocks,
    read_critical_path,
    read_utilization,
)
from actc.targets.fpga.flow.synthesize import Synthesis

ROUTING_LIMITS = Limits(seconds=3600, memory=24 << 30)
PLACERS = {
    "ice40": "nextpnr-ice40",
    "ecp5": "nextpnr-ecp5",
    "gowin": "nextpnr-himbaechel-gowin",
}
"""By family: the program that places and routes."""
CONFIGURATIONS = {"ice40": "routed.asc", "ecp5": "routed.config"}
"""By family: file of the configuration as text; Gowin's packer reads the netlist."""
ROUTED = "routed.json"
REPORT = "timing.json"
_MODULE = "top"
"""What nextpnr calls the module that it writes, whatever the design is called."""
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What is raised where a file of a tool's is no JSON, or has not what it should."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One seed's outcome: its slowest clock, MHz, or why it failed."""

    seed: int
    fmax_mhz: float
    seconds: float
    failure: ActcError | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """A placed and routed design.

    Attributes:
        board: what it is for.
        netlist: nextpnr's JSON netlist, with a place for each cell and routes.
        configuration: text that the packer reads.
        clocks: clock net -> what it reaches.
        utilization: nextpnr's name of a resource -> its use.
        critical_path: the slowest one between registers; None if there is none.
        seed: of this placement.
        attempts: all seeds that ran, in the order given.
        tool: name and version of the placer.
        seconds: wall time of all seeds.
    """

    board: Board
    netlist: Path
    configuration: Path
    clocks: Mapping[str, Clock]
    utilization: Mapping[str, Use]
    critical_path: CriticalPath | None
    seed: int
    attempts: tuple[Attempt, ...]
    tool: str
    seconds: float

    @property
    def fmax_mhz(self) -> float:
        """What the slowest clock reaches; infinite if nothing is clocked."""
        return min((clock.achieved_mhz for clock in self.clocks.values()), default=float("inf"))

    @property
    def met(self) -> bool:
        """Whether each clock is as fast as asked for."""
        return all(clock.met for clock in self.clocks.values())


def place_and_route(
    synthesis: Synthesis,
    board: Board,
    work: Path,
    *,
    constraints: str = "",
    clock_mhz: float,
    seeds: Sequence[int] = (1,),
    jobs: int = 1,
    stop_when_met: bool = True,
    limits: Limits = ROUTING_LIMITS,
    progress: Progress | None = None,
) -> Routed:
    """Place and route a design, from one seed or the best of several.

    Args:
        synthesis: of the design, for the board's device.
        board: its device, package and speed grade.
        work: folder that receives `routed.json`, `timing.json`, the configuration and
            `logs/route-seed<n>.log`.
        constraints: text of the constraint file; ports that it leaves out are placed
            freely where the family allows it.
        clock_mhz: that all clocks must reach. Missing it is no error here: see
            :func:`~actc.targets.fpga.flow.fit.timing_missed`.
        seeds: at least one; the fastest placement is kept, the first of equal ones.
        jobs: runs at a time.
        stop_when_met: keep the first seed, in the order given, that reaches the clock, and
            end or leave out those behind it.
        limits: of each run.
        progress: called with a line for each seed.

    Raises:
        ModelError: ACT0581, the design does not fit.
        MissingTool: ACT0501, ACT0502, ACT0586.
        ToolFailed: ACT0582, no seed could be placed and routed; ACT0510..0513, ACT0584,
            ACT0585 from the first seed, if all failed.
        ValueError: no seeds.
    """
    if not seeds:
        raise ValueError("at least one seed is needed")
    check_fit(synthesis, board)
    program = find_program(PLACERS[board.device.family])
    prepare([program], progress)
    start = time.monotonic()
    with scratch(work) as folder:
        job = _Job(synthesis, board, work, folder, program, constraints, clock_mhz, limits)
        attempts = _try_all(job, seeds, max(1, jobs), stop_when_met, progress or _silent)
        best = _best(attempts, clock_mhz, stop_when_met)
        if best.failure is not None:
            raise best.failure
        routed = job.result(best.seed)
        report = job.folder_of(best.seed) / REPORT
        for path in dict.fromkeys((routed.netlist, routed.configuration, report)):
            path.replace(work / path.name)
    return Routed(
        board=board,
        netlist=work / routed.netlist.name,
        configuration=work / routed.configuration.name,
        clocks=routed.clocks,
        utilization=routed.utilization,
        critical_path=routed.critical_path,
        seed=best.seed,
        attempts=attempts,
        tool=program.title,
        seconds=time.monotonic() - start,
    )


@dataclass(frozen=True, slots=True)
class _Result:
    netlist: Path
    configuration: Path
    clocks: Mapping[str, Clock]
    utilization: Mapping[str, Use]
    critical_path: CriticalPath | None


@dataclass(frozen=True, slots=True)
class _Job:
    """What all seeds share."""

    synthesis: Synthesis
    board: Board
    work: Path
    scratch: Path
    program: Program
    constraints: str
    clock_mhz: float
    limits: Limits

    def folder_of(self, seed: int) -> Path:
        """The folder of one seed's files."""
        return self.scratch / f"seed{seed}"

    def run(self, seed: int) -> Attempt:
        """Place and route from one seed."""
        family = self.board.device.family
        folder = self.folder_of(seed)
        folder.mkdir()
        (folder / "netlist.json").write_bytes(self.synthesis.netlist.read_bytes())
        (folder / f"pins{SUFFIXES[family]}").write_text(self.constraints, "ascii")
        log = log_file(self.work, f"route-seed{seed}")
        start = time.monotonic()
        try:
            execute_cached(
                "placement",
                self.program,
                self.arguments(seed),
                folder,
                self.outputs(),
                limits=self.limits,
                log=log,
                valid=lambda: self._require_whole(folder, log),
            )
            fmax = self._fmax(folder, log)
        except ActcError as problem:
            failure = explain_routing(problem, self.synthesis, self.board, log)
            return Attempt(seed, 0.0, time.monotonic() - start, failure)
        return Attempt(seed, fmax, time.monotonic() - start)

    def _require_whole(self, folder: Path, log: Path) -> None:
        """Refuse results of a run that cannot be read.

        Raises:
            ToolFailed: ACT0510, the routed netlist or the report is damaged.
        """
        self._fmax(folder, log)
        try:
            json.loads((folder / ROUTED).read_text("utf-8"))["modules"][_MODULE]
        except _DAMAGED as problem:
            raise damaged(ROUTED, self.program, log) from problem

    def _fmax(self, folder: Path, log: Path) -> float:
        """The slowest clock of a run, MHz; infinite where there is none.

        Raises:
            ToolFailed: ACT0510, the report is damaged.
        """
        try:
            report = json.loads((folder / REPORT).read_text("utf-8"))
            clocks = read_clocks(report)
            read_utilization(report)
            read_critical_path(report, self.places())
        except _DAMAGED as problem:
            raise damaged(REPORT, self.program, log) from problem
        return min((clock.achieved_mhz for clock in clocks.values()), default=float("inf"))

    def places(self) -> Places:
        """Which instance each cell of the synthesized netlist belongs to."""
        document = json.loads(self.synthesis.netlist.read_text("utf-8"))
        return Places.of_netlist(document, self.synthesis.top, self.synthesis.drivers)

    def outputs(self) -> list[str]:
        """Files that a run writes."""
        configuration = CONFIGURATIONS.get(self.board.device.family)
        return [ROUTED, REPORT, *filter(None, [configuration])]

    def arguments(self, seed: int) -> list[str]:
        """Arguments of nextpnr."""
        board = self.board
        family = board.device.family
        common = ["--json", "netlist.json", "--top", self.synthesis.top, "--write", ROUTED]
        common += ["--report", REPORT, "--freq", f"{self.clock_mhz:.6f}", "--seed", str(seed)]
        # a clock that is missed is reported by actc, with all that it knows
        common += ["--timing-allow-fail", "--no-print-critical-path-source"]
        pins = f"pins{SUFFIXES[family]}"
        match family:
            case "ice40":
                own = ["--pcf", pins, "--pcf-allow-unconstrained", "--asc", CONFIGURATIONS[family]]
            case "ecp5":
                own = ["--lpf", pins, "--lpf-allow-unconstrained"]
                own += ["--textcfg", CONFIGURATIONS[family], "--speed", board.speed]
            case _:
                own = ["--vopt", f"cst={pins}"]
        if family in ("ice40", "ecp5"):
            own += ["--package", board.package]
        return [*board.device.options, *own, *common]

    def result(self, seed: int) -> _Result:
        """What one seed's run wrote."""
        folder = self.folder_of(seed)
        report = json.loads((folder / REPORT).read_text("utf-8"))
        return _Result(
            netlist=folder / ROUTED,
            configuration=folder / CONFIGURATIONS.get(self.board.device.family, ROUTED),
            clocks=read_clocks(report),
            utilization=read_utilization(report),
            critical_path=read_critical_path(report, self.places()),
        )


def _try_all(
    job: _Job, seeds: Sequence[int], jobs: int, stop_when_met: bool, say: Callable[[str], None]
) -> tuple[Attempt, ...]:
    """Run seeds in their order, `jobs` at a time, to the first one that meets the clock.

    Those that run when it is found, or when the user interrupts, are ended.
    """
    done: list[Attempt] = []
    waiting = list(dict.fromkeys(seeds))
    running: list[Future[Attempt]] = []
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    # with the cache switched off there where it is here
                    run = copy_context().run
                    running.append(pool.submit(run, job.run, waiting.pop(0)))
                attempt = running[0].result()
                del running[0]
                done.append(attempt)
                say(_line(attempt))
                if stop_when_met and attempt.fmax_mhz >= job.clock_mhz:
                    break
        finally:
            # again and again, as a thread may be about to start its program
            while wait(running, timeout=0.1).not_done:
                end_all(job.scratch)
    return tuple(done)


def _best(attempts: Sequence[Attempt], clock_mhz: float, stop_when_met: bool) -> Attempt:
    if stop_when_met:
        for attempt in attempts:
            if attempt.fmax_mhz >= clock_mhz:
                return attempt
    return max(attempts, key=lambda attempt: attempt.fmax_mhz)


def _line(attempt: Attempt) -> str:
    if attempt.failure is not None:
        return f"seed {attempt.seed}: {attempt.failure.diagnostics[0].message}"
    return f"seed {attempt.seed}: {attempt.fmax_mhz:.1f} MHz in {attempt.seconds:.0f} s"


def _silent(line: str) -> None:
    """No progress is shown."""
