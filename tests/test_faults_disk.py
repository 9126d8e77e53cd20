"""Disks that are full, read-only or somebody else's: refused with a reason, and nothing is left."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from installed import needs_gcc, needs_tvm

import actc
from actc.cache.entry import UNFINISHED
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


@needs_tvm
def test_a_limit_of_file_sizes_below_an_object(tmp_path: Path, model: Path, data: Path) -> None:
    """LLVM, which ends the whole process where a file becomes too large, is not asked for it."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))

    place = tmp_path / "place" / "out"
    arguments = ["compile", str(model), "-t", "cpu", "--data", str(data), "-o", str(place)]
    done = subprocess.run(
        [sys.executable, "-m", "actc", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert done.returncode == 2, done.stderr
    assert "error[ACT0241]: cannot write the output: file too large" in done.stderr
    assert not list(tmp_path.glob("place/*"))


@needs_gcc
@pytest.mark.parametrize(
    ("size", "status", "code", "said"),
    [
        (8, 2, "ACT0241", "no space left on device"),
        (24, 5, "ACT0510", "KiB are free in"),
    ],
)
def test_a_full_disk_for_temporary_files(
    disk: Path,
    actc_cli: CommandLine,
    model: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    status: int,
    code: str,
    said: str,
) -> None:
    """Sizes in KiB: actc's own files do not fit, or those of gcc and its log."""
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    resize(disk, f"size={size}k")
    target = f"c:name=of_{size}"  # a program that this process has not compiled before
    command = ("compile", model, "-t", target, "--data", data, "-o", "out", "--json")
    done = actc_cli(*command)
    assert (done.status, done.codes) == (status, [code])
    assert said in done.stdout
    assert "TMPDIR gives another place" in done.stdout
    assert not list(actc_cli.directory.iterdir())
    resize(disk, "size=16m")
    assert actc_cli(*command).status == 0


FIT = ("fit", "Tanh", "--input", "s2.3", "--output", "s1.4", "--device", "ice40")


@pytest.mark.parametrize("option", ["ro", "size=4k"])
def test_a_disk_for_the_cache_that_takes_nothing(
    disk: Path, actc_cli: CommandLine, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Nothing fails, and it is told once."""
    expected = actc_cli(*FIT)
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1GB")
    monkeypatch.setenv("ACTC_CACHE_DIR", str(disk / "cache"))
    (disk / "cache").mkdir(mode=0o700)
    resize(disk, option)
    found = actc_cli(*FIT)
    assert (expected.status, found.status) == (0, 0)
    assert found.stdout == expected.stdout
    assert found.stderr.count("ACT0251") == 1
    assert actc_cli("cache", "prune").status == 0
    resize(disk, "rw,size=1m")
    assert actc_cli(*FIT).stdout == expected.stdout
    assert not [path for path in disk.rglob("*") if path.name.startswith(UNFINISHED)]
    assert [path for path in disk.rglob("*") if path.is_file()]


def test_reading_what_a_killed_run_put_aside(
    tmp_path: Path, actc_cli: CommandLine, model: Path, data: Path
) -> None:
    """Between two renames of a file system that cannot exchange directories."""
    actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    out = tmp_path / "out"
    for command in (("report", out), ("check", out, "--data", data)):
        out.rename(tmp_path / ".out.actc-old-abcdefgh")
        assert actc_cli(*command).status == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            *("cwd", "data.npz", "out", "small.onnx"),
        ]


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
