"""constraints-hashes.txt holds every pin of constraints.txt, with hashes."""

from __future__ import annotations

from pathlib import Path

import hashes
import pytest

ROOT = Path(__file__).resolve().parent.parent
PINS = hashes.pins((ROOT / "constraints.txt").read_text("utf-8"))
TEXT = (ROOT / "constraints-hashes.txt").read_text("utf-8")


def test_the_same_pins_for_the_same_pythons() -> None:
    assert hashes.pins(TEXT) == PINS, "run `make hashes`"
    assert len(PINS) > 100


def test_each_has_hashes_and_is_written_as_the_tool_writes_it() -> None:
    found = hashes.hashes(TEXT)
    assert set(found) == set(PINS)
    assert all(found.values())
    assert hashes.write(PINS, found, hashes.groups(TEXT)) == TEXT


def test_a_release_without_hashes_is_refused() -> None:
    with pytest.raises(SystemExit, match="no hash of a 1"):
        hashes.write({("a", "1"): ""}, {("a", "1"): []}, {})


@pytest.mark.parametrize(
    ("line", "pin"),
    [
        ("A.b_c==1.0", (("a-b-c", "1.0"), "")),
        ('a==1 ; python_version < "3.11" \\', (("a", "1"), 'python_version < "3.11"')),
        ('a==1; python_version < "3.11"', (("a", "1"), 'python_version < "3.11"')),
        ("a==1 \\", (("a", "1"), "")),
    ],
)
def test_pins(line: str, pin: tuple[tuple[str, str], str]) -> None:
    assert hashes.pins(line) == dict([pin])


def test_what_is_no_pin() -> None:
    assert not hashes.pins("# a==1\n    --hash=sha256:00\ntorch==2.13.0\n")
