"""From report.json to what a reader sees: defaults, groups, scales.

Reports written by other versions may lack keys, so everything here reads a
report through `complete`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.report.curve import SiteCurve, pooled_histogram
from actc.report.format import size
from actc.report.verdict import STAGES, executed

Curves = Mapping[str, "SiteCurve | Sequence[SiteCurve]"]
Report = dict[str, Any]

_DEFAULTS: Report = {
    "target": "",
    "precision": "",
    "accuracy": dict.fromkeys(STAGES),
    "bit_exact": None,
    "samples": 0,
    "rungs": [],
    "hardware": None,
    "footprint": None,
    "tuning": None,
    "build": None,
    "activations": [],
    "structures": [],
    "left_float": [],
    "islands": [],
    "binary": None,
    "bytes": None,
    "seconds": None,
    "diagnostics": [],
    "model": dict.fromkeys(("name", "sha256", "bytes", "opset")) | {"inputs": [], "outputs": []},
    "data": {"synthetic": False},
    "sizes": {},
    "operators": {},
    "outputs": [],
    "sites_error": [],
    "options": {},
    "versions": {},
    "passes": [],
}
_ROWS: dict[str, Report] = {
    "activations": dict.fromkeys(("id", "function", "form", "nodes", "input", "output"))
    | dict.fromkeys(("channels", "max_error", "rms_error", "segments", "input_range", "reason")),
    "structures": {"node": "", "function": "", "form": ""},
    "left_float": {"node": "", "op": "", "reason": ""},
    "islands": {"operators": [], "nodes": []},
    "rungs": {"name": "", "result": "not run", "detail": "", "samples": 0},
    "diagnostics": {"code": "", "severity": "note", "message": "", "help": ""}
    | {"file": "", "node": "", "op": "", "notes": []},
    "outputs": dict.fromkeys(("name", "stage", "max", "p50", "p99", "rms", "top1_agreement")),
    "sites_error": dict.fromkeys(("id", "stage", "max", "p50", "p99", "rms")),
}
_BINARY: Report = {"layers": [], "tensors": [], "candidates": []} | dict.fromkeys(
    ("operations", "weights", "binary_weights", "model_bits", "compression")
)
_BINARY_ROWS: dict[str, Report] = {
    "layers": dict.fromkeys(("layer", "operator", "weights", "kind", "inputs", "operations")),
    "tensors": dict.fromkeys(("tensor", "origin", "elements", "high", "agreement")),
    "candidates": dict.fromkeys(
        ("layer", "chosen", "bits", "error_alone", "accuracy_alone", "codebook")
    ),
}
_STAGE_TEXT = {
    "float": "the model as it came",
    "approximated": "activations rewritten, still float",
    "golden": "all integer: the contract",
    "artifact": "what was built",
}


def complete(report: Mapping[str, Any]) -> Report:
    """Return a copy of `report` in which every key of the format is present."""
    filled: Report = {}
    for key, default in _DEFAULTS.items():
        given = report.get(key)
        if isinstance(default, dict):
            filled[key] = {**default, **(given or {})}
        else:
            filled[key] = default if given is None else given
    for key, row in _ROWS.items():
        filled[key] = [{**row, **item} for item in filled[key]]
    if filled["binary"] is not None:
        given = {**_BINARY, **filled["binary"]}
        rows = {key: [{**row, **x} for x in given[key]] for key, row in _BINARY_ROWS.items()}
        filled["binary"] = {**given, **rows}
    return {**report, **filled}


def is_rewritten(site: Mapping[str, Any]) -> bool:
    """Whether an entry of `activations` was given another form."""
    return site["form"] not in (None, "", "float", "none")


@dataclass(frozen=True)
class StageRow:
    """One step of the accuracy ladder; positions are percent of its track."""

    name: str
    text: str
    accuracy: float
    change: float
    position: float
    over: bool


@dataclass(frozen=True)
class Ladder:
    """Accuracy at each stage on a common scale, and where the budget ends."""

    rows: tuple[StageRow, ...]
    limit: float | None
    low: float
    high: float


def ladder(report: Report) -> Ladder | None:
    """Stages whose accuracy is known; None when there is nothing to compare."""
    known = {s: report["accuracy"].get(s) for s in STAGES}
    given = {s: float(v) for s, v in known.items() if v is not None}
    start = given.get("float")
    if start is None or len(given) < 2:
        return None
    allowed = report["options"].get("max_drop")
    limit = None if allowed is None else start - float(allowed)
    marks = [*given.values()] + ([] if limit is None else [limit])
    room = max(0.15 * (max(marks) - min(marks)), 0.001)
    low, high = max(min(marks) - room, 0.0), min(max(marks) + room, 1.0)

    def position(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = tuple(
        StageRow(
            stage,
            _STAGE_TEXT[stage],
            value,
            value - start,
            position(value),
            limit is not None and value < limit - 1e-9,
        )
        for stage, value in given.items()
    )
    return Ladder(rows, None if limit is None else position(limit), low, high)


@dataclass(frozen=True)
class Group:
    """Sites that share one plot, as their functions are equal on every input."""

    key: str
    sites: tuple[Report, ...]
    curves: tuple[SiteCurve, ...] = ()
    errors: tuple[Report, ...] = ()

    @property
    def has_histogram(self) -> bool:
        """Whether the plot shows where the data lies."""
        return pooled_histogram(self.curves) is not None

    @property
    def worst(self) -> tuple[float, float] | None:
        """Largest error of the curves shown, and the input where it lies."""
        found: tuple[float, float] | None = None
        for curve in self.curves:
            sizes = np.nan_to_num(np.abs(curve.error), nan=-1.0)
            place = int(np.argmax(sizes))
            if sizes[place] > (found[0] if found else -1.0):
                found = (float(sizes[place]), float(curve.x[place]))
        return found


def groups(report: Report, curves: Curves) -> list[Group]:
    """Sites in the order of the report; those with equal curves together."""
    members: dict[str, list[Report]] = {}
    drawn: dict[str, tuple[SiteCurve, ...]] = {}
    for number, site in enumerate(report["activations"]):
        given = curves.get(site["id"], ())
        shown = (given,) if isinstance(given, SiteCurve) else tuple(given)[:4]
        key = "+".join(c.digest() for c in shown) or f"site {number}"
        drawn.setdefault(key, shown)
        members.setdefault(key, []).append(site)
    return [
        Group(
            f"g{number}",
            tuple(sites),
            drawn[key],
            tuple(e for e in report["sites_error"] if e["id"] in {s["id"] for s in sites}),
        )
        for number, (key, sites) in enumerate(members.items(), 1)
    ]


def facts(report: Report) -> list[tuple[str, str, str]]:
    """Name, value and remark of the figures under the headline."""
    sites = report["activations"]
    done = sum(is_rewritten(site) for site in sites)
    floats = report["operators"].get("float")
    integers = report["operators"].get("integer")
    found = [
        ("Activations rewritten", f"{done} of {len(sites)}", forms(sites)),
        _likeness(report),
        ("Artifact", size(report["bytes"]), _ratio(report)),
    ]
    taken = report["footprint"]
    if taken:
        remark = f"batch 1; constants take {size(taken.get('constants'))}"
        found.append(("Workspace", size(taken.get("workspace")), remark))
    if report["tuning"]:
        found.append(_tuned(report["tuning"]))
    if integers is not None and floats is not None:
        found.append(("Operators", f"{integers} integer", f"{floats} float"))
    return found


def _tuned(tuning: Mapping[str, Any]) -> tuple[str, str, str]:
    """How many kernels got another schedule, and what that brings."""
    timed = [row for row in tuning["kernels"] if row["tried"]]
    chosen = sum(row["schedule"] is not None for row in timed)
    before, after = (
        sum(row[key][0] * len(row["nodes"]) for row in timed) for key in ("modelled_us", "tuned_us")
    )
    remark = f"{after:.0f} us for {before:.0f} us" if timed else "none was timed"
    return "Kernels tuned", f"{chosen} of {len(tuning['kernels'])}", remark


def _likeness(report: Report) -> tuple[str, str, str]:
    """Whether the artefact gives golden's bits, or in float what the approximated model gives."""
    same, name = report["bit_exact"], "Artifact equals golden"
    if report["precision"] != "int8":
        name = "Artifact follows approximated"
        far = any(found["code"] == "ACT0602" for found in report["diagnostics"])
        same = not far if executed(report) and report["samples"] else None
    return name, {True: "yes", False: "no", None: "-"}[same], f"{report['samples']} samples"


