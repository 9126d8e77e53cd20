"""What stands behind the colon: ``hls4ml:vitis,io=stream,reuse=4``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from actc.errors import UsageError
from actc.targets.hls4ml import backends
from actc.targets.written_options import (
    Reader,
    megahertz,
    one_of,
    part,
    read_options,
    whole_number,
)

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


def _backend(text: str) -> str:
    return BACKENDS[one_of(tuple(BACKENDS))(text)]


_READERS: Mapping[str, Reader] = {
    "backend": _backend,
    "io": one_of(INTERFACES),
    "reuse": whole_number(1, _MOST_REUSED),
    "part": part,
    "clock": megahertz,
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
    words = dict.fromkeys(BACKENDS, "backend")
    values, problems = read_options(text, _READERS, "ACT0431", words)
    if problems:
        raise UsageError(problems)
    return Options(**values)
