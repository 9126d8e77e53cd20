"""Diagnostics: their text, their JSON, and a table that knows every code in use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actc.codes import CODES
from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import ActcError, ExitStatus, ModelError

FULL = Diagnostic(
    "ACT0001",
    "operator Foo has no integer form",
    place=Place("model.onnx", "/enc/foo", "Foo"),
    notes=("first", "second"),
    help="replace it",
)


def test_text() -> None:
    assert str(FULL) == (
        "error[ACT0001]: operator Foo has no integer form\n"
        "  --> model.onnx: node '/enc/foo' (Foo)\n"
        "  note: first\n"
        "  note: second\n"
        "  help: replace it"
    )


def test_text_without_place_notes_and_help() -> None:
    assert str(Diagnostic("ACT0001", "short", "warning")) == "warning[ACT0001]: short"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(), ""),
        (Place("m.onnx"), "m.onnx"),
        (Place(node="a"), "node 'a'"),
        (Place(op="Erf"), "operator Erf"),
        (Place("m.onnx", op="Erf"), "m.onnx: operator Erf"),
    ],
)
def test_place(place: Place, text: str) -> None:
    assert str(place) == text


def test_json_has_stable_keys() -> None:
    assert json.loads(json.dumps(FULL.to_json())) == {
        "code": "ACT0001",
        "severity": "error",
        "message": "operator Foo has no integer form",
        "file": "model.onnx",
        "node": "/enc/foo",
        "op": "Foo",
        "notes": ["first", "second"],
        "help": "replace it",
    }


def test_sink_keeps_each_once_and_knows_errors() -> None:
    sink = DiagnosticSink()
    warning = Diagnostic("ACT0001", "w", "warning")
    sink.extend([FULL, warning, FULL])
    assert sink.items == [FULL, warning]
    assert sink.errors == [FULL]


def test_error_shows_all_its_diagnostics() -> None:
    error = ModelError([FULL, Diagnostic("ACT0002", "other")])
    assert isinstance(error, ActcError)
    assert error.status is ExitStatus.MODEL
    assert str(error) == f"{FULL}\nerror[ACT0002]: other"


@pytest.mark.parametrize("code", sorted(CODES))
def test_code_has_title_and_explanation(code: str) -> None:
    assert re.fullmatch(r"ACT0[0-79]\d\d", code)
    title, explanation = CODES[code]
    assert not title.endswith(".")
    assert explanation.endswith(".")
    assert len(explanation) > len(title)


def test_codes_are_sorted() -> None:
    assert list(CODES) == sorted(CODES)


def test_every_code_in_the_source_is_explained(root: Path) -> None:
    used: dict[str, str] = {}
    for folder in ("actc", "passes", "targets"):
        for path in (root / folder).rglob("*.py"):
            if "codes" not in path.parts:
                for code in re.findall(r"\"(ACT\d{4})\"", path.read_text("utf-8")):
                    used[code] = path.relative_to(root).as_posix()
    assert len(used) > 10
    assert {code: where for code, where in used.items() if code not in CODES} == {}
