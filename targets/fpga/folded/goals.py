"""What a folding is chosen for, and the choice, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Literal, TypeAlias

from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.folded.choice import Choice
from actc.targets.fpga.folded.costs.area import Area, FunctionCost
from actc.targets.fpga.folded.explain import does_not_fit
from actc.targets.fpga.folded.problem import FILL, Problem
from actc.targets.fpga.folded.program import FoldedProgram
from actc.targets.fpga.folded.solve import fastest, least_area, least_latency

Kind: TypeAlias = Literal["fastest", "throughput", "latency", "area"]
Functions: TypeAlias = Callable[[str], Mapping[str, FunctionCost]]
"""Of a family: what the function unit of each stage takes, by the stage's name."""


def no_functions(family: str) -> Mapping[str, FunctionCost]:
    """Function units that take nothing."""
    return {}


@dataclass(frozen=True)
class Goal:
    """What is asked for.

    Attributes:
        kind: "fastest": most samples per second; "throughput": least area of all that are fast
            enough; "latency": least latency, if `throughput` is given of all that are fast
            enough; "area": least area.
        throughput: samples per second.
        latency: clocks, at most, of "throughput" and "area".
    """

    kind: Kind = "fastest"
    throughput: float | None = None
    latency: int | None = None

    def interval(self, clock_mhz: float) -> int | None:
        """Clocks from one sample to the next, at most; None: any number."""
        return None if self.throughput is None else floor(clock_mhz * 1e6 / self.throughput)


@dataclass(frozen=True)
class Request:
    """A program to be folded for a device.

    Attributes:
        program: the network.
        device: what it must fit.
        clock_mhz: that it runs at.
        goal: what for.
        functions: what function units take.
        reserved: what others take of the device, as the interface.
        fill: share of look-up tables and flip-flops that can be used.
        registered: words of entries come out of registers of the interface.
    """

    program: FoldedProgram
    device: Device
    clock_mhz: float
    goal: Goal = field(default_factory=Goal)
    functions: Functions = no_functions
    reserved: Area = field(default_factory=Area)
    fill: float = FILL
    registered: bool = False

    def problem(self, device: Device | None = None, weight_bits: int | None = None) -> Problem:
        """What has to be chosen.

        Args:
            device: another one.
            weight_bits: as if no weight had more bits.
        """
        other = self.device if device is None else device
        return Problem.of(
            self.program,
            other,
            self.functions(other.family),
            reserved=self.reserved,
            fill=self.fill,
            weight_bits=weight_bits,
            registered=self.registered,
        )


def choose(request: Request) -> Choice:
    """The foldings that meet the goal best.

    Raises:
        ModelError: ACT0606, none fit; says what would.
    """
    problem, goal = request.problem(), request.goal
    interval = goal.interval(request.clock_mhz)
    if goal.kind == "latency":
        found = least_latency(problem, interval)
    elif goal.kind == "fastest":
        found = fastest(problem)
    else:
        wanted = interval if goal.kind == "throughput" else None
        found = least_area(problem, wanted, goal.latency)
    if found is None:
        raise does_not_fit(
            problem,
            request.problem,
            request.device,
            interval,
            request.clock_mhz,
            goal.latency,
            goal.throughput,
        )
    return found
