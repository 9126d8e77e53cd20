"""Registers for designs: a new sample every clock, at a clock or a latency that is asked for."""

from __future__ import annotations

from math import inf, isfinite

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.pipeline.nodes import Nodes, build_design, build_nodes
from actc.targets.fpga.pipeline.schedule import (
    fewest_registers,
    fewest_stages,
    shortest_period,
)
from actc.targets.fpga.pipeline.splitting import split
from actc.targets.fpga.pipeline.timing import Timing


def pipeline(
    design: Design,
    timing: Timing,
    *,
    clock_mhz: float | None = None,
    latency: int | None = None,
    input_register: bool = True,
) -> Design:
    """A combinational design with registers: one sample per clock, all paths equally long.

    Outputs are registered. Operators that alone take longer than a clock are split if they can
    be. Among all schedules with the fewest stages for the clock, or with
    the shortest clock period for the latency, the one with the fewest register bits is taken.

    Args:
        timing: how fast the FPGA is.
        clock_mhz: the clock to reach, by the estimates of `timing`.
        latency: clocks from inputs to outputs, at least 1, and 2 with input registers
            before logic. With `clock_mhz`, too: the latency that it is to be reached with.
        input_register: whether inputs pass a register before anything with a delay.

    Returns:
        a design of the same buses whose outputs are `design`'s, `latency` clocks later.

    Raises:
        ValueError: the design has registers.
        UsageError: ACT0561, the clock cannot be reached; ACT0562, not with that latency;
            ACT0563, neither is given or one is no positive number.
    """
    if design.module().clocked:
        raise ValueError(f"{design.name} has registers already")
    _check(clock_mhz, latency)
    period = inf if clock_mhz is None else 1e3 / clock_mhz - timing.overhead
    design = split(design, timing, period)
    nodes = build_nodes(design, timing, input_register=input_register)
    stages = _reachable(design, nodes, timing, period)
    if latency is None:
        latency = stages
    elif stages > latency:
        raise _too_few(design, nodes, timing, latency, clock_mhz, stages)
    elif clock_mhz is None:
        period = shortest_period(nodes.problem, latency)
    chosen = fewest_registers(nodes.problem, period, latency)
    built = build_design(design, nodes, chosen, latency)
    assert built.latency in (latency, 0), "0 if all outputs are constants"
    return built


def _check(clock_mhz: float | None, latency: int | None) -> None:
    if clock_mhz is None and latency is None:
        problem = "neither a clock nor a latency is asked for"
    elif clock_mhz is not None and not (isfinite(clock_mhz) and clock_mhz > 0):
        problem = f"a clock of {clock_mhz:g} MHz"
    elif latency is not None and latency < 1:
        problem = f"a latency of {latency} clocks"
    else:
        return
    raise UsageError(
        Diagnostic(
            "ACT0563",
            problem,
            help="ask for a clock in MHz, or for a latency of 1 clock and more",
        )
    )


def _reachable(design: Design, nodes: Nodes, timing: Timing, period: float) -> int:
    """The fewest stages for a period.

    Raises:
        UsageError: ACT0561, an operator takes longer.
    """
    stages = fewest_stages(nodes.problem, period)
    if isfinite(stages):
        return int(stages)
    delays = nodes.problem.delays
    longest = max(delays, default=0.0)
    notes = f"registers alone take {timing.overhead:.2f} ns"
    if longest > 0:
        wire = nodes.wires[delays.index(longest)]
        where = design.graph.scopes[wire.index] or design.name
        name = design.graph.hints.get(wire.index, wire.operator.noun)
        notes = (
            f"{name} of {where} ({wire.operator.noun} of {wire.width} bits) alone takes "
            f"{longest + timing.overhead:.2f} ns, registers included"
        )
    raise UsageError(
        Diagnostic(
            "ACT0561",
            f"{design.name} cannot be clocked at {1e3 / (period + timing.overhead):g} MHz "
            f"on {timing.title}",
            notes=(notes,),
            help=f"ask for at most {_mhz(longest, timing):.0f} MHz, or for fewer bits there",
        )
    )


def _too_few(
    design: Design,
    nodes: Nodes,
    timing: Timing,
    latency: int,
    clock_mhz: float | None,
    stages: int,
) -> UsageError:
    if clock_mhz is None:
        message = f"{design.name} takes at least {stages} clocks, not {latency}"
        return UsageError(
            Diagnostic("ACT0562", message, help=f"ask for a latency of {stages} clocks and more")
        )
    found = shortest_period(nodes.problem, latency)
    reach = f", or for {_mhz(found, timing):.0f} MHz" if isfinite(found) else ""
    return UsageError(
        Diagnostic(
            "ACT0562",
            f"{design.name} takes {stages} clocks at {clock_mhz:g} MHz on {timing.title}, "
            f"not {latency}",
            help=f"ask for a latency of {stages} clocks{reach}",
        )
    )


def _mhz(period: float, timing: Timing) -> float:
    """The clock for a time between registers, rounded down to whole MHz."""
    return 1e3 / (period + timing.overhead) // 1
