"""Budgets as users write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from actc.cost import FAMILIES
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

KINDS = ("rms", "size", "drop", "luts")
_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a choice of bits must keep to.

    Attributes:
        kind: "rms" (relative RMS error of the outputs), "size" (bytes of weights and
            tables), "drop" (accuracy lost on labelled data) or "luts" (logic cells of an
            FPGA family).
        amount: > 0; "drop" may be 0 and is at most 1.
        family: for "luts", a name of `actc.cost.FAMILIES`; else "".
    """

    kind: str
    amount: float
    family: str = ""

    @property
    def limits_cost(self) -> bool:
        """Whether it is the cost that it limits, so that the error is to be least."""
        return self.kind in ("size", "luts")

    @property
    def unit(self) -> str:
        """Of the amount."""
        return f"logic cells of {self.family}" if self.kind == "luts" else "bytes"

    def __str__(self) -> str:
        if self.kind == "luts":
            return f"luts={int(self.amount)}@{self.family}"
        if self.kind == "size":
            return f"size={int(self.amount)}"
        return f"{self.kind}={self.amount:g}"


def parse_budget(text: str) -> Budget:
    """Read "rms=0.02", "size=200KB", "drop=0.01" or "luts=20000@ecp5".

    Raises:
        UsageError: ACT0231, it has no such form, or an amount that means nothing;
            ACT0248, "luts" without a family that costs are known for.
    """
    kind, equals, rest = (part.strip() for part in text.partition("="))
    amount, at, family = (part.strip() for part in rest.partition("@"))
    match = _NUMBER.match(amount)
    unit = amount[match.end() :].strip().upper() if match else ""
    if not equals or kind not in KINDS or match is None or unit not in _UNITS:
        raise _unreadable(text)
    value = float(match.group()) * _UNITS[unit]
    whole = kind in ("size", "luts")
    value = math.floor(value) if whole and math.isfinite(value) else value
    largest = 1.0 if kind == "drop" else float(2**53)
    if (unit and kind != "size") or not 0 <= value <= largest or (value == 0 and kind != "drop"):
        raise _unreadable(text)
    if kind == "luts" and family not in FAMILIES:
        raise _no_such_family(text, family)
    if at and kind != "luts":
        raise _unreadable(text)
    return Budget(kind, value, family)


def _unreadable(text: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0231",
            f"'{text}' is not a budget",
            help="write rms=0.02, size=200KB (KB = 1000, KiB = 1024 bytes), drop=0.01 or "
            "luts=20000@ecp5",
        )
    )


def _no_such_family(text: str, family: str) -> UsageError:
    what = f"there is no FPGA family '{family}'" if family else "it names no FPGA family"
    return UsageError(
        Diagnostic(
            "ACT0248",
            f"'{text}' is not a budget of logic: {what}",
            help=f"write luts=NUMBER@FAMILY, with one of {', '.join(FAMILIES)}",
        )
    )
