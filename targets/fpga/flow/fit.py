"""Designs that do not fit, cannot be routed or are too slow, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor
from pathlib import Path

from actc.diagnostics import Diagnostic
from actc.errors import ActcError, BudgetMissed, ModelError, ToolFailed
from actc.targets.fpga.boards.choose import offer, sizes, smallest_device
from actc.targets.fpga.boards.device import Board, Device
from actc.targets.fpga.flow.failures import errors_of, read_log
from actc.targets.fpga.flow.report import TITLES, CriticalPath, Use, uses_by_kind
from actc.targets.fpga.flow.synthesize import Synthesis

_USE = re.compile(r"^Info:\s+([A-Z][A-Z0-9_]*):\s*(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_PLACING = re.compile(
    r"[Uu]nable to (find a placement|place|route)|[Ff]ailed to (place|route|expand)"
)
_MOST_LAYERS = 3
DEEPER = "more pipeline stages (--latency)"
"""What makes an unrolled network faster."""
SMALLER = "fewer samples per second (--throughput), with which less is computed at a time"
"""What makes a folded network faster."""


def check_fit(synthesis: Synthesis, board: Board) -> None:
    """Refuse a netlist that takes more than its device has, before placement.

    Raises:
        ModelError: ACT0581.
    """
    total, device = synthesis.total, board.device
    needs = {
        "luts": total.sites,
        "carries": total.carries,
        "ffs": total.ffs,
        "brams": total.brams,
        "dsps": total.dsps,
    }
    uses = {kind: Use(needs[kind], available) for kind, available in sizes(device).items()}
    if any(use.used > use.available for use in uses.values()):
        raise ModelError(_too_large(synthesis, board, uses, ""))


def explain_routing(problem: ActcError, synthesis: Synthesis, board: Board, log: Path) -> ActcError:
    """Why nextpnr failed: too large (ACT0581), no placement or route (ACT0582), or as it was."""
    if problem.diagnostics[0].code != "ACT0510":
        return problem
    text = read_log(log)
    uses = _uses_of_log(text, board.device.family)
    if any(use.used > use.available for use in uses.values()):
        return ModelError(_too_large(synthesis, board, uses, f"the log is {log}"))
    if not _PLACING.search(text):
        return problem
    full = [
        f"{use.used} of {use.available} {TITLES[kind]} are used"
        for kind, use in uses.items()
        if use.used
    ]
    return ToolFailed(
        Diagnostic(
            "ACT0582",
            f"the design could not be placed and routed on {board.name}",
            notes=(*errors_of(text), *full, f"the log is {log}"),
            help=f"try more seeds (--seeds), a smaller network{_larger(board.device, uses)}",
        )
    )


def timing_missed(
    synthesis: Synthesis,
    board: Board,
    achieved_mhz: float,
    target_mhz: float,
    path: CriticalPath | None,
    core: str = "",
    remedy: str = DEEPER,
) -> BudgetMissed:
    """The error for a clock that the routed design does not reach: ACT0583.

    Args:
        core: path of the instance that is the network, around which lies its interface; "":
            there is none.
        remedy: what makes the network itself faster.
    """
    notes = []
    around = path is not None and bool(core) and not any(_is_in(core, x) for x in path.layers)
    if path is not None and path.steps:
        ends = [_layer(step.layer, synthesis) for step in (path.steps[0], path.steps[-1])]
        where = f"in {ends[0]}" if ends[0] == ends[1] else f"from {ends[0]} to {ends[1]}"
        part = "in the interface, not in the network" if around else where
        notes.append(
            f"the slowest path is {part}: {path.delay_ns:.2f} ns, of it {path.routing_ns:.2f} ns "
            f"of wires, through {path.logic_levels} cells"
        )
        notes.append(f"it begins at {path.steps[0].cell} and ends at {path.steps[-1].cell}")
    other = "another interface (--interface)" if around else remedy
    return BudgetMissed(
        Diagnostic(
            "ACT0583",
            f"the design runs at {achieved_mhz:.1f} MHz on {board.name}, "
            f"{target_mhz - achieved_mhz:.1f} MHz less than the {target_mhz:g} MHz asked for",
            notes=tuple(notes),
            help=f"ask for a clock that it reaches (--clock {_reached(achieved_mhz)}) or for "
            f"{other}, or try more placements (--seeds 8)",
        )
    )


def _is_in(core: str, instance: str) -> bool:
    """Whether an instance is the network or a part of it."""
    return instance == core or instance.startswith(f"{core}.")


def _layer(instance: str, synthesis: Synthesis) -> str:
    """A layer as users know it: the instance without those around it."""
    return instance.rpartition(".")[2] or synthesis.top


def _reached(mhz: float) -> str:
    """A clock somewhat below what was reached, as other placements differ by a few percent."""
    below = 0.95 * mhz
    return f"{floor(below)}" if below >= 1 else f"{below:.2f}"


def _uses_of_log(text: str, family: str) -> dict[str, Use]:
    """Kind of resource -> use, as nextpnr's log says last."""
    found = {name: Use(int(used), int(has)) for name, used, has in _USE.findall(text)}
    return uses_by_kind(found, family)


def _too_large(synthesis: Synthesis, board: Board, uses: Mapping[str, Use], log: str) -> Diagnostic:
    over = {kind: use for kind, use in uses.items() if use.used > use.available}
    amounts = [
        f"{use.used} of {use.available} {TITLES[kind]} ({_percent(use)} percent)"
        for kind, use in over.items()
    ]
    notes = [f"it takes {' and '.join(amounts)}", *_largest(synthesis, next(iter(over)))]
    return Diagnostic(
        "ACT0581",
        f"the design does not fit {board.device.title}",
        notes=(*notes, *filter(None, [log])),
        help=_smaller(board.device, uses, pins_only=set(over) == {"pins"}),
    )


def _smaller(device: Device, uses: Mapping[str, Use], *, pins_only: bool) -> str:
    if pins_only:
        return "choose an interface with fewer pins: uart or spi"
    return "make the network smaller (fewer bits, fewer units, more sparsity)" + _larger(
        device, uses
    )


def _percent(use: Use) -> str:
    return f"{100 * use.used / use.available:.0f}" if use.available else "infinitely many"


def _largest(synthesis: Synthesis, kind: str) -> list[str]:
    """The layers that take most of a resource."""
    if kind == "pins":
        return []
    field = {"luts": "logic_cells"}.get(kind, kind)
    amounts = {_layer(name, synthesis): getattr(r, field) for name, r in synthesis.layers.items()}
    order = sorted(amounts, key=lambda name: (-amounts[name], name))[:_MOST_LAYERS]
    parts = [f"{name} {amounts[name]}" for name in order if amounts[name]]
    return [f"largest layers by {TITLES[kind]}: {', '.join(parts)}"] if parts else []


def _larger(device: Device, uses: Mapping[str, Use]) -> str:
    """ ", or take ecp5-45k, which has ...": the smallest device that has enough."""
    found = smallest_device({kind: use.used for kind, use in uses.items()}, device)
    return "" if found is None else f", or take {offer(found)}"
