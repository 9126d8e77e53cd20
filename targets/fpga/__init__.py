"""FPGA targets: hardware units and networks as RTL."""
