"""Choosing bits per site: measured sensitivities, an exact solver, a measured result.

The solver takes errors to add up. Where they do not, the limit that it works with is
searched until the error (or the accuracy) that is measured with the whole choice keeps
to the budget as closely as the steps allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actc.allocation.budget import Budget
from actc.allocation.options import Item, Option, Progress, Table, tabulate
from actc.allocation.solve import cheapest
from actc.checks.compare import top1
from actc.data import Dataset
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.pipeline import Instrument, Pipeline
from actc.prepare import Prepared
from actc.sensitivity import Reference, choice_of

_STEPS = 10
_FACTOR = 4.0
_MOST_SAMPLES = 512
_TOLERANCE = 1e-12
Choice = Sequence[int]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Bits per site.

    Attributes:
        widths: value name -> bits, for pass `quantize`.
        weight_bits: node name -> bits, for pass `weights`.
        document: JSON-ready, for the report.
    """

    widths: Mapping[str, int]
    weight_bits: Mapping[str, str]
    document: Mapping[str, Any]


def allocate(
    prepared: Prepared,
    pipeline: Pipeline,
    budget: Budget,
    overrides: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    instruments: Sequence[Instrument] = (),
    widest: int = 16,
) -> Allocation:
    """Choose the bits of tensors and weights under a budget.

    Args:
        prepared: the model with its data.
        pipeline: actc's own passes for int8.
        budget: "rms" and "drop" take the fewest bytes of weights and tensors that keep
            to it; "size" the least error that fits, tensors having what `pipeline` says.
        overrides: bits that are given: ``activations`` and ``weights``, by name.
        progress: called with a line now and then.
        instruments: of the passes up to calibration.
        widest: most bits that a tensor may have.

    Raises:
        UsageError: ACT0231, "drop" without labels; ACT0232, the budget cannot be met.
    """
    if budget.kind == "drop" and prepared.dataset.labels is None:
        message = "a budget of accuracy needs labelled data"
        help_text = "add an array 'labels' to the data, or give --budget rms=..."
        raise UsageError(Diagnostic("ACT0231", message, help=help_text))
    table = tabulate(
        prepared,
        pipeline,
        overrides,
        progress,
        instruments,
        tensors=budget.kind != "size",
        widest=widest,
    )
    chooser = _Chooser(table, budget, prepared.dataset, progress)
    chosen = chooser.choose()
    return _allocation(table, budget, chosen, chooser.rms(chosen))


