"""The cost of fixed-point forms on FPGAs, estimated in milliseconds.

A cost is a sum of counts (:mod:`actc.cost.features`) times coefficients that are not
negative, fitted per family to units that yosys synthesized: least absolute relative
errors, by reweighted non-negative least squares (Lawson and Hanson, 1974).
``docs/cost.md`` says how well that does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import numpy as np

from actc.approx.gates import FixedForm
from actc.cost.features import Features, features
from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.units import UnitOptions, unit_module

COEFFICIENTS = "data/coefficients.json"
TARGETS = ("luts", "carries", "logic_cells", "depth")
_DEFAULT = UnitOptions()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a unit takes, estimated.

    Attributes:
        family: the FPGA family.
        luts: look-up tables of any size.
        carries: carry cells.
        dsps, brams: hard multipliers, block memories.
        depth: logic levels between ports and storage.
        logic_cells: sites of look-up tables that luts and carries take together.
        total: logic cells, hard multipliers and block memories in logic cells, at the
            rates of :class:`~actc.targets.fpga.families.Family`: compare costs by it.
    """

    family: str
    luts: int
    carries: int
    dsps: int
    brams: int
    depth: int
    logic_cells: int
    total: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def estimate(
    form: FixedForm, family: str, options: UnitOptions = _DEFAULT, *, dsp: bool = False
) -> Cost:
    """What :func:`actc.targets.fpga.units.unit_module` of a form costs.

    Args:
        form: a form that has a unit.
        family: a name of :data:`actc.cost.FAMILIES`.
        options: how the unit is built.
        dsp: whether products of two variables go to hard multipliers.

    Raises:
        UsageError: ACT0530, there is no such family; ACT0521, ACT0522, there is no unit
            for the form.
    """
    kind = find_family(family)
    return predict(unit_features(form, kind, options, dsp=dsp), kind, coefficients()[family])


def unit_features(
    form: FixedForm, family: Family, options: UnitOptions = _DEFAULT, *, dsp: bool = False
) -> Features:
    """The counts that :func:`estimate` weighs."""
    outputs = form.evaluate(form.input.codes())
    if form.input.signed:
        outputs = np.roll(outputs, len(outputs) // 2)  # from code 0 on, as the bits count
    return features(unit_module(form, "unit", options), outputs, family, dsp=dsp)


def predict(counts: Features, family: Family, weights: Mapping[str, Any]) -> Cost:
    """The cost from counts.

    Args:
        weights: of the family, as in :func:`coefficients`.
    """
    group = weights[counts.group]
    amounts = {name: _weighted(counts, name, group[name]) for name in TARGETS}
    dsps = sum(_tiles(sizes, family) for sizes in counts.products)
    brams = sum(blocks(sizes, family) for sizes in counts.memories)
    return Cost(
        family=family.name,
        luts=amounts["luts"],
        carries=amounts["carries"],
        dsps=dsps,
        brams=brams,
        depth=amounts["depth"],
        logic_cells=amounts["logic_cells"],
        total=amounts["logic_cells"] + dsps * family.dsp_rate + brams * family.bram_rate,
    )


@functools.cache
def coefficients() -> dict[str, Any]:
    """Coefficients by family, group, cost and feature."""
    text = resources.files("actc.cost").joinpath(COEFFICIENTS).read_text("utf-8")
    families: dict[str, Any] = json.loads(text)["families"]
    return families


def _weighted(counts: Features, name: str, weights: Mapping[str, float]) -> int:
    source = counts.depth if name == "depth" else counts.area
    return round(sum(weight * source[feature] for feature, weight in weights.items()))


def _tiles(sizes: tuple[int, int], family: Family) -> int:
    """Hard multipliers of a product."""
    (a, b), (m, n) = sizes, family.dsp_inputs
    return min(-(-a // m) * -(-b // n), -(-b // m) * -(-a // n))


def blocks(sizes: tuple[int, int], family: Family) -> int:
    """Block memories of a table of (address bits, data bits), in the best of their shapes."""
    address, width = sizes
    return min(
        (1 << max(address - deep, 0)) * -(-width // wide) for deep, wide in family.bram_shapes
    )
