"""Choosing bits per site: measured sensitivities, an exact solver, measured results.

First every site is measured alone, and the solver counts with the sum of squares. The
choice that this finds is then improved by successive linearization (`actc.allocation.local`):
errors are measured around it, the program is solved with them, and what it finds is
measured with all sites on. Only what was measured to keep to the budget is taken. A choice
that erred otherwise than predicted, and near which nothing better is found, is predicted
again, from errors around the next best choice near it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from actc.allocation.budget import Budget
from actc.allocation.candidates import Progress
from actc.allocation.local import Local, linearize, towards
from actc.allocation.options import Choice, Item, Table
from actc.allocation.solve import Costs, cheapest, least, most_accurate
from actc.data import Dataset
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.numerics.compare import top1
from actc.sensitivity import Reference

_STEPS = 8
"""Choices from the sum of squares that are measured."""
_ROUNDS, _ROUNDS_OF_MANY, _MANY = 4, 1, 64
"""Times that errors are measured around a choice; fewer with many sites."""
_TRUSTED = 0.05
"""How far a measured error may be from the predicted one for a choice to be trusted."""
_TRIES = 4
"""Choices from errors around one, each with half as many changes."""
_CONFIRMED, _CONFIRMED_OF_MANY = 3, 1
"""Times that a choice which erred otherwise than predicted is looked at again."""
_APART = (5, 3, 2)
"""Sites in which the choice differs that predicts it again; with one site, the measured change
would be the prediction."""
_FACTOR = 4.0
_MOST_SAMPLES = 512
_TOLERANCE = 1e-12
_SLACK = 0.98
"""A limit that was missed is moved by a little more than what it was missed by."""
_WORTH = 0.01
"""Share of the cost that a round must save for another one to follow."""
_CLOSE = 1.05
"""A good and a bad limit so near each other end the search."""
_START = 0.05**2
"""The error at which the search for an accuracy begins."""


@dataclass(frozen=True, slots=True)
class Step:
    """A choice that was measured with all sites on.

    Attributes:
        chosen: the option of each site.
        predicted: relative RMS error that was predicted without this measurement.
        measured: relative RMS error.
        cost: what it takes.
        loss: what the budget is about: that error, or accuracy lost.
        changes: sites that differ, with an effect, from the choice around which the
            prediction's errors were measured; 0: they were measured alone, and it is their
            sum of squares.
    """

    chosen: Choice
    predicted: float
    measured: float
    cost: float
    loss: float
    changes: int = 0

    @property
    def trusted(self) -> bool:
        """Whether the measured error is as predicted, by 5 percent."""
        return abs(self.predicted - self.measured) <= _TRUSTED * self.measured

    @property
    def confirmed(self) -> bool:
        """Whether it is as predicted, and not for being what was measured for one site."""
        return self.trusted and self.changes != 1


class Chooser:
    """Finds the choice for a budget.

    Attributes:
        steps: what was measured, in order.
        local: the errors that were measured around a choice last; None: there are none.

    Args:
        table: all sites.
        budget: what the choice keeps to.
        costs: what choices take: bytes, or logic.
        dataset: samples that choices are measured on, up to 512.
        say: called with a line now and then.
    """

    def __init__(
        self, table: Table, budget: Budget, costs: Costs, dataset: Dataset, say: Progress
    ) -> None:
        self._table, self._budget, self._costs, self._say = table, budget, costs, say
        self._dataset = dataset.take(_MOST_SAMPLES)
        same = self._dataset.samples == table.reference.dataset.samples
        self._reference = table.reference if same else Reference(table.simulation, self._dataset)
        self._errors = [[o.error for o in item.options] for item in table.items]
        self._float_accuracy = 0.0
        self._factor = 1.0
        self.steps: list[Step] = []
        self.local: Local | None = None

    def choose(self) -> Step:
        """The best choice found.

        Raises:
            UsageError: ACT0231, an accuracy without classes; ACT0232, the budget cannot
                be met.
        """
        if self._budget.kind == "drop":
            before = top1(self._reference.outputs, self._dataset.labels)
            if before is None:
                message = "a budget of accuracy needs an output that holds classes"
                raise UsageError(Diagnostic("ACT0231", message, help="give --budget rms=..."))
            self._float_accuracy = before
        best = self._most_accurate_within() if self._budget.limits_cost else self._search()
        few = len(self._table.items) <= _MANY
        rounds = _ROUNDS if few else _ROUNDS_OF_MANY
        for number in range(rounds):
            label = f"around choice {number + 1} of at most {rounds}"
            better = self._improve(best, self._linearized(best, label))
            if better is None:
                break
            gain = self._gain(best, better)
            best = better
            if gain < _WORTH:
                break
        return self._confirmed(best, _CONFIRMED if few else _CONFIRMED_OF_MANY)

    def _linearized(self, best: Step, label: str) -> Local:
        """The errors around a choice, measured unless they were last."""
        if self.local is None or self.local.centre != best.chosen:
            self.local = linearize(self._table, best.chosen, self._say, label)
        return self.local

    def _confirmed(self, best: Step, rounds: int) -> Step:
        """A choice at least as good whose error is as predicted, as far as one is found.

        One that was not is predicted again from around choices near it. Where one of these
        proves to be better, it takes its place.
        """
        for number in range(rounds):
            if best.confirmed:
                break
            label = f"around what erred otherwise than predicted, {number + 1}"
            local = self._linearized(best, label)
            better = self._improve(best, local)
            if better is None:
                found = self._predicted_again(best, local)
                if found.chosen == best.chosen:
                    return found
                better = found
            best = better
        return best

    def _predicted_again(self, best: Step, local: Local) -> Step:
        """The choice with a prediction from around another one; or that one, if it is better.

        The other one is the next best that differs in so many sites that matter, also one
        beyond the budget; fewer after each that predicts another error than was measured.
        """
        local = local.notable()
        ratio = self._ratio(best, local)
        for count in _APART:
            apart = (count, count)
            chosen = self._next_to(best, local, ratio, apart)
            if chosen is None and self._budget.limits_cost:
                chosen = local.cheapest(self._costs, math.inf, apart)
            elif chosen is None:
                chosen = local.most_accurate(self._costs, math.inf, apart)
            if chosen is None:
                continue
            other = self._measure(chosen, math.sqrt(local.predict(chosen) / ratio), count)
            if self._is_better(other, best):
                return other
            back = towards(self._table, chosen, best.chosen, self._say, "back to the choice")
            again = math.sqrt(back.predict(best.chosen) / self._ratio(other, back))
            best = replace(best, predicted=again, changes=count)
            if best.confirmed:
                break
        return best

    def _gain(self, old: Step, new: Step) -> float:
        """Share of the error or of the cost that a choice saves."""
        if self._budget.limits_cost:
            return 1 - new.measured / max(old.measured, 1e-300)
        return 1 - new.cost / max(old.cost, 1e-300)

    def _improve(self, best: Step, local: Local) -> Step | None:
        """A better choice near one, measured to keep to the budget; None: none was found.

        Fewer sites may change after each choice that disappoints, or whose error was not
        what was predicted: a trust region. One that is better all the same is taken where
        nothing else is.
        """
        ratio = self._ratio(best, local)
        changes = len(self._table.items)
        better: Step | None = None
        for _ in range(_TRIES):
            chosen = self._next_to(best, local, ratio, (0, changes))
            if chosen is None:
                break
            predicted = math.sqrt(local.predict(chosen) / ratio)
            step = self._measure(chosen, predicted, max(local.effective(chosen), 1))
            if step.trusted and self._is_better(step, best):
                return step
            if self._is_better(step, better or best):
                better = step
            changes = _differences(chosen, best.chosen) // 2
        return better

    def _ratio(self, centre: Step, local: Local) -> float:
        """Errors around a choice are measured on fewer samples than the choice itself."""
        return max(local.error, 1e-300) / max(centre.measured**2, 1e-300)

    def _next_to(
        self, best: Step, local: Local, ratio: float, changes: tuple[int, int]
    ) -> Choice | None:
        """The solution of the program around a choice; None: that choice, or none."""
        budget = self._budget
        if budget.limits_cost:
            chosen = local.most_accurate(self._costs, budget.amount, changes)
        else:
            limit = budget.amount**2 * ratio if budget.kind == "rms" else local.error
            chosen = local.cheapest(self._costs, limit, changes)
        return None if chosen == best.chosen else chosen

    def _is_better(self, step: Step, best: Step) -> bool:
        if self._budget.limits_cost:
            return step.cost <= self._budget.amount and step.measured < best.measured
        return self._keeps(step) and step.cost < best.cost

    def _most_accurate_within(self) -> Step:
        chosen = most_accurate(self._errors, self._costs, self._budget.amount)
        if chosen is None:
            raise _unreachable(
                f"no choice of bits keeps to {self._budget}",
                f"the least that any takes is {math.ceil(least(self._costs))} {self._budget.unit}",
            )
        return self._measure(chosen, self._alone(chosen))

    def _search(self) -> Step:
        """The cheapest choice found by the sum of squares whose loss keeps to the budget.

        The limit on the sum is moved by what the measured error missed, or for an
        accuracy by factors until it is between a good and a bad one, then halved on a
        logarithmic scale.
        """
        best = self._most_accurate()
        fewest = [min(range(len(item.options)), key=_bytes_of(item)) for item in self._table.items]
        rms = self._budget.kind == "rms"
        good, bad = 0.0, math.inf
        limit = self._budget.amount**2 if rms else _START
        for number in range(_STEPS):
            chosen = cheapest(self._costs, self._errors, limit)
            self._say(f"allocation: choice {number + 1} of at most {_STEPS}")
            step = None if chosen is None else self._measure(chosen, self._alone(chosen))
            if step is not None:
                self._factor = step.measured / math.sqrt(max(self._squares(step.chosen), 1e-300))
            if step is not None and self._keeps(step):
                good = limit
                best = step if step.cost <= best.cost else best
                if step.chosen == fewest:
                    break
            else:
                bad = limit
            limit = self._next(limit, good, bad, step if rms else None)
            if good > bad / _CLOSE:
                break
        return best

    def _next(self, limit: float, good: float, bad: float, step: Step | None) -> float:
        if step is not None and step.measured > 0:
            wanted = limit * _SLACK * (self._budget.amount / step.measured) ** 2
            if good < wanted < bad:
                return wanted
        return _between(good, bad)

    def _most_accurate(self) -> Step:
        """The best option of every site."""
        chosen = [errors.index(min(errors)) for errors in self._errors]
        step = self._measure(chosen, self._alone(chosen))
        if not self._keeps(step):
            what = "error" if self._budget.kind == "rms" else "drop of accuracy"
            raise _unreachable(
                f"no choice of bits keeps to {self._budget}",
                f"with the best option of every site the {what} is {step.loss:.4g}",
            )
        return step

    def _alone(self, chosen: Choice) -> float:
        """The error that the sum of squares predicts, recalibrated by what it missed last."""
        return self._factor * math.sqrt(self._squares(chosen))

    def _squares(self, chosen: Choice) -> float:
        return math.fsum(e[o] for e, o in zip(self._errors, chosen, strict=True))

    def _keeps(self, step: Step) -> bool:
        return step.loss <= self._budget.amount + _TOLERANCE

    def _measure(self, chosen: Choice, predicted: float, changes: int = 0) -> Step:
        known = [step for step in self.steps if step.chosen == chosen]
        if known:
            return known[0]
        self._table.prepare(enumerate(chosen))
        switches = self._table.switches(chosen)
        measured = math.sqrt(self._reference.error(switches))
        loss = measured
        if self._budget.kind == "drop":
            outputs = self._table.simulation.outputs(self._dataset, switches)
            accuracy = top1(outputs, self._dataset.labels)
            assert accuracy is not None
            loss = self._float_accuracy - accuracy
        cost = self._costs.of(chosen)
        step = Step(list(chosen), predicted, measured, cost, loss, changes)
        self.steps.append(step)
        return step


def _bytes_of(item: Item) -> Callable[[int], int]:
    return lambda option: item.options[option].bytes


def _differences(one: Choice, other: Choice) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _between(good: float, bad: float) -> float:
    if good == 0:
        return bad / _FACTOR
    return good * _FACTOR if bad == math.inf else math.sqrt(good * bad)


def _unreachable(message: str, note: str) -> UsageError:
    help_text = "allow more, or give fewer sites bits of their own"
    return UsageError(Diagnostic("ACT0232", message, notes=(note,), help=help_text))
