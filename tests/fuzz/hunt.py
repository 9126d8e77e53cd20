"""The hunt: Hypothesis draws recipes in batches, oracles judge them, findings are shrunk."""

from __future__ import annotations

import importlib
import importlib.util
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from fuzz.judged import Finding, Verdict
from fuzz.oracles import Case, Oracle
from fuzz.recipes import Recipe, case_of
from fuzz.recipes_networks import all_recipes
from fuzz.reduced import Found, Judge, reduced

BATCH = 25
"""Models of a batch."""
SHRINK_SECONDS = 120.0
_DRAWS = "fuzz"
"""A backend of Hypothesis that draws and does not mutate what it drew before: no case is like
another."""
_MODULES = (
    *("fuzz.compared", "fuzz.hardware", "fuzz.hardware_circuits", "fuzz.hardware_hls"),
    "fuzz.hardware_cuda",
)


def modules() -> list[str]:
    """Modules with oracles, those that are there."""
    return [name for name in _MODULES if importlib.util.find_spec(name) is not None]


def known_oracles() -> tuple[Oracle, ...]:
    """All oracles: `ORACLES` of each module."""
    return tuple(o for name in modules() for o in importlib.import_module(name).ORACLES)


@dataclass(slots=True)
class Statistics:
    """What was done.

    Attributes:
        models: number of distinct cases.
        compiled: those that an oracle compiled and found in order.
        operators: how often each rule was applied.
        nodes: how often each of ONNX's operators occurs.
        options: models compiled with each option that is no default.
        verdicts: by oracle and outcome ("ok", a code, "finding").
        findings: by key.
        seconds: that each oracle took.
    """

    models: int = 0
    compiled: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    options: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, other: Statistics) -> None:
        """Add what another process did."""
        self.models += other.models
        self.compiled += other.compiled
        self.operators += other.operators
        self.nodes += other.nodes
        self.options += other.options
        self.verdicts += other.verdicts
        self.findings += other.findings
        self.seconds += other.seconds

    def draw(self, case: Case) -> None:
        """Count a case."""
        self.models += 1
        self.operators.update(case.operators)
        self.nodes.update(node.op_type for node in case.proto.graph.node)
        self.options.update(f"{name}={value}" for name, value in case.options.items())

    def note(self, verdict: Verdict) -> None:
        """Count a verdict."""
        outcome = "finding" if verdict.finding else verdict.refused or "ok"
        self.verdicts[verdict.oracle, outcome] += 1
        self.seconds[verdict.oracle] += verdict.seconds  # type: ignore[assignment]
        if verdict.finding:
            self.findings[verdict.finding.key] += 1


class _Draws(HypothesisProvider):
    """Draws without constants of the modules that happen to be imported."""

    def _maybe_draw_constant(self, *given: Any, **more: Any) -> None:
        return None


AVAILABLE_PROVIDERS[_DRAWS] = _Draws


class _StillFails(AssertionError):
    """A case with the finding that is being shrunk."""


def hunt(
    number: int,
    judge: Judge,
    oracles: Sequence[Oracle],
    seen: set[str],
    *,
    end: float = float("inf"),
    size: int = BATCH,
    shrink_seconds: float = SHRINK_SECONDS,
) -> Iterator[Statistics | Found]:
    """Judge a batch of cases and shrink what is found.

    Args:
        number: seed of the batch: the same gives the same cases.
        judge: of cases.
        oracles: to ask.
        seen: keys of findings that are not shrunk again; new ones are added.
        end: time of `time.monotonic` at which the batch stops.
        size: models.
        shrink_seconds: for each new finding, and again for its model.

    Yields:
        statistics of the batch, then each new finding.
    """
    done, found = Statistics(), dict[str, tuple[Oracle, str]]()
    known: set[str] = set()

    def visit(recipe: Recipe) -> None:
        case = case_of(recipe)
        if case.digest in known or time.monotonic() > end:
            return
        known.add(case.digest)
        done.draw(case)
        fine = False
        for oracle in chosen(case, oracles):
            verdict = judge.judge(case, oracle)
            done.note(verdict)
            fine |= not (verdict.refused or verdict.finding)
            if verdict.finding and verdict.finding.key not in seen:
                seen.add(verdict.finding.key)
                found[verdict.finding.key] = (oracle, case.digest)
            if verdict.refused:
                break
        done.compiled += fine

    explore(number, visit, size, (Phase.generate,))
    yield done
    for key, (oracle, digest) in found.items():
        yield _shrunk(number, judge, oracle, key, digest, size, shrink_seconds)


