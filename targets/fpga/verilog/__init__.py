"""Verilog for any tool: the network as a core with plain ports, its testbench, its size."""

from actc.targets.fpga.verilog.target import VerilogTarget

__all__ = ["VerilogTarget"]
