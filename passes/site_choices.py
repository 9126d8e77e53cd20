"""What a user chose for single activations, by name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context
from actc.ir.sites import Site
from actc.numerics.quantization import MAX_BITS, MIN_BITS

FACT = "sites"
"""Key of the context's facts: name -> SiteChoice."""
FORMS = ("auto", "exact", "pwl", "table")
_MOST_SEGMENTS = 1 << 16


@dataclass(frozen=True, slots=True)
class SiteChoice:
    """What is chosen for one activation; None: what holds for all.

    Attributes:
        form: one of `FORMS`.
        segments: pieces of a piecewise linear function, 1 or more.
        max_error: instead of `segments`, of the range of the outputs, above 0.
        bits: of the integers that it reads, 2..16.
    """

    form: str | None = None
    segments: int | None = None
    max_error: float | None = None
    bits: int | None = None


KEYS = tuple(sorted(item.name for item in fields(SiteChoice)))


def problems_of(entry: object) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the options of a site: key, message and help of each problem."""
    if not isinstance(entry, dict):
        yield "sites", f"has {entry!r}, not a table", 'write it as [sites."name"]'
        return
    for key, value in entry.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            yield str(key), "is no option of a site", f"{hint}they are: {', '.join(KEYS)}"
        elif not _is_good(key, value):
            yield key, f"is {value!r}, not {_WANTED[key]}", f"write it as {_EXAMPLES[key]}"
    pieces = [key for key in ("max_error", "segments") if key in entry]
    if len(pieces) > 1:
        yield "segments", "and 'max_error' each say how many pieces there are", "leave one out"
    if pieces and entry.get("form", "pwl") != "pwl":
        yield pieces[0], f"has no meaning with form '{entry['form']}'", 'give form = "pwl"'


_WANTED = {
    "bits": f"a number of bits, {MIN_BITS} to {MAX_BITS}",
    "form": f"one of {', '.join(FORMS)}",
    "max_error": "a number above 0",
    "segments": f"a whole number, 1 to {_MOST_SEGMENTS}",
}
_EXAMPLES = {
    "bits": "bits = 12",
    "form": 'form = "pwl"',
    "max_error": "max_error = 0.001",
    "segments": "segments = 16",
}


def _is_good(key: str, value: object) -> bool:
    if key == "form":
        return value in FORMS
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if key == "max_error":
        return math.isfinite(value) and value > 0
    low, high = (MIN_BITS, MAX_BITS) if key == "bits" else (1, _MOST_SEGMENTS)
    return isinstance(value, int) and low <= value <= high


def names_of(site: Site) -> tuple[str, ...]:
    """The names that stand for a site: its identifier, and those of the nodes that formed it."""
    return tuple(dict.fromkeys((site.id, *filter(None, site.nodes))))


def choice_of(context: Context, site: Site) -> SiteChoice | None:
    """What is chosen for a site; pieces alone ask for a piecewise linear function."""
    chosen = context.facts.get(FACT) or {}
    found = next((chosen[name] for name in names_of(site) if name in chosen), None)
    if found is None or found.form is not None or not (found.segments or found.max_error):
        return found
    return SiteChoice("pwl", found.segments, found.max_error, found.bits)


_REASONS = {
    "clamp": "values saturate there anyway, so it is exact",
    "rows": "it is applied to the rows of a table, so it is exact",
}


def without_effect(context: Context, site: Site) -> Diagnostic:
    """The warning that a site has not the form that was asked for."""
    reason = _REASONS.get(site.form, "")
    if site.function.channels > 1:
        reason = "it is one function per channel"
    said = f": {reason}" if reason else ""
    return Diagnostic(
        "ACT0710",
        f"activation '{site.id}' ({site.label}) keeps form '{site.form}', not pwl{said}",
        "warning",
        Place(context.file, site.nodes[0] if site.nodes else site.id),
        help="leave its form out of [sites]",
    )