def chosen(case: Case, oracles: Sequence[Oracle]) -> Iterator[Oracle]:
    """The oracles that a case is given to; which of the dear ones, its digest decides."""
    for order, oracle in enumerate(oracles):
        if (int(case.digest[:8], 16) + 7 * order) % oracle.every == 0 and oracle.accepts(case):
            yield oracle


def explore(
    number: int, visit: Callable[[Recipe], None], size: int, phases: tuple[Phase, ...]
) -> None:
    """Visit so many recipes, the same for the same number."""
    test = given(all_recipes())(visit)
    test = seed(number)(test)
    settings(
        max_examples=size,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        phases=phases,
        backend=_DRAWS,
        suppress_health_check=list(HealthCheck),
    )(test)()


def _shrunk(
    number: int, judge: Judge, oracle: Oracle, key: str, digest: str, size: int, seconds: float
) -> Found:
    """The simplest case with the finding that Hypothesis gets to from the first one, in time."""
    failing: dict[str, Found] = {}
    passed: set[str] = set()
    end = time.monotonic() + seconds
    least: list[Found] = []

    def visit(recipe: Recipe) -> None:
        case = case_of(recipe)
        if not failing and case.digest != digest:
            return  # what came before the first one in the batch
        if case.digest not in failing:
            if case.digest in passed or (failing and time.monotonic() > end):
                return
            finding = judge.judge(case, oracle).finding
            if finding is None or finding.key != key:
                passed.add(case.digest)
                return
            failing[case.digest] = Found(finding, case)
            least[:] = [min((*least, failing[case.digest]), key=_size)]
        raise _StillFails

    try:
        explore(number, visit, size, (Phase.generate, Phase.shrink))
    except BaseException:  # Hypothesis wraps what it cannot repeat
        if not least:
            raise
    if least:
        return reduced(least[0], judge, oracle, seconds)
    return Found(Finding(oracle.name, key, "not repeatable"), _first(number, digest, size))


def _size(found: Found) -> tuple[int, int]:
    return len(found.case.proto.graph.node), len(found.case.model) + len(str(found.case.options))


def _first(number: int, digest: str, size: int) -> Case:
    cases: list[Case] = []

    def visit(recipe: Recipe) -> None:
        case = case_of(recipe)
        if case.digest == digest:
            cases.append(case)

    explore(number, visit, size, (Phase.generate,))
    return cases[0]


def save(found: Found, folder: Path) -> Path:
    """Write a finding with everything that repeats it; its folder."""
    case, place = found.case, folder / found.case.digest
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.onnx").write_bytes(case.model)
    arrays: dict[str, Any] = {f"data/{name}": a for name, a in case.data.items()}
    arrays |= {f"probe/{name}": a for name, a in case.probe.items()}
    np.savez(place / "data.npz", **arrays)
    document = {
        "oracle": found.finding.oracle,
        "finding": found.finding.what,
        "options": dict(case.options),
        "seed": case.seed,
        "rules": list(case.operators),
    }
    (place / "options.json").write_text(json.dumps(document, indent=1) + "\n")
    (place / "message.txt").write_text(
        f"{found.finding.key}\n\nrepeat: PYTHONPATH=tests python -m fuzz --repeat "
        f"{folder.name}/{case.digest}\n\n{found.finding.detail}\n"
    )
    return place


def load(place: Path) -> tuple[Case, dict[str, Any]]:
    """The case that a folder holds, and its options.json."""
    document: dict[str, Any] = json.loads((place / "options.json").read_text())
    with np.load(place / "data.npz", allow_pickle=False) as arrays:
        parts: dict[str, dict[str, Any]] = {"data": {}, "probe": {}}
        for key in arrays.files:
            part, name = key.split("/", 1)
            parts[part][name] = arrays[key]
    model = (place / "model.onnx").read_bytes()
    rules, seed = tuple(document.get("rules", ())), document.get("seed", 0)
    return Case(model, parts["data"], parts["probe"], document["options"], seed, rules), document
