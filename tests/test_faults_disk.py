"""Disks that are full, read-only or somebody else's: refused with a reason, and nothing is left."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from installed import needs_gcc, needs_tvm

import actc
from actc.cli.streams import refused
from actc.errors import UsageError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    # a library that was loaded from it keeps it busy
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


@pytest.mark.parametrize(
    ("target", "sizes"),
    [
        ("onnx", (4, 16, 40)),
        pytest.param("c", (16, 48), marks=needs_gcc),
        pytest.param("cpu", (16, 32, 48), marks=needs_tvm),
    ],
)
def test_a_full_disk(
    disk: Path, model: Path, data: Path, target: str, sizes: tuple[int, ...]
) -> None:
    """Sizes in KiB; LLVM would end the process where it cannot write."""
    for size in sizes:
        resize(disk, f"size={size}k")
        with pytest.raises(UsageError, match="no space left on device") as caught:
            actc.compile(model, target, data=data, output=disk / "out")
        (found,) = caught.value.diagnostics
        assert found.code == "ACT0241"
        assert "TMPDIR" in found.notes[0]
        assert not list(disk.iterdir())
    resize(disk, "size=16m")
    actc.compile(model, target, data=data, output=disk / "out")
    before = (disk / "out" / "manifest.json").read_bytes()
    with (disk / "full").open("wb") as stream, pytest.raises(OSError, match="No space"):
        stream.write(bytes(16 << 20))
    with pytest.raises(UsageError, match="no space left on device"):
        actc.compile(model, target, data=data, output=disk / "out")
    assert sorted(path.name for path in disk.iterdir()) == ["full", "out"]
    assert (disk / "out" / "manifest.json").read_bytes() == before


def test_a_read_only_disk(disk: Path, actc_cli: CommandLine, model: Path, data: Path) -> None:
    """Before anything is computed."""
    resize(disk, "ro")
    done = actc_cli("compile", model, "-t", "onnx", "--data", data, "-o", disk / "out", "--json")
    assert (done.status, done.codes) == (2, ["ACT0241"])
    assert "no permission" in done.stderr
    assert "actc: normalize" not in done.stderr


def test_a_place_where_a_disk_is_mounted(disk: Path, model: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="name a directory in it"):
        actc.compile(model, "onnx", data=data, output=disk)
    actc.compile(model, "onnx", data=data, output=disk / "out")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (0, "error[ACT0206]: the machine refuses: no usable temporary directory found"),
        (5_000, "error[ACT0241]: cannot write the output: file too large"),
    ],
)
def test_a_limit_of_file_sizes(
    tmp_path: Path, model: Path, data: Path, limit: int, said: str
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = ["compile", model, "-t", "onnx", "--data", data, "-o", tmp_path / "place" / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "actc", *map(str, command)],
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.glob("place/*"))


def test_a_working_directory_that_was_removed(tmp_path: Path, model: Path, data: Path) -> None:
    gone = tmp_path / "gone"
    script = (
        "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]);"
        "from actc.cli import main; sys.exit(main(sys.argv[2:]))"
    )

    def run(output: str) -> subprocess.CompletedProcess[str]:
        arguments = ["compile", str(model), "-t", "onnx", "--data", str(data), "-o", output]
        command = [sys.executable, "-c", script, str(gone), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("out")
    assert (done.returncode, "ACT0241" in done.stderr) == (2, True), done.stderr
    done = run(str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr


def test_what_the_machine_refuses_is_no_internal_error() -> None:
    found = refused(OSError(24, "Too many open files", "model.onnx"))
    assert found is not None
    assert (found.code, found.place.file) == ("ACT0206", "model.onnx")
    assert refused(OSError(2, "No such file or directory", "x")) is None
    assert refused(ValueError("wrong")) is None
