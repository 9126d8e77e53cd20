"""`actc verify` of certificates that `actc fit` writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from certificate_files import Document, scaled, two_sites
from command_line import CommandLine

import actc
from actc.approx.function import ScalarFunction
from actc.approx.step_table import fit_step_table
from actc.verifying import certificate_problems


@pytest.fixture(scope="module")
def fits() -> dict[str, Document]:
    return {
        form: json.loads(json.dumps(actc.fit("x*sigmoid(1.702*x)", form=form).to_json()))
        for form in ("pwl", "pwl-continuous", "table")
    }


@pytest.mark.parametrize("form", ["pwl", "pwl-continuous", "table"])
def test_a_fit_holds(
    form: str, fits: dict[str, Document], tmp_path: Path, actc_cli: CommandLine
) -> None:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(fits[form]), encoding="utf-8")
    done = actc_cli("verify", path)
    assert done.status == 0, done.stderr
    assert "1 of 1 certificates hold" in done.stdout
    path.write_text(json.dumps(fits[form]["certificate"]), encoding="utf-8")
    (row,) = actc.verify(path)["certificates"]
    assert row["holds"]
    assert row["lower_bound"] == fits[form]["lower_bound"]


FITS: dict[str, Callable[[Document], object]] = {
    "error": lambda d: d["certificate"].update(
        max_error=scaled(d["certificate"]["max_error"], 0.9)
    ),
    "slope": lambda d: d["certificate"]["slopes"].__setitem__(3, (0.5).hex()),
    "intercept": lambda d: d["certificate"]["intercepts"].__setitem__(3, (0.5).hex()),
    "function": lambda d: d["certificate"].update(function="GELU"),
    "unknown function": lambda d: d["certificate"].update(function="GELUU"),
    "hostile function": lambda d: d["certificate"].update(function="(" * 10**5),
    "printed error": lambda d: d.update(max_error=d["max_error"] / 2),
    "printed bound": lambda d: d.update(lower_bound=d["max_error"]),
    "printed segments": lambda d: d.update(segments=3),
    "printed domain": lambda d: d.update(domain=[-9.0, 8.0]),
    "printed function": lambda d: d.update(function="SiLU"),
    "too many points": lambda d: d["certificate"].update(points=10**13),
    "points as text": lambda d: d["certificate"].update(points="65536"),
    "reversed edges": lambda d: d["certificate"]["breakpoints"].reverse(),
    "not a number": lambda d: d["certificate"].update(max_error="nan"),
    "version": lambda d: d["certificate"].update(version=2),
}


@pytest.mark.parametrize("form", ["pwl", "table"])
@pytest.mark.parametrize("change", FITS)
def test_tampered_fit(
    form: str, change: str, fits: dict[str, Document], tmp_path: Path, actc_cli: CommandLine
) -> None:
    document = copy.deepcopy(fits[form])
    FITS[change](document)
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    done = actc_cli("verify", path, "--json")
    assert done.status == 1, done.stderr
    assert done.codes == ["ACT0340"]
    (row,) = done.document["certificates"]
    assert row["problems"]
    assert done.document["holds"] is False


# --- certificates of fits in fixed point


@pytest.fixture(scope="module")
def fixed() -> dict[str, Document]:
    options: dict[str, Document] = {
        **{form: {"form": form} for form in ("table", "compressed", "thresholds", "pwl", "tree")},
        "bipartite": {"form": "bipartite", "ulp": 1},
        "within": {"form": "pwl", "max_error": 0.1},
        "least": {"form": "tree", "segments": 6},
    }
    return {
        name: json.loads(
            json.dumps(actc.fit("GELU", input="s8.4", output="s8.4", **given).to_json())
        )
        for name, given in options.items()
    }


NAMES = ("table", "compressed", "bipartite", "thresholds", "pwl", "tree", "within", "least")
SAYS = ("function", "input", "output", "objective", "form", "segments", "max_error", "lower_bound")


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_in_fixed_point_holds(
    name: str, fixed: dict[str, Document], tmp_path: Path, actc_cli: CommandLine
) -> None:
    document = fixed[name]
    assert document["certified"]
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    done = actc_cli("verify", path, "--json")
    assert done.status == 0, done.stderr
    (row,) = done.document["certificates"]
    assert (row["max_error"], row["lower_bound"]) == (
        document["max_error"],
        document["lower_bound"],
    )
    others = {"function": "SiLU", "input": "s8.3", "output": "u8.4", "form": "other"}
    for key in (*SAYS, "max_error_ulp"):
        wrong = {**document, key: others.get(key, 12345)}
        path.write_text(json.dumps(wrong), encoding="utf-8")
        (row,) = actc.verify(path)["certificates"]
        assert len(row["problems"]) == 1
        assert row["problems"][0].startswith(f"{key} is {wrong[key]} in the document")


@pytest.mark.parametrize("name", NAMES)
def test_tampered_fits_in_fixed_point(
    name: str, fixed: dict[str, Document], tmp_path: Path
) -> None:
    path = tmp_path / "fit.json"
    for key in fixed[name]["certificate"]:
        values: list[Any] = [None, [], "x", 10**400, {"form": "table"}]
        for value in values:
            document = copy.deepcopy(fixed[name])
            if document["certificate"][key] == value:
                continue
            document["certificate"][key] = value
            path.write_text(json.dumps(document), encoding="utf-8")
            found = actc.verify(path)
            assert not found["holds"], (key, value)
            assert [d["code"] for d in found["diagnostics"]] == ["ACT0340"]


STEPS: dict[str, Callable[[Document], object]] = {
    "bound": lambda s: s.update(lower_bound=scaled(s["lower_bound"], 1.01)),
    "pair of two steps": lambda s: s["pair"].__setitem__(1, (7.9).hex()),
    "pair out of order": lambda s: s["pair"].reverse(),
    "scale": lambda s: s.update(scale=scaled(s["scale"], 1.01)),
    "zero point": lambda s: s.update(zero_point=s["zero_point"] + 1),
    "negative scale": lambda s: s.update(scale=scaled(s["scale"], -1)),
    "text": lambda s: s.update(zero_point="many"),
    "missing": lambda s: s.pop("pair"),
}


@pytest.mark.parametrize("change", STEPS)
def test_tampered_bound_of_a_table(change: str) -> None:
    gelu = ScalarFunction("silu", lambda x: x / (1 + np.exp(-x)))
    certificate = json.loads(json.dumps(fit_step_table(gelu, -8, 8).certificate))
    assert certificate_problems(certificate, gelu) == []
    STEPS[change](certificate["steps"])
    assert certificate_problems(certificate, gelu)


def test_a_fit_of_a_site_needs_its_model(tmp_path: Path, actc_cli: CommandLine) -> None:
    model = tmp_path / "net.onnx"
    onnx.save(two_sites(), model)
    done = actc_cli("fit", f"{model}:a1", "--json")
    assert done.document["function"] == "net.onnx:a1"
    path = tmp_path / "fit.json"
    path.write_text(done.stdout, encoding="utf-8")
    refused = actc_cli("verify", path, "--json")
    assert (refused.status, refused.codes) == (2, ["ACT0342"])
    assert actc_cli("verify", path, "--model", model).status == 0
    onnx.save(two_sites("Softplus"), model)
    assert actc_cli("verify", path, "--model", model).status == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"certificates": []}',
        b'{"version": 1, "certificates": [1]}',
        b'{"version": 1, "certificates": [{"function": "x"}]}',
        b'{"certificate": 1}',
        b"[" * 100_000,
        b"\xff\x00",
    ],
    ids=lambda content: content[:40].decode("latin-1") or "empty",
)
def test_no_certificates(content: bytes, tmp_path: Path, actc_cli: CommandLine) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    done = actc_cli("verify", path, "--json")
    assert (done.status, done.codes) == (2, ["ACT0341"])


def test_no_file(tmp_path: Path, actc_cli: CommandLine) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        done = actc_cli("verify", path, "--json")
        assert (done.status, done.codes) == (2, ["ACT0341"])