def binary_facts(found: Report) -> list[tuple[str, str, str]]:
    """Figures of all binary layers together: name, value, remark."""
    rows = []
    if found["weights"]:
        share = found["binary_weights"] / found["weights"]
        rows.append(
            (
                "Binary weights",
                f"{found['binary_weights']:,}",
                f"{100 * share:.1f} % of {found['weights']:,}",
            )
        )
    if found["model_bits"]:
        remark = f"float32: {found['compression']:.1f} times as many"
        rows.append(("Bits of all weights", f"{found['model_bits']:,}", remark))
    if found["operations"] is not None:
        rows.append(("XNOR operations", f"{found['operations']:,}", "per sample"))
    return rows


@dataclass(frozen=True)
class IslandRow:
    """One refused operator of a float island; the first of an island carries its operators."""

    island: str
    operators: str
    node: str
    op: str
    reason: str
    help: str


def island_rows(report: Report) -> list[IslandRow]:
    """The operators that were refused, island by island."""
    rows = []
    for number, island in enumerate(report["islands"], 1):
        for position, node in enumerate(island["nodes"]):
            shown = (str(number), _counted(island["operators"])) if position == 0 else ("", "")
            rows.append(IslandRow(*shown, *(str(node.get(key, "")) for key in _ISLAND_KEYS)))
    return rows


_ISLAND_KEYS = ("node", "op", "reason", "help")


def _counted(names: Sequence[str]) -> str:
    """How often each name occurs: "2 Einsum, TopK"."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())


def forms(sites: Sequence[Mapping[str, Any]]) -> str:
    """How often each form was chosen: "2 table, 1 pwl"."""
    names = [str(site["form"]) for site in sites if is_rewritten(site)]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


def _ratio(report: Report) -> str:
    before = report["model"].get("bytes") or report["sizes"].get("float")
    if not before or not report["bytes"]:
        return ""
    return f"{report['bytes'] / before:.2f} times the model"


def size_rows(report: Report) -> list[tuple[str, int, float]]:
    """Stage, bytes and share of the largest in percent."""
    known = [(s, int(report["sizes"][s])) for s in STAGES if report["sizes"].get(s) is not None]
    largest = max((value for _, value in known), default=0) or 1
    return [(stage, value, round(100 * value / largest, 2)) for stage, value in known]
