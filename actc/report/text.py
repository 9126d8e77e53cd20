"""The report as plain text, one screen, for `actc report DIR`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from actc.report import view
from actc.report.build import built
from actc.report.document import INFINITE
from actc.report.format import figure, plain, size, visible
from actc.report.hardware import FOLDINGS, hardware
from actc.report.verdict import STAGES, percent, verdict

_MOST = 12  # rows of a table; the page has them all
_WIDEST = 24


def render_text(report: Mapping[str, Any], timings: Mapping[str, float] | None = None) -> str:
    """Return the report as plain text without colour, ending in a newline.

    Args:
        report: the dictionary of report.json; missing keys read as unknown.
        timings: stage -> seconds, when known.
    """
    filled = view.complete(report)
    blocks = [
        _headline(filled),
        _facts(filled),
        _stages(filled),
        *_hardware(filled),
        *_built(filled),
        _rungs(filled),
        _sites(filled),
        _structures(filled),
        *_binary(filled),
        _left(filled),
        _islands(filled),
        _times(timings or {}),
        _diagnostics(filled),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def render_build(found: Mapping[str, Any]) -> str:
    """What `actc.build` gives, as plain text, ending in a newline."""
    blocks = _built(view.complete(found))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _headline(report: view.Report) -> list[str]:
    name = visible(str(report["model"].get("name") or "model"))
    lines = [f"{name} -> {visible(str(report['target']))}, {report['precision']}"]
    if report["data"].get("synthetic"):
        lines.append("WARNING: calibrated on synthetic data; give --data to measure accuracy")
    lines += verdict(report).parts
    return lines


def _facts(report: view.Report) -> list[str]:
    found = view.facts(report)
    width = max(24, *(len(name) + 2 for name, _, _ in found))
    return [
        f"  {name.lower():{width}}{value}" + (f"  ({remark})" if remark else "")
        for name, value, remark in found
    ]


def _stages(report: view.Report) -> list[str]:
    start = report["accuracy"].get("float")
    rows = []
    for stage in STAGES:
        accuracy, amount = report["accuracy"].get(stage), report["sizes"].get(stage)
        if accuracy is None and amount is None:
            continue
        change = ""
        if stage != "float" and start is not None and accuracy is not None:
            change = f"{100 * (accuracy - start):+.2f}"
        rows.append((stage, percent(accuracy), change, size(amount)))
    return _table(("stage", "accuracy", "points", "size"), rows, "<>>>")


def _sites(report: view.Report) -> list[str]:
    sites = sorted(report["activations"], key=_badness)
    rows = [
        (
            str(site["id"]),
            str(site["function"] or "-"),
            str(site["form"]) if view.is_rewritten(site) else "left",
            figure(site["channels"]),
            figure(site["segments"]),
            figure(site["max_error"]),
            figure(site["rms_error"]),
        )
        for site in sites
    ]
    header = ("activation", "function", "form", "channels", "segments", "max error", "rms error")
    return _table(header, rows, "<<<>>>>", "largest error first")


def _badness(site: Mapping[str, Any]) -> tuple[bool, float]:
    """Sites that were left come first, then those with the largest error."""
    error = site["max_error"]
    if error == INFINITE:
        error = math.inf
    return view.is_rewritten(site), -(error if isinstance(error, (int, float)) else 0.0)


def _structures(report: view.Report) -> list[str]:
    rows = [(str(n["function"]), str(n["form"])) for n in report["structures"]]
    return _table(("function of several values", "form"), rows, "<<")


def _binary(report: view.Report) -> list[list[str]]:
    found = report["binary"]
    if found is None:
        return []
    layers = [
        (
            str(row["layer"]),
            str(row["kind"]),
            str(row["inputs"]),
            plain(row["weights"]),
            plain(row["operations"]),
        )
        for row in found["layers"]
    ]
    tensors = [(str(row["origin"]), percent(row["agreement"])) for row in found["tensors"]]
    candidates = [
        (
            str(row["layer"]),
            str(row["bits"] or "no"),
            figure(row["error_alone"]),
            percent(row["accuracy_alone"]),
        )
        for row in found["candidates"]
        if row["error_alone"] is not None
    ]
    books = [
        (
            str(row["layer"]),
            f"{row['codebook']['entries']} of {row['codebook']['kernels']}",
            percent(row["codebook"]["changed"]),
            f"{row['codebook']['error']:.3f} ({row['codebook']['error_before']:.3f})",
            f"{row['codebook']['bytes']} ({row['codebook']['bytes_before']})",
            f"{row['codebook']['computed']} ({row['codebook']['computed_before']})",
        )
        for row in found["candidates"]
        if row["codebook"] is not None
    ]
    facts = [
        visible(f"  {name.lower():24}{value}" + (f"  ({remark})" if remark else ""))
        for name, value, remark in view.binary_facts(found)
    ]
    named = ("codebook (before)", "kernels", "changed", "error", "bytes", "computed")
    heads = ("binary layer", "weights", "inputs", "count", "XNOR operations")
    return [
        facts,
        _table(heads, layers, "<<<>>"),
        _table(("bits made of", "as in the float network"), tensors, "<>"),
        _table(named, books, "<>>>>>"),
        _table(("sensitivity", "binary", "error alone", "accuracy"), candidates, "<<>>"),
    ]


def _left(report: view.Report) -> list[str]:
    rows = [(str(n["node"]), str(n["op"]), str(n["reason"])) for n in report["left_float"]]
    return _table(("left in float", "op", "reason"), rows, "<<<")


def _islands(report: view.Report) -> list[str]:
    rows = [(row.island, row.node, row.op, row.reason) for row in view.island_rows(report)]
    return _table(("float island", "node", "op", "reason"), rows, "<<<<")


def _hardware(report: view.Report) -> list[list[str]]:
    found = hardware(report)
    if found is None:
        return []
    facts = [
        visible(f"  {name.lower():24}{value}" + (f"  ({remark})" if remark else ""))
        for name, value, remark in found.facts
    ]
    uses = [
        (
            use.name,
            plain(use.used),
            plain(use.available),
            "-" if use.share is None else f"{use.share:.1f} %",
            plain(use.estimated),
        )
        for use in found.uses
    ]
    layers = [
        (
            row.layer,
            *(plain(count) for count in row.counts),
            str(row.cells),
            plain(row.estimated),
            f"{row.share:.1f} %",
        )
        for row in found.layers
    ]
    sides = "<" + ">" * (len(found.columns) + 3)
    heads = ("layer", *(c.lower() for c in found.columns), "cells", "estimated", "share")
    return [
        facts,
        _table(("resource", "used", "of", "share", "estimated"), uses, "<>>>>"),
        _table(heads, layers, sides),
        _table([name.lower() for _, name in FOLDINGS], found.foldings, "<>><<<>"),
    ]


def _built(report: view.Report) -> list[list[str]]:
    found = built(report)
    if found is None:
        return []
    facts = [
        visible(f"  {name.lower():24}{value}" + (f"  ({remark})" if remark else ""))
        for name, value, remark in found.facts
    ]
    return [facts, _table(found.heads, found.rows, "<" + ">" * (len(found.heads) - 1))]


def _rungs(report: view.Report) -> list[str]:
    rows = [(rung["name"], rung["result"], rung["detail"]) for rung in report["rungs"]]
    return _table(("compared with golden", "result", "how"), rows, "<<<")


def _times(timings: Mapping[str, float]) -> list[str]:
    if not timings:
        return []
    rows = [(name, f"{seconds:.2f}") for name, seconds in timings.items()]
    return _table(("stage", "seconds"), [*rows, ("total", f"{sum(timings.values()):.2f}")], "<>")


def _diagnostics(report: view.Report) -> list[str]:
    lines = []
    for item in report["diagnostics"]:
        lines.append(visible(f"{item['severity']}[{item['code']}]: {item['message']}"))
        place = ": ".join(str(part) for part in (item["file"], item["node"]) if part)
        lines += [visible(f"  --> {place}")] if place else []
        lines += [visible(f"  help: {item['help']}")] if item["help"] else []
    return lines


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], sides: str, order: str = ""
) -> list[str]:
    """Columns padded to their contents; the last left-hand one runs free."""
    if not rows:
        return []
    free = len(header) - 1 if sides[-1] == "<" else -1
    cells = [list(header)]
    for row in rows[:_MOST]:
        cells.append([_cut(visible(v), column == free) for column, v in enumerate(row)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  " + "  ".join(f"{v:{side}{w}}" for v, side, w in zip(row, sides, widths, strict=True))
        for row in cells
    ]
    more = len(rows) - _MOST
    if more > 0:
        note = f" ({order})" if order else ""
        lines.append(f"  ... and {more} more{note}; report.html has them all")
    return [line.rstrip() for line in lines]


def _cut(value: str, whole: bool) -> str:
    """Keep the end of a long name: it tells nodes of one module apart."""
    return value if whole or len(value) <= _WIDEST else "..." + value[3 - _WIDEST :]
