"""The command line of the fuzzer."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fuzz.contained import Contained
from fuzz.hunt import Statistics, hunt, known_oracles, load, modules, save
from fuzz.reduced import Found
from fuzz.rules import RULES

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TVM_NUM_THREADS")
_SEEDS = 1 << 20
"""Batches of a seed."""


def main() -> int:
    """Fuzz for some minutes, or repeat a finding; 1 where something was found."""
    parser = argparse.ArgumentParser("python -m fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--oracle", action="append", help="only these (default: all)")
    parser.add_argument("--output", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--repeat", type=Path, help="folder of a finding")
    given = parser.parse_args()
    for name in _THREADS:
        os.environ[name] = "1"
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # for the workers
    console = Console(stderr=True)
    if given.repeat:
        return _repeat(given.repeat, console)
    names = [o.name for o in known_oracles()]
    unknown = set(given.oracle or ()) - set(names)
    if unknown:
        parser.error(f"no oracle {', '.join(unknown)}; known: {', '.join(names)}")
    console.print(f"seed {given.seed}, {given.workers} workers, oracles {', '.join(names)}")
    start = time.monotonic()
    done, places = _run(given, console)
    console.print(_table(done, time.monotonic() - start))
    for line in _spread(done):
        console.print(line, markup=False, highlight=False)
    for place, key in places:
        console.print(f"found: {key}\n  {place}", soft_wrap=True, markup=False)
    return 1 if done.findings else 0


def _repeat(place: Path, console: Console) -> int:
    case, document = load(place)
    (oracle,) = [o for o in known_oracles() if o.name == document["oracle"]]
    contained = Contained(modules())
    verdict = contained.judge(case, oracle)
    contained.close()
    if verdict.finding is None:
        console.print(f"not repeated: {verdict.refused or 'all agree'}")
        return 0
    console.print(f"{verdict.finding.key}\n{verdict.finding.detail}", markup=False)
    return 1


def _run(given: argparse.Namespace, console: Console) -> tuple[Statistics, list[tuple[Path, str]]]:
    context = multiprocessing.get_context("spawn")
    events: Any = context.Queue()
    seconds = 60 * given.minutes
    runners = [
        context.Process(
            target=_work, args=(events, k, given.workers, given.seed, seconds, given.oracle)
        )
        for k in range(given.workers)
    ]
    for runner in runners:
        runner.start()
    done, places, keys = Statistics(), list[tuple[Path, str]](), set[str]()
    start = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=seconds)
        while any(r.is_alive() for r in runners) or not events.empty():
            try:
                event = events.get(timeout=1)
            except queue.Empty:
                event = None
            if isinstance(event, Statistics):
                done.add(event)
            elif isinstance(event, Found) and event.finding.key not in keys:
                keys.add(event.finding.key)
                places.append((save(event, given.output), event.finding.key))
            text = f"{done.models} models, {len(done.findings)} kinds of findings"
            progress.update(task, completed=time.monotonic() - start, description=text)
    return done, places


def _work(
    events: Any, worker: int, workers: int, seed: int, seconds: float, names: list[str] | None
) -> None:
    """One worker's batches, until the time is over."""
    end = time.monotonic() + seconds
    oracles = [o for o in known_oracles() if not names or o.name in names]
    contained = Contained(modules())
    seen: set[str] = set()
    number = worker
    while time.monotonic() < end:
        for event in hunt(seed * _SEEDS + number, contained, oracles, seen, end=end):
            events.put(event)
        number += workers
    contained.close()


def _table(done: Statistics, seconds: float) -> Table:
    table = Table("oracle", "run", "agree", "refused", "findings", "s each")
    for name in sorted({oracle for oracle, _ in done.verdicts}):
        counts = {what: n for (oracle, what), n in done.verdicts.items() if oracle == name}
        total, fine = sum(counts.values()), counts.pop("ok", 0)
        found = counts.pop("finding", 0)
        codes = ", ".join(f"{code} {n}" for code, n in sorted(counts.items()))
        each = f"{done.seconds[name] / total:.2f}"
        table.add_row(name, str(total), str(fine), codes, str(found), each)
    hourly = round(3600 * done.compiled / max(seconds, 1))
    table.title = f"{done.models} models, {done.compiled} compiled ({hourly} an hour)"
    return table


def _spread(done: Statistics) -> Iterator[str]:
    """What was drawn, so that blind spots are seen."""
    rules = Counter({name: done.operators[name] for name in RULES})
    for what, counts in (("rules", rules), ("operators", done.nodes), ("options", done.options)):
        yield f"{what}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common())
