"""Where the tables of a network lie: in logic, or in block memories.

A block memory counts as its share of a common device of the family, in logic cells
(docs/cost.md). Where logic is short it counts as nothing: an unrolled network has no other
use for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TypedDict

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.estimate import estimate_design
from actc.targets.fpga.families import find_family
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.network import Network
from actc.targets.fpga.network.memories import Saving, savings, with_memories
from actc.targets.fpga.options import Tables
from actc.targets.fpga.pipeline import Timing, pipeline, report

MEMORIES = ("ecp5", "ice40")
"""Families whose netlists and bitstreams are compared with golden where memories hold tables."""
SHORT = 0.8
"""Share of a device's logic cells from which on logic is short, by the estimate."""
KEPT = 8
"""One of so many block memories is left, as room for the placer."""


class Asked(TypedDict, total=False):
    """What the pipeline is asked for: one of them."""

    clock_mhz: float
    latency: int


def check_tables(tables: Tables, device: Device) -> None:
    """Refuse block memories where they cannot be verified.

    Raises:
        UsageError: ACT0556.
    """
    if tables != "memory" or device.family in MEMORIES:
        return
    raise UsageError(
        Diagnostic(
            "ACT0556",
            f"tables cannot be kept in block memories of {device.title}",
            notes=("netlists and bitstreams with such memories are not evaluated there",),
            help="leave out tables=memory; they are possible on ecp5 and ice40",
        )
    )


def pipelined(
    network: Network,
    tables: Tables,
    device: Device,
    timing: Timing,
    functions: FunctionOptions,
    asked: Asked,
) -> tuple[Network, Design]:
    """The network with its tables where they shall be, and the same with registers.

    "auto" never asks for a slower clock than logic alone; a read takes a clock of its own. A
    clock that logic cannot reach is tried with all tables in memories that save logic.

    Args:
        network: with all tables in logic.
        device: limits the block memories.
        functions: with which the network was built.

    Raises:
        UsageError: ACT0561..0563, the clock or the latency cannot be had.
    """
    found = [] if tables == "logic" else _possible(network, device, functions)
    if tables == "memory":
        return _with(network, _fitting(found, device), timing, functions, asked)
    try:
        plain = pipeline(network.design, timing, **asked)
    except UsageError as refused:
        chosen = _fitting(found, device)
        if not chosen:
            raise
        with contextlib.suppress(UsageError):
            return _with(network, chosen, timing, functions, asked)
        raise refused from None
    chosen = _worth(network, found, device)
    if not chosen:
        return network, plain
    try:
        stored, design = _with(network, chosen, timing, functions, asked)
    except UsageError:
        return network, plain
    if report(design, timing).clock_mhz < report(plain, timing).clock_mhz and "latency" in asked:
        return network, plain
    return stored, design


def _with(
    network: Network,
    chosen: Sequence[Saving],
    timing: Timing,
    functions: FunctionOptions,
    asked: Asked,
) -> tuple[Network, Design]:
    """The network with functions in memories, and the same with registers."""
    stored = with_memories(network, chosen, functions) if chosen else network
    return stored, pipeline(stored.design, timing, **asked)


def _possible(network: Network, device: Device, functions: FunctionOptions) -> list[Saving]:
    """What may go into memories, where they can be verified: those first that save most."""
    return savings(network, functions) if device.family in MEMORIES else []


def _worth(network: Network, found: Sequence[Saving], device: Device) -> list[Saving]:
    """Those whose memories count less than the logic that they save; all if logic is short."""
    if not found:  # families without such memories among them
        return []
    rate = find_family(device.family).bram_rate
    worth = _fitting((saving for saving in found if saving.way.saved_by_each > rate), device)
    short = found and _is_short(network, worth, device)
    return _fitting(found, device) if short else worth


def _is_short(network: Network, stored: Iterable[Saving], device: Device) -> bool:
    """Whether a network takes much of a device with these functions in memories."""
    cells = estimate_design(network.design, device.family).total.logic_cells
    return cells - sum(saving.way.saved for saving in stored) > SHORT * device.luts


def _fitting(found: Iterable[Saving], device: Device) -> list[Saving]:
    """The first ones that the device has memories for."""
    free = device.brams - -(-device.brams // KEPT)
    chosen = []
    for saving in found:
        if saving.way.blocks <= free:
            free -= saving.way.blocks
            chosen.append(saving)
    return chosen
