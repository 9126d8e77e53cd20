"""Why no folding fits, and what would: with figures."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Protocol

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.fpga.boards import devices
from actc.targets.fpga.boards.choose import offer
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.folded.choice import Choice
from actc.targets.fpga.folded.costs.area import Area
from actc.targets.fpga.folded.costs.bits import stage_bits
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage
from actc.targets.fpga.folded.solve import fastest, least_area, least_excess, least_latency
from actc.targets.fpga.folded.usual import usual_clock

_TITLES = ("logic cells", "flip-flops", "block memories", "hard multipliers")


class Problems(Protocol):
    """The same problem on another device, or with fewer bits."""

    def __call__(self, device: Device | None = None, weight_bits: int | None = None) -> Problem:
        """What has to be chosen."""


def does_not_fit(
    problem: Problem,
    problems: Problems,
    device: Device,
    interval: int | None,
    clock_mhz: float,
    latency: int | None = None,
    throughput: float | None = None,
) -> ModelError:
    """The error of a request that nothing meets: ACT0606.

    Args:
        problem: that has no solution.
        problems: its variants.
        interval: clocks per sample that were asked for; None: any number.
        latency: clocks that were asked for; None: any number.
        throughput: samples per second that were asked for, whose clocks `interval` is.
    """
    asked = "" if throughput is None else f" at {_amount(throughput)} samples per second"
    asked += "" if interval is None else f" ({interval:,} clocks each)"
    asked += "" if latency is None else f" within {latency:,} clocks"
    quickest = None if latency is None else least_latency(problem, interval)
    if quickest is not None:  # only the latency cannot be met
        notes = [f"what fits takes {ceil(quickest.latency):,} clocks at least, as estimated"]
        easier = ["ask for a longer latency"]
    else:
        best = fastest(problem)
        notes = [*_slower(problem, best, interval, clock_mhz)]
        easier = ["ask for fewer samples per second"] if best is not None else []
    notes += [*_fewer_bits(problem.program, problems, interval, latency)]
    larger = _larger(problems, device, interval, latency)
    ways = [
        *easier,
        "make the network smaller (fewer bits, fewer channels)",
        "no device of `actc targets` holds it as it is"
        if larger is None
        else f"take {offer(larger)}",
    ]
    return ModelError(
        Diagnostic(
            "ACT0606",
            f"no folding of the network fits {device.title}{asked}",
            notes=tuple(notes),
            help=_listed(ways),
        )
    )


def _slower(
    problem: Problem, best: Choice | None, interval: int | None, clock_mhz: float
) -> Iterator[str]:
    """What there is too little of, and how fast what fits is."""
    yield from _shortage(problem, least_excess(problem, interval), interval, clock_mhz)
    if best is None:
        yield "nothing fits, however slow it is"
    elif interval is not None:
        yield f"what fits reaches {_speed(best.interval, clock_mhz)} at {clock_mhz:g} MHz"


def _shortage(
    problem: Problem, smallest: Choice | None, interval: int | None, clock_mhz: float
) -> Iterator[str]:
    """What the design that exceeds the device least takes, and what there is too little of."""
    if smallest is None:
        unbound = Area(*(1 << 40 for _ in problem.budget))
        best = fastest(problem.with_budget(unbound))
        if best is not None and interval is not None and best.interval > interval:
            slowest = max(range(len(best.works)), key=lambda place: best.works[place])
            name = problem.program.stages[slowest].name
            yield (
                f"on any device of this family at most {_speed(best.interval, clock_mhz)} are "
                f"possible at {clock_mhz:g} MHz: {name} takes {best.works[slowest]:,} clocks"
            )
        return
    amounts = zip(_TITLES, smallest.area, problem.budget, strict=True)
    rows = [(title, used, there) for title, used, there in amounts]
    parts = [f"{used:,} of {there:,} {title}" for title, used, there in rows]
    yield f"the design that comes nearest takes {', '.join(parts)} that can be used"
    short = [
        f"{title} ({100 * used / there:.0f} percent)" if there else title
        for title, used, there in rows
        if used > there
    ]
    yield f"short: {', '.join(short)}"


def _fewer_bits(
    program: FoldedProgram, problems: Problems, interval: int | None, latency: int | None
) -> Iterator[str]:
    """The most bits of weights that would fit."""
    stages = [stage for stage in program.stages if isinstance(stage, MatrixStage)]
    most = max((stage_bits(stage).weight for stage in stages), default=1)
    low, high = 0, most  # fits with low (or 0: not at all), does not with high
    found = None
    while high - low > 1:
        middle = (low + high) // 2
        choice = least_area(problems(weight_bits=middle), interval, latency)
        if choice is None:
            high = middle
        else:
            low, found = middle, choice
    if found is not None:
        luts, _, brams, dsps = found.area
        yield (
            f"with weights of at most {low} bits instead of {most} it would fit: {luts:,} logic "
            f"cells, {brams} block memories, {dsps} hard multipliers"
        )
    elif most > 1:
        yield "fewer bits of weights alone would not make it fit"


def _larger(
    problems: Problems, device: Device, interval: int | None, latency: int | None
) -> Device | None:
    """The device of fewest look-up tables that the network fits."""
    for other in sorted(devices().values(), key=lambda found: (found.luts, found.name)):
        if other.name == device.name or usual_clock(other) < usual_clock(device):
            continue  # a slower one would have to do more at a time than is counted here
        if least_area(problems(device=other), interval, latency) is not None:
            return other
    return None


def _speed(interval: int, clock_mhz: float) -> str:
    rate = clock_mhz * 1e6 / max(interval, 1)
    return f"{rate:,.0f} samples per second ({interval:,} clocks each)"


def _listed(ways: list[str]) -> str:
    return (
        f"{', '.join(ways[:-1])}, or {ways[-1]}"
        if "no device" not in ways[-1]
        else (f"{' or '.join(ways[:-1])}; {ways[-1]}")
    )


def _amount(rate: float) -> str:
    return f"{rate:,.0f}" if rate == round(rate) else f"{rate:,}"
