"""The tables of benchmarks/accuracy.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contestants import FLOAT, FOUR_BIT, INT8, OPTIONS, PEER, TIME, Result
from tasks.base import Task

CONTESTANTS = (FLOAT, PEER, *OPTIONS)


@dataclass(frozen=True)
class Entry:
    """A contestant's result on a task.

    Attributes:
        chosen: it stands for its contestant in the table.
        trial: it was made with half of the calibration samples, to choose a method.
    """

    task: str
    contestant: str
    method: str
    result: Result
    chosen: bool = False
    trial: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values, without paths and empty fields."""
        values = {key: value for key, value in asdict(self.result).items() if key != "model"}
        filled = {key: value for key, value in values.items() if value not in (None, "", {}, [])}
        names = {"task": self.task, "contestant": self.contestant, "method": self.method}
        trial = {"trial": True} if self.trial else {}
        return {**names, "chosen": self.chosen, **trial, **filled}


def render(entries: list[Entry], tasks: Mapping[str, Task], markdown: bool = False) -> str:
    """Render all tables.

    Args:
        entries: results in the order of the run.
        tasks: by name.
        markdown: tables in Markdown instead of aligned columns.
    """
    table = _markdown if markdown else _aligned
    chosen = {(entry.task, entry.contestant): entry for entry in entries if entry.chosen}
    names = list(dict.fromkeys(entry.task for entry in entries))
    times = {e.task: e.result.milliseconds for e in entries if e.contestant == TIME}
    parts = [
        table(*_accuracies(names, chosen, tasks)),
        table(*_costs(names, chosen, times)),
    ]
    failures = _failures(entries)
    if failures:
        parts.append(table(["did not run", "contestant", "reason"], failures))
    return "\n\n".join(parts) + "\n"


Chosen = Mapping[tuple[str, str], Entry]
Cells = tuple[list[str], list[list[str]]]


def _accuracies(names: list[str], chosen: Chosen, tasks: Mapping[str, Task]) -> Cells:
    rows = []
    for name in names:
        measured = chosen[name, FLOAT].result.metrics
        for metric in measured or {tasks[name].decisive: 0.0}:
            entries = [chosen.get((name, contestant)) for contestant in CONTESTANTS]
            values = [None if e is None else e.result.metrics.get(metric) for e in entries]
            methods = [e.method if e and e.result.metrics else "" for e in entries[1:]]
            mark = " *" if metric == tasks[name].decisive else ""
            cells = [_cell(value, ".4f") for value in values]
            closed = [_closed(values[0], values[1], ours) for ours in values[2:]]
            ends = ["/".join(closed), "/".join(method[:4] for method in methods)]
            rows.append([tasks[name].title, metric + mark, *cells, *ends])
    return ["network", "metric", *CONTESTANTS, "loss closed", "calibration"], rows


def _closed(before: float | None, peer: float | None, ours: float | None) -> str:
    """Which part of onnxruntime's loss does actc avoid?"""
    if before is None or peer is None or ours is None or peer >= before:
        return "-"
    return f"{(ours - peer) / (before - peer):.0%}"


def _costs(names: list[str], chosen: Chosen, times: Mapping[str, Mapping[str, float]]) -> Cells:
    def figure(name: str, contestant: str, read: Callable[[Result], float | None]) -> str:
        entry = chosen.get((name, contestant))
        return _cell(None if entry is None else read(entry.result), ".2f")

    rows = []
    for name in names:
        sizes = [figure(name, c, lambda result: result.megabytes) for c in (FLOAT, PEER, INT8)]
        packed = figure(name, FOUR_BIT, lambda result: result.weight_megabytes)
        timed = times.get(name, {})
        milliseconds = [_cell(timed.get(c), ".2f") for c in (FLOAT, PEER, INT8)]
        seconds = figure(name, INT8, lambda result: result.seconds)
        memory = figure(name, INT8, lambda result: result.peak_megabytes)
        ours = [chosen.get((name, contestant)) for contestant in OPTIONS]
        exact = [_yes_or_no(None if e is None else e.result.exact) for e in ours]
        rows.append([name, *sizes, packed, *milliseconds, seconds, memory, "/".join(exact)])
    sizes = ["float MB", "peer MB", "golden MB", "4-bit weights MB"]
    times_of = ["float ms", "peer ms", "golden ms"]
    return ["network", *sizes, *times_of, "compile s", "peak MB", "bits equal"], rows


def _failures(entries: list[Entry]) -> list[list[str]]:
    return [
        [entry.task, f"{entry.contestant} {entry.method}".strip(), entry.result.reason]
        for entry in entries
        if entry.result.reason
    ]


def _yes_or_no(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "NO"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _aligned(head: list[str], rows: list[list[str]]) -> str:
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    cells = [[text.replace("|", "\\|") for text in row] for row in (head, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
