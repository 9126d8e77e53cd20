"""Fits from the cache: the same as fresh ones, and never one that does not hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

import actc
from actc import cache, fixed_result, kept_fits
from actc.approx.candidates import Candidate
from actc.cache.store import Cache


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "10MB")
    found = cache.default()
    assert found is not None
    return found


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is fitted, and not taken from the cache, from now on."""
    found: list[Any] = []
    fit = kept_fits.candidates

    def count(*arguments: Any, **options: Any) -> Iterator[Candidate]:
        for candidate in fit(*arguments, **options):
            found.append(candidate.variant)
            yield candidate

    monkeypatch.setattr(kept_fits, "candidates", count)
    return found


def document(**options: Any) -> dict[str, Any]:
    """All that a fit says, but for the times."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: timeless(item) for name, item in value.items() if name != "seconds"}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    found = actc.fit("GELU", **{"input": "s7.4", "output": "s7.4", "device": "ecp5", **options})
    assert not found.problems
    return {"result": timeless(found.to_json()), "certificate": found.certificate}


@pytest.mark.parametrize(
    "options",
    [{}, {"form": "polynomial"}, {"ulp": 0.5}, {"max_error": 0.07}, {"output": "s12.9"}],
    ids=["auto", "polynomial", "rounded", "error", "fine"],
)
def test_a_fit_from_the_cache_is_the_same(
    kept: Cache, fitted: list[Any], options: dict[str, Any]
) -> None:
    cold = document(**options)
    count = len(fitted)
    assert count > 5
    assert document(**options) == cold
    assert len(fitted) == count
    with cache.disabled():
        assert document(**options) == cold
    assert len(fitted) == 2 * count


def test_what_changes_a_fit_finds_nothing(
    kept: Cache, fitted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    document(form="pwl")
    changes: list[dict[str, Any]] = [
        {"input": "s7.3"},
        {"output": "s7.3"},
        {"digits": 2},
        {"max_error": 0.1},
        {"form": "polynomial"},  # searched longer
    ]
    for options in changes:
        before = len(fitted)
        document(**{"form": "pwl", **options})
        assert len(fitted) > before
    before = len(fitted)
    monkeypatch.setattr(cache, "source_digest", lambda folder, patterns: "of other code")
    document(form="pwl")
    assert len(fitted) > before


def changed(kept: Cache, change: Any) -> None:
    """Write an entry whose SHA-256 is right, with other contents."""
    (path,) = [path for path in (kept.root / "v1" / "fit").rglob("*") if path.is_file()]
    parts = kept.read("fit", path.name)
    assert parts is not None
    forms = json.loads(parts["forms.json"])
    change(forms)
    kept.write("fit", path.name, {"forms.json": json.dumps(forms).encode()})


def test_costs_are_estimated_once_for_each_family(
    kept: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimated: list[str] = []
    build = fixed_result.cheapest_build

    def count(form: Any, family: str) -> Any:
        estimated.append(family)
        return build(form, family)

    monkeypatch.setattr(fixed_result, "cheapest_build", count)
    cold = document()
    ecp5 = len(estimated)
    assert ecp5 > 5
    assert document() == cold
    assert len(estimated) == ecp5
    assert document(device="ice40") != cold
    assert estimated[ecp5:] == ["ice40"] * ecp5
    (path,) = list((kept.root / "v1" / "cost").rglob("*" + "[0-9a-f]" * 60))[:1]
    path.write_bytes(b"damaged")
    for device in ("ecp5", "ice40"):
        document(device=device)
    assert len(estimated) == 3 * ecp5


@pytest.mark.parametrize("name", ["values", "nothing", "class", "count", "arity"])
def test_a_form_that_does_not_hold_is_fitted_again(
    kept: Cache, fitted: list[Any], name: str
) -> None:
    """Even where the entry says the right digest."""

    def change(forms: list[dict[str, Any]]) -> None:
        table = next(item for item in forms if item.get("form") == "FixedTable")
        if name == "values":
            table["fields"]["values"][3] += 2
        elif name == "nothing":
            del table["fields"]["values"]
        elif name == "class":
            table["form"] = "Popen"
        elif name == "arity":
            table["fields"]["values"].pop()
        else:
            forms.pop()

    cold = document()
    count = len(fitted)
    changed(kept, change)
    assert document() == cold
    assert len(fitted) == 2 * count


def test_no_cache(kept: Cache, fitted: list[Any], actc_cli: CommandLine) -> None:
    command = ("fit", "GELU", "--input", "s6.3", "--output", "s6.3")
    assert actc_cli(*command, "--no-cache").status == 0
    assert kept.kinds() == []
    assert actc_cli(*command).status == 0
    assert [kind.name for kind in kept.kinds()] == ["cost", "fit"]
