"""What a vendor's tools do with a directory, as values: tools, steps, and where results lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Goal: TypeAlias = Literal["ip", "fit", "bitstream"]
"""fit: resources and timing by the tools of the FPGA's vendor, without a bitstream."""
Version: TypeAlias = tuple[int, int]
"""Year and number in it: (2024, 1)."""


@dataclass(frozen=True, slots=True)
class VendorTool:
    """A program of a vendor that runs scripts, or compiles.

    Attributes:
        command: its name on PATH.
        title: for people.
        before: arguments in front of the script.
        asking: arguments that make it say its version.
        first, last: the versions that the scripts are written for, both included.
        saying: regular expression of a version in what it says then: year, number in it.
    """

    command: str
    title: str
    before: tuple[str, ...]
    asking: tuple[str, ...]
    first: Version
    last: Version
    saying: str = r"\bv(20[0-9]{2})\.([0-9])(?![0-9])"

    def line(self, script: str) -> str:
        """The command as one types it."""
        return " ".join((self.command, *self.before, script))


@dataclass(frozen=True, slots=True)
class Report:
    """Files with the figures of a step.

    Attributes:
        format: key of :data:`~actc.targets.vendor.reports.READERS`.
        paths: of its files or folders, which may have a `*` for a version.
    """

    format: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a tool. Paths are relative to the folder of the flow.

    Attributes:
        goal: what exists behind it.
        tools: any of which does; the first that is found runs.
        script: that it runs, or the source that it compiles.
        products: files, or folders with something in them, that must exist behind it; a `*`
            stands for a version.
        synthesis: what C synthesis estimates; None: nothing.
        implementation: what the FPGA's own tools say; None: nothing.
        also: tools that the first one starts itself, by their names.
        folder: that the tool runs in; "": that of the flow.
    """

    goal: Goal
    tools: tuple[VendorTool, ...]
    script: str
    products: tuple[str, ...]
    synthesis: Report | None = None
    implementation: Report | None = None
    also: tuple[VendorTool, ...] = ()
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """All that a vendor's tools can do with a directory.

    Attributes:
        folder: of the scripts and sources, relative to the directory.
        top: name of the top function.
        period: of the clock that was asked for, ns.
        steps: in order; the last leads furthest.
        slower: what else than a slower clock helps timing, for people; "": nothing.
    """

    folder: str
    top: str
    period: float
    steps: tuple[Step, ...]
    slower: str = ""
