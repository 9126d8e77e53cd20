"""Lines that several bodies have in common."""

from __future__ import annotations

AXES = """
  axis_value = Constant <value_int: int = @axis> ()
  one_axis = Constant <value_ints = [1]> ()
  axes = Reshape (axis_value, one_axis)
"""
"""The attribute `axis` as the tensor `axes`."""
