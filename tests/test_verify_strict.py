"""Certificates are read as they are written: what means the same elsewhere is refused too."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actc
from actc.approx.catalogue import find
from actc.approx.channel_table import certify_channel_table, fit_channel_table
from actc.approx.checker import check_certificate
from actc.approx.step_table import fit_step_table
from actc.numerics import QuantizationParameters
from actc.verifying import certificate_problems

SEEDS = Path(__file__).parent / "fuzz" / "corpus_guided" / "certificate"
GELU = find("GELU").function()
NAMES = ("table-4", "table-real", "fit-pwl", "fit-pwl-inf", "fit-f-pwl", "steps", "channels")


_REFUSED = ("the certificate is malformed", "unknown certificate", "the digest is not")


def channels() -> dict[str, Any]:
    format_ = QuantizationParameters(0.125, 8, 0, 15, bits=4)
    exact = np.stack([GELU(format_.values()), GELU(format_.values()) / 2], axis=1)
    table = fit_channel_table(exact, format_)
    return certify_channel_table("family", exact, table, format_, format_)


def certificate(name: str) -> dict[str, Any]:
    if name == "steps":
        return fit_step_table(GELU, -4, 4, 1024).certificate
    if name == "channels":
        return channels()
    document = json.loads((SEEDS / f"{name}.json").read_text("utf-8"))
    return dict(document.get("certificate", document))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of numbers and texts; of lists the first two."""
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, (*path, key))
        case list():
            for index, item in enumerate(value[:2]):
                yield from leaves(item, (*path, index))
        case _:
            yield path


def equal_elsewhere(value: Any) -> list[Any]:
    """Other values that a lenient reader takes for the same."""
    match value:
        case int():
            return [str(value), float(value), *([bool(value)] if value in (0, 1) else [])]
        case str() if "0x" in value:
            number = float.fromhex(value)
            return [f" {value}", value.upper(), repr(number), number, [value]]
        case str() if len(value) >= 16:
            return [f"{value[:4]} {value[4:]}", value.upper(), bytes(4).hex() + value]
    return []


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(document)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


@pytest.mark.parametrize("name", NAMES)
def test_equal_values_of_other_types_are_refused(name: str) -> None:
    document = certificate(name)
    tried = 0
    for path in leaves(document):
        for value in equal_elsewhere(document_at(document, path)):
            (problem,) = certificate_problems(changed(document, path, value), GELU)
            assert problem.startswith(_REFUSED), path
            tried += 1
    assert tried > 10


def document_at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize("name", NAMES)
def test_keys_that_mean_nothing_are_refused(name: str) -> None:
    document = certificate(name)
    assert "unknown keys" in certificate_problems({**document, "more": 1}, GELU)[0]
    for key in document:
        missing = {k: v for k, v in document.items() if k != key}
        if key not in ("tails", "steps"):
            assert certificate_problems(missing, GELU), key


def test_steps_and_channels_hold_before() -> None:
    assert certificate_problems(certificate("steps"), GELU) == []
    assert certificate_problems(certificate("table-4"), GELU) == []
    assert check_certificate(certificate("channels"), _family) == []


def _family(x: np.ndarray) -> np.ndarray:
    return np.stack([GELU(x), GELU(x) / 2], axis=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"segments": 3', '"segments": 4, "segments": 3'),
        ('"cost": null', '"cost": NaN'),
        ('"cost": null', '"cost": -Infinity'),
    ],
)
def test_json_that_says_two_things(old: str, new: str, tmp_path: Path) -> None:
    text = (SEEDS / "fit-pwl.json").read_text("utf-8")
    path = tmp_path / "fit.json"
    path.write_text(text, encoding="utf-8")
    assert actc.verify(path)["holds"]
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(actc.errors.UsageError, match="ACT0341"):
        actc.verify(path)


def test_true_is_not_one(tmp_path: Path) -> None:
    """A document beside its certificate."""
    document = actc.fit("x*x", (0.0, 1.0), form="pwl", segments=2).to_json()
    path = tmp_path / "fit.json"
    for domain, holds in (([0.0, 1.0], True), ([0, 1], True), ([0.0, True], False)):
        path.write_text(json.dumps({**document, "domain": domain}), encoding="utf-8")
        assert actc.verify(path)["holds"] == holds


@pytest.mark.parametrize("name", ["table-4", "channels"])
def test_entries_are_codes_of_the_output(name: str) -> None:
    """Of fewer codes, the rounding floor is larger: a bound that the table itself refutes."""
    document = certificate(name)
    document["output"]["high"] = 8
    assert certificate_problems(document, GELU) == ["an entry is not a code of the output"]
