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
    if certificate["kind"] == "fixed-point":
        says = _fixed(certificate, document.get("objective"))
    elif document.get("form") == "tree":
        says = _tree(certificate, document.get("domain"))
    else:
        says = _real(certificate)
    return [
        f"{key} is {document[key]} in the document, but {value} in its certificate"
        for key, value in says.items()
        if key in document and not _same(document[key], value)
    ]


def _same(told: Any, value: Any) -> bool:
    """Whether two JSON values are equal, and true is not 1."""
    if isinstance(told, list) and isinstance(value, list):
        return len(told) == len(value) and all(map(_same, told, value))
    return isinstance(told, bool) == isinstance(value, bool) and bool(told == value)


def _real(certificate: Mapping[str, Any]) -> dict[str, Any]:
    low, high = (float.fromhex(certificate[key]) for key in ("lo", "hi"))
    bound = certificate.get("steps", certificate)["lower_bound"]
    tails = certificate.get("tails", (0, 0))
    return {
        "function": certificate.get("function"),
        "max_error": float.fromhex(certificate["max_error"]),
        "lower_bound": float.fromhex(bound),
        "segments": len(certificate.get("slopes", ())),
        "domain": ["-inf" if tails[0] else low, "inf" if tails[1] else high],
        "core": [low, high],
    }


def _tree(certificate: Mapping[str, Any], domain: Any) -> dict[str, Any]:
    """A tree is sampled without the end of its domain, and its lower bound has no witnesses.

    Args:
        domain: that of the document.
    """
    says = _real(certificate)
    del says["lower_bound"]
    low, last = says["core"]
    match domain:
        case [float(first), float(end)]:
            if (first, end - (end - first) / certificate["points"]) == (low, last):
                says["domain"] = says["core"] = domain
    return says


def _fixed(certificate: Mapping[str, Any], said: Any) -> dict[str, Any]:
    """What a document says of integers.

    Args:
        said: its objective. Of the least error of so many pieces, the certificate has
            the gates of that error.
    """
    form = certificate["form"]
    name = form["form"]
    numbers = {
        key: float.fromhex(certificate[key])
        for key in ("max_error", "max_error_ulp", "lower_bound")
    }
    objective = certificate["objective"]
    if objective.startswith("0x"):
        least = said == "least_error" and "fewest" not in certificate
        objective = said if least else float.fromhex(objective)
    sized = {"most_segments": certificate["least"]["pieces"]} if "least" in certificate else {}
    entries = sum(len(form[key]) for key in _ENTRIES.get(name, ()))
    return {
        **{key: certificate[key] for key in ("function", "input", "output")},
        "objective": "least_error" if sized else objective,
        **numbers,
        **sized,
        "bounds": "pieces" if sized else "formats",
        "form": _FIXED_FORMS[name],
        "segments": entries or form["segments"],
    }
