"""The target `c`: freestanding C for microcontrollers."""

from actc.targets.c.target import CTarget

__all__ = ["CTarget"]
