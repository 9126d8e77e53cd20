"""FPGA boards and devices: data files, pins, constraint files and clocks."""

from actc.targets.fpga.boards.constraints import SUFFIXES, write_constraints
from actc.targets.fpga.boards.device import ROLES, Board, Device, Pin
from actc.targets.fpga.boards.load import board_names, device_names, devices, find_board
from actc.targets.fpga.boards.pll import Pll, make_pll

__all__ = [
    "ROLES",
    "SUFFIXES",
    "Board",
    "Device",
    "Pin",
    "Pll",
    "board_names",
    "device_names",
    "devices",
    "find_board",
    "make_pll",
    "write_constraints",
]
