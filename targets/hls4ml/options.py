"""What stands behind the colon: ``hls4ml:vitis,io=stream,reuse=4``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.hls4ml import backends

BACKENDS = {name.lower(): name for name in backends.BACKENDS}
"""Name on the command line -> hls4ml's."""
STRATEGY = "latency"
"""Of hls4ml's products: its others restrict how often a multiplier is used."""
INTERFACES = ("parallel", "stream")
_MOST_REUSED = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """How hls4ml builds a network.

    Attributes:
        backend: hls4ml's name of it.
        io: "parallel" or "stream".
        reuse: products that share one multiplier, at most.
        part: of the FPGA; "": the backend's own.
        clock: MHz.
    """

    backend: str = "Vitis"
    io: str = "parallel"
    reuse: int = 1
    part: str = ""
    clock: float = 200.0

    @property
    def period(self) -> float:
        """Of the clock, ns."""
        return 1000 / self.clock

    def __str__(self) -> str:
        """The text that :func:`parse` reads, without defaults."""
        usual = Options()
        found = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value == getattr(usual, item.name):
                continue
            text = str(value).lower().removesuffix(".0") if item.name != "part" else value
            found.append(text if item.name == "backend" else f"{item.name}={text}")
        return ",".join(found)


def _named(names: Mapping[str, str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            near = difflib.get_close_matches(text, names, n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"one of {', '.join(names)}{hint}")
        return names[text]

    return read


def _part(text: str) -> str:
    if not re.fullmatch("[a-zA-Z0-9-]{4,40}", text):
        raise ValueError("the name of a part, such as xcu250-figd2104-2L-e")
    return text


def _reuse(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= _MOST_REUSED:
        raise ValueError(f"an integer, 1 to {_MOST_REUSED}")
    return value


def _clock(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 1 <= value <= 1000:
        raise ValueError("MHz, 1 to 1000")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "backend": _named(BACKENDS),
    "io": _named({name: name for name in INTERFACES}),
    "reuse": _reuse,
    "part": _part,
    "clock": _clock,
}
DESCRIBED: Mapping[str, str] = {
    "backend": f"{', '.join(BACKENDS)}: of hls4ml; also without `backend=`; default: vitis",
    "io": f"{' or '.join(INTERFACES)}: whole tensors, or position by position; default: parallel",
    "reuse": "products that share one multiplier; default: 1",
    "part": "of the FPGA; default: hls4ml's",
    "clock": "MHz; default: 200",
}
"""Option -> its values, in words."""


def parse(text: str) -> Options:
    """Read options; "" means defaults.

    Raises:
        UsageError: ACT0431, all that is wrong with them.
    """
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for item in filter(None, text.split(",")):
        name, separator, value = item.partition("=")
        if not separator and (name in BACKENDS or name in backends.NOT_OFFERED):
            name, value = "backend", name
        elif not separator or name not in _READERS:
            problems.append(_unknown(item, name))
            continue
        if name == "backend" and value in backends.NOT_OFFERED:
            problems.append(_not_offered(value))
            continue
        if name in values:
            problems.append(_problem(f"the option {name} is given twice", "give it once"))
            continue
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            problems.append(_problem(f"{name}={value} is not possible", f"give {error}"))
    if problems:
        raise UsageError(problems)
    return Options(**values)


def _not_offered(name: str) -> Diagnostic:
    message = f"hls4ml's backend {name} is not offered: {backends.NOT_OFFERED[name]}"
    return _problem(message, f"use one of {', '.join(BACKENDS)}")


def _unknown(item: str, name: str) -> Diagnostic:
    near = difflib.get_close_matches(name, [*_READERS, *BACKENDS], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    known = ", ".join([*BACKENDS, *(f"{key}=..." for key in _READERS if key != "backend")])
    return _problem(f"target hls4ml has no option {item!r}", f"{hint}known: {known}")


def _problem(message: str, help: str) -> Diagnostic:
    return Diagnostic("ACT0431", message, help=help)
