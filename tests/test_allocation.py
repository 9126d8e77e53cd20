"""Bits under a budget: the solver against brute force, the choice against what it costs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import MODEL, labelled
from command_line import CommandLine
from hypothesis import given, settings
from hypothesis import strategies as st

import actc
from actc.allocation import Budget, cheapest, parse_budget
from actc.errors import UsageError

Report = dict[str, Any]


def brute(costs: list[list[float]], errors: list[list[float]], limit: float) -> float | None:
    """Cost of the cheapest choice within the limit, by trying all."""
    best = None
    for chosen in itertools.product(*(range(len(options)) for options in costs)):
        error = sum(e[o] for e, o in zip(errors, chosen, strict=True))
        cost = sum(c[o] for c, o in zip(costs, chosen, strict=True))
        if error <= limit and (best is None or cost < best):
            best = cost
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1e-9, 1e-4, 1.0]))
def test_it_is_the_optimum(seed: int, items: int, unit: float) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 5, items)
    costs = [generator.integers(0, 100_000, n).astype(float).tolist() for n in sizes]
    errors = [(unit * 4.0 ** -generator.integers(0, 12, n)).tolist() for n in sizes]
    limit = float(unit * 10 ** generator.uniform(-4, 1))
    expected, chosen = brute(costs, errors, limit), cheapest(costs, errors, limit)
    if expected is None:
        assert chosen is None
        return
    assert chosen is not None
    assert sum(e[o] for e, o in zip(errors, chosen, strict=True)) <= limit
    found = sum(c[o] for c, o in zip(costs, chosen, strict=True))
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_ends() -> None:
    assert cheapest([], [], 1.0) == []
    assert cheapest([[1.0, 2.0]], [[5.0, 4.0]], 3.0) is None
    assert cheapest([[1.0, 2.0]], [[5.0, 4.0]], 4.0) == [1]
    assert cheapest([[0.0, 0.0]], [[0.0, 0.0]], 1.0) is not None


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("rms=0.02", "rms", 0.02),
        ("rms = 1e-3", "rms", 0.001),
        ("size=200KB", "size", 200_000),
        ("size=1.5KiB", "size", 1536),
        ("size=100", "size", 100),
        ("drop=0", "drop", 0),
    ],
)
def test_budgets(text: str, kind: str, amount: float) -> None:
    budget = parse_budget(text)
    assert budget == Budget(kind, amount)
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        *("", "rms", "rms=", "rms=0", "rms=-1", "rms=2KB", "rms=0.1x", "rms=nan", "time=1"),
        *("size=0.5", "size=3XB", "size=1e999", "drop=2"),
    ],
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="ACT0231"):
        parse_budget(text)


def compiled(folder: Path, budget: str, **options: Any) -> Report:
    data = options.pop("data", labelled())
    artifact = actc.compile(
        MODEL, "onnx", data=data, output=folder, budget=budget, max_drop=1.0, **options
    )
    report: Report = json.loads((folder / "report.json").read_text())
    assert report["allocation"] == artifact.report["allocation"]
    assert report["bit_exact"] is True
    return report


def total(report: Report) -> int:
    found = report["allocation"]
    return int(found["weights_bytes"] + found["tensors_bytes"])


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return compiled(tmp_path_factory.mktemp("tight") / "out", "rms=0.05")


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return compiled(tmp_path_factory.mktemp("loose") / "out", "rms=0.2")


def test_the_error_keeps_to_the_budget(tight: Report, loose: Report) -> None:
    for report, budget in ((tight, 0.05), (loose, 0.2)):
        assert report["allocation"]["measured"] <= budget
        (golden,) = [row for row in report["outputs"] if row["stage"] == "golden"]
        relative = golden["rms"] / golden["reference_rms"]
        assert relative == pytest.approx(report["allocation"]["measured"], rel=0.15)


def test_a_looser_budget_is_cheaper_and_used(tight: Report, loose: Report) -> None:
    assert total(loose) < 0.7 * total(tight)
    assert loose["allocation"]["measured"] > 0.5 * 0.2


def test_the_passes_follow_the_choice(loose: Report) -> None:
    chosen = {r["name"]: r["bits"] for r in loose["allocation"]["sites"] if r["kind"] == "weights"}
    assert {row["node"]: row["bits"] for row in loose["layers"]} == chosen
    assert loose["weights"]["bytes"] == loose["allocation"]["weights_bytes"]
    assert set(chosen.values()) != {"8"}


def test_size(tmp_path: Path) -> None:
    found = compiled(tmp_path / "whole", "size=1MB")
    whole, tables = found["weights"]["bytes"], found["allocation"]["tables_bytes"]
    budget = int(0.6 * whole) + tables
    report = compiled(tmp_path / "out", f"size={budget}")
    assert report["weights"]["bytes"] + report["allocation"]["tables_bytes"] <= budget
    assert report["allocation"]["tables_bytes"] == tables > 0
    rows = report["allocation"]["sites"]
    assert {r["chosen"] for r in rows if r["kind"] == "tensor"} == {False}
    with pytest.raises(UsageError, match="ACT0232") as caught:
        compiled(tmp_path / "none", "size=10")
    (note,) = caught.value.diagnostics[0].notes
    least = int(note.split()[-2])
    assert tables < least < budget
    smallest = compiled(tmp_path / "least", f"size={least}")
    assert smallest["weights"]["bytes"] + tables <= least


def test_accuracy(tmp_path: Path) -> None:
    report = compiled(tmp_path / "out", "drop=0.05")
    assert report["accuracy"]["float"] - report["accuracy"]["golden"] <= 0.05 + 0.03
    assert {row["bits"] for row in report["allocation"]["sites"]} != {"8"}
    unlabelled = {name: array for name, array in labelled().items() if name != "labels"}
    with pytest.raises(UsageError, match="ACT0231"):
        compiled(tmp_path / "none", "drop=0.05", data=unlabelled)


def test_an_impossible_error_says_what_is_reachable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ACT0232") as caught:
        compiled(tmp_path / "out", "rms=1e-6")
    (note,) = caught.value.diagnostics[0].notes
    assert 1e-6 < float(note.split()[-1]) < 0.1
    assert not (tmp_path / "out").exists()


def test_overrides_are_above_the_budget(loose: Report, tmp_path: Path) -> None:
    rows = loose["allocation"]["sites"]
    layer = next(r["name"] for r in rows if r["kind"] == "weights" and r["bits"] != "8")
    value = next(r["name"] for r in rows if r["kind"] == "tensor" and r["bits"] != "10")
    overrides = {"weights": {layer: 5}, "activations": {value: 10}}
    report = compiled(tmp_path / "out", "rms=0.2", overrides=overrides)
    bits = {(r["kind"], r["name"]): r["bits"] for r in report["allocation"]["sites"]}
    assert (bits["weights", layer], bits["tensor", value]) == ("5", "10")
    assert report["options"]["overrides"] == {
        "activations": {value: 10},
        "weights": {layer: "5"},
    }


@pytest.mark.parametrize(
    "options",
    [{"weights": "4"}, {"activations": "8"}, {"passes": "normalize,integerize"}],
    ids=str,
)
def test_options_that_clash(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ACT0231"):
        compiled(tmp_path / "out", "rms=0.1", **options)


def test_float_models_have_no_bits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ACT0229"):
        compiled(tmp_path / "out", "rms=0.1", precision="float32")


def test_on_the_command_line(actc_cli: CommandLine, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **labelled())
    model = tmp_path / "model.onnx"
    model.write_bytes(MODEL.SerializeToString())
    common = ("compile", model, "-t", "onnx", "--data", tmp_path / "data.npz", "--max-drop", "1")
    done = actc_cli(*common, "-o", tmp_path / "out", "--budget", "size=3")
    assert (done.status, "ACT0232" in done.stderr) == (2, True)
    done = actc_cli(*common, "-o", tmp_path / "out", "--budget", "rms")
    assert (done.status, "ACT0231" in done.stderr) == (2, True)
    done = actc_cli(*common, "-o", tmp_path / "out", "--budget", "size=20KB")
    assert done.status == 0
    assert "bits for size=20000: " in done.stdout
