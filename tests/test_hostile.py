"""Hostile input: each case of tests/hostile ends as it says, within limits of the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import security_page
from hostile.case import Case
from hostile.child import Runner
from hostile.said import message, said
from hostile.table import CASES, GROUPS

ROOT = Path(__file__).resolve().parent.parent
SAID = said()
_ERROR = re.compile(r"^error\[(ACT\d{4})\]", re.MULTILINE)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """What runs commands within limits."""
    with Runner(tmp_path_factory.mktemp("printed")) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_hostile(case: Case, runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    case.make(folder)
    before = set(folder.rglob("*"))
    ended = runner.run(
        folder,
        *case.command,
        seconds=case.seconds,
        mebibytes=case.mebibytes,
        environment=case.environment,
    )
    shown = f"{ended.stderr}\n{ended.stdout}"
    assert ended.status == case.status, shown
    assert tuple(sorted(set(_ERROR.findall(ended.stderr)))) == case.codes, shown
    assert case.says in ended.stderr, shown
    assert message(ended.stderr) == SAID[case.name], "python tests/hostile/said.py, if it is meant"
    assert "Traceback" not in shown
    assert all(c.isprintable() or c == "\n" for c in shown), "nothing steers the terminal"
    assert len(shown) < 200_000, "nor floods it"
    if case.status not in (0, 1):
        assert set(folder.rglob("*")) == before, "nothing is left behind"


def test_limits_bite(runner: Runner, tmp_path: Path) -> None:
    """The limits that the cases rely on are there: with too little of either, a run ends."""
    case = next(case for case in CASES if case.name == "long-chain")
    case.make(tmp_path)
    starved = runner.run(tmp_path, *case.command, seconds=60, mebibytes=2)
    assert (starved.status, _ERROR.findall(starved.stderr)) == (3, ["ACT0060"]), starved.stderr
    hurried = runner.run(tmp_path, *case.command, seconds=1, mebibytes=512)
    assert hurried.status == -9


def test_cases() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.title for case in CASES} == {c.title for _, cases in GROUPS for c in cases}
    assert set(SAID) == set(names)
    assert all(bool(SAID[case.name]) == (case.status != 0) for case in CASES)
    assert all(case.status in (0, 1, 2, 3) for case in CASES), "no case is an internal error"


def test_page_is_up_to_date() -> None:
    """docs/security.md lists the cases as they are: `python tools/security_page.py` writes it."""
    assert (ROOT / "docs" / "security.md").read_text("utf-8") == security_page.page()
