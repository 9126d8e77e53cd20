"""The options of FPGA targets, as written behind the colon: ``ecp5-25k:clock=120,seeds=4``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

INTERFACES = ("uart", "spi", "stream")
MOST_SEEDS = 64
MOST_STAGES = 1000


@dataclass(frozen=True, slots=True)
class FpgaOptions:
    """How a network is built.

    Attributes:
        clock: MHz that the network must reach; None: what the board's oscillator gives.
        latency: clocks from an input to its output; None: as many as the clock needs.
        interface: what the board's pins speak: "uart", "spi" or "stream" (the bare ports);
            "": the target's default.
        seeds: placements that are tried; the fastest is kept.
        seed: of the first placement.
    """

    clock: float | None = None
    latency: int | None = None
    interface: str = ""
    seeds: int = 1
    seed: int = 1

    def __str__(self) -> str:
        """The text that :func:`parse_options` reads, without defaults."""
        default = FpgaOptions()
        given = [
            (f.name, getattr(self, f.name))
            for f in fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
        ]
        return ",".join(f"{name}={str(value).removesuffix('.0')}" for name, value in given)


def parse_options(text: str) -> FpgaOptions:
    """Read options such as ``clock=120,seeds=4``; "" means defaults.

    Raises:
        UsageError: ACT0535, an option is not known, written twice or has no such value; all
            of them at once.
    """
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for item in filter(None, text.split(",")):
        name, separator, value = item.partition("=")
        read = _READERS.get(name)
        if read is None or not separator:
            problems.append(_unknown(item, name))
        elif name in values:
            problems.append(_problem(f"the option {name} is given twice", "give it once"))
        else:
            try:
                values[name] = read(value)
            except ValueError as error:
                problems.append(_problem(f"{name}={value} is not possible", f"give {error}"))
    if values.get("clock") is not None and values.get("latency") is not None:
        problems.append(
            _problem(
                "clock and latency are given both",
                "give one: the clock decides how many stages are needed, or the stages how "
                "fast the clock can be",
            )
        )
    if problems:
        raise UsageError(problems)
    return FpgaOptions(**values)


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and low <= int(text[:9]) <= high):
            raise ValueError(f"a whole number, {low} to {high}")
        return int(text)

    return read


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _megahertz(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 1000:
        raise ValueError("MHz, 0.1 to 1000")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "clock": _megahertz,
    "latency": _number(0, MOST_STAGES),
    "interface": _one_of(INTERFACES),
    "seeds": _number(1, MOST_SEEDS),
    "seed": _number(1, 2**31 - 1),
}


def _unknown(item: str, name: str) -> Diagnostic:
    near = difflib.get_close_matches(name, _READERS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}=...? " if near else ""
    return _problem(f"there is no option {item!r}", f"{hint}known: {', '.join(_READERS)}")


def _problem(message: str, help: str) -> Diagnostic:
    return Diagnostic("ACT0535", message, help=help)
