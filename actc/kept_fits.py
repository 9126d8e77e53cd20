"""Fits in fixed point from the cache: forms as integers, verified again at every input code.

What a fit depends on is the gates (which hold the function's value at every input code), the
forms that are wanted, and the code that fits. From the cache come only the forms: errors are
measured anew, the certificate is written anew and checked by the independent checker, as if the
form had just been fitted.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from actc import cache
from actc.approx.bipartite import BipartiteTable
from actc.approx.candidates import Candidate, Found, Variant, candidates
from actc.approx.compressed_table import CompressedTable
from actc.approx.dyadic import SegmentTree
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial, PolynomialFit
from actc.approx.fixed_table import FixedTable
from actc.approx.gates import FixedForm, Gates, NoForm, verified
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.approx.thresholds import Thresholds
from actc.errors import ActcError

KIND = "fit"
_PART = "forms.json"
_FORMS: dict[str, type[Any]] = {
    form.__name__: form
    for form in (
        BipartiteTable,
        CompressedTable,
        FixedTable,
        IntegerPiecewiseLinear,
        IntegerPolynomial,
        SegmentTree,
        Thresholds,
    )
}
_SOURCES = ("approx/*.py", "numerics/*.py", "kept_fits.py")


def kept_candidates(
    gates: Gates, wanted: Sequence[Variant], *, thorough: bool = False
) -> Iterator[Candidate]:
    """As :func:`~actc.approx.candidates.candidates`, from the cache where they are known."""
    place = cache.default()
    if place is None:
        yield from candidates(gates, wanted, thorough=thorough)
        return
    start = perf_counter()
    key = _key(gates, wanted, thorough)
    known = _read(place, key, gates, len(wanted))
    if known is not None:
        each = (perf_counter() - start) / len(wanted)
        yield from (Candidate(v, found, each) for v, found in zip(wanted, known, strict=True))
        return
    done: list[Found] = []
    for candidate in candidates(gates, wanted, thorough=thorough):
        done.append(candidate.found)
        if len(done) == len(wanted):  # before it is given: nobody asks for one more
            place.write(KIND, key, {_PART: json.dumps([described(f) for f in done]).encode()})
        yield candidate


def _key(gates: Gates, wanted: Sequence[Variant], thorough: bool) -> str:
    objective = gates.objective
    facts = {
        "function": gates.function,
        "input": str(gates.input),
        "output": str(gates.output),
        "objective": objective if isinstance(objective, str) else float(objective).hex(),
        "wanted": [str(variant) for variant in wanted],
        "thorough": thorough,
        "code": cache.source_digest(Path(__file__).parent, _SOURCES),
        "versions": [platform.python_version(), *map(metadata.version, ("numpy", "scipy"))],
        "machine": platform.machine(),
    }
    arrays = {"target": gates.target, "low": gates.low, "high": gates.high}
    return cache.key_of(KIND, facts, {name: array.tobytes() for name, array in arrays.items()})


def _read(place: cache.Cache, key: str, gates: Gates, count: int) -> list[Found] | None:
    parts = place.read(KIND, key)
    if parts is None:
        return None
    try:
        items = json.loads(parts[_PART])
        found = [_found(item, gates) for item in items]
    except (ValueError, KeyError, TypeError, RecursionError, ActcError):
        return None  # it is fitted and written again
    return found if len(found) == count else None


def described(found: Found) -> dict[str, Any]:
    """A fit as JSON values, its gates left out."""
    if isinstance(found, NoForm):
        return {"reason": found.reason}
    form = found.form
    fields = {
        field.name: _plain(getattr(form, field.name))
        for field in dataclasses.fields(form)
        if field.name not in ("input", "output")
    }
    minimal = {"minimal": found.minimal} if isinstance(found, PolynomialFit) else {}
    return {"form": type(form).__name__, "fields": fields, **minimal}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _found(item: dict[str, Any], gates: Gates) -> Found:
    """The fit that was described, evaluated at every input code.

    Raises:
        ValueError, KeyError, TypeError, ActcError: it is none of these gates.
    """
    if "reason" in item:
        return NoForm(str(item["reason"]))
    form = _form(_FORMS[item["form"]], item["fields"], gates.input, gates.output)
    found = verified(form, gates)
    if isinstance(form, IntegerPolynomial):
        minimal = item["minimal"]
        return PolynomialFit(
            form, gates, found.max_error_ulp, found.max_error, minimal=bool(minimal)
        )
    return found


def _form(
    kind: type[Any], fields: dict[str, Any], input: FixedPoint, output: FixedPoint
) -> FixedForm:
    """A form of its fields: numbers, tuples of them, and arrays, as its class says."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in ("input", "output"):
            continue
        value = fields[field.name]
        if str(field.type) == "Codes":
            value = np.array(value, np.int64)
        elif isinstance(value, list):
            value = tuple(value)
        given[field.name] = value
    made: FixedForm = kind(input=input, output=output, **given)
    return made
