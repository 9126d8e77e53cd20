"""Tune the kernels of a plan: choices from the cache, the others timed while there is time.

Importing this module imports TVM.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import tvm

from actc.targets.base import Progress
from actc.targets.tvm.codegen import SCHEDULED
from actc.targets.tvm.host import Cpu
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.plan import KernelPlan, one_line
from actc.targets.tvm.tuning.cache import Choices, key
from actc.targets.tvm.tuning.candidates import (
    Tunable,
    geometry,
    is_amx,
    is_candidate,
    products,
    tiles,
)
from actc.targets.tvm.tuning.choice import Choice
from actc.targets.tvm.tuning.request import Request
from actc.targets.tvm.tuning.search import OutOfTime, search


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found.

    Attributes:
        choices: of the kernels that were timed, now or before.
        untimed: those for which there was no time.
        nodes: the model's nodes behind each kernel.
        problems: with the cache, in words.
        request: what was asked for.
        threads: on which kernels ran.
        modelled: how kernels are cut where nothing else is chosen.
    """

    choices: Mapping[Tunable, Choice]
    untimed: tuple[Tunable, ...]
    nodes: Mapping[Tunable, tuple[str, ...]]
    problems: tuple[str, ...]
    request: Request
    threads: int
    modelled: Mapping[Tunable, str]

    def schedules(self) -> dict[Tunable, Schedule]:
        """The schedules that are not the modelled ones."""
        found = {kernel: choice.schedule for kernel, choice in self.choices.items()}
        return {kernel: chosen for kernel, chosen in found.items() if chosen is not None}

    def document(self) -> bytes:
        """The contents of tuning.json."""
        kernels = [
            {
                "kernel": title(kernel),
                "nodes": list(nodes),
                "modelled": self.modelled[kernel],
                **(self.choices[kernel].to_json() if kernel in self.choices else {"tried": 0}),
            }
            for kernel, nodes in self.nodes.items()
        ]
        found = {
            "candidates": self.request.candidates,
            "seconds": self.request.seconds,
            "threads": self.threads,
            "kernels": kernels,
            "untimed": len(self.untimed),
            "problems": list(self.problems),
        }
        return (json.dumps(found, indent=2) + "\n").encode()

    def text(self) -> str:
        """The choices for kernels.txt, one a line."""
        lines = []
        for kernel, nodes in self.nodes.items():
            chosen = self.choices.get(kernel)
            found = "not timed" if chosen is None else outcome(chosen, self.modelled[kernel])
            lines.append(f"tuning {title(kernel)}: {found}  # {', '.join(nodes)}")
        return "".join(one_line(line) + "\n" for line in lines)


def tune(plan: KernelPlan, cpu: Cpu, request: Request, cache: Choices, say: Progress) -> Tuned:
    """Choose schedules for all convolutions and matrix products of a plan.

    Args:
        plan: whose kernels are tuned, those with the most work first.
        cpu: this machine's.
        request: how many candidates, and for how long.
        cache: where choices are looked for and kept.
        say: told of each kernel.
    """
    nodes = _nodes(plan)
    deadline = time.monotonic() + request.seconds
    modelled = {kernel: _modelled(kernel, cpu) for kernel in nodes}
    choices: dict[Tunable, Choice] = {}
    untimed: list[Tunable] = []
    heaviest = sorted(nodes, key=lambda kernel: -products(kernel) * len(nodes[kernel]))
    for number, kernel in enumerate(heaviest, 1):
        line = f"tune {number}/{len(nodes)}: {title(kernel)}"
        name = key(kernel, cpu, request.candidates, threads())
        known = _known(cache, name, kernel, cpu)
        if known is None and time.monotonic() < deadline:
            say(line)
            try:
                known = search(kernel, cpu, request.candidates, deadline)
                cache.write(name, known)
            except OutOfTime:
                known = None
        if known is None:
            untimed.append(kernel)
            say(f"{line}: no time left, as modelled")
        else:
            choices[kernel] = known
            say(f"{line}: {outcome(known, modelled[kernel])}")
    found = tuple(cache.problems)
    return Tuned(choices, tuple(untimed), nodes, found, request, threads(), modelled)


def threads() -> int:
    """Threads that kernels run on here."""
    return int(tvm.get_global_func("runtime.NumThreads")())


def title(kernel: Tunable) -> str:
    """A kernel in words."""
    spec, kind = geometry(kernel), "float32" if isinstance(kernel, FloatConv) else "int8"
    size = f"{spec.in_c} to {spec.out_c}"
    if spec.pointwise:
        return f"{kind} product of {spec.out_h * spec.out_w} rows, {size}"
    grouped = "depthwise " if spec.depthwise else f"{spec.group} groups, " * (spec.group > 1)
    window = f"{spec.kernel[0]}x{spec.kernel[1]}"
    return f"{kind} convolution {grouped}{window} to {spec.out_h}x{spec.out_w}, {size} channels"


def outcome(choice: Choice, modelled: str) -> str:
    """A choice in words."""
    batches = "/".join(map(str, choice.batches))
    before, after = (
        "/".join(f"{value:.2f}" for value in times) for times in (choice.modelled, choice.tuned)
    )
    unit = f"us at batch {batches}, {choice.tried} tried"
    if choice.schedule is None:
        return f"{modelled} as modelled, {before} {unit}"
    return f"{_shape(choice.schedule)} instead of {modelled}, {after} for {before} {unit}"


def _modelled(kernel: Tunable, cpu: Cpu) -> str:
    amx = is_amx(kernel, cpu.features)
    return "AMX" if amx else _shape(tiles(kernel, cpu.features)[0])


def _shape(schedule: Schedule) -> str:
    tile = f"{schedule.pixels}x{schedule.blocks}"
    pieces = f" in {schedule.pieces} pieces" if schedule.pieces else ""
    return tile + pieces + (f" of {schedule.groups} groups" if schedule.groups else "")


def _known(cache: Choices, name: str, kernel: Tunable, cpu: Cpu) -> Choice | None:
    """The choice from the cache, if it is one for this kernel."""
    found = cache.read(name)
    if found is None or found.schedule is None:
        return found
    if is_candidate(kernel, cpu.features, found.schedule):
        return found
    cache.refuse(name, "its schedule is none of this kernel")
    return None


def _nodes(plan: KernelPlan) -> dict[Tunable, tuple[str, ...]]:
    """Distinct kernels that take a schedule, and the nodes that they compute."""
    found: dict[Tunable, tuple[str, ...]] = {}
    for call in plan.calls:
        if isinstance(call.kernel, SCHEDULED):
            found[call.kernel] = (*found.get(call.kernel, ()), call.node)
    return found
