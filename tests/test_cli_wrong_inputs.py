"""Wrong inputs: the exit status, the diagnostic, and nothing half-written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import CommandLine, Finished
from small_models import make_data, make_model


def assert_refused(done: Finished, status: int, directory: Path, *codes: str) -> None:
    """Exit status, one document with these codes, text on stderr, nothing written."""
    assert done.status == status, done.stderr
    assert done.document["exit_status"] == status
    assert [c for c in done.codes if c not in codes] == []
    assert set(codes) <= set(done.codes)
    assert all(f"error[{code}]: " in done.stderr for code in codes)
    assert "Traceback" not in done.stderr
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("command", ["compile", "inspect"])
@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "ACT0001"), (b"not a model\n", "ACT0001"), (None, "ACT0001")],
    ids=["empty", "text", "truncated"],
)
def test_file_that_is_no_model(
    actc_cli: CommandLine,
    tmp_path: Path,
    model: Path,
    command: str,
    content: bytes | None,
    code: str,
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes()[:-40] if content is None else content)
    done = actc_cli(command, broken, "--json")
    assert_refused(done, 3, actc_cli.directory, code)
    assert "broken.onnx" in done.stderr


def test_missing_model(actc_cli: CommandLine) -> None:
    done = actc_cli("compile", "absent.onnx", "--json")
    assert_refused(done, 2, actc_cli.directory, "ACT0202")


def test_missing_external_data(actc_cli: CommandLine, tmp_path: Path, model: Path) -> None:
    path = tmp_path / "external.onnx"
    onnx.save(
        onnx.load(model), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    (tmp_path / "w.bin").unlink()
    done = actc_cli("compile", path, "--json")
    assert_refused(done, 3, actc_cli.directory, "ACT0002")
    assert "w.bin" in done.stderr


@pytest.mark.parametrize("target", ["cpu", "onnx"])
def test_unsupported_operator(
    actc_cli: CommandLine, tmp_path: Path, data: Path, target: str
) -> None:
    model = make_model(tmp_path / "odd.onnx", op="Foo", domain="com.example")
    done = actc_cli("compile", model, "--target", target, "--data", data, "--json")
    assert done.status == 3
    (found,) = done.document["diagnostics"]
    assert (found["node"], found["op"]) == ("activation", "Foo")
    assert list(actc_cli.directory.iterdir()) == []


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(
    actc_cli: CommandLine, tmp_path: Path, data: Path, weight: float
) -> None:
    model = make_model(tmp_path / "nan.onnx", weight=weight)
    done = actc_cli("compile", model, "--data", data, "--json")
    assert done.status == 3
    (found,) = done.document["diagnostics"]
    assert found["node"] == "w"
    assert list(actc_cli.directory.iterdir()) == []


WRONG_DATA = {
    "other name of two": {"a": np.zeros((4, 6), np.float32), "b": np.zeros((4, 6), np.float32)},
    "shape": {"x": np.zeros((4, 7), np.float32)},
    "rank": {"x": np.zeros(6, np.float32)},
    "no samples": {"x": np.zeros((0, 6), np.float32)},
    "type": {"x": np.array([["a"] * 6])},
    "not a number": {"x": np.full((4, 6), np.nan, np.float32)},
    "labels": {"x": np.zeros((4, 6), np.float32), "labels": np.zeros(3, np.int64)},
}


@pytest.mark.parametrize("arrays", WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_data(
    actc_cli: CommandLine, tmp_path: Path, model: Path, arrays: dict[str, Any]
) -> None:
    data = make_data(tmp_path / "wrong.npz", **arrays)
    done = actc_cli("compile", model, "--data", data, "--json")
    assert_refused(done, 2, actc_cli.directory, "ACT0221")
    assert "wrong.npz" in done.stderr


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy.load
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # leaves a bad zip open
@pytest.mark.parametrize("content", [None, b"no archive", b"PK\x03\x04broken"])
def test_unreadable_data(
    actc_cli: CommandLine, tmp_path: Path, model: Path, content: bytes | None
) -> None:
    data = tmp_path / "wrong.npz"
    if content is not None:
        data.write_bytes(content)
    done = actc_cli("compile", model, "--data", data, "--json")
    assert_refused(done, 2, actc_cli.directory, "ACT0220")


def test_dynamic_shapes_without_data(actc_cli: CommandLine, tmp_path: Path) -> None:
    model = make_model(tmp_path / "dynamic.onnx", length="length")
    done = actc_cli("compile", model, "--target", "onnx", "--json")
    assert_refused(done, 3, actc_cli.directory, "ACT0010")
    assert "--data" in done.stderr


@pytest.mark.parametrize("target", ["cup", "cpu:no-such-cpu-xyz"])
def test_unknown_target(actc_cli: CommandLine, model: Path, data: Path, target: str) -> None:
    done = actc_cli("compile", model, "--target", target, "--data", data, "--json")
    assert done.status == 2
    assert done.document["exit_status"] == 2
    assert list(actc_cli.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [
        ("--precision", "int", "int8"),
        ("--approx", "tabel", "table"),
        ("--calibration", "min-max", "minmax"),
        ("--passes", "recognise", "recognize"),
    ],
)
def test_wrong_names_of_options(
    actc_cli: CommandLine, model: Path, data: Path, option: str, value: str, near: str
) -> None:
    done = actc_cli("compile", model, "--data", data, option, value, "--json")
    assert done.status == 2, done.stderr
    assert near in done.document["diagnostics"][0]["help"]
    assert list(actc_cli.directory.iterdir()) == []


def test_hardware_options_of_a_target_that_has_none(
    actc_cli: CommandLine, model: Path, data: Path
) -> None:
    done = actc_cli("compile", model, "--data", data, "--clock", "100", "--seeds", "2", "--json")
    assert done.status == 2, done.stderr
    messages = [problem["message"] for problem in done.document["diagnostics"]]
    assert [message.split()[0] for message in messages] == ["--clock", "--seeds"]
    assert list(actc_cli.directory.iterdir()) == []


@pytest.mark.parametrize("value", ["nan", "2"])
def test_wrong_budget(actc_cli: CommandLine, model: Path, data: Path, value: str) -> None:
    done = actc_cli("compile", model, "--data", data, "--max-drop", value, "--json")
    assert done.status == 2, done.stderr
    assert list(actc_cli.directory.iterdir()) == []


def test_output_under_a_file(
    actc_cli: CommandLine, tmp_path: Path, model: Path, data: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    done = actc_cli("compile", model, "--data", data, "-o", tmp_path / "file/out", "--json")
    assert done.status == 2, done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_output_is_a_file(actc_cli: CommandLine, tmp_path: Path, model: Path, data: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = actc_cli("compile", model, "--data", data, "-o", tmp_path / "file", "--json")
    assert done.status == 2, done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_no_write_permission(
    actc_cli: CommandLine, tmp_path: Path, model: Path, data: Path
) -> None:
    """The administrator may write anywhere but below /proc."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    output = Path("/proc/actc-out") if os.geteuid() == 0 else closed / "out"
    done = actc_cli("compile", model, "--data", data, "-o", output, "--json")
    assert done.status == 2, done.stderr
    assert str(output) in done.stderr
    assert list(closed.iterdir()) == []
    assert list(actc_cli.directory.iterdir()) == []


def test_foreign_files_are_not_overwritten(
    actc_cli: CommandLine, tmp_path: Path, model: Path, data: Path
) -> None:
    """A failed run leaves a directory of somebody else's as it was."""
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("precious")
    done = actc_cli("compile", model, "--data", tmp_path / "absent.npz", "-o", output, "--json")
    assert done.status == 2
    assert [p.name for p in output.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("command", ["check", "report"])
def test_directory_that_is_no_output(actc_cli: CommandLine, data: Path, command: str) -> None:
    options = ("--data", data) if command == "check" else ()
    done = actc_cli(command, data.parent, *options, "--json")
    assert done.status == 2
    assert done.codes == ["ACT0204"]
