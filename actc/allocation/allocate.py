"""From a budget to the bits of every tensor and layer, and what the report says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actc.allocation.budget import Budget
from actc.allocation.bytes import memory, table_pairs
from actc.allocation.candidates import (
    SPARSE_WEIGHT_BITS,
    WEIGHT_BITS,
    Candidates,
    Overrides,
    Progress,
)
from actc.allocation.choose import Chooser, Step
from actc.allocation.logic import logic, logic_document, require_covered
from actc.allocation.options import Table, setting_for, tabulate
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.pipeline import Instrument, Pipeline
from actc.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Allocation:
    """Bits per site.

    Attributes:
        widths: value name -> bits, for pass `quantize`.
        weight_bits: node name -> bits, for pass `weights`.
        document: JSON-ready, for the report.
        doubt: ACT0415, where the choice does not err as predicted.
    """

    widths: Mapping[str, int]
    weight_bits: Mapping[str, str]
    document: dict[str, Any]
    doubt: Diagnostic | None


_WIDEST_LOGIC = 12
"""Most bits of a tensor in a budget of logic: the units of wider ones would fill a device."""


def allocate(
    prepared: Prepared,
    pipeline: Pipeline,
    budget: Budget,
    overrides: Overrides,
    progress: Progress,
    instruments: Sequence[Instrument] = (),
    widest: int = 16,
) -> Allocation:
    """Choose the bits of tensors and weights under a budget.

    Args:
        prepared: the model with its data.
        pipeline: actc's own passes for int8.
        budget: "rms" and "drop" take the fewest bytes of weights, tensors and tables that
            keep to it; "size" the least error that fits, tensors having what `pipeline`
            says; "luts" the least error whose logic fits.
        overrides: bits that are given: ``activations`` and ``weights``, by name.
        progress: called with a line now and then.
        instruments: of the passes up to calibration.
        widest: most bits that a tensor may have.

    Raises:
        UsageError: ACT0231, "drop" without labels; ACT0232, the budget cannot be met;
            ACT0249, "luts" and an operator whose logic no estimate covers.
    """
    if budget.kind == "drop" and prepared.dataset.labels is None:
        message = "a budget of accuracy needs labelled data"
        help_text = "add an array 'labels' to the data, or give --budget rms=..."
        raise UsageError(Diagnostic("ACT0231", message, help=help_text))
    free = budget.kind != "size"
    widest = min(widest, _WIDEST_LOGIC) if budget.kind == "luts" else widest
    candidates = Candidates(
        prepared,
        pipeline,
        overrides,
        progress,
        instruments,
        tensors=free,
        widest=widest,
        weight_bits=SPARSE_WEIGHT_BITS if budget.kind == "luts" else WEIGHT_BITS,
    )
    if budget.kind == "luts":
        require_covered(candidates)
    table = tabulate(candidates, overrides, prepared.dataset, progress)
    found = None
    if budget.kind == "luts":
        progress("logic of every operation")
        found = logic(table, budget.family)
    costs = memory(table, tensors=free) if found is None else found.costs
    chooser = Chooser(table, budget, costs, prepared.dataset, progress)
    best = chooser.choose()
    made = _allocation(table, budget, chooser, best)
    if found is not None:
        made.document.update(logic_document(found, table, best.chosen))
    return made


def _allocation(table: Table, budget: Budget, chooser: Chooser, best: Step) -> Allocation:
    widths: dict[str, int] = {}
    weights: dict[str, str] = {}
    rows = []
    for item, number in zip(table.items, best.chosen, strict=True):
        site, option = item.site, item.options[number]
        if len(item.options) > 1 and site.kind == "tensor":
            widths.update(dict.fromkeys(site.values, int(option.bits)))
        elif len(item.options) > 1:
            weights[site.name] = option.bits
        rows.append(
            {
                "site": site.id,
                "kind": site.kind,
                "name": site.name,
                "bits": site.bits(setting_for(table.candidates, site, option.bits)) or None,
                "chosen": len(item.options) > 1,
                "bytes": option.bytes,
                "contribution": math.sqrt(option.error),
            }
        )
    document = {
        "budget": str(budget),
        "predicted": best.predicted,
        "measured": best.measured,
        "changes": best.changes,
        "samples": table.reference.dataset.samples,
        "standard_error": table.standard_error,
        "weights_bytes": _sum(rows, "weights"),
        "tensors_bytes": _sum(rows, "tensor"),
        "tables_bytes": int(sum(pair.of(best.chosen) for pair in table_pairs(table))),
        "steps": [
            {
                "predicted": s.predicted,
                "measured": s.measured,
                "cost": s.cost,
                "changes": s.changes,
            }
            for s in chooser.steps
        ],
        "sites": rows,
    }
    return Allocation(widths, weights, document, _doubt(best, table.candidates.context.file))


def _doubt(best: Step, file: str) -> Diagnostic | None:
    """A warning where the measured error is not as predicted."""
    if best.trusted:
        return None
    message = (
        f"the choice of bits errs by {best.measured:.4g} (relative RMS, simulated), but "
        f"{best.predicted:.4g} was predicted: more than 5 percent beside it"
    )
    note = "it keeps to the budget as measured; a better one may have been missed"
    help_text = "give more samples, or set the bits of some sites in actc.toml"
    return Diagnostic("ACT0415", message, "warning", Place(file), (note,), help_text)


def _sum(rows: Sequence[Mapping[str, Any]], kind: str) -> int:
    return sum(int(row["bytes"]) for row in rows if row["kind"] == kind)
