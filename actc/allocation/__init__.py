"""Bits per tensor and layer under a budget of error, size or accuracy."""

from actc.allocation.allocate import Allocation, allocate
from actc.allocation.budget import Budget, parse_budget
from actc.allocation.solve import cheapest

__all__ = ["Allocation", "Budget", "allocate", "cheapest", "parse_budget"]
