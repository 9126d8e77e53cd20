"""Designs that are clearly too large for a device, before minutes of synthesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.fpga.boards import Board, devices
from actc.targets.fpga.boards.choose import offer, sizes, smallest_device
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.estimate.design import Estimate, estimate_design
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.network import NetworkOptions
from actc.targets.fpga.network.size import network_size, with_fewer_bits

TOO_LARGE = 1.3
"""Share of a device above which a design is not synthesized: twice as far off as the estimate
of any network that was measured."""
_SHOWN = 4
_TITLES = {"luts": "logic cells", "ffs": "flip-flops"}


def check_estimate(design: Design, board: Board, golden: ir.Model, options: NetworkOptions) -> None:
    """Refuse a design whose estimate is clearly more than its device has.

    Args:
        design: with registers.
        golden: what it was made from, with `options`.

    Raises:
        ModelError: ACT0555.
    """
    estimate = estimate_design(design, board.device.family)
    needs, has = _needs(estimate), sizes(board.device)
    over = {kind: used for kind, used in needs.items() if used > TOO_LARGE * has[kind]}
    if not over:
        return
    kind = max(over, key=lambda kind: over[kind] / has[kind])
    size = network_size(golden, options)
    fewer = with_fewer_bits(size, needs[kind], has[kind])
    notes = [
        *(_amount(kind, used, has[kind]) for kind, used in over.items()),
        _largest(estimate, kind),
        *filter(None, [fewer]),
    ]
    raise ModelError(
        Diagnostic(
            "ACT0555",
            f"the network is too large for {board.device.title}, by an estimate before synthesis",
            notes=tuple(notes),
            help="make it smaller (fewer bits, fewer units, more sparsity)"
            + _larger(design, board.device),
        )
    )


def with_offers(
    problems: Iterable[Diagnostic], golden: ir.Model, board: Board, options: NetworkOptions
) -> list[Diagnostic]:
    """The same problems; where a network is far too large, with the device for it.

    Args:
        problems: of :func:`~actc.targets.fpga.network.check_network`.
    """
    return [
        replace(problem, help=problem.help + _for_adders(golden, board.device, options))
        if problem.code == "ACT0552"
        else problem
        for problem in problems
    ]


def _for_adders(golden: ir.Model, device: Device, options: NetworkOptions) -> str:
    """The smallest device that would not be refused by the bits of adders."""
    share = device.luts / options.limit
    luts = round(network_size(golden, options).total * share)
    found = smallest_device({"luts": luts}, device)
    if found is None:
        return "; it is far too large for every device of `actc targets`"
    return f"; the smallest that may hold it is {offer(found)}"


def _needs(estimate: Estimate) -> dict[str, int]:
    total = estimate.total
    return {"luts": round(total.logic_cells), "ffs": total.ffs}


def _amount(kind: str, used: int, available: int) -> str:
    share = 100 * used / available
    return f"about {used:,} of {available:,} {_TITLES[kind]} ({share:.0f} percent)"


def _largest(estimate: Estimate, kind: str) -> str:
    """The layers that take most of a resource."""
    field = {"luts": "logic_cells", "ffs": "ffs"}[kind]
    amounts = {name or "inputs": round(getattr(e, field)) for name, e in estimate.layers.items()}
    order = sorted(amounts, key=lambda name: (-amounts[name], name))[:_SHOWN]
    parts = (f"{name} {amounts[name]:,}" for name in order if amounts[name])
    return f"largest layers by {_TITLES[kind]}: {', '.join(parts)}"


def _larger(design: Design, device: Device) -> str:
    """ ", or take ecp5-85k, which has ...": the smallest that has enough by its own rules."""
    needs: Mapping[str, dict[str, int]] = {
        family: _needs(estimate_design(design, family))
        for family in sorted({other.family for other in devices().values()})
    }
    found = smallest_device(lambda other: needs[other.family], device)
    return (
        "; no device of `actc targets` holds it" if found is None else f", or take {offer(found)}"
    )
