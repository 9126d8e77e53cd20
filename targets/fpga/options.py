"""The options of FPGA targets, as written behind the colon: ``ecp5-25k:clock=120,seeds=4``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.adders.options import EFFORT, EFFORTS
from actc.targets.fpga.families import SYNTHESIZED
from actc.targets.fpga.interfaces import Kind
from actc.targets.written_options import (
    Reader,
    megahertz,
    one_of,
    per_second,
    read_options,
    whole_number,
)

Tables = Literal["auto", "logic", "memory"]
Architecture = Literal["auto", "unrolled", "folded"]

TABLES: tuple[Tables, ...] = ("auto", "logic", "memory")
ARCHITECTURES: tuple[Architecture, ...] = ("auto", "unrolled", "folded")
INTERFACES: tuple[Kind, ...] = ("uart", "spi", "stream")
DEVICES = tuple(SYNTHESIZED)
"""Families that bare Verilog is built for."""
MOST_SEEDS = 64
MOST_STAGES = 1000
"""Clocks of an unrolled network, each of which is a stage."""
MOST_CLOCKS = 10**9

_CODE = "ACT0535"

Given = TypeVar("Given", bound="DesignOptions")


@dataclass(frozen=True, slots=True)
class DesignOptions:
    """How a network is built, whatever it is built for.

    Attributes:
        clock: MHz that the network must reach; None: what is usual for the device.
        latency: clocks from an input to its output; None: as many as the clock needs.
        effort: of the search for adders, as of
            :class:`~actc.targets.fpga.adders.AdderOptions`.
        tables: of integer functions; "auto": in block memories where that takes less of the
            device, "memory": where it takes less logic.
    """

    clock: float | None = None
    latency: int | None = None
    effort: int = EFFORT
    tables: Tables = "auto"

    def __str__(self) -> str:
        """The text that :func:`parse_options` reads, without defaults."""
        default = type(self)()
        given = [
            (name, getattr(self, name))
            for name in described(type(self))
            if getattr(self, name) != getattr(default, name)
        ]
        return ",".join(f"{name}={str(value).removesuffix('.0')}" for name, value in given)


@dataclass(frozen=True, slots=True)
class FpgaOptions(DesignOptions):
    """How a network is built for a board.

    Attributes:
        interface: what the board's pins speak; "stream": the bare ports; "": the target's
            default.
        seeds: placements that are tried; the fastest is kept.
        seed: of the first placement.
        architecture: "unrolled": one result every clock; "folded": stages that take a few
            elements per clock; "auto": unrolled where that fits and no throughput is asked for.
        throughput: samples per second that a folded network must compute; None: what is usual.
    """

    interface: Kind | Literal[""] = ""
    seeds: int = 1
    seed: int = 1
    architecture: Architecture = "auto"
    throughput: float | None = None


@dataclass(frozen=True, slots=True)
class VerilogOptions(DesignOptions):
    """How a network is built as Verilog for any tool.

    Attributes:
        device: the FPGA family that it is built for, and synthesized for to count its cells.
    """

    device: str = "xc7"


READERS: Mapping[str, Reader] = {
    "clock": megahertz,
    "latency": whole_number(0, MOST_CLOCKS),
    "effort": whole_number(EFFORTS[0], EFFORTS[-1]),
    "tables": one_of(TABLES),
    "interface": one_of(INTERFACES),
    "seeds": whole_number(1, MOST_SEEDS),
    "seed": whole_number(1, 2**31 - MOST_SEEDS),
    "architecture": one_of(ARCHITECTURES),
    "throughput": per_second,
    "device": one_of(DEVICES),
}
"""How the value of each option is read."""
_VALUES = {
    "clock": "MHz to reach",
    "latency": "clocks from an input to its output, instead of a clock",
    "effort": f"of the search for adders, {EFFORTS[0]} to {EFFORTS[-1]}",
    "tables": "of functions: logic, memory (block memories), auto: what takes less of the device",
    "interface": f"what the pins speak: {', '.join(INTERFACES)}",
    "seeds": f"placements that are tried, at most {MOST_SEEDS}",
    "seed": "of the first placement",
    "architecture": "unrolled (a result every clock), folded, auto: unrolled where that fits",
    "throughput": "samples per second of a folded network, on the least area",
    "device": f"family whose cells are counted: {', '.join(DEVICES)}",
}


def described(kind: type[DesignOptions]) -> dict[str, str]:
    """What may stand behind the colon: name -> its values, in words."""
    return {f.name: _VALUES[f.name] for f in fields(kind)}


def parse_options(text: str, kind: type[Given]) -> Given:
    """Read options such as ``clock=120,seeds=4``; "" means defaults.

    Args:
        text: what stands behind the colon.
        kind: of the options.

    Raises:
        UsageError: ACT0535, an option is not known, written twice or has no such value; all
            of them at once.
    """
    readers = {name: READERS[name] for name in described(kind)}
    values, problems = read_options(text, readers, _CODE)
    problems += _contradictions(values)
    if problems:
        raise UsageError(problems)
    return kind(**values)


_ONLY = {"folded": ("effort", "tables"), "unrolled": ("throughput",)}
"""Architecture -> options that have no meaning there."""


def _contradictions(values: Mapping[str, Any]) -> list[Diagnostic]:
    """Options that exclude each other."""
    architecture = str(values.get("architecture", "auto"))
    if architecture == "auto" and "throughput" in values:
        architecture = "folded"  # as FpgaTarget.folds
    found = [
        _problem(
            f"{name} has no meaning for a network that is {architecture}",
            f"leave out {name}, or what asks for {architecture} layers",
        )
        for name in _ONLY.get(architecture, ())
        if name in values
    ]
    stages = None if architecture == "folded" else values.get("latency")
    if stages is None:
        return found
    if stages > MOST_STAGES:
        found.append(
            _problem(
                f"latency={stages} is not possible",
                f"give at most {MOST_STAGES} stages of an unrolled network, or architecture=folded",
            )
        )
    if values.get("clock") is not None:
        found.append(
            _problem(
                "clock and latency are given both",
                "give one: the clock decides how many stages are needed, or the stages how "
                "fast the clock can be",
            )
        )
    return found


def _problem(message: str, help: str) -> Diagnostic:
    return Diagnostic(_CODE, message, help=help)
