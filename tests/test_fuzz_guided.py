"""Inputs that coverage-guided fuzzing begins with or once found, without the fuzzer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fuzz.brute import false_claims
from fuzz.guided import TARGETS
from fuzz.guided_targets import SEEDS, BrokenPromise, targets
from fuzz.mutated_json import certificates, redigest

from actc import verifying
from actc.function_names import resolve

FOUND = targets()
INPUTS = sorted(path for path in SEEDS.glob("*/*") if path.is_file())
TRIED = ("fit-f-*", "fit-pwl", "fit-pwl-cont", "fit-pwl-inf", "fit-tree", "table-*")
CERTIFICATES = sorted(p for name in TRIED for p in (SEEDS / "certificate").glob(f"{name}.json"))


def identify(path: object) -> str:
    assert isinstance(path, Path)
    return f"{path.parent.name}/{path.name}"


def certificate_in(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document and the certificate in it, which may be itself."""
    document = json.loads(path.read_text("utf-8"))
    return document, (certificates(document) or [document])[0]


def test_every_target_has_seeds() -> None:
    assert tuple(FOUND) == TARGETS
    assert all(target.seeds() for target in FOUND.values())


@pytest.mark.parametrize("path", INPUTS, ids=identify)
def test_readers_take_or_refuse_by_a_code(path: Path) -> None:
    FOUND[path.parent.name].check(path.read_bytes())


@pytest.mark.parametrize("name", [name for name in TARGETS if FOUND[name].mutate])
def test_readers_take_or_refuse_changed_inputs(name: str) -> None:
    target, draw = FOUND[name], random.Random(0)
    seeds = sorted((SEEDS / name).iterdir())
    assert target.mutate is not None
    for _ in range(60):
        changed = target.mutate(draw.choice(seeds).read_bytes(), draw)
        if changed is not None:
            target.check(changed)


@pytest.mark.parametrize("path", CERTIFICATES, ids=identify)
@pytest.mark.parametrize(
    ("claim", "factor"), [("max_error", 0.99), ("max_error", 1.01), ("lower_bound", 1.5)]
)
def test_false_claims_are_found_by_trying(
    path: Path, claim: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By trial of every input, also when the checker lets them through."""
    document, certificate = certificate_in(path)
    f = resolve(certificate["function"])
    assert false_claims(certificate, f) == []
    for key in {claim, f"{claim}_ulp"} & set(certificate):
        base = "max_error" if claim == "lower_bound" else key
        certificate[key] = (float.fromhex(certificate[base]) * factor).hex()
    redigest(certificate)
    assert false_claims(certificate, f)
    if document is not certificate:  # what stands beside the certificate would contradict it
        for key in ("max_error", "max_error_ulp", "lower_bound"):
            document.pop(key, None)
    changed = json.dumps(document).encode()
    FOUND["certificate"].check(changed)
    monkeypatch.setattr(verifying, "certificate_problems", lambda certificate, evaluate: [])
    with pytest.raises(BrokenPromise):
        FOUND["certificate"].check(changed)
