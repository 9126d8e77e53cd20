"""Around a core: a bare stream, a UART or an SPI port, and what makes them designs of boards."""

from actc.targets.fpga.interfaces.core import ClockModule, CoreInfo, CorePort
from actc.targets.fpga.interfaces.files import (
    KINDS,
    RESERVED,
    Kind,
    interface_files,
    interface_top,
    uart_divisor,
)
from actc.targets.fpga.interfaces.tops import stream_ports

__all__ = [
    "KINDS",
    "RESERVED",
    "ClockModule",
    "CoreInfo",
    "CorePort",
    "Kind",
    "interface_files",
    "interface_top",
    "stream_ports",
    "uart_divisor",
]
