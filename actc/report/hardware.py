"""What an artefact takes of an FPGA, for the report: figures, layers, verification.

The dictionary comes from :meth:`actc.targets.base.Target.hardware`:

- ``device``, ``board``: names; ``tools``: name -> version; ``seed``: of the placement;
- ``clock``: ``asked``, ``estimated`` and ``reached``, MHz; ``latency``: ``clocks`` and ``ns``;
  ``samples_per_second`` of the network alone, ``interface`` and its own samples per second;
- ``resources``: rows of ``name``, ``used`` (None: nothing counted it), ``available``,
  ``estimated``;
- ``layers``: rows of ``layer``, ``operator``, the counts in :data:`COLUMNS`, ``cells`` (logic
  cells) and ``estimated``, the same before synthesis;
- ``critical_path``: rows of ``layer``, ``ns``;
- of a folded network, ``interval_clocks`` between samples, and ``foldings``: rows of ``layer``,
  ``outputs_at_a_time``, ``inputs_at_a_time``, ``multipliers``, ``weights``, ``window``, ``clocks``;
- ``program``: the command that loads the bitstream, ``notes`` on the board: texts.

Missing keys read as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    ("luts", "LUT"),
    ("carries", "Carry"),
    ("muxes", "Mux"),
    ("ffs", "FF"),
    ("brams", "BRAM"),
    ("dsps", "DSP"),
)
"""Counts of a layer, with their headings."""
DRAWN = ("luts", "carries", "ffs")
"""Counts that the picture shows, each as a bar."""


def off_by(estimated: int | None, found: int | None) -> float | None:
    """How far an estimate is above what was found, as a fraction of that."""
    return None if estimated is None or not found else estimated / found - 1


@dataclass(frozen=True)
class Use:
    """A resource of the device; shares are percent of what there is."""

    name: str
    used: int | None
    available: int | None
    estimated: int | None

    @property
    def share(self) -> float | None:
        """Percent of the device that is used."""
        if not self.available or self.used is None:
            return None
        return round(100 * self.used / self.available, 1)

    @property
    def off(self) -> float | None:
        """See :func:`off_by`."""
        return off_by(self.estimated, self.used)


@dataclass(frozen=True)
class LayerRow:
    """A layer, and its part of all logic cells in percent.

    Attributes:
        bars: heading, count and length of each bar of the picture; lengths are percent of the
            largest count of any layer.
    """

    layer: str
    operator: str
    counts: tuple[int | None, ...]
    cells: int
    share: float
    estimated: int | None
    bars: tuple[tuple[str, int, float], ...]

    @property
    def off(self) -> float | None:
        """See :func:`off_by`."""
        return off_by(self.estimated, self.cells)


@dataclass(frozen=True)
class Hardware:
    """The section of the report."""

    facts: tuple[tuple[str, str, str], ...]
    uses: tuple[Use, ...]
    layers: tuple[LayerRow, ...]
    columns: tuple[str, ...]
    path: tuple[tuple[str, float], ...]
    foldings: tuple[tuple[str, ...], ...] = ()


FOLDINGS = (
    ("layer", "Layer"),
    ("outputs_at_a_time", "Outputs"),
    ("inputs_at_a_time", "Inputs"),
    ("multipliers", "Products in"),
    ("weights", "Weights in"),
    ("window", "Window in"),
    ("clocks", "Clocks"),
)
"""Columns of the table of a folded network."""


def hardware(report: Mapping[str, Any]) -> Hardware | None:
    """The section; None where the artefact is software."""
    given = report.get("hardware")
    if not given:
        return None
    shown = [
        (key, heading)
        for key, heading in COLUMNS
        if any(layer.get(key) for layer in given.get("layers", ()))
    ]
    return Hardware(
        facts=tuple(_facts(given)),
        uses=tuple(_use(row) for row in given.get("resources", ())),
        layers=_layers(given.get("layers", ()), [key for key, _ in shown]),
        columns=tuple(heading for _, heading in shown),
        path=tuple((str(s["layer"]), float(s["ns"])) for s in given.get("critical_path", ())),
        foldings=tuple(_folding(row) for row in given.get("foldings", ())),
    )


def _folding(row: Mapping[str, Any]) -> tuple[str, ...]:
    found = [row.get(key) for key, _ in FOLDINGS]
    return tuple(f"{value:,}" if isinstance(value, int) else str(value) for value in found)


def _use(row: Mapping[str, Any]) -> Use:
    return Use(str(row["name"]), row.get("used"), row.get("available"), row.get("estimated"))


def _layers(rows: Any, shown: list[str]) -> tuple[LayerRow, ...]:
    total = sum(int(row.get("cells") or 0) for row in rows) or 1
    drawn = [(key, heading) for key, heading in COLUMNS if key in DRAWN and key in shown]
    most = max((int(row.get(key) or 0) for row in rows for key, _ in drawn), default=0) or 1
    return tuple(
        LayerRow(
            str(row["layer"]),
            str(row.get("operator") or ""),
            tuple(row.get(key) for key in shown),
            int(row.get("cells") or 0),
            round(100 * int(row.get("cells") or 0) / total, 1),
            row.get("estimated"),
            tuple(_bar(heading, int(row.get(key) or 0), most) for key, heading in drawn),
        )
        for row in rows
    )


def _bar(heading: str, count: int, most: int) -> tuple[str, int, float]:
    return heading, count, round(100 * count / most, 1)


def _facts(given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and remark."""
    clock, latency = given.get("clock", {}), given.get("latency", {})
    found = [("Device", str(given.get("device") or "-"), _remark(given.get("board")))]
    reached, asked = clock.get("reached"), clock.get("asked")
    if reached is not None:
        found.append(("Clock", f"{reached:.1f} MHz", f"built for {asked:g}" if asked else ""))
    elif asked is not None:
        estimated = clock.get("estimated")
        guess = "" if estimated is None else f"; {estimated:.0f} MHz by estimate"
        found.append(("Clock", f"{asked:g} MHz", f"built for{guess}; not routed"))
    if latency.get("clocks") is not None:
        ns = latency.get("ns")
        found.append(
            ("Latency", f"{latency['clocks']} clocks", "" if ns is None else f"{ns:.1f} ns")
        )
    rate = given.get("samples_per_second")
    if rate:
        found.append(("Throughput", _rate(rate), _interval(given.get("interval_clocks"))))
    if given.get("interface"):
        found.append(("Interface", str(given["interface"]), _remark(given.get("wire"))))
    if given.get("program"):
        found.append(("Load with", " ".join(given["program"]), ""))
    found += [("Note", str(note), "") for note in given.get("notes", ())]
    return found


def _rate(rate: float) -> str:
    """Samples per second, in the unit that suits them."""
    if rate >= 1e6:
        return f"{rate / 1e6:.1f} M samples/s"
    return f"{rate:,.0f} samples/s"


def _interval(clocks: int | None) -> str:
    return "one every clock" if clocks is None else f"one every {clocks:,} clocks"


def _remark(text: object) -> str:
    return "" if text is None else str(text)
