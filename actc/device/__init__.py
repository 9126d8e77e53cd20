"""The host's side of a network in an FPGA: a client for its UART or SPI port.

    from actc.device import Device
    with Device.open("out", "/dev/ttyUSB0") as device:
        outputs = device.run({"input": x})

Needs numpy and, for a serial port, pyserial; nothing of the compiler.
"""

from actc.device.client import Device
from actc.device.document import (
    FILE,
    interface_of,
    interface_text,
    read_interface,
    write_interface,
)
from actc.device.exchange import Traffic
from actc.device.interface import InputFormat, Interface, OutputFormat, Simulation
from actc.device.throughput import Throughput, measure_throughput

__all__ = [
    "FILE",
    "Device",
    "InputFormat",
    "Interface",
    "OutputFormat",
    "Simulation",
    "Throughput",
    "Traffic",
    "interface_of",
    "interface_text",
    "measure_throughput",
    "read_interface",
    "write_interface",
]
