"""How well estimated costs agree with measured ones: the table of docs/cost.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cost_plan import HELD_OUT

from actc.cost.features import DEPTH_FEATURES, FEATURES, Features
from actc.cost.model import predict
from actc.targets.fpga.families import FAMILIES

FEWEST_TO_CHOOSE = 6
"""Forms of a function that make a choice between them worth judging."""
SMALL = 4
"""Costs below count as this much when errors are taken relative to them."""


def stored(counts: Features) -> dict[str, Any]:
    """Counts as kept with a measurement."""
    return {
        "area": [int(counts.area[name]) for name in FEATURES],
        "path": [round(counts.depth[name], 2) for name in DEPTH_FEATURES],
        "products": counts.products,
        "input_bits": counts.input_bits,
    }


def counts_of(row: dict[str, Any]) -> Features:
    """The counts that a measurement keeps."""
    return Features(
        dict(zip(FEATURES, row["area"], strict=True)),
        dict(zip(DEPTH_FEATURES, row["path"], strict=True)),
        tuple((a, b) for a, b in row["products"]),
        memories=(),
        registers=0,
        input_bits=row["input_bits"],
    )


@dataclass(frozen=True)
class Outcome:
    """An estimate of a unit beside its measurement.

    Attributes:
        function: of the catalogue.
        form, widths: the title of the unit.
        estimated, measured: totals.
        levels: estimated less measured depth.
    """

    function: str
    form: str
    widths: str
    estimated: int
    measured: int
    levels: int

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return abs(self.estimated - self.measured) / max(self.measured, SMALL)


def outcomes(rows: Sequence[dict[str, Any]], weights: dict[str, Any]) -> list[Outcome]:
    """Estimates and measurements of the functions that were held out, in one family."""
    found = []
    for row in rows:
        if row["function"] in HELD_OUT:
            cost = predict(counts_of(row), FAMILIES[row["family"]], weights)
            form, widths = row["unit"].rsplit(", ", 1)
            levels = cost.depth - row["depth"]
            found.append(Outcome(row["function"], form, widths, cost.total, row["total"], levels))
    return found


def regrets(found: Iterable[Outcome]) -> list[float]:
    """How much more the form of least estimate costs than the cheapest, per function."""
    groups: dict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)
    for one in found:
        if one.widths in ("8 to 8 bits", "10 to 10 bits", "12 to 12 bits"):
            groups[one.function, one.widths][one.form] = one
    result = []
    for group in groups.values():
        if len(group) >= FEWEST_TO_CHOOSE:
            chosen = min(group.values(), key=lambda one: one.estimated).measured
            cheapest = min(one.measured for one in group.values())
            result.append(chosen / max(cheapest, 1) - 1)
    return result


def report(rows: Sequence[dict[str, Any]], document: dict[str, Any]) -> str:
    """The table of docs/cost.md.

    Args:
        rows: measurements.
        document: the coefficients as the package ships them.
    """
    weights = document["families"]
    found = {
        name: outcomes([row for row in rows if row["family"] == name], weights[name])
        for name in weights
    }
    forms = sorted({one.form for all_ in found.values() for one in all_})
    lines = ["| form | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for form in [*forms, ""]:
        cells = [
            _spread([one.error for one in all_ if form in ("", one.form)])
            for all_ in found.values()
        ]
        lines.append(f"| {form or '**all**'} | " + " | ".join(cells) + " |")
    away = [[abs(one.levels) for one in all_] for all_ in found.values()]
    lines.append("| depth, levels away | " + " | ".join(map(_levels, away)) + " |")
    regret = [_spread(regrets(all_)) for all_ in found.values()]
    lines.append("| regret of the choice | " + " | ".join(regret) + " |")
    measured = Counter(row["family"] for row in rows)
    units = [f"{measured[name]} of {document['planned'][name]}" for name in found]
    lines.append("| units measured, of the plan | " + " | ".join(units) + " |")
    return "\n".join(lines) + "\n"


def _levels(away: Sequence[int]) -> str:
    if not away:
        return "-"
    return f"{np.median(away):.0f} / {np.quantile(away, 0.9):.0f} ({len(away)})"


def _spread(errors: Sequence[float]) -> str:
    if not errors:
        return "-"
    middle, high = (f"{100 * np.quantile(errors, quantile):.0f} %" for quantile in (0.5, 0.9))
    return f"{middle} / {high} ({len(errors)})"
