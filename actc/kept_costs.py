"""Costs of fitted forms from the cache.

A cost is an estimate over the netlist of a unit's Verilog, which takes longer than the fit of
wide forms. It depends on the form, the family and the code of units and estimates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from actc import cache
from actc.approx.candidates import Candidate
from actc.approx.gates import FixedFit, NoForm
from actc.cost import Cost
from actc.fixed_cost import Build
from actc.fixed_result import Option
from actc.kept_fits import described
from actc.targets.fpga.units import UnitOptions

KIND = "cost"
_PART = "builds.json"
_SOURCES = (
    "approx/*.py", "cost/**/*.py", "cost/data/*", "numerics/*.py", "targets/fpga/**/*.py",
    "fixed_cost.py", "kept_costs.py", "kept_fits.py",
)  # fmt: skip


def kept_options(candidates: Sequence[Candidate], device: str) -> Iterator[Option]:
    """Each candidate with its cost, as :meth:`~actc.fixed_result.Option.of` gives it.

    Args:
        candidates: of one fit.
        device: family of FPGAs.
    """
    place = cache.default()
    if place is None:
        yield from (Option.of(candidate, device) for candidate in candidates)
        return
    key = _key(candidates, device)
    known = _read(place, key, len(candidates))
    if known is not None:
        yield from (Option(c, b) for c, b in zip(candidates, known, strict=True))
        return
    done = [Option.of(candidate, device) for candidate in candidates]
    builds = json.dumps([_described(option.build) for option in done])
    place.write(KIND, key, {_PART: builds.encode()})
    yield from done


def _key(candidates: Sequence[Candidate], device: str) -> str:
    forms = [
        [str(c.found.form.input), str(c.found.form.output), described(c.found)]
        if isinstance(c.found, FixedFit)
        else described(c.found)
        for c in candidates
    ]
    facts = {
        "device": device,
        "code": cache.source_digest(Path(__file__).parent, _SOURCES),
        "numpy": metadata.version("numpy"),
    }
    return cache.key_of(KIND, facts, {"forms": json.dumps(forms, sort_keys=True).encode()})


def _described(build: Build | NoForm) -> dict[str, Any]:
    return {"reason": build.reason} if isinstance(build, NoForm) else asdict(build)


def _read(place: cache.Cache, key: str, count: int) -> list[Build | NoForm] | None:
    parts = place.read(KIND, key)
    if parts is None:
        return None
    try:
        found = [_build(item) for item in json.loads(parts[_PART])]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # it is estimated and written again
    return found if len(found) == count else None


def _build(item: dict[str, Any]) -> Build | NoForm:
    if "reason" in item:
        return NoForm(str(item["reason"]))
    return Build(
        UnitOptions(**item["options"]), bool(item["hard_multiplier"]), Cost(**item["cost"])
    )
