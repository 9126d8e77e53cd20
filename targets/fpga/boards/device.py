"""Devices and boards as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROLES = (
    "clk",
    "uart_rx",
    "uart_tx",
    "spi_cs",
    "spi_mosi",
    "spi_miso",
    "spi_sck",
    "led",
)
"""What a pin of a board may be for. `uart_rx` is the pin that the FPGA receives on."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One pin.

    Attributes:
        site: its name in the package.
        standard: its I/O standard; "" for that of the board.
        pull: "up", "down" or "" for none.
        inverted: a low level lights the LED.
    """

    site: str
    standard: str = ""
    pull: str = ""
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """An FPGA that the open tools place and route.

    Attributes:
        name: as users write it.
        title: the vendor's name of it.
        family: "ice40", "ecp5" or "gowin".
        options: arguments of nextpnr that choose it, without package and speed grade.
        package, speed: the usual ones; "" where `options` hold them.
        luts, ffs, brams, dsps: how many it has, as nextpnr counts them.
        clock_mhz: of the oscillator that its boards usually have, MHz.
        carries: how many carry cells it has, each in the site of a look-up table; 0 where
            nextpnr does not count them.
        synthesis: further arguments of yosys' command.
        packer: the device's name for the bitstream packer; "" where it needs none.
        pll_device: the device's name as its PLL wants it; "" where it wants none.
        pins: role -> default pin, where the placer cannot choose pins.
    """

    name: str
    title: str
    family: str
    options: tuple[str, ...]
    package: str
    speed: str
    luts: int
    ffs: int
    brams: int
    dsps: int
    clock_mhz: float
    carries: int = 0
    synthesis: tuple[str, ...] = ()
    packer: str = ""
    pll_device: str = ""
    pins: Mapping[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Board:
    """A device with its surroundings: pins, clock, how it is programmed.

    A generic board, of the same name as its device, stands for the device alone: the
    placer chooses the pins, and what is known of the clock is assumed.

    Attributes:
        name: as users write it.
        title: the maker's name of it.
        device: its FPGA.
        package, speed: of that FPGA; "" where the device's options hold them.
        clock_mhz: frequency of the oscillator at pin `clk`, MHz.
        pins: role (one of :data:`ROLES`) -> pin; empty where the placer chooses.
        standard: I/O standard of pins that name none; "" where the tools choose.
        pll_pad: the clock comes in at a pad of an iCE40's PLL, which then takes it from
            there.
        program: the command that loads a bitstream, with "{bitstream}" for its path.
        notes: what a user must know, one sentence each.
    """

    name: str
    title: str
    device: Device
    package: str
    speed: str
    clock_mhz: float
    pins: Mapping[str, Pin]
    standard: str = ""
    pll_pad: bool = False
    program: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def generic(self) -> bool:
        """Whether it stands for a device alone."""
        return self.name == self.device.name

    def program_command(self, bitstream: str) -> tuple[str, ...]:
        """The command that loads `bitstream`; shown to users, never run.

        Empty where none is known.
        """
        return tuple(part.replace("{bitstream}", bitstream) for part in self.program)
