"""The families that bare Verilog is built for: their costs, their timing, their synthesis.

No device is placed or routed for, so each stands for its family; its sizes are those of the
family's common device.
"""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.families import SYNTHESIZED
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.network import NetworkOptions
from actc.targets.fpga.pipeline import Timing, find_timing


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a family is planned with.

    Attributes:
        timing: name of the timing of its cells.
        clock_mhz: that is usual.
        costs: the family whose costs choose adders and functions; UltraScale+ has the
            look-up tables and, but for their length, the carry chains of 7 series.
        synthesis: further arguments of yosys' command.
        constraints: suffix of the file that says the clock.
    """

    timing: str
    clock_mhz: float
    costs: str
    synthesis: tuple[str, ...] = ()
    constraints: str = ".sdc"


_PLANS = {
    "ice40": _Plan("ice40-hx", 80.0, "ice40"),
    "ecp5": _Plan("ecp5-6", 120.0, "ecp5"),
    "gowin": _Plan("gowin-gw2a18", 80.0, "gowin", ("-family gw2a",)),
    "xc7": _Plan("xc7", 200.0, "xc7", constraints=".xdc"),
    "xcup": _Plan("xcup", 400.0, "xc7", constraints=".xdc"),
}


def family_device(family: str) -> Device:
    """A device that stands for a family of :data:`~actc.targets.fpga.families.SYNTHESIZED`."""
    known = SYNTHESIZED[family]
    return Device(
        name=family,
        title=known.title,
        family=family,
        options=(),
        package="",
        speed="",
        luts=known.logic_cells,
        ffs=known.logic_cells,
        brams=known.brams,
        dsps=known.dsps,
        clock_mhz=_PLANS[family].clock_mhz,
        synthesis=_PLANS[family].synthesis,
    )


def family_timing(family: str) -> Timing:
    """The delays that the pipeline is planned with."""
    return find_timing(_PLANS[family].timing)


def constraint_suffix(family: str) -> str:
    """Of the file that tells the family's tools the clock."""
    return _PLANS[family].constraints


def network_options(family: str, effort: int) -> NetworkOptions:
    """How networks are unrolled for a family; the device may be of any size."""
    costs = _PLANS[family].costs
    return NetworkOptions(
        end="scores",
        adders=AdderOptions(effort, family=costs),
        functions=FunctionOptions(family=costs),
    )
