"""`actc fit` on domains with infinite ends, and float trees."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from command_line import CommandLine
from scipy import special

import actc
from actc.errors import UsageError
from actc.fit_options import read_domain

DOMAINS = ["-inf,inf", "-inf,8", "-1.5,inf"]
INF = math.inf


def gelu(x: Any) -> Any:
    return 0.5 * x * special.erfc(-x / np.sqrt(2.0))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_document_is_json_and_holds(domain: str, actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", f"--domain={domain}", "--json")
    assert done.status == 0, done.stderr

    def refuse(name: str) -> None:
        raise AssertionError(f"JSON has no {name}")

    found = json.loads(done.stdout, parse_constant=refuse)
    low, high = domain.split(",")
    assert found["domain"] == [end if "inf" in end else float(end) for end in (low, high)]
    assert all(math.isfinite(end) for end in found["core"])
    assert (found["form"], found["certified"]) == ("pwl", True)
    assert {row["form"] for row in found["alternatives"]} == {"pwl-continuous", "tree", "table"}
    assert all("infinite end" in row["reason"] for row in found["alternatives"])
    path = actc_cli.directory / "fit.json"
    path.write_text(done.stdout)
    assert actc_cli("verify", path).status == 0
    for key, value in (("domain", [-8.0, 8.0]), ("core", [-9.0, 9.0]), ("bounds", "leaves")):
        path.write_text(json.dumps({**found, key: value}))
        assert (actc_cli("verify", path).status == 0) == (key == "bounds")


@pytest.mark.parametrize(
    ("written", "ends"),
    [
        ("-inf,inf", (-INF, INF)),
        (" -Infinity , +inf ", (-INF, INF)),
        ("-inf, -2*pi", (-INF, -2 * math.pi)),
        ("2^20,inf", (2.0**20, INF)),
        ((-INF, 3), (-INF, 3.0)),
        ("-1e30,1e30", (-1e30, 1e30)),
    ],
)
def test_domains(written: Any, ends: tuple[float, float]) -> None:
    assert read_domain(written) == ends


def test_both_ends_that_are_none_are_named() -> None:
    with pytest.raises(UsageError, match=r"unknown name 'a'.*unknown name 'b'"):
        read_domain("a,b")


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_error_holds_far_out(domain: str) -> None:
    found = actc.fit("GELU", domain)
    low, high = found.domain
    far = np.geomspace(8, 2.0**40, 5000).astype(np.float32).astype(np.float64)
    x = np.concatenate([-far[::-1], np.linspace(-8, 8, 5001), far])
    x = x[(x >= low) & (x <= high)]
    error = np.abs(found(x) - gelu(x))
    allowed = np.where((x < found.core[0]) | (x > found.core[1]), 2.0**-23 * np.abs(gelu(x)), 0)
    assert (error - allowed).max() <= found.between_samples


def test_more_of_the_line_costs_more() -> None:
    errors = [actc.fit("GELU", ends).max_error for ends in ((-8, 8), (-np.inf, 8), "-inf,inf")]
    assert errors == sorted(errors)
    assert errors[2] < 1.01 * errors[0]


def test_the_view_says_where_it_was_measured(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "tanh", "--domain=0,inf")
    assert done.stdout.startswith("tanh(x) on [0, inf]\n") or done.stdout.startswith(
        "Tanh on [0, inf]\n"
    )
    assert "in [0, 8] between the samples too" in done.stdout
    assert "as far as 2^40" in done.stdout
    assert "form 'tree' cannot be fitted to an infinite end" in done.stdout


@pytest.mark.parametrize("kind", ["onnx", "numpy", "c"])
def test_files(kind: str, actc_cli: CommandLine, tmp_path: Path) -> None:
    arguments = ("--domain=-inf,inf", "--emit", kind, "-o", "form.py", "--plot", "form.svg")
    assert actc_cli("fit", "GELU", *arguments).status == 0
    assert (actc_cli.directory / "form.svg").read_text("utf-8").count("<svg") == 1
    found = actc.fit("GELU", "-inf,inf")
    content = (actc_cli.directory / "form.py").read_bytes()
    x = np.array([-1e9, -3, 0, 5, 1e9], np.float32)
    if kind == "onnx":
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        np.testing.assert_allclose(y, found(x), rtol=1e-6, atol=1e-6)
    elif kind == "numpy":
        code = f"import form; print(form.DOMAIN, form.evaluate({x.tolist()}).tolist())"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=actc_cli.directory,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"(-inf, inf) {found(x).tolist()}\n"
    else:
        source = tmp_path / "form.c"
        source.write_bytes(content)
        command = ["cc", "-std=c99", "-Wall", "-Werror", "-c", str(source), "-o", "/dev/null"]
        subprocess.run(command, check=True)


def test_one_line_from_infinity(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "2*x+1", "--domain=-inf,inf", "--emit", "onnx", "-o", "f.onnx")
    assert done.status == 0, done.stderr
    assert "pwl, 1 segment\n" in done.stdout
    session = onnxruntime.InferenceSession(
        actc_cli.directory / "f.onnx", providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.array([-4, 0, 3], np.float32)})
    np.testing.assert_allclose(y, [-7, 1, 7], atol=1e-5)


WRONG = {
    "no line": (["exp(x)", "--domain=0,inf"], "ACT0350"),
    "no line for auto": (["sin(x)", "--domain=-inf,inf"], "ACT0350"),
    "two lines": (["GELU", "--domain=-inf,inf", "--segments", "1"], "ACT0351"),
    "continuous": (["GELU", "--domain=-inf,8", "--form", "pwl-continuous"], "ACT0352"),
    "tree": (["GELU", "--domain=-inf,8", "--form", "tree"], "ACT0352"),
    "table": (["GELU", "--domain=0,inf", "--form", "table"], "ACT0352"),
    "table within": (["GELU", "--domain=0,inf", "--form=table", "--max-error=1"], "ACT0352"),
    "rms": (["GELU", "--domain=0,inf", "--objective", "rms"], "ACT0352"),
    "backwards": (["GELU", "--domain=inf,-inf"], "ACT0333"),
    "nowhere": (["GELU", "--domain=inf,inf"], "ACT0333"),
    "far": (["GELU", "--domain=2e6,inf"], "ACT0333"),
    "not a number": (["GELU", "--domain=nan,inf"], "ACT0333"),
    "undefined": (["log(x)", "--domain=-inf,1"], "ACT0303"),
    "beyond float32": (["1e36*x", "--domain=-inf,inf"], "ACT0335"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name: str, actc_cli: CommandLine) -> None:
    arguments, code = WRONG[name]
    done = actc_cli("fit", *arguments, "--json")
    assert (done.status, done.codes) == (2, [code]), done.stderr
    assert done.document["diagnostics"][0]["help"]


# --- trees


def test_a_tree_is_verified_again(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", "--form", "tree", "--segments", "9", "--json")
    assert done.status == 0, done.stderr
    found = done.document
    assert (found["form"], found["segments"], found["bounds"]) == ("tree", 9, "leaves")
    assert 0.9999 < found["lower_bound"] / found["max_error"] <= 1
    breakpoints = [float.fromhex(text) for text in found["certificate"]["breakpoints"]]
    assert all((point + 8) / 16 * 512 % 1 == 0 for point in breakpoints)
    path = actc_cli.directory / "fit.json"
    path.write_text(json.dumps(found))
    assert actc_cli("verify", path).status == 0
    for key, value in (("domain", [-8.0, 9.0]), ("max_error", 1e-3), ("segments", 8)):
        path.write_text(json.dumps({**found, key: value}))
        assert actc_cli("verify", path).status == 1


def test_the_tree_errs_more_than_free_lines() -> None:
    found = actc.fit("GELU", form="tree", max_error=1e-2)
    lines = actc.fit("GELU", form="pwl", max_error=1e-2)
    assert found.max_error <= 1e-2
    assert found.segments > lines.segments
    assert next(row for row in lines.alternatives if row.form == "tree").segments == found.segments