class _Chooser:
    def __init__(self, table: Table, budget: Budget, dataset: Dataset, say: Progress) -> None:
        self._table, self._budget, self._say = table, budget, say
        self._dataset = dataset.take(_MOST_SAMPLES)
        self._reference = Reference(table.simulation, self._dataset)
        self._bytes = [[float(o.bytes) for o in item.options] for item in table.items]
        self._errors = [[o.error for o in item.options] for item in table.items]

    def choose(self) -> Choice:
        """The option of each site."""
        if self._budget.kind == "size":
            return self._within_size()
        if self._budget.kind == "rms":
            return self._search(self._budget.amount**2, self.rms)
        before = top1(self._reference.outputs, self._dataset.labels)
        if before is None:
            message = "a budget of accuracy needs an output that holds classes"
            raise UsageError(Diagnostic("ACT0231", message, help="give --budget rms=..."))
        return self._search(0.05**2, lambda chosen: before - self._accuracy(chosen))

    def _within_size(self) -> Choice:
        sizes = [
            [o.bytes if item.site.kind == "weights" else 0 for o in item.options]
            for item in self._table.items
        ]
        chosen = cheapest(self._errors, sizes, self._budget.amount)
        if chosen is None:
            least = sum(min(options) for options in sizes)
            raise _unreachable(
                f"the weights cannot fit {int(self._budget.amount)} bytes",
                f"with the fewest bits of every layer they take {least} bytes",
            )
        return chosen

    def _search(self, start: float, loss: Callable[[Choice], float]) -> Choice:
        """The cheapest choice found whose measured loss keeps to the budget.

        The limit on the sum of errors is first moved by factors until it is between
        one that is good and one that is not, then halved on a logarithmic scale.
        """
        best = self._most_accurate(loss)
        good, bad, limit = 0.0, math.inf, start
        for step in range(_STEPS):
            chosen = cheapest(self._bytes, self._errors, limit)
            self._say(f"allocation: choice {step + 1} of at most {_STEPS}")
            if chosen is not None and loss(chosen) <= self._budget.amount + _TOLERANCE:
                good = limit
                if self._cost(chosen) <= self._cost(best):
                    best = chosen
                if chosen == [_cheapest(item) for item in self._table.items]:
                    break
            else:
                bad = limit
            limit = _between(good, bad)
        return best

    def _most_accurate(self, loss: Callable[[Choice], float]) -> Choice:
        best = [errors.index(min(errors)) for errors in self._errors]
        reached = loss(best)
        if reached > self._budget.amount + _TOLERANCE:
            what = "error" if self._budget.kind == "rms" else "drop of accuracy"
            raise _unreachable(
                f"no choice of bits keeps to {self._budget}",
                f"with the best option of every site the {what} is {reached:.4g}",
            )
        return best

    def _cost(self, chosen: Choice) -> float:
        return sum(b[o] for b, o in zip(self._bytes, chosen, strict=True))

    def rms(self, chosen: Choice) -> float:
        """Relative RMS error of the outputs with the whole choice."""
        return math.sqrt(self._reference.error(_gates(self._table, chosen)))

    def _accuracy(self, chosen: Choice) -> float:
        outputs = self._table.simulation.outputs(self._dataset, _gates(self._table, chosen))
        found = top1(outputs, self._dataset.labels)
        assert found is not None
        return found


def _between(good: float, bad: float) -> float:
    if good == 0:
        return bad / _FACTOR
    return good * _FACTOR if bad == math.inf else math.sqrt(good * bad)


def _cheapest(item: Item) -> int:
    return min(range(len(item.options)), key=lambda o: item.options[o].bytes)


def _unreachable(message: str, note: str) -> UsageError:
    help_text = "allow more, or give fewer sites bits of their own"
    return UsageError(Diagnostic("ACT0232", message, notes=(note,), help=help_text))


def _options(table: Table, chosen: Choice) -> list[tuple[Item, Option]]:
    return [(item, item.options[o]) for item, o in zip(table.items, chosen, strict=True)]


def _gates(table: Table, chosen: Choice) -> dict[Any, Any]:
    choice: dict[Any, Any] = {}
    for item, option in _options(table, chosen):
        choice.update(choice_of([item.site], option.setting))
    return choice


def _allocation(table: Table, budget: Budget, chosen: Choice, measured: float) -> Allocation:
    widths: dict[str, int] = {}
    weights: dict[str, str] = {}
    rows = []
    for item, option in _options(table, chosen):
        site = item.site
        if len(item.options) > 1 and site.kind == "tensor":
            widths.update(dict.fromkeys(site.values, int(option.bits)))
        elif len(item.options) > 1:
            weights[site.name] = option.bits
        rows.append(
            {
                "site": site.id,
                "kind": site.kind,
                "name": site.name,
                "bits": site.bits(option.setting) or None,
                "chosen": len(item.options) > 1,
                "bytes": option.bytes,
                "contribution": math.sqrt(option.error),
            }
        )
    document = {
        "budget": str(budget),
        "predicted": math.sqrt(math.fsum(o.error for _, o in _options(table, chosen))),
        "measured": measured,
        "weights_bytes": _sum(rows, "weights"),
        "tensors_bytes": _sum(rows, "tensor"),
        "sites": rows,
    }
    return Allocation(widths, weights, document)


def _sum(rows: Sequence[Mapping[str, Any]], kind: str) -> int:
    return sum(int(row["bytes"]) for row in rows if row["kind"] == kind)
