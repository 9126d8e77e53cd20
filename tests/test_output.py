"""Output directories: all or nothing, and never over what actc did not write."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from actc import replacing
from actc.errors import ExitStatus, UsageError
from actc.numerics.compare import agreement, errors
from actc.output import MANIFEST, file_hashes, staged, write_json
from actc.report.format import figure


def manifest(text: str) -> str:
    return json.dumps({"actc": text, "files": {"sub/file": ""}, "not_reproducible": ["times"]})


def fill(directory: Path, text: str) -> None:
    (directory / MANIFEST).write_text(manifest(text))
    (directory / "times").write_text(text)
    (directory / "sub").mkdir()
    (directory / "sub" / "file").write_text(text)


def snapshot(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def refused(directory: Path, code: str) -> None:
    with pytest.raises(UsageError) as caught, staged(directory):
        pytest.fail("the body must not run")
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert found.help
    assert caught.value.status == ExitStatus.USAGE == 2


def test_a_new_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out"
    with staged(target) as stage:
        fill(stage, "new")
        assert not target.exists()
        assert stage.parent == target.parent, "a rename must not cross file systems"
    assert snapshot(target) == {MANIFEST: manifest("new"), "times": "new", "sub/file": "new"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert list(target.parent.iterdir()) == [target]


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with staged(Path("out")) as stage:
        fill(stage, "new")
    assert snapshot(tmp_path / "out")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with staged(tmp_path / "out") as stage:
            fill(stage, "half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_result(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")

    def fail() -> None:
        with staged(target) as stage:
            fill(stage, "half")
            raise error

    with pytest.raises(error):
        fail()
    assert snapshot(target) == {MANIFEST: manifest("old"), "times": "old", "sub/file": "old"}
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")
    (target / "sub" / "stale").write_text("old")
    with staged(target) as stage:
        fill(stage, "new")
        assert snapshot(target)["sub/stale"] == "old"
    assert snapshot(target) == {MANIFEST: manifest("new"), "times": "new", "sub/file": "new"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_while_replacing_restores_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")
    rename = Path.rename

    def faulty(self: Path, other: Path) -> Path:
        if (self / MANIFEST).exists() and (self / MANIFEST).read_text() == manifest("new"):
            raise error
        return rename(self, other)

    monkeypatch.setattr(replacing, "_exchanged", lambda first, second: False)
    monkeypatch.setattr(Path, "rename", faulty)

    def replace() -> None:
        with staged(target) as stage:
            fill(stage, "new")

    with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
        replace()
    assert snapshot(target) == {MANIFEST: manifest("old"), "times": "old", "sub/file": "old"}
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_result_is_never_deleted_when_it_cannot_be_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")
    rename = Path.rename

    def faulty(self: Path, other: Path) -> Path:
        if Path(other) == target:
            raise PermissionError(13, "Permission denied")
        return rename(self, other)

    monkeypatch.setattr(replacing, "_exchanged", lambda first, second: False)
    monkeypatch.setattr(Path, "rename", faulty)

    def replace() -> None:
        with staged(target) as stage:
            fill(stage, "new")

    with pytest.raises(UsageError):
        replace()
    kept = [path for path in tmp_path.rglob(MANIFEST) if path.read_text() == manifest("old")]
    assert len(kept) == 1


def test_an_empty_directory_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with staged(tmp_path / "out") as stage:
        fill(stage, "new")
    assert snapshot(tmp_path / "out")


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    refused(target, "ACT0240")
    assert snapshot(target) == {"thesis.tex": "years of work"}


def test_what_lies_beside_an_earlier_result_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")
    (target / "notes.txt").write_text("mine")
    (target / "built").mkdir()
    (target / "built" / "program").write_text("mine too")
    with staged(target) as stage:
        fill(stage, "new")
    kept = {"notes.txt": "mine", "built/program": "mine too"}
    assert snapshot(target) == {
        MANIFEST: manifest("new"), "times": "new", "sub/file": "new", **kept,
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == [target]


def test_folders_that_no_manifest_names_are_replaced(tmp_path: Path) -> None:
    """A manifest has files but no logs: folders that hold logs alone, or nothing, are not in it."""
    target = tmp_path / "out"
    for _ in range(2):
        with staged(target) as stage:
            names = {"actc": "", "files": {}, "not_reproducible": ["logs"]}
            write_json(stage / MANIFEST, names)
            (stage / "empty").mkdir()
            (stage / "built" / "logs").mkdir(parents=True)
            (stage / "built" / "logs" / "tool.log").write_text("")
    assert {path.name for path in target.iterdir()} == {MANIFEST, "empty", "built"}


def test_a_file_in_the_way_of_a_new_one_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    fill(target, "old")
    (target / "run.py").write_text("mine")

    def replace() -> None:
        with staged(target) as stage:
            fill(stage, "new")
            (stage / "run.py").write_text("actc's")

    with pytest.raises(UsageError, match=r"run\.py") as caught:
        replace()
    assert caught.value.diagnostics[0].code == "ACT0240"
    assert snapshot(target)["run.py"] == "mine"
    assert snapshot(target)["sub/file"] == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("text", ["", "[1]", '{"name": "a web page"}', '{"actc": 1, "files": 2}'])
def test_a_manifest_of_something_else_is_no_leave_to_replace(tmp_path: Path, text: str) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / MANIFEST).write_text(text)
    refused(target, "ACT0240")
    assert snapshot(target) == {MANIFEST: text}


def test_a_file_and_a_link_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(tmp_path / "file", "ACT0240")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    refused(tmp_path / "link", "ACT0240")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    refused(tmp_path / "dangling", "ACT0240")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(tmp_path / "file" / "out", "ACT0241")
    refused(tmp_path / "file" / "deeper" / "out", "ACT0241")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_without_permission(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    parent.mkdir(mode=0o555)
    refused(parent / "out", "ACT0241")


@pytest.mark.parametrize("call", ["tempfile.mkdtemp", "pathlib.Path.mkdir", "pathlib.Path.iterdir"])
def test_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The same for every user, root too."""
    (tmp_path / "out").mkdir()

    def deny(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(call, deny)
    refused(tmp_path / "out", "ACT0241")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_becomes_full(tmp_path: Path, number: int) -> None:
    def write(stage: Path) -> None:
        (stage / "half").write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(UsageError) as caught, staged(tmp_path / "out") as stage:
        write(stage)
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0241"
    assert os.strerror(number).lower() in found.message
    assert not list(tmp_path.iterdir())


def test_other_failures_of_the_body_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged(tmp_path / "out"):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert not list(tmp_path.iterdir())


def test_json_has_one_spelling(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": [1, 2.5, None], "a": "é"})
    write_json(tmp_path / "b", {"a": "é", "b": [1, 2.5, None]})
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    assert content.endswith(b"}\n")
    assert "é".encode() in content
    write_json(tmp_path / "c", {"x": float("nan"), "y": (float("inf"), 1)})
    assert json.loads((tmp_path / "c").read_bytes()) == {"x": None, "y": ["infinite", 1]}


def test_an_infinite_error_is_shown(tmp_path: Path) -> None:
    """A number in place of a NaN is off by any amount."""
    found = errors(np.array([np.nan, 1.0]), np.array([0.0, 1.0]))
    write_json(tmp_path / "a", found)
    read = json.loads((tmp_path / "a").read_bytes())
    assert [read[key] for key in ("max", "p50", "reference_rms")] == ["infinite", "infinite", 1.0]
    assert figure(found["max"]) == figure(read["max"]) == "infinite"
    assert agreement(np.zeros(0, np.int64), np.zeros(0, np.int64)) is None


def test_hashes(tmp_path: Path) -> None:
    fill(tmp_path, "x")
    found = file_hashes(tmp_path, frozenset({MANIFEST, "times"}))
    assert found == {"sub/file": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
