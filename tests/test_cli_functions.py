"""actc functions: the catalogue on the command line, and the page made from it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from command_line import CommandLine, run_process

from actc.approx.catalogue import CATALOGUE, FAMILIES

ROOT = Path(__file__).resolve().parent.parent


def test_list_for_people(actc_cli: CommandLine) -> None:
    done = actc_cli("functions")
    assert done.status == 0
    assert not done.stderr
    words = set(done.stdout.split())
    assert {entry.name for entry in CATALOGUE} <= words
    for family, entries in FAMILIES.items():
        assert f"{family} ({len(entries)})" in done.stdout


def test_list_for_machines(actc_cli: CommandLine) -> None:
    found = actc_cli("functions", "--json").document["functions"]
    assert [item["name"] for item in found] == [entry.name for entry in CATALOGUE]
    assert len([item for item in found if item["source"]]) >= 120
    keys = {"name", "aliases", "family", "formula", "parameters", "domain", "source"}
    assert all(set(item) == keys for item in found)


def test_one_function(actc_cli: CommandLine) -> None:
    done = actc_cli("functions", "leaky-relu")
    assert done.status == 0
    assert done.stdout == (
        "LeakyReLU: x if x > 0 else alpha x\n"
        "  family      rectifiers\n"
        "  parameter   alpha = 0.01 in (-inf, inf)\n"
        "  domain      (-inf, inf)\n"
        "  source      Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic "
        "Models, ICML, 2013\n"
    )


def test_one_function_for_machines(actc_cli: CommandLine) -> None:
    found = actc_cli("functions", "Softplus", "--json").document
    assert found["parameters"] == [{"name": "beta", "default": 1.0, "low": 0.001, "high": None}]
    assert found["domain"] == [None, None]
    assert found["source"]["year"] == 2000
    assert actc_cli("functions", "Log", "--json").document["domain"] == [0.0, None]
    assert actc_cli("functions", "Exp", "--json").document["source"] is None


def test_another_name(actc_cli: CommandLine) -> None:
    assert actc_cli("functions", "gcu").stdout.startswith(
        "GrowingCosine: x cos(x)\n  also        G"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Gelu2", "did you mean 'GELU'?"), ("swihs", "did you mean 'Swish'?"), ("%%%", "lists all")],
)
def test_wrong_name(actc_cli: CommandLine, name: str, hint: str) -> None:
    done = actc_cli("functions", name)
    assert done.status == 2
    assert not done.stdout
    assert done.stderr.startswith(f"error[ACT0306]: unknown function '{name}'")
    assert hint in done.stderr
    failed = actc_cli("functions", name, "--json")
    assert failed.document["exit_status"] == 2
    assert failed.codes == ["ACT0306"]


def test_as_a_user_runs_it(tmp_path: Path) -> None:
    done = run_process(tmp_path, "functions", "GELU", "--json")
    assert done.status == 0
    assert json.loads(done.stdout)["name"] == "GELU"


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "functions_page.py"))
    written = (ROOT / "docs" / "functions.md").read_text("utf-8")
    assert written == script["page"](), "run python tools/functions_page.py"
