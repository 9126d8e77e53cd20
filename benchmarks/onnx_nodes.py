"""Run the onnx package's node tests through `actc compile --precision float32 --target cpu`.

    python benchmarks/onnx_nodes.py [--filter TEXT] [--workers 2] [--again] [--page FILE]

Each case is compiled with its own inputs as data (one sample, `--approx exact`) and the artefact's
outputs are compared with those that the case expects, at its tolerance, integers bit for bit.
Workers are processes of their own: one that dies or takes too long costs its case alone. What
is known is kept in a results file, so that a run that was stopped goes on; `--again` starts anew.
`--page` writes the page docs/onnx-coverage.md from all results. A summary goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parent))
from onnx_node_case import OUTCOMES, Outcome, cases, operator, run_case
from onnx_node_page import page

ROOT = Path(__file__).resolve().parent.parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "actc"
_START_SECONDS = 120.0


@dataclass
class Worker:
    """A process that runs cases by name, one line each way."""

    approx: str
    process: subprocess.Popen[str] = field(init=False)
    case: str = ""
    since: float = 0.0
    started: bool = False

    def __post_init__(self) -> None:
        """Start the process."""
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", self.approx]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    @property
    def answers(self) -> IO[str]:
        """What the process writes."""
        assert self.process.stdout is not None
        return self.process.stdout

    def give(self, name: str) -> None:
        """Hand a case to the process."""
        assert self.process.stdin is not None
        self.case, self.since = name, time.monotonic()
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()

    def late(self, seconds: float) -> bool:
        """Whether its case takes longer than it may; the first one also pays for the start."""
        limit = seconds if self.started else seconds + _START_SECONDS
        return time.monotonic() - self.since > limit

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def work(approx: str) -> None:
    """Read names of cases, write outcomes; what a case itself prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        outcome = run_case(cases()[line.strip()], approx)
        answers.write(json.dumps(outcome.json()) + "\n")


@dataclass
class Pool:
    """Processes that run cases, and the file that their outcomes go to.

    Attributes:
        waiting: cases to run, the next one last.
        results: one outcome a line is appended.
        seconds: that a case may take.
        approx: form of activations.
    """

    waiting: list[str]
    results: TextIO
    seconds: float
    approx: str
    total: int = 0
    done: int = 0
    workers: list[Worker] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, count: int) -> None:
        """Run all cases on `count` processes."""
        self.total = len(self.waiting)
        while self.waiting or self.workers:
            while self.waiting and len(self.workers) < count:
                self._start()
            for key, _ in self.selector.select(timeout=1.0):
                self._answer(key.data)
            for worker in [w for w in self.workers if w.late(self.seconds)]:
                self._lost(worker, f"it took more than {self.seconds:g} s")

    def _start(self) -> None:
        worker = Worker(self.approx)
        self.workers.append(worker)
        self.selector.register(worker.answers, selectors.EVENT_READ, worker)
        worker.give(self.waiting.pop())

    def _answer(self, worker: Worker) -> None:
        line = worker.answers.readline()
        if not line:
            self._lost(worker, "the process ended")
            return
        worker.started = True
        self._record(Outcome(**json.loads(line)))
        if self.waiting:
            worker.give(self.waiting.pop())
        else:
            self._drop(worker)

    def _lost(self, worker: Worker, reason: str) -> None:
        self._record(Outcome(worker.case, operator(cases()[worker.case]), "crashed", reason))
        self._drop(worker)

    def _drop(self, worker: Worker) -> None:
        self.selector.unregister(worker.answers)
        worker.stop()
        self.workers.remove(worker)

    def _record(self, outcome: Outcome) -> None:
        self.done += 1
        self.results.write(json.dumps(outcome.json()) + "\n")
        self.results.flush()
        if self.done % 50 == 0 or self.done == self.total:
            print(f"{self.done} of {self.total}", file=sys.stderr)


def read_results(path: Path) -> dict[str, Outcome]:
    """The last outcome of each case in a results file; of cases that this onnx has."""
    found: dict[str, Outcome] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            outcome = Outcome(**json.loads(line))
            if outcome.name in cases():
                found[outcome.name] = outcome
    return dict(sorted(found.items()))


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="run cases with this text in their name")
    parser.add_argument("--outcome", choices=OUTCOMES, help="run those that ended so before")
    parser.add_argument("--again", action="store_true", help="also those with a known result")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=60.0, help="time that a case may take")
    parser.add_argument("--approx", default="exact", help="form of activations (actc compile)")
    parser.add_argument("--results", type=Path, default=_CACHE / "onnx_nodes.jsonl")
    parser.add_argument("--page", type=Path, help="write the page, of all results")
    parser.add_argument("--show", action="store_true", help="print each case that does not pass")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return 0
    known = read_results(options.results)
    wanted = [name for name in cases() if options.filter in name]
    if options.outcome:
        wanted = [n for n in wanted if n in known and known[n].result == options.outcome]
    elif not options.again:
        wanted = [name for name in wanted if name not in known]
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a", encoding="utf-8") as results:
        pool = Pool(wanted[::-1], results, options.seconds, options.approx)
        pool.run(options.workers)
    known = read_results(options.results)
    shown = {name: o for name, o in known.items() if options.filter in name}
    counts = Counter(outcome.result for outcome in shown.values())
    print(", ".join(f"{counts[result]} {result}" for result in OUTCOMES))
    for outcome in shown.values():
        if options.show and outcome.result not in ("passes", "left out"):
            print(f"{outcome.result:8} {outcome.name}: {outcome.reason[:200]}")
    if options.page:
        options.page.write_text(page(known, len(cases())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
