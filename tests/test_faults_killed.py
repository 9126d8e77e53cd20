"""kill -9 at every access to the file system: the old result or the new one, and a retry works."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from killed import run_killed

from actc import replacing
from actc.output import MANIFEST, amended, require_place, staged, working_in


def write_result(folder: Path, text: str) -> None:
    (folder / "model").write_text(text)
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text(text)
    names = {"actc": text, "files": {"model": "", "sub/file": ""}}
    (folder / MANIFEST).write_text(json.dumps(names))


def replace(folder: Path) -> None:
    with staged(folder) as stage:
        write_result(stage, "new")


def content(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path.relative_to(folder).as_posix()] = f"-> {path.readlink()}"
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_text()
    return found


def result(text: str) -> dict[str, str]:
    names = {"actc": text, "files": {"model": "", "sub/file": ""}}
    return {"model": text, "sub/file": text, MANIFEST: json.dumps(names)}


MINE = {"notes.txt": "mine", "built/deep/program": "mine too", "link": "-> nowhere"}


def earlier(folder: Path) -> None:
    """An earlier result, and beside it what the user put there."""
    folder.mkdir()
    write_result(folder, "old")
    (folder / "notes.txt").write_text("mine")
    (folder / "built" / "deep").mkdir(parents=True)
    (folder / "built" / "deep" / "program").write_text("mine too")
    (folder / "link").symlink_to("nowhere")


def test_killed_while_a_result_is_replaced(tmp_path: Path) -> None:
    """Where directories are exchanged at once there is no moment without a whole result."""
    seen, moment, killed = set(), 0, True
    while killed:
        place = tmp_path / str(moment)
        place.mkdir()
        earlier(place / "out")
        killed = run_killed(partial(replace, place / "out"), moment)
        found = content(place / "out")
        assert found in [{**result("old"), **MINE}, {**result("new"), **MINE}], moment
        seen.add(found["model"])
        replace(place / "out")
        assert content(place / "out") == {**result("new"), **MINE}
        assert [path.name for path in place.iterdir()] == ["out"]
        moment += 1
    assert seen == {"old", "new"}
    assert moment > 40, "some accesses are not seen any more"


def test_killed_between_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other file systems have a moment without: whoever comes next puts the old result back."""
    monkeypatch.setattr(replacing, "_exchanged", lambda first, second: False)
    without, moment, killed = 0, 0, True
    while killed:
        place = tmp_path / str(moment)
        place.mkdir()
        earlier(place / "out")
        killed = run_killed(partial(replace, place / "out"), moment)
        without += not (place / "out").exists()
        require_place(place / "out")
        found = content(place / "out")
        assert found in [{**result("old"), **MINE}, {**result("new"), **MINE}], moment
        replace(place / "out")
        assert content(place / "out") == {**result("new"), **MINE}
        assert [path.name for path in place.iterdir()] == ["out"]
        moment += 1
    assert without == 1


def test_killed_while_a_first_result_is_written(tmp_path: Path) -> None:
    moment, killed = 0, True
    while killed:
        place = tmp_path / str(moment)
        killed = run_killed(partial(replace, place / "out"), moment)
        assert not (place / "out").exists() or content(place / "out") == result("new")
        replace(place / "out")
        assert [path.name for path in place.iterdir()] == ["out"]
        moment += 1
    assert moment > 20


def amend(folder: Path) -> None:
    with working_in(folder), amended(folder) as fresh:
        (fresh / "model").write_text("amended")
        (fresh / "notes.txt").write_text("amended")


def test_killed_while_two_files_are_amended(tmp_path: Path) -> None:
    """As `actc build` does with the report and the manifest."""
    before = {**result("old"), **MINE}
    after = {**before, "model": "amended", "notes.txt": "amended"}
    seen, moment, killed = set(), 0, True
    while killed:
        place = tmp_path / str(moment)
        place.mkdir()
        earlier(place / "out")
        killed = run_killed(partial(amend, place / "out"), moment)
        found = content(place / "out")
        assert found in [before, after], moment
        seen.add(found["model"])
        amend(place / "out")
        assert content(place / "out") == after
        assert [path.name for path in place.iterdir()] == ["out"]
        moment += 1
    assert seen == {"old", "amended"}


def test_a_stage_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with staged(tmp_path / "out") as first:
        write_result(first, "first")
        replace(tmp_path / "out")
        assert content(first) == result("first")
        assert content(tmp_path / "out") == result("new")
    assert content(tmp_path / "out") == result("first"), "the last one stays"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_only_looks_like_a_stage_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / ".out.settings").mkdir()
    (tmp_path / ".output.actc-stage-abcdefgh").mkdir()
    replace(tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 3


def test_long_names(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 250)
    replace(folder)
    assert run_killed(partial(replace, folder), 8)
    replace(folder)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
