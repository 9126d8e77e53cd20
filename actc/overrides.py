"""Bits of single tensors and layers, and forms of single activations, given by name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import Problems, UsageError
from actc.ir.context import context_of
from actc.numerics.quantization import MAX_BITS
from actc.numerics.weights import WeightFormat
from actc.passes.linear_layers import layer_names
from actc.passes.site_choices import FACT, SiteChoice, names_of, problems_of
from actc.passes.widths import AUTO
from actc.pipeline import Instrument, pass_name

Overrides = Mapping[str, Mapping[str, Any]]
_TABLES = ("activations", "weights")
_SITES = "sites"
_KINDS = {
    "activations": "float value",
    "weights": "layer with constant weights",
    _SITES: "activation",
}
"""What the names of a table name."""
_MOST_SHOWN = 10


def checked(overrides: Overrides | None) -> dict[str, dict[str, Any]]:
    """`overrides` with all its tables, the bits of weights as text; sites where there are any.

    Raises:
        UsageError: ACT0234, tables or numbers of bits that do not exist; ACT0226, such
            formats of weights; all of them.
    """
    given, problems = overrides or {}, Problems()
    for name in given:
        if name not in (*_TABLES, _SITES):
            message = f"overrides have the tables {', '.join((*_TABLES, _SITES))}, not '{name}'"
            problems.add(Diagnostic("ACT0234", message))
    widths = dict(given.get("activations", {}))
    for name, bits in widths.items():
        if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MAX_BITS:
            message = f"'{name}' cannot have {bits!r} bits"
            problems.add(Diagnostic("ACT0234", message, help=f"give 1 to {MAX_BITS}"))
    formats = {name: str(bits) for name, bits in given.get("weights", {}).items()}
    for bits in formats.values():
        problems.attempt(WeightFormat.parse, bits)
    sites = dict(given.get(_SITES, {}))
    for name, entry in sites.items():
        for key, message, help_text in problems_of(entry):
            place = Place("", name)
            problems.add(Diagnostic("ACT0234", f"'{key}' {message}", place=place, help=help_text))
    problems.require_none()
    found = {"activations": widths, "weights": formats}
    return {**found, _SITES: {k: dict(v) for k, v in sites.items()}} if sites else found


def put(model: ir.Model, overrides: Overrides) -> None:
    """Hand `overrides` to the passes that choose formats."""
    facts = context_of(model).facts
    facts["widths"] = dict(overrides["activations"])
    facts["weight_bits"] = dict(overrides["weights"])
    facts[FACT] = {k: SiteChoice(**v) for k, v in overrides.get(_SITES, {}).items()}


def require_free(options: Any, passes: object) -> None:
    """A budget and overrides choose what other options would; both need integers.

    Args:
        options: `actc.compile_options.Options`, as the user gave them.
        passes: a pipeline of the user's, or None.

    Raises:
        UsageError: ACT0229, the precision has no integers; ACT0231, an option clashes
            with the budget.
    """
    sites = options.overrides.get(_SITES, {})
    overridden = any(options.overrides[name] for name in _TABLES)
    overridden = overridden or any("bits" in entry for entry in sites.values())
    if options.precision != "int8" and (options.budget is not None or overridden):
        given = "a budget" if options.budget is not None else "bits of single tensors or layers"
        message = f"{given} has no meaning with --precision {options.precision}"
        raise UsageError(Diagnostic("ACT0229", message, help="compile with --precision int8"))
    if options.budget is None:
        return
    taken = {
        "passes": passes is not None,
        "weights": options.weights != "8",
        "activations": options.activations != AUTO and not options.budget.startswith("size"),
    }
    clash = [f"--{name}" for name, given in taken.items() if given]
    clash += ["[sites] of actc.toml"] if sites else []
    if clash:
        raise UsageError(
            Diagnostic(
                "ACT0231",
                f"--budget {options.budget} chooses what {' and '.join(clash)} would",
                help="leave one of them out; single bits can be given in actc.toml",
            )
        )


class KnownNames(Instrument):
    """Checks, behind calibration, that the names of overrides are in the model."""

    def __init__(self, overrides: Overrides, file: str) -> None:
        self._overrides, self._file = overrides, file

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Check the names.

        Raises:
            UsageError: ACT0234, with every name that is not in the model.
        """
        if pass_name(step) != "calibrate":
            return
        layers = [name for node in model.graph for name in layer_names(node)]
        known: dict[str, Collection[str]] = {
            "activations": list(context_of(model).ranges),
            "weights": layers,
            _SITES: [name for site in context_of(model).sites.values() for name in names_of(site)],
        }
        unknown = [
            self._unknown(name, table, known[table])
            for table in known
            for name in self._overrides.get(table, ())
            if name not in known[table]
        ]
        if unknown:
            raise UsageError(unknown)

    def _unknown(self, name: str, table: str, known: Collection[str]) -> Diagnostic:
        what = _KINDS[table]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        shown = ", ".join(list(known)[:_MOST_SHOWN])
        more = f" and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
        return Diagnostic(
            "ACT0234",
            f"[{table}] names '{name}', but the model has no {what} of that name",
            place=Place(self._file, name),
            help=hint or f"it has: {shown}{more}",
        )
