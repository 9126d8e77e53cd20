"""bisect(): the fewest sites that must stay float for the accuracy to recover."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actc.data import DataLike, Dataset
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.numerics.compare import agreement, top1
from actc.ranking import SAMPLES
from actc.sensitivity import ErrorSite, Reference, choice_of, measure
from actc.sensitivity.measure import mean_square
from actc.sensitivity.opening import Opened, open_simulation

Progress = Callable[[str], None]
_MOST_SAMPLES = 512


def bisect(
    directory: str | Path,
    data: DataLike,
    *,
    max_drop: float | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return sites of a compiled model to float, worst first, until it is good enough.

    The sites are ranked by what each contributes to the error of the outputs, and the
    shortest beginning of that list is searched whose return to float makes the loss
    small enough: by bisection, so the loss is taken to shrink as more sites are float.
    The loss is the drop of accuracy where the data has labels, the share of samples
    whose class changes where the outputs hold classes, else the relative RMS error.

    Args:
        directory: what `actc.compile` wrote.
        data: as for `actc.compile`; at most 512 samples are used.
        max_drop: the loss allowed; None: the budget that it was compiled with.
        progress: called with a line for each step.

    Returns:
        JSON-ready: ``measure`` ("accuracy", "agreement" or "rms"), ``max_drop``,
        ``samples``, ``loss`` with all sites quantized, ``sites`` (how many there are),
        ``returned`` (those that must be float: id, kind, name, bits, share),
        ``loss_after``, ``steps`` (returned, loss) in the order tried.

    Raises:
        UsageError: ACT0224, `max_drop` is no fraction; ACT0204, ACT0221, ACT0233, see
            `actc.sensitivity.opening.open_simulation`.
    """
    if max_drop is not None and not 0 <= max_drop <= 1:
        message = f"--max-drop {max_drop} is not a fraction in 0..1"
        raise UsageError(Diagnostic("ACT0224", message))
    say = progress or (lambda line: None)
    opened = open_simulation(directory, data)
    allowed = opened.max_drop if max_drop is None else max_drop
    reference = Reference(opened.simulation, opened.dataset.take(SAMPLES))
    found = measure(reference, opened.sites, opened.setting, say)
    ranked = found.ranked()
    search = _Search(opened, opened.dataset.take(_MOST_SAMPLES), [c.site for c in ranked], say)
    count = search.fewest(allowed)
    total = found.independent**2
    return {
        "measure": search.measure,
        "max_drop": allowed,
        "samples": min(_MOST_SAMPLES, opened.dataset.samples),
        "sites": len(ranked),
        "loss": search.losses[0],
        "returned": [
            {
                "id": c.site.id,
                "kind": c.site.kind,
                "name": c.site.name,
                "bits": c.bits or None,
                "share": c.error / total if total else 0.0,
            }
            for c in ranked[:count]
        ],
        "loss_after": search.losses[count],
        "steps": [{"returned": k, "loss": loss} for k, loss in search.losses.items()],
    }


@dataclass
class _Search:
    opened: Opened
    dataset: Dataset
    ranked: Sequence[ErrorSite]
    say: Progress
    losses: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reference = Reference(self.opened.simulation, self.dataset)
        self.measure = self._kind()

    def fewest(self, allowed: float) -> int:
        """The smallest count of sites returned to float at which the loss is allowed.

        None returned is tried first; all returned is float itself, whose loss is 0.
        """
        self.losses[0] = self._loss(0)
        if self.losses[0] <= allowed + 1e-12:
            return 0
        low, high = 0, len(self.ranked)  # the loss at `low` is too large, at `high` it is not
        self.losses[high] = self._loss(high)
        while high - low > 1:
            middle = (low + high) // 2
            self.losses[middle] = self._loss(middle)
            if self.losses[middle] <= allowed + 1e-12:
                high = middle
            else:
                low = middle
        return high

    def _kind(self) -> str:
        if top1(self._reference.outputs, self.dataset.labels) is not None:
            return "accuracy"
        arrays = self._reference.outputs.values()
        return "rms" if all(agreement(a, a) is None for a in arrays) else "agreement"

    def _loss(self, count: int) -> float:
        self.say(f"bisect: {count} of {len(self.ranked)} sites float")
        choice = choice_of(self.ranked[count:], self.opened.setting)
        if self.measure == "rms":
            return math.sqrt(mean_square(self._reference.errors(choice)))
        outputs = self.opened.simulation.outputs(self.dataset, choice)
        if self.measure == "accuracy":
            before = top1(self._reference.outputs, self.dataset.labels)
            after = top1(outputs, self.dataset.labels)
            assert before is not None
            assert after is not None
            return before - after
        same = [agreement(a, outputs[name]) for name, a in self._reference.outputs.items()]
        return 1.0 - next(share for share in same if share is not None)
