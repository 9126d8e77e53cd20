"""Several processes and one output directory: refused, or the last one's result stays whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine, run_process

import actc
from actc.emission import write_files
from actc.errors import UsageError
from actc.output import MANIFEST, file_hashes, staged, unchanged, working_in
from actc.running import _check_place
from actc.running import _save as save_outputs

WORKER = """
import json, pathlib, sys
from actc.output import staged
place, text = pathlib.Path(sys.argv[1]), sys.argv[2]
for _ in range(25):
    with staged(place) as stage:
        for name in ("a", "b", "c"):
            (stage / name).write_text(text)
        names = {"actc": "", "files": {name: "" for name in "abc"}}
        (stage / "manifest.json").write_text(json.dumps(names))
"""
HOLDER = """
import pathlib, sys, time
from actc.output import working_in
with working_in(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    with staged(folder) as stage:
        (stage / MANIFEST).write_text(json.dumps({"actc": "", "files": {}}))
    return folder


@pytest.fixture
def holder(result: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works in the result, as `actc build` does."""
    command = [sys.executable, "-c", HOLDER, str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def replace(folder: Path) -> None:
    with staged(folder) as stage:
        (stage / MANIFEST).write_text(json.dumps({"actc": "new", "files": {}}))


def read_late(folder: Path) -> str:
    replace(folder)
    return (folder / "of the old one").read_text()


def code_of(problem: UsageError) -> str:
    (found,) = problem.diagnostics
    return found.code


def test_many_processes_write_one_place(tmp_path: Path) -> None:
    """Some lose the race, none mixes its files with another's, nothing is left."""
    commands = [[sys.executable, "-c", WORKER, str(tmp_path / "out"), name] for name in "1234"]
    processes = [subprocess.Popen(command) for command in commands]
    found = set()
    while any(process.poll() is None for process in processes):
        try:
            with unchanged(tmp_path / "out"):
                texts = {(tmp_path / "out" / name).read_text() for name in "abc"}
        except (UsageError, FileNotFoundError):
            continue
        assert len(texts) == 1
        found |= texts
    assert [process.wait() for process in processes] == [0] * 4
    assert found
    assert len({(tmp_path / "out" / name).read_text() for name in "abc"}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_that_is_worked_in(
    result: Path, holder: subprocess.Popen[str], actc_cli: CommandLine, model: Path, data: Path
) -> None:
    """It is refused before anything is computed, and free once the other process was killed."""
    with pytest.raises(UsageError) as caught:
        replace(result)
    assert code_of(caught.value) == "ACT0205"
    with pytest.raises(UsageError) as caught, working_in(result):
        pytest.fail("two work there")
    assert code_of(caught.value) == "ACT0205"
    done = actc_cli("compile", model, "-t", "onnx", "--data", data, "-o", result, "--json")
    assert (done.status, done.codes) == (2, ["ACT0205"])
    assert "another process works in this directory" in done.stderr
    assert "normalize" not in done.stderr
    holder.kill()
    holder.wait()
    replace(result)
    assert json.loads((result / MANIFEST).read_text())["actc"] == "new"
    assert [path.name for path in result.parent.iterdir()].count("out") == 1


def test_a_directory_that_is_replaced_while_it_is_read(result: Path) -> None:
    with pytest.raises(UsageError) as caught, unchanged(result):
        replace(result)
    assert code_of(caught.value) == "ACT0207"
    with pytest.raises(UsageError) as caught, unchanged(result):
        read_late(result)
    assert code_of(caught.value) == "ACT0207"
    with pytest.raises(KeyError), unchanged(result):
        raise KeyError


def test_check_notices_that_its_directory_was_replaced(
    tmp_path: Path, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    actc.compile(model, "onnx", data=data, output=folder)
    monkeypatch.setattr("actc.recheck.run_model", lambda *_: replace(folder))
    with pytest.raises(UsageError) as caught:
        actc.check(folder, data)
    assert code_of(caught.value) == "ACT0207"


def test_two_compilations_at_once(tmp_path: Path, model: Path, data: Path) -> None:
    options = ("compile", model, "--data", data, "-t", "onnx", "-o", "out")
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(run_process, tmp_path, *options, "--approx", a) for a in ("pwl", "table")
        ]
    assert [run.result().status for run in runs] == [0, 0]
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    without = frozenset({MANIFEST, *manifest["not_reproducible"]})
    assert file_hashes(tmp_path / "out", without) == manifest["files"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.npz", "out", "small.onnx"]


def test_devices_are_no_files_to_replace(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="no regular file"):
        _check_place(pipe)
    with pytest.raises(UsageError, match="no regular file"):
        write_files({pipe: b"content"})
    assert pipe.is_fifo()
    (tmp_path / "link").symlink_to(tmp_path / "y.npz")
    save_outputs(tmp_path / "link", {"y": np.zeros(2)})
    assert (tmp_path / "link").is_symlink()
    assert list(np.load(tmp_path / "y.npz")) == ["y"]
