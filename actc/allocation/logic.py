"""Logic cells of a network that is fully unrolled, by the bits of its sites.

Every product with a constant, every sum and every activation has hardware of its own,
for every element of its result; nothing is shared over time. What an operation takes is
estimated by `actc.cost.network`, before place and route, and depends on the bits of two
sites at most: of what it reads and of its weights, or of what it reads and gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from actc.allocation.candidates import Candidates
from actc.allocation.logic_parts import MAXIMA, SUMS, Counter, Part
from actc.allocation.options import Choice, Table
from actc.allocation.solve import Costs, Pair
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op
from actc.passes.widths import MOVEMENT


@dataclass(frozen=True, eq=False, slots=True)
class Logic:
    """What the operations of a network take.

    Attributes:
        family: of FPGAs.
        parts: in the order of the graph.
        costs: the same, by site and by pair of sites.
    """

    family: str
    parts: tuple[Part, ...]
    costs: Costs


def logic(table: Table, family: str) -> Logic:
    """Count the logic of all operations in all options of their sites."""
    parts = tuple(Counter(table, family).parts())
    single = [[0.0] * len(item.options) for item in table.items]
    pairs = []
    for part in parts:
        if len(part.items) == 2:
            pairs.append(Pair((part.items[0], part.items[1]), part.cells))
        elif part.items:
            (item,) = part.items
            single[item] = [a + float(b) for a, b in zip(single[item], part.cells, strict=True)]
    fixed = sum(float(part.cells) for part in parts if not part.items)
    if single:
        single[0] = [cost + fixed for cost in single[0]]
    return Logic(family, parts, Costs(single, pairs))


def logic_document(found: Logic, table: Table, chosen: Choice) -> dict[str, Any]:
    """What the report says of it: cells in all, by site, by what they do, and forms.

    An operation counts to its weights, or else to the tensor that it gives.
    """
    by_site: dict[str, float] = {}
    by_kind: dict[str, float] = {}
    units = []
    for part in found.parts:
        cells = part.of(chosen)
        weights = [i for i in part.items if table.items[i].site.kind == "weights"]
        owner = next(iter(weights or part.items[::-1]), None)
        name = "" if owner is None else table.items[owner].site.id
        by_site[name] = by_site.get(name, 0.0) + cells
        by_kind[part.what] = by_kind.get(part.what, 0.0) + cells
        if part.forms is not None:
            units.append({"node": part.name, "form": part.form(chosen), "cells": round(cells)})
    return {
        "family": found.family,
        "cells": round(found.costs.of(chosen)),
        "cells_by_site": {name: round(cells) for name, cells in by_site.items()},
        "cells_by_kind": {name: round(cells) for name, cells in by_kind.items()},
        "units": units,
    }


def require_covered(candidates: Candidates) -> None:
    """Refuse a network with operators whose logic is not estimated.

    Raises:
        UsageError: ACT0249.
    """
    known = (*MOVEMENT, *MAXIMA, *SUMS, "Conv", "MatMul", "Add", "Sub", "Mul")
    unknown = [
        node
        for node in candidates.model.graph
        if not is_op(node, *known)
        and not is_op(node, "Activation", domain=DOMAIN)
        and not all(constant(value) is not None for value in node.outputs)
    ]
    if unknown:
        raise _not_covered(unknown)


def _not_covered(nodes: Sequence[ir.Node]) -> UsageError:
    kinds = ", ".join(sorted({node.op_type for node in nodes}))
    return UsageError(
        Diagnostic(
            "ACT0249",
            f"nothing says how much logic these operators take: {kinds}",
            place=Place("", str(nodes[0].name), nodes[0].op_type),
            help="give --budget rms=..., size=... or drop=... for this network",
        )
    )
