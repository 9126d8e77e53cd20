"""Certificates hold, and the checker rejects what is tampered with."""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actc.approx import (
    ScalarFunction,
    certify_table,
    check_certificate,
    checker,
    fit_piecewise_linear,
    fit_table,
)
from actc.approx.catalogue import CATALOGUE, find
from actc.numerics import QuantizationParameters

Certificate = dict[str, Any]
GELU = find("GELU").function()
INPUT = QuantizationParameters.from_range(-4.0, 4.0)
OUTPUT = QuantizationParameters.from_range(-0.2, 3.9)


def _scaled(text: str, factor: float) -> str:
    return (float.fromhex(text) * factor).hex()


@pytest.fixture(scope="module")
def lines() -> Certificate:
    fit = fit_piecewise_linear(GELU, -8, 8, max_error=2e-2, points=4097)
    return dict(json.loads(json.dumps(fit.certificate)))


@pytest.fixture(scope="module", params=[OUTPUT, None], ids=["codes", "float32"])
def table(request: pytest.FixtureRequest) -> Certificate:
    certificate = certify_table("GELU", fit_table(GELU, INPUT, request.param))
    return dict(json.loads(json.dumps(certificate)))


def test_genuine_certificates_hold(lines: Certificate, table: Certificate) -> None:
    assert check_certificate(lines, GELU) == []
    assert check_certificate(table, GELU) == []


def test_whole_catalogue_is_certified() -> None:
    for entry in CATALOGUE:
        f = entry.function()
        low = 0.05 if entry.name in ("Sqrt", "Rsqrt", "Log", "Log1p", "Reciprocal") else -1.4
        fit = fit_piecewise_linear(f, low, 1.4, segments=9, points=4096)
        assert check_certificate(fit.certificate, f) == [], entry.name
        positive = QuantizationParameters(0.02, 0, low=1)
        tabulated = fit_table(f, positive, QuantizationParameters.from_range(-6.0, 6.0))
        assert check_certificate(certify_table(entry.name, tabulated), f) == [], entry.name


def test_another_function_is_rejected(lines: Certificate, table: Certificate) -> None:
    silu = find("SiLU").function()
    assert check_certificate(lines, silu)
    assert check_certificate(table, silu)
    slightly = ScalarFunction("GELU", lambda x: GELU(x) * (1 + 1e-3))
    assert check_certificate(lines, slightly)
    assert check_certificate(table, slightly)


