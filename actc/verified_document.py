"""Whether what `actc fit --json` printed is what the certificate in it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIXED_FORMS = {
    "fixed_table": "table",
    "compressed_table": "compressed",
    "bipartite_table": "bipartite",
    "thresholds": "thresholds",
    "integer_piecewise_linear": "pwl",
    "segment_tree": "tree",
    "integer_piecewise_polynomial": "polynomial",
}
"""Name of a form in a certificate -> name of the option."""
_ENTRIES = {
    "fixed_table": ("values",),
    "compressed_table": ("coarse", "differences"),
    "bipartite_table": ("initial", "offset"),
    "thresholds": ("levels",),
}
"""The lists whose lengths make up the number of pieces; elsewhere the form says it."""


def document_problems(document: Mapping[str, Any], certificate: Mapping[str, Any]) -> list[str]:
    """What a document says otherwise than its certificate; empty when nothing.

    Args:
        certificate: one that holds.
    """
    says = _fixed(certificate) if certificate["kind"] == "fixed-point" else _real(certificate)
    return [
        f"{key} is {document[key]} in the document, but {value} in its certificate"
        for key, value in says.items()
        if key in document and document[key] != value
    ]


def _real(certificate: Mapping[str, Any]) -> dict[str, Any]:
    bound = certificate.get("steps", certificate)["lower_bound"]
    return {
        "function": certificate.get("function"),
        "max_error": float.fromhex(certificate["max_error"]),
        "lower_bound": float.fromhex(bound),
        "segments": len(certificate.get("slopes", ())),
        "domain": [float.fromhex(certificate[key]) for key in ("lo", "hi")],
    }


def _fixed(certificate: Mapping[str, Any]) -> dict[str, Any]:
    form = certificate["form"]
    name = form["form"]
    numbers = {
        key: float.fromhex(certificate[key])
        for key in ("max_error", "max_error_ulp", "lower_bound")
    }
    objective = certificate["objective"]
    if objective.startswith("0x"):
        objective = float.fromhex(objective)
    entries = sum(len(form[key]) for key in _ENTRIES.get(name, ()))
    return {
        **{key: certificate[key] for key in ("function", "input", "output")},
        "objective": objective,
        **numbers,
        "form": _FIXED_FORMS[name],
        "segments": entries or form["segments"],
    }
