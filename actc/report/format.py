"""Values of a report as text: units, digits, and names that cannot do harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actc.report.document import strict


def size(value: float | None) -> str:
    """123456 -> "120.6 KiB"; "-" when not known."""
    if value is None:
        return "-"
    amount, unit = float(value), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"


def figure(value: Any) -> str:
    """A number with three significant digits; "-" when not known, "infinite" beyond all numbers."""
    value = strict(value)
    if value is None:
        return "-"
    if isinstance(value, (int, float)):
        return f"{value:.3g}"
    return str(value)


def plain(value: Any) -> str:
    """Any value of report.json in one readable line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {plain(v)}" for k, v in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(v) for v in value) or "-"
    return str(value)


def step(value: Any) -> str:
    """A pass as the command line spells it: ``calibrate{method=mse}``."""
    if not isinstance(value, Mapping):
        return plain(value)
    options = value.get("options") or {}
    inside = ",".join(f"{k}={plain(v)}" for k, v in options.items())
    return plain(value.get("name")) + (f"{{{inside}}}" if inside else "")


def shape(value: Any) -> str:
    """[None, 3, 48] -> "? x 3 x 48"."""
    sides = value if isinstance(value, (list, tuple)) else []
    return " \N{MULTIPLICATION SIGN} ".join("?" if s is None else str(s) for s in sides) or "scalar"


def visible(text: str) -> str:
    """`text` with control, direction and surrogate characters shown as escapes.

    Names in a model are untrusted: they must neither move a terminal's cursor
    nor turn a line around.
    """
    return "".join(c if c.isprintable() or c == "\xa0" else ascii(c)[1:-1] for c in text)
