"""Flows of AMD's tools."""

from __future__ import annotations

from actc.targets.vendor.flow import Report, Step, VendorTool
from actc.targets.vendor.tools import VIVADO


def ip_step(tools: tuple[VendorTool, ...], script: str, solution: str, top: str) -> Step:
    """C synthesis and the export of the IP.

    Args:
        solution: folder of the solution, relative to that of the scripts.
    """
    return Step(
        "ip",
        tools,
        script,
        products=(f"{solution}/impl/ip",),
        synthesis=Report("csynth", (f"{solution}/syn/report/{top}_csynth.xml",)),
    )


def bitstream_step(script: str, folder: str, top: str) -> Step:
    """A board's design around the IP, routed.

    Args:
        folder: that the script writes into.
    """
    return Step(
        "bitstream",
        (VIVADO,),
        script,
        products=(f"{folder}/{top}.bit", f"{folder}/{top}.hwh"),
        implementation=Report("routed", (f"{folder}/utilization.txt", f"{folder}/timing.txt")),
    )
