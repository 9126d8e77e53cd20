"""Models that failed once: each gives what it should now, without warnings, in time."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.hunt import known_oracles, load
from fuzz.judged import judge

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
ORACLES = {oracle.name: oracle for oracle in known_oracles()}


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_failure_of_the_past(name: str) -> None:
    case, document = load(CORPUS / name)
    oracle = ORACLES[document["oracle"]]
    if not oracle.accepts(case):
        pytest.skip(f"what {oracle.name} needs is not installed")
    verdict = judge(case, oracle)
    assert verdict.finding is None, verdict.finding.detail
    assert (verdict.refused or "ok") == document["expected"]
