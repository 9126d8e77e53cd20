"""verify(): check certificates again, and that they speak of the files beside them.

The claims are checked by :mod:`actc.approx.checker` in exact rational arithmetic. In
the directory of a compilation the functions are those of its own float.onnx, found
again site by site, and the tables of golden.onnx and the lines of approximated.onnx
must be those that the certificates speak of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import Malformed, amount, integer, number, numbers, require_keys
from actc.approx.checker import check_certificate
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError
from actc.function_names import names_a_site, resolve
from actc.intact import read_intact
from actc.ir.files import read_regular
from actc.output import MANIFEST
from actc.verified_document import document_problems

Evaluate = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

CERTIFICATES = "certificates.json"
_STEPS = frozenset({"scale", "zero_point", "low", "lower_bound", "pair"})
_SLACK = Fraction(1, 2**44)
_EDGE = Fraction(1, 2**20)
"""How far, in steps of the input, an edge of a table may lie from the middle of two codes."""


def certificate_problems(certificate: Any, evaluate: Evaluate) -> list[str]:
    """What is wrong with a certificate of the function `evaluate`; empty when it holds."""
    malformed = _malformed(certificate)
    if malformed:
        return [f"the certificate is malformed: {malformed}"]
    try:
        problems = check_certificate(certificate, evaluate)
    except ModelError as error:  # the function is not a number somewhere
        return [d.message for d in error.diagnostics]
    if not problems and "steps" in certificate:
        problems = _step_problems(certificate, evaluate)
    return problems


def _malformed(certificate: Any) -> str:
    if not isinstance(certificate, dict) or not isinstance(certificate.get("kind"), str):
        return "it is not an object with a kind"
    return ""


def _step_problems(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """Check the lower bound of a table: two samples of one input step lie far apart."""
    try:
        scale, bound, left, right, zero_point, low = _steps(certificate["steps"])
    except Malformed as error:
        return [f"the certificate is malformed: {error}"]
    edges = numbers(certificate["breakpoints"], "breakpoints")
    ends = [number(certificate[key], key) for key in ("lo", "hi")]
    if any(numbers(certificate["slopes"], "slopes")):
        return ["a table has no slopes"]
    if scale <= 0 or not 0 <= low <= low + len(edges) <= 255:
        return ["the scale or the codes of the input are impossible"]
    for code, edge in enumerate(edges, low + 1):
        if abs(edge - scale * (code - zero_point - Fraction(1, 2))) > _EDGE * scale * 256:
            return [f"the edge below code {code} is not in the middle of two codes"]
    if not ends[0] <= left < right <= ends[1] or any(left < edge <= right for edge in edges):
        return ["the two samples of the lower bound do not share a step"]
    with np.errstate(all="ignore"):
        y = evaluate(np.array([float(left), float(right)]))
    if not np.isfinite(y).all():
        return ["the function is not finite at the samples of the lower bound"]
    one, other = (Fraction(float(value)) for value in y)
    if abs(one - other) / 2 + _SLACK * max(abs(one), abs(other)) < bound:
        found = float(abs(one - other) / 2)
        return [f"the samples bound the error by {found:.9g} only, not by {float(bound):.9g}"]
    return []


def _steps(told: object) -> tuple[Fraction, Fraction, Fraction, Fraction, int, int]:
    """Scale, lower bound, the pair that proves it, zero point and first code."""
    if not isinstance(told, dict):
        raise Malformed("the steps are not an object")
    require_keys(told, _STEPS, "the steps")
    pair = numbers(told["pair"], "the pair")
    if len(pair) != 2:
        raise Malformed("the samples of the lower bound are not a pair")
    return (
        number(told["scale"], "the scale of the steps"),
        amount(told["lower_bound"], "the lower bound of the steps"),
        pair[0],
        pair[1],
        integer(told["zero_point"], -(2**31), 2**31, "the zero point of the steps"),
        integer(told["low"], 0, 255, "the first step"),
    )


@dataclass(frozen=True)
class _Claim:
    """One certificate as read from a file."""

    id: str
    function: str
    form: str
    certificate: Any
    document: Mapping[str, Any] | None = None


def verify(path: str | Path, model: str | Path | None = None) -> dict[str, Any]:
    """Check certificates independently of what made them.

    Args:
        path: a directory that `actc compile` wrote, its certificates.json, or what
            `actc fit --json` printed.
        model: the float model whose functions the certificates speak of; default:
            float.onnx of the directory. Certificates of `actc fit` need none, unless
            they speak of a site of a model.

    Returns:
        JSON-ready: ``file``, ``holds``, ``certificates`` [{id, function, form,
        max_error, lower_bound, holds, problems}], ``diagnostics`` (one ACT0340 per
        certificate that does not hold or is missing).

    Raises:
        UsageError: ACT0341 not a certificates file, ACT0342 the model is not given or
            cannot be read, ACT0067 the directory is not what its manifest says.
        ModelError: the model is broken.
    """
    file = Path(path) / CERTIFICATES if Path(path).is_dir() else Path(path)
    claims, of_sites = _read(file)
    compiled = file.parent if of_sites and (file.parent / MANIFEST).is_file() else None
    if compiled is not None:
        read_intact(compiled)
    if of_sites:
        rows = _verify_sites(claims, compiled, model, file)
    else:
        rows = [_verify_fit(claim, model, file) for claim in claims]
    return {
        "file": str(file),
        "holds": all(row["holds"] for row in rows),
        "certificates": rows,
        "diagnostics": [_broken(row, file).to_json() for row in rows if not row["holds"]],
    }


# --- reading


def _read(file: Path) -> tuple[list[_Claim], bool]:
    """The certificates of a file, and whether they are those of a compilation."""
    try:
        document = json.loads(
            read_regular(file), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _no_certificates(file, f"cannot read the certificates: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise _no_certificates(file, "this is not a JSON file") from error
    if not isinstance(document, dict):
        raise _no_certificates(file, "this is not a file of certificates")
    version = document.get("version")
    listed = isinstance(document.get("certificates"), list)
    if listed and type(version) is int and version == 1:
        return [_row(item, file) for item in document["certificates"]], True
    if isinstance(document.get("certificate"), dict):
        inner = document["certificate"]
        return [_Claim("", _text(inner, "function"), _text(document, "form"), inner, document)], (
            False
        )
    if document.get("certificate", "") is None:
        raise _no_certificates(file, "this fit has no certificate")
    if isinstance(document.get("kind"), str):
        return [_Claim("", _text(document, "function"), document["kind"], document)], False
    raise _no_certificates(file, "this is not a file of certificates")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that says nothing twice, which programs read as one or the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_number(name: str) -> Any:
    """NaN and the infinities, which are no JSON."""
    raise ValueError(f"{name} is no number")


def _row(item: Any, file: Path) -> _Claim:
    if not isinstance(item, dict) or not _text(item, "id"):
        raise _no_certificates(file, "an entry of the certificates has no id")
    return _Claim(
        _text(item, "id"), _text(item, "function"), _text(item, "form"), item.get("certificate")
    )


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _no_certificates(file: Path, message: str) -> UsageError:
    help_text = "give a directory of `actc compile`, its certificates.json, or a fit as JSON"
    return UsageError(Diagnostic("ACT0341", message, place=Place(str(file)), help=help_text))


# --- one fit


def _verify_fit(claim: _Claim, model: str | Path | None, file: Path) -> dict[str, Any]:
    if names_a_site(claim.function) and model is None:
        message = f"the certificate speaks of {claim.function}, a site of a model"
        help_text = "give the model: --model MODEL.onnx"
        raise UsageError(Diagnostic("ACT0342", message, place=Place(str(file)), help=help_text))
    try:
        evaluate = resolve(claim.function, model)
    except UsageError as error:
        return _judged(claim, [d.message for d in error.diagnostics])
    problems = certificate_problems(claim.certificate, evaluate)
    if not problems and claim.document is not None:
        problems = document_problems(claim.document, claim.certificate)
    return _judged(claim, problems)


# --- the sites of a model


def _verify_sites(
    claims: list[_Claim], compiled: Path | None, model: str | Path | None, file: Path
) -> list[dict[str, Any]]:
    from actc.verified_files import CompiledFiles  # loads the compiler

    files = CompiledFiles.read(compiled, model, file)
    seen: set[str] = set()
    rows = []
    for claim in claims:
        problems = [f"site {claim.id} has two certificates"] if claim.id in seen else []
        seen.add(claim.id)
        rows.append(_judged(claim, problems or _site_problems(claim, files)))
    rows += [
        _judged(_Claim(site, "", form, None), ["the certificate of this site is missing"])
        for site, form in files.without_certificate(seen).items()
    ]
    return rows


def _site_problems(claim: _Claim, files: Any) -> list[str]:
    site = files.sites.get(claim.id)
    if site is None:
        return [f"the model has no site '{claim.id}'"]
    kind = claim.certificate.get("kind") if isinstance(claim.certificate, dict) else None
    if site.function.channels > 1 and kind != "channel-table":
        return [f"site '{claim.id}' is a family, which a certificate of one function cannot be of"]
    problems = certificate_problems(claim.certificate, site.function)
    return problems or list(files.tie_problems(claim.id, claim.certificate))


def _judged(claim: _Claim, problems: list[str]) -> dict[str, Any]:
    return {
        "id": claim.id,
        "function": claim.function,
        "form": claim.form,
        "max_error": _number(claim.certificate, "max_error"),
        "lower_bound": _number(claim.certificate, "lower_bound"),
        "holds": not problems,
        "problems": problems,
    }


def _number(certificate: Any, key: str) -> float | None:
    """A claimed number, None where it is not a finite one (JSON holds no other)."""
    if isinstance(certificate, dict) and isinstance(certificate.get("steps"), dict):
        certificate = {**certificate, **{k: v for k, v in certificate["steps"].items() if k == key}}
    text = certificate.get(key) if isinstance(certificate, dict) else None
    try:
        value = float.fromhex(text) if isinstance(text, str) else math.nan
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _broken(row: Mapping[str, Any], file: Path) -> Diagnostic:
    what = f"the certificate of {row['id'] or row['function'] or 'the fit'} does not hold"
    return Diagnostic(
        "ACT0340",
        f"{what}: {row['problems'][0]}",
        place=Place(str(file), row["id"]),
        notes=tuple(row["problems"][1:]),
        help="compile or fit again; do not rely on the error that it claims",
    )