TAMPERED: dict[str, Callable[[Certificate], object]] = {
    "error lowered": lambda c: c.update(max_error=_scaled(c["max_error"], 1 - 1e-6)),
    "error raised": lambda c: c.update(max_error=_scaled(c["max_error"], 1 + 1e-6)),
    "bound raised": lambda c: c.update(lower_bound=_scaled(c["lower_bound"], 1 + 1e-6)),
    "bound for fewer segments": lambda c: c.update(segments=c["segments"] - 1),
    "bound for more segments": lambda c: c.update(segments=c["segments"] + 1),
    "slope": lambda c: c["slopes"].__setitem__(3, _scaled(c["slopes"][3], 1.05)),
    "intercept": lambda c: c["intercepts"].__setitem__(3, (0.5).hex()),
    "breakpoint": lambda c: c["breakpoints"].__setitem__(2, c["breakpoints"][1]),
    "segment left out": lambda c: c["slopes"].pop(),
    "triple left out": lambda c: c["triples"].pop(),
    "triple repeated": lambda c: c["triples"].__setitem__(1, c["triples"][0]),
    "triple of two": lambda c: c["triples"][0].pop(),
    "triple unordered": lambda c: c["triples"][0].reverse(),
    "triple moved": lambda c: c["triples"][2].__setitem__(1, c["triples"][2][0]),
    "triple off the samples": lambda c: c["triples"][2].__setitem__(
        1, _scaled(c["triples"][2][1], 1 + 1e-9)
    ),
    "range": lambda c: c.update(lo=(-9.0).hex()),
    "fewer segments possible": lambda c: c["fewest"].update(error=(1e-2).hex()),
    "fewest needs more": lambda c: c["fewest"].update(error=(3e-2).hex()),
    "kind": lambda c: c.update(kind="spline"),
    "version": lambda c: c.update(version=2),
    "missing": lambda c: c.pop("slopes"),
    "not a number": lambda c: c.update(max_error="nan"),
    "not hexadecimal": lambda c: c.update(max_error="small"),
    "wrong type": lambda c: c.update(lower_bound=0.5),
    "precision": lambda c: c.update(precision="float8"),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_tampered_lines_are_rejected(change: str, lines: Certificate) -> None:
    tampered = copy.deepcopy(lines)
    TAMPERED[change](tampered)
    problems = check_certificate(tampered, GELU)
    assert problems
    assert all(isinstance(problem, str) for problem in problems)


TAMPERED_TABLES: dict[str, Callable[[Certificate], object]] = {
    "error lowered": lambda c: c.update(max_error=_scaled(c["max_error"], 0.999)),
    "error raised": lambda c: c.update(max_error=_scaled(c["max_error"], 1.001)),
    "bound raised": lambda c: c.update(lower_bound=_scaled(c["lower_bound"], 1.001)),
    "digest": lambda c: c.update(digest="0" * 64),
    "value": lambda c: c.update(values="ff" + c["values"][2:]),
    "cut": lambda c: c.update(values=c["values"][:-8]),
    "input scale": lambda c: c["input"].update(scale=_scaled(c["input"]["scale"], 1.1)),
    "input zero point": lambda c: c["input"].update(zero_point=c["input"]["zero_point"] + 1),
    "input codes": lambda c: c["input"].update(high=300),
    "no scale": lambda c: c["input"].update(scale=(0.0).hex()),
}


@pytest.mark.parametrize("change", TAMPERED_TABLES)
def test_tampered_tables_are_rejected(change: str, table: Certificate) -> None:
    tampered = copy.deepcopy(table)
    TAMPERED_TABLES[change](tampered)
    assert check_certificate(tampered, GELU)


def test_a_table_changed_together_with_its_digest_is_rejected() -> None:
    fit = fit_table(GELU, INPUT, QuantizationParameters.from_range(-0.2, 4.1))
    certificate = certify_table("GELU", fit)
    values = fit.form.values.copy()
    values[200] += 2
    certificate["values"] = values.tobytes().hex()
    forged = certify_table("GELU", fit_table(ScalarFunction("x", lambda x: x), INPUT, OUTPUT))
    certificate["digest"] = forged["digest"]
    assert "digest" in check_certificate(certificate, GELU)[0]
    certificate["digest"] = hashlib.sha256(values.tobytes()).hexdigest()
    assert "above the claimed" in check_certificate(certificate, GELU)[0]


def test_infinite_functions_are_certified_as_such() -> None:
    reciprocal = find("Reciprocal").function()
    fit = fit_table(reciprocal, QuantizationParameters(0.1, 0), OUTPUT)
    certificate = json.loads(json.dumps(certify_table("Reciprocal", fit)))
    assert float.fromhex(certificate["max_error"]) == np.inf
    assert check_certificate(certificate, reciprocal) == []


def test_functions_undefined_at_a_sample_are_a_problem(
    lines: Certificate, table: Certificate
) -> None:
    def undefined(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.where(x > 0, np.nan, GELU(x))

    assert check_certificate(lines, undefined) == ["the function is not finite at a sample"]
    assert check_certificate(table, undefined) == ["the function is not a number at a code"]


def test_checker_shares_no_code_with_the_fitters() -> None:
    seen: set[str] = set()
    pending = [checker.__name__]
    while pending:
        module = pending.pop()
        seen.add(module)
        source = importlib.import_module(module).__file__
        assert source is not None
        for node in ast.walk(ast.parse(Path(source).read_text(encoding="utf-8"))):
            names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            pending += [n for n in names if n.split(".")[0] == "actc" and n not in seen]
    beside = seen - {checker.__name__, "actc.approx.fixed_checker"}
    parts = re.compile(r"actc\.approx\.(table_checker|(fixed_)?check_\w+)")
    assert [name for name in beside if not parts.fullmatch(name)] == []


def test_certificates_are_deterministic() -> None:
    first, second = (
        json.dumps(fit_piecewise_linear(GELU, -8, 8, segments=12, continuous=True).certificate)
        for _ in range(2)
    )
    assert first == second
