"""Which roundings of a compiled model cost most, and what to write into actc.toml."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from actc.data import DataLike
from actc.sensitivity import Contribution, Reference, measure
from actc.sensitivity.opening import Opened, open_simulation
from actc.sensitivity.sites import ErrorSite

SAMPLES = 64
"""Samples that sites are measured on."""
_COVERED = 0.9
"""Share of the error that the suggested overrides are about."""
_MOST_OVERRIDES = 20
_INTERACTION = 0.1
"""Share by which the sum of the sites may miss the error before they count as interacting."""
Progress = Callable[[str], None]
Row = dict[str, Any]


def rank_sites(
    directory: str | Path,
    data: DataLike,
    samples: int = SAMPLES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure what each site of a compiled model contributes to its outputs' error.

    Args:
        directory: what `actc.compile` wrote.
        data: as for `actc.compile`.
        samples: at most so many samples are used.
        progress: called with a line per site.

    Returns:
        JSON-ready: ``samples``; ``method``, "alone" where the sum of what sites cause
        alone is within 10 percent of the error of all, else "behind": what each adds
        behind those before it; ``predicted`` (that sum) and ``measured``, relative RMS
        of the outputs; ``sites`` and ``layers``, largest
        contribution first; ``overrides`` (``activations`` and ``weights``: name ->
        bits) and ``toml``, the same as text for actc.toml.

    Raises:
        UsageError, ModelError: see `actc.sensitivity.opening.open_simulation`.
    """
    opened = open_simulation(directory, data)
    part = opened.dataset.take(samples)
    reference = Reference(opened.simulation, part)
    found = measure(reference, opened.sites, opened.setting, progress)
    behind = abs(found.predicted - found.measured) > _INTERACTION * found.measured
    if behind:
        found = measure(reference, opened.sites, opened.setting, progress, behind=True)
    ranked = found.ranked()
    overrides = _overrides(ranked, opened.widest)
    return {
        "samples": part.samples,
        "method": "behind" if behind else "alone",
        "predicted": found.independent if behind else found.predicted,
        "measured": found.measured,
        "sites": [_row(c, found.independent**2, opened) for c in ranked],
        "layers": _layers(ranked, found.independent**2, opened),
        "overrides": overrides,
        "toml": toml_text(overrides),
    }


def _row(contribution: Contribution, total: float, opened: Opened) -> Row:
    site = contribution.site
    return {
        "id": site.id,
        "kind": site.kind,
        "name": site.name,
        "values": list(site.values),
        "bits": contribution.bits or None,
        "layer": opened.layer_of(site) or None,
        "rms": math.sqrt(contribution.error),
        "share": contribution.error / total if total else 0.0,
    }


def _layers(ranked: Sequence[Contribution], total: float, opened: Opened) -> list[Row]:
    """Contributions from each layer with weights up to the next."""
    sums: dict[str, float] = {}
    for contribution in ranked:
        name = opened.layer_of(contribution.site)
        sums[name] = sums.get(name, 0.0) + contribution.error
    rows = [
        {
            "name": name or None,
            "rms": math.sqrt(error),
            "share": error / total if total else 0.0,
        }
        for name, error in sums.items()
    ]
    return sorted(rows, key=lambda row: -row["share"])


def _overrides(ranked: Sequence[Contribution], widest: int) -> dict[str, dict[str, Any]]:
    """More bits for the sites that make up most of the error, where more bits are to be had."""
    chosen: dict[str, dict[str, Any]] = {"activations": {}, "weights": {}}
    total, covered = math.fsum(c.error for c in ranked), 0.0
    for contribution in ranked[:_MOST_OVERRIDES]:
        if covered >= _COVERED * total:
            break
        covered += contribution.error
        site, bits = contribution.site, contribution.bits
        if site.kind == "weights" and bits != "8":
            chosen["weights"][site.name] = 8
        elif site.kind == "tensor" and int(bits) < 8:
            chosen["activations"][site.name] = 8
        elif site.kind == "tensor" and int(bits) < widest and _is_wide(site):
            chosen["activations"][site.name] = widest
    return chosen


def _is_wide(site: ErrorSite) -> bool:
    """Whether some reader takes the tensor in its own format, not the narrow one."""
    return any(gate.kind == "wide" for gate in site.gates)


def toml_text(overrides: dict[str, dict[str, Any]]) -> str:
    """Tables of actc.toml."""
    lines = []
    for table, entries in overrides.items():
        if entries:
            lines.append(f"[{table}]")
            lines += [f"{_quoted(name)} = {json.dumps(bits)}" for name, bits in entries.items()]
            lines.append("")
    return "\n".join(lines)


def _quoted(name: str) -> str:
    """A basic string of TOML; JSON's escapes are TOML's, but for DEL, which JSON leaves."""
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
