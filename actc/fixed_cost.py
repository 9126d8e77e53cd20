"""The cheapest hardware unit of a fixed-point form on a family of FPGAs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from actc.approx.bipartite import BipartiteTable
from actc.approx.compressed_table import CompressedTable
from actc.approx.fixed_table import FixedTable
from actc.approx.gates import FixedForm, NoForm
from actc.cost import Cost, estimate
from actc.targets.fpga.units import UnitOptions

MOST_SEGMENTS = 4096
"""Units of more lines or polynomials are not built: tables hold them better."""
_MOST_COMPARED = 256
"""Of units of more segments, only the usual build is looked at: estimates take long."""
_MEMORY_BITS = 1 << 11
"""Tables of fewer bits than a fraction of a block memory stay in logic."""


@dataclass(frozen=True)
class Build:
    """A way to build the unit of a form, and what it costs.

    Attributes:
        options: see :class:`actc.targets.fpga.units.UnitOptions`.
        hard_multiplier: whether products go to hard multipliers.
        cost: the estimate.
    """

    options: UnitOptions
    hard_multiplier: bool
    cost: Cost

    @property
    def total(self) -> int:
        """The figure that decides: everything in logic cells."""
        return self.cost.total

    def to_json(self) -> dict[str, Any]:
        """JSON-ready figures and choices."""
        return {
            **self.cost.to_json(),
            "lookup": self.options.lookup,
            "hard_multiplier": self.hard_multiplier,
        }


def cheapest_build(form: FixedForm, family: str) -> Build | NoForm:
    """The build of least total, the plainest of those that cost the same; or why not.

    Args:
        family: one of `actc.cost.FAMILIES`.
    """
    segments = _segments(form)
    if segments > MOST_SEGMENTS:
        return NoForm(f"needs {segments} segments, of which no unit is built: a table is smaller")
    builds = (
        Build(options, hard, estimate(form, family, options, dsp=hard))
        for options, hard in _ways(form)
    )
    return min(builds, key=lambda build: build.total)


def _ways(form: FixedForm) -> Iterator[tuple[UnitOptions, bool]]:
    if isinstance(form, (FixedTable, CompressedTable, BipartiteTable)):
        yield UnitOptions(), False
        if form.storage_bits >= _MEMORY_BITS:
            yield UnitOptions(lookup="memory"), False
        return
    yield UnitOptions(), False
    if 0 < _segments(form) <= _MOST_COMPARED:
        yield UnitOptions(multiplier="multiply"), False
        yield UnitOptions(multiplier="multiply"), True


def _segments(form: FixedForm) -> int:
    """Lines or polynomials of a form; 0 for tables and thresholds."""
    return int(getattr(form, "segments", 0))
