"""Targets compiled by Apache TVM."""

from actc.targets.tvm.cpu import CpuTarget

__all__ = ["CpuTarget"]
