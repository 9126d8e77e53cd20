"""Several placements: the best is kept, whatever happens to the others."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from fake_tools import Fake, names, only, small_synthesis

from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.flow import Synthesis, parallel, place_and_route, runs_at_a_time


@pytest.fixture
def board() -> Board:
    return find_board("ecp5-25k")


@pytest.fixture
def synthesis(tmp_path: Path) -> Synthesis:
    return small_synthesis(tmp_path)


SPEEDS = "route({1: 60.0, 2: 90.0, 3: 70.0, 4: 90.0}[seed])"


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize(
    ("clock", "stop", "seed", "tried"),
    [
        (100, True, 2, (1, 2, 3, 4)),
        (65, True, 2, (1, 2)),
        (50, True, 1, (1,)),
        (50, False, 2, (1, 2, 3, 4)),
    ],
)
def test_the_best_of_several_seeds_whatever_runs_first(
    synthesis: Synthesis,
    board: Board,
    fake: Fake,
    tmp_path: Path,
    jobs: int,
    clock: float,
    stop: bool,
    seed: int,
    tried: tuple[int, ...],
) -> None:
    # later seeds end sooner
    fake("nextpnr-ecp5", f"time.sleep(0.2 / seed)\n{SPEEDS}")
    lines: list[str] = []
    routed = place_and_route(
        synthesis,
        board,
        tmp_path / "out",
        clock_mhz=clock,
        seeds=(1, 2, 3, 4),
        jobs=jobs,
        stop_when_met=stop,
        progress=lines.append,
    )
    assert routed.seed == seed
    assert tuple(attempt.seed for attempt in routed.attempts) == tried
    assert (tmp_path / "out/routed.config").read_text() == f"configuration {seed}"
    assert len(lines) == len(tried)


def test_seeds_behind_the_one_that_is_kept_are_ended(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "time.sleep(300) if seed == 2 else route(80.0)")
    start = time.monotonic()
    routed = place_and_route(synthesis, board, tmp_path / "out", clock_mhz=50, seeds=(1, 2), jobs=2)
    assert routed.seed == 1
    assert time.monotonic() - start < 60


def test_an_interrupt_ends_all_seeds(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "time.sleep(300) if seed == 2 else route(30.0)")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        place_and_route(
            synthesis,
            board,
            tmp_path / "out",
            clock_mhz=50,
            seeds=(1, 2),
            jobs=2,
            progress=interrupt,
        )
    assert time.monotonic() - start < 60
    assert all(name.startswith("logs/") for name in names(tmp_path / "out"))


@pytest.mark.parametrize(
    "fault", ["sys.exit(1)", "os.abort()", "pass", "route(90.0); say('--report', '{')"]
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_that_fails_does_not_end_the_others(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path, jobs: int, fault: str
) -> None:
    fake("nextpnr-ecp5", f"if seed == 2: route(80.0)\nelse:\n    {fault}")
    lines: list[str] = []
    routed = place_and_route(
        synthesis, board, tmp_path / "out", clock_mhz=50, seeds=(1, 2), jobs=jobs,
        progress=lines.append,
    )  # fmt: skip
    assert routed.seed == 2
    failure = routed.attempts[0].failure
    assert failure is not None
    assert only(failure).code in ("ACT0510", "ACT0512")
    assert only(failure).message in lines[0]


def test_an_interrupt_ends_the_only_seed(
    synthesis: Synthesis, board: Board, fake: Fake, tmp_path: Path
) -> None:
    mark = tmp_path / "running"
    fake("nextpnr-ecp5", f"open({str(mark)!r}, 'w').close(); time.sleep(300)")

    def interrupt() -> None:
        while not mark.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    thread = threading.Thread(target=interrupt)
    # shells start programs in the background with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            place_and_route(synthesis, board, tmp_path / "out", clock_mhz=50)
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert time.monotonic() - start < 60


def test_runs_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "meminfo"
    monkeypatch.setattr(parallel, "_MEMORY", memory)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    for kilobytes, most, expected in (
        (64 << 20, 4, 4),
        (64 << 20, 40, 8),
        (7 << 20, 40, 3),
        (1 << 20, 40, 1),
    ):
        memory.write_text(f"MemTotal: 9 kB\nMemAvailable:   {kilobytes} kB\n")
        assert runs_at_a_time(most) == expected
    memory.write_text("")
    assert runs_at_a_time(4) == 1


def test_no_seeds(synthesis: Synthesis, board: Board, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one seed"):
        place_and_route(synthesis, board, tmp_path, clock_mhz=50, seeds=())
