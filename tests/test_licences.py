"""docs/licences.md says what the installed packages state, and lacks none."""

from __future__ import annotations

import re
from pathlib import Path

import licences
import pytest
from packaging.utils import canonicalize_name

from actc.targets import TARGETS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "licences.md"
TEXT = PAGE.read_text("utf-8")
ON_PAGE = {row["name"]: (row["licence"], row["extras"]) for row in licences._ROW.finditer(TEXT)}


def test_the_page_is_current() -> None:
    """What packages bring on one platform only is no matter: the page may lack it."""
    now = licences.rows(TEXT)
    assert set(ON_PAGE) <= set(now)
    for name, (stated, extras) in ON_PAGE.items():
        assert now[name][0] == stated, name
        # an extra that is not installed brings less
        assert set(now[name][1].split(", ")) <= {*extras.split(", ")}, name


def test_every_requirement_is_on_the_page() -> None:
    direct = {
        canonicalize_name(requirement.name)
        for group in licences.extras().values()
        for requirement in group
    }
    assert direct - set(ON_PAGE) <= {"tomli"}, "tools/licences.py writes the page"


def test_every_target_is_on_the_page() -> None:
    named = set(re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.MULTILINE))
    boards = {"bnn-hls", "c", "cpu", "cuda", "hls4ml", "onnx", "verilog"}
    assert named == boards
    assert named <= set(TARGETS.references())


class Fake:
    """A distribution with some metadata."""

    def __init__(self, **fields: list[str]) -> None:
        self.fields = fields

    @property
    def metadata(self) -> Fake:
        return self

    def get(self, name: str) -> str | None:
        return self.fields.get(name.replace("-", "_"), [None])[0]

    def get_all(self, name: str) -> list[str] | None:
        return self.fields.get(name)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License_Expression": ["MIT"], "License": ["BSD"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: BSD License"], "License": ["x"]}, "BSD"),
        ({"Classifier": ["License :: OSI Approved", "Topic :: A"], "License": ["ISC"]}, "ISC"),
        ({"License": ["Copyright\nall of the text"]}, "not stated in its metadata"),
        ({"License": ["a | b"]}, "a / b"),
        ({}, "not stated in its metadata"),
    ],
)
def test_what_a_distribution_states(fields: dict[str, list[str]], expected: str) -> None:
    assert licences.licence(Fake(**fields)) == expected  # type: ignore[arg-type]
