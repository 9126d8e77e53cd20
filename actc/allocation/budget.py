"""Budgets as users write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

KINDS = ("rms", "size", "drop")
_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a choice of bits must keep to.

    Attributes:
        kind: "rms" (relative RMS error of the outputs), "size" (bytes of the weights) or
            "drop" (accuracy lost on labelled data).
        amount: > 0; "drop" may be 0 and is at most 1.
    """

    kind: str
    amount: float

    @property
    def limits_cost(self) -> bool:
        """Whether it is the cost that it limits, so that the error is to be least."""
        return self.kind == "size"

    @property
    def unit(self) -> str:
        """Of the amount."""
        return "bytes"

    def __str__(self) -> str:
        if self.kind == "size":
            return f"size={int(self.amount)}"
        return f"{self.kind}={self.amount:g}"


def parse_budget(text: str) -> Budget:
    """Read "rms=0.02", "size=200KB" or "drop=0.01".

    Raises:
        UsageError: ACT0231, it has no such form, or an amount that means nothing.
    """
    kind, equals, amount = (part.strip() for part in text.partition("="))
    match = _NUMBER.match(amount)
    unit = amount[match.end() :].strip().upper() if match else ""
    if not equals or kind not in KINDS or match is None or unit not in _UNITS:
        raise _unreadable(text)
    value = float(match.group()) * _UNITS[unit]
    value = math.floor(value) if kind == "size" and math.isfinite(value) else value
    largest = 1.0 if kind == "drop" else float(2**53)
    if (unit and kind != "size") or not 0 <= value <= largest or (value == 0 and kind != "drop"):
        raise _unreadable(text)
    return Budget(kind, value)


def _unreadable(text: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0231",
            f"'{text}' is not a budget",
            help="write rms=0.02, size=200KB (KB = 1000, KiB = 1024 bytes) or drop=0.01",
        )
    )
