"""Around a core: a bare stream, a UART or an SPI port, and what makes them designs of boards."""

from actc.targets.fpga.interfaces.core import ClockModule, CoreInfo, CorePort, StreamCore
from actc.targets.fpga.interfaces.files import (
    KINDS,
    RESERVED,
    STREAM_RESERVED,
    Kind,
    interface_files,
    interface_top,
    uart_divisor,
)
from actc.targets.fpga.interfaces.streams import in_flight, memory_bytes
from actc.targets.fpga.interfaces.tops import stream_ports

__all__ = [
    "KINDS",
    "RESERVED",
    "STREAM_RESERVED",
    "ClockModule",
    "CoreInfo",
    "CorePort",
    "Kind",
    "StreamCore",
    "in_flight",
    "interface_files",
    "interface_top",
    "memory_bytes",
    "stream_ports",
    "uart_divisor",
]
